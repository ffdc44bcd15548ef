#include "worker/patch.h"

#include <errno.h>
#include <stdio.h>

#include "common/err.h"
#include "worker/merge_fields.h"
#include "worker/words.h"

enum { KEPT = 1 << 20, OPEN_TRIES = 10 };

void patcher_open(struct patcher *p, struct worker *w, struct core *core, const char *directory,
                  const struct regions *r)
{
    *p = (struct patcher){.worker = w, .core = core, .directory = directory};
    job_must(w, arena_init(&p->bodies, w->scratch.cap, 0), "no address space for documents");
    earlier_open(&p->earlier, r);
}

/* ------------------------------------------------------------------------------------------------------ what it was */

/* It is the index that is damaged, and no operation's fault. */
static _Noreturn void die_damaged(const struct patcher *p, int err, const struct segment_fault *fault)
{
    words_stage(p->worker->words, STAGE_READING);
    job_die_damaged(p->worker, err, fault);
}

static _Noreturn void die_at(const struct patcher *p, int err, const struct snapshot_segment *s, const char *section)
{
    die_damaged(p, err, &(struct segment_fault){s->core->id, section, s->core->image});
}

/* A merge may remove a file between the view and its opening: then there is a newer view. */
static void open_index(struct patcher *p)
{
    struct segment_fault fault = {0};
    int err = -ENOENT;
    for (int tries = 0; err == -ENOENT && tries < OPEN_TRIES; tries++) {
        struct core_view *view;
        job_must(p->worker, core_read(p->core, NULL, &view), "core.mdb cannot be read");
        err = snapshot_open_for_ids(p->directory, view, NULL, &p->before, &fault);
        if (err)
            core_view_release(view);
    }
    if (err)
        die_damaged(p, err, &fault);
}

static struct str read_body(struct patcher *p, size_t segment, uint32_t document)
{
    const struct snapshot_segment *s = &p->before->segments[segment];
    struct str body;
    int err = segment_document_body(s->segment, document, &p->bodies, &body);
    if (err == ERR_FULL)
        job_scratch_full(p->worker);
    if (err)
        die_at(p, err, s, segment_damaged(s->segment, "documents"));
    return body;
}

/* A version that came later is none that counts: with it there, what this operation leaves is dead from birth. */
static struct str find_in_index(struct patcher *p, const struct operation *o)
{
    size_t segment;
    uint32_t document;
    int err = 0;
    if (!p->before)
        open_index(p);
    bool found = snapshot_find(p->before, o->hash, o->id, &segment, &document, &err);
    const struct snapshot_segment *s = found || err ? &p->before->segments[segment] : NULL;
    if (found)
        err = segment_check_document(s->segment, document);
    if (err)
        die_at(p, err, s, segment_damaged(s->segment, "ids"));
    bool is_earlier = found && segment_stamps(s->segment)[document] < o->stamp;
    return is_earlier ? read_body(p, segment, document) : (struct str){0};
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
    snprintf(why->message, sizeof why->message, "with these fields the document has %zu bytes, max-document-size is %llu",
             out->len, (unsigned long long)most);
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
