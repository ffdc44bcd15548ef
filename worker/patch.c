#include "worker/patch.h"

#include <stdio.h>

#include "common/err.h"
#include "worker/merge_fields.h"

enum { KEPT = 1 << 20 };

void patcher_open(struct patcher *p, struct before *before, const struct regions *r)
{
    *p = (struct patcher){.worker = before->worker, .before = before, .first = r->first};
    job_must(p->worker, arena_init(&p->bodies, p->worker->scratch.cap, 0), "no address space for documents");
    earlier_open(&p->earlier, r);
}

/* ------------------------------------------------------------------------------------------------------ what it was */

static struct str read_body(struct patcher *p, const struct snapshot_segment *s, uint32_t document)
{
    struct str body;
    int err = segment_document_body(s->segment, document, &p->bodies, &body);
    if (err)
        before_die(p->before, err, s, "documents");
    return body;
}

/* A version that came later is none that counts: with it there, what this operation leaves is dead from birth. */
static struct str find_in_index(struct patcher *p, const struct operation *o)
{
    const struct snapshot *before = before_open(p->before, p->first, BEFORE_IDS);
    size_t segment;
    uint32_t document;
    int err = 0;
    bool is_there = snapshot_find(before, o->hash, o->id, &segment, &document, &err);
    if (err)
        before_die(p->before, err, &before->segments[segment], "ids");
    if (!is_there)
        return (struct str){0};
    const struct snapshot_segment *s = &before->segments[segment];
    err = segment_check_document(s->segment, document);
    if (err)
        before_die(p->before, err, s, "ids");
    return segment_stamps(s->segment)[document] < o->stamp ? read_body(p, s, document) : (struct str){0};
}

/* ------------------------------------------------------------------------------------------------------ what it is */

static bool is_object(struct str value)
{
    while (value.len && strchr(" \t\r\n", *value.ptr))
        value = (struct str){value.ptr + 1, value.len - 1};
    return value.len && *value.ptr == '{';
}

/* Before it is put together with anything: what is wrong is to be found where the client wrote it. */
static int check_change(struct patcher *p, struct str change, struct refused *why)
{
    static const struct json_events nothing = {0};
    struct json_error error;
    int err = json_parse(&p->worker->scratch, change, &nothing, NULL, &error);
    if (err == ERR_FULL)
        job_scratch_full(p->worker);
    why->code = CODE_INVALID_DOCUMENT;
    if (err)
        snprintf(why->message, sizeof why->message, "%s at byte %zu", error.message, error.offset);
    else if (!is_object(change))
        snprintf(why->message, sizeof why->message, "the document is not a JSON object");
    else
        return 0;
    return ERR_INVALID;
}

static int merge(struct patcher *p, struct str old, struct str change, struct str *out, struct refused *why)
{
    uint64_t most = p->worker->job->max_document_size;
    if (merge_fields(&p->worker->scratch, old, change, out))
        job_scratch_full(p->worker);
    arena_reset(&p->bodies, KEPT);
    if (out->len <= most)
        return 0;
    why->code = CODE_DOCUMENT_TOO_LARGE;
    snprintf(why->message, sizeof why->message,
             "with these fields the document has %zu bytes, max-document-size is %llu", out->len,
             (unsigned long long)most);
    return ERR_INVALID;
}

int patch(struct patcher *p, const struct operation *o, struct str *out, struct refused *out_refused)
{
    struct str old;
    int err = check_change(p, o->body, out_refused);
    if (err)
        return err;
    if (!earlier_find(&p->earlier, o, &old))
        old = find_in_index(p, o);
    if (old.ptr)
        return merge(p, old, o->body, out, out_refused);
    *out = o->body;
    return 0;
}
