#include "worker/delete_matching.h"

#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "index/filter.h"
#include "proto/message.h"
#include "worker/malloc.h"

enum {
    BYTES_EACH = 256, /* of a document that is deleted, until that is committed: at its worst, when lists grow */
    LEAST = 1000,
    LOOKS = 256, /* at documents, between two words of how far it is */
};

struct deleting {
    struct before *before;
    struct filter *filter;
    uint64_t stamp;
    const struct delete_sink *sink;
    size_t count, most; /* that are not committed */
};

static int parse(struct before *before, struct str text, struct filter **out, struct refused *why)
{
    struct filter_error error;
    int err = filter_parse(&before->worker->scratch, text, out, &error);
    if (err == ERR_FULL)
        job_scratch_full(before->worker);
    if (err) {
        why->code = error.is_unsupported ? CODE_NOT_SUPPORTED : CODE_INVALID_FILTER;
        snprintf(why->message, sizeof why->message, "%s", error.message);
    }
    return err;
}

static void take(struct deleting *d, const struct snapshot_segment *s, uint32_t document)
{
    struct str id;
    uint64_t hash;
    int err = segment_document_id(s->segment, document, &id, &hash);
    if (err)
        before_die(d->before, err, s, "ids");
    d->sink->found(d->sink->context, hash, id);
    if (++d->count < d->most)
        return;
    d->sink->full(d->sink->context);
    d->count = 0;
}

static void scan(struct deleting *d, const struct snapshot_segment *s)
{
    struct last_words *words = d->before->worker->words;
    struct filter_scan scan;
    uint32_t document, before = 0;
    bool is_more = true, is_found;
    int err = filter_scan_open(&scan, d->filter, s, d->stamp, &d->before->worker->scratch);
    while (!err && is_more) {
        is_more = filter_scan_next(&scan, LOOKS, &document, &is_found, &err);
        if (is_found)
            take(d, s, document);
        words->documents += scan.next - before;
        before = scan.next;
    }
    if (err)
        before_die(d->before, err, s, "documents");
    filter_scan_close(&scan);
}

/* Half of what there is stays for other things: the parse, the commit's pages. */
static size_t most_documents(void)
{
    struct heap_use use = heap_use();
    if (!use.cap)
        return SIZE_MAX;
    size_t most = use.cap > use.extent ? (use.cap - use.extent) / 2 / BYTES_EACH : 0;
    return most > LEAST ? most : LEAST;
}

static void count_documents(const struct snapshot *s, struct last_words *words)
{
    for (size_t i = 0; i < s->segment_count; i++)
        words->documents_total += s->segments[i].core->documents;
}

int delete_matching(struct before *before, const struct operation *o, const struct delete_sink *sink,
                    struct refused *out_refused)
{
    struct deleting d = {.before = before, .stamp = o->stamp, .sink = sink};
    const struct snapshot *s = before_open(before, o->sequence, BEFORE_ALL);
    size_t mark = arena_mark(&before->worker->scratch);
    int err = parse(before, o->body, &d.filter, out_refused);
    d.most = most_documents();
    count_documents(s, before->worker->words);
    for (size_t i = 0; !err && i < s->segment_count; i++)
        scan(&d, &s->segments[i]);
    arena_rewind(&before->worker->scratch, mark);
    return err;
}
