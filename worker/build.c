#include "worker/build.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "index/image.h"
#include "worker/delete_matching.h"
#include "worker/hooks.h"
#include "worker/words.h"

/* BUILD: batches of operations to one segment, deletions and refusals, and one commit. */

enum { BYTES_PER_DELETION = 64 };

static void open_build(struct build *b, struct worker *w)
{
    b->worker = w;
    indexing_open(&b->indexing, w);
    b->indexing.image_most = IMAGE_MOST;
    regions_open(&b->regions, w);
    job_must(w, core_open_builder(b->indexing.directory, &b->core), "core.mdb cannot be opened");
    b->before = (struct before){.worker = w, .core = b->core, .directory = b->indexing.directory};
    patcher_open(&b->patcher, &b->before, &b->regions);
    b->indexing.besides = &b->patcher.bodies;
    b->done = b->regions.first;
    indexing_begin(&b->indexing);
    w->words->documents_total = b->regions.operations;
}

/* ---------------------------------------------------------------------------------------------------------- operations
 */

static void refuse(struct build *b, const struct operation *o, uint64_t task, const char *code, const char *message)
{
    const struct core_refusal refusal = {
        .sequence = o->sequence,
        .task = task,
        .position = o->position,
        .id = o->id,
        .code = str_of(code),
        .message = str_of(message),
    };
    indexing_refuse(&b->indexing, &refusal);
}

static void delete (struct build *b, const struct operation *o)
{
    if (b->deletion_count == b->deletion_room) {
        b->deletion_room = b->deletion_room ? b->deletion_room * 2 : 64;
        b->deletions = reallocarray(b->deletions, b->deletion_room, sizeof *b->deletions);
    }
    b->deletions[b->deletion_count++] =
        (struct core_tombstone){.hash = o->hash, .stamp = o->stamp, .sequence = o->sequence, .id = o->id};
    earlier_note(&b->patcher.earlier, o, (struct str){0});
}

static void put(struct build *b, const struct operation *o, struct str body, uint64_t task)
{
    struct refused why;
    const struct indexed document = {.id = o->id, .body = body, .hash = o->hash, .stamp = o->stamp};
    if (indexing_put(&b->indexing, &document, &why))
        refuse(b, o, task, why.code, why.message);
    else
        earlier_note(&b->patcher.earlier, o, body);
}

static void put_patched(struct build *b, const struct operation *o, uint64_t task)
{
    struct refused why;
    struct str body;
    size_t mark = arena_mark(&b->worker->scratch);
    int err = patch(&b->patcher, o, &body, &why);
    indexing_charge(&b->indexing);
    if (err) {
        refuse(b, o, task, why.code, why.message);
    } else {
        if (b->regions.largest < body.len)
            b->regions.largest = body.len; /* others may become as large */
        put(b, o, body, task);
    }
    arena_rewind(&b->worker->scratch, mark);
}

/* ----------------------------------------------------------------------------------------------------------- by filter
 */

struct by_filter {
    struct build *build;
    const struct operation *operation;
    uint64_t task;
};

static void delete_found(void *context, uint64_t hash, struct str id)
{
    const struct by_filter *f = context;
    struct operation one = {
        .sequence = f->operation->sequence, .stamp = f->operation->stamp, .hash = hash, .id = id};
    delete (f->build, &one);
}

/* How many are deleted is kept and told as a refusal is. */
static void note_deleted(const struct by_filter *f)
{
    struct build *b = f->build;
    struct operation told = *f->operation;
    char count[24];
    snprintf(count, sizeof count, "%zu", b->deletion_count);
    told.position = b->worker->job->place->shard;
    if (b->deletion_count)
        refuse(b, &told, f->task, NOTICE_DELETED, count);
}

static void commit_found(void *context)
{
    const struct by_filter *f = context;
    note_deleted(f);
    build_commit_part(f->build);
}

/* It is alone in its job. While it looks through documents no single one is to blame for the time it takes. */
static void delete_by_filter(struct build *b, const struct operation *o, uint64_t task)
{
    struct by_filter f = {.build = b, .operation = o, .task = task};
    const struct delete_sink sink = {.found = delete_found, .full = commit_found, .context = &f};
    struct refused why;
    b->worker->words->sequence = 0;
    b->is_settled = true;
    if (delete_matching(&b->before, o, &sink, &why))
        refuse(b, o, task, why.code, why.message);
    else
        note_deleted(&f);
}

/* Its id is gone with it: it is named by its number. Where nobody knows the task, nobody is to be told. */
static void refuse_lost(struct build *b, const struct operation *o, uint64_t task)
{
    char name[64];
    snprintf(name, sizeof name, "shard %u sequence %llu", b->worker->job->place->shard, (unsigned long long)o->sequence);
    struct operation named = *o;
    named.id = str_of(strdup(name));
    if (task)
        refuse(b, &named, task, CODE_LOST, "it was accepted, but its record in the log is damaged");
}

static void apply(struct build *b, const struct operation *o, uint64_t task)
{
    const Mayfly__Internal__Skip *skip = job_find_skip(b->worker->job, o->sequence);
    if (skip) {
        refuse(b, o, task, skip->code, skip->message);
        return;
    }
    hooks_obey(o->id);
    switch (o->kind) {
    case OPERATION_PUT:
        put(b, o, o->body, task);
        break;
    case OPERATION_DELETE:
        delete (b, o);
        break;
    case OPERATION_PATCH:
        put_patched(b, o, task);
        break;
    case OPERATION_LOST:
        refuse_lost(b, o, task);
        break;
    case OPERATION_FILTER:
        delete_by_filter(b, o, task);
        break;
    }
}

/* Documents stand in a segment in the order of their stamps, which is that of operations but where one has overtaken another in the log, and
 * both came back from it as one batch: then the rest is for the next worker. */
static bool is_for_another_segment(struct build *b, const struct operation *o)
{
    if (o->kind != OPERATION_PUT && o->kind != OPERATION_PATCH)
        return false;
    bool falls = o->stamp <= b->stamp;
    b->stamp = o->stamp;
    return falls;
}

static void read_operations(struct build *b)
{
    struct last_words *words = b->worker->words;
    struct operation o;
    uint64_t task;
    words_stage(words, STAGE_INDEXING);
    while (regions_next(&b->regions, &o, &task)) {
        if (is_for_another_segment(b, &o))
            break;
        words->sequence = o.sequence;
        apply(b, &o, task);
        words->documents++;
        b->done = o.sequence + 1;
        if (indexing_is_past_soft_mark(&b->indexing, b->regions.largest, b->deletion_count * BYTES_PER_DELETION))
            break;
    }
    words->sequence = 0; /* from here on it is no single operation's fault */
}

/* ----------------------------------------------------------------------------------------------------------------- end
 */

enum exit_reason build_run(struct worker *w)
{
    struct build b = {0};
    open_build(&b, w);
    read_operations(&b);
    indexing_write(&b.indexing);
    return build_commit(&b);
}
