#include "worker/build.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/err.h"
#include "index/score.h"
#include "worker/flush.h"
#include "worker/hooks.h"
#include "worker/malloc.h"
#include "worker/report.h"
#include "worker/terms_sort.h"
#include "worker/words.h"

/* BUILD: batches of operations to one segment file, deletions and refusals, and one commit. */

enum { SOFT_RESERVE = 4 << 20, WRITER = 10 << 20, BYTES_PER_ID = 64 };

/* What the arenas have committed, malloc has not: told before it goes on, or the kernel is the first to say so. */
static void charge_arenas(struct build *b)
{
    heap_charge(b->worker->scratch.committed + b->texts.committed + b->patcher.bodies.committed);
}

/* ------------------------------------------------------------------------------------------------------------- opening
 */

static void open_settings(struct build *b)
{
    struct worker *w = b->worker;
    job_must(w, settings_decode(&w->scratch, message_bytes(w->job->settings), &b->settings), "the job's settings");
    const struct settings *s = &b->settings;
    const struct str *stop_words = s->own_stop_words ? s->stop_words : NULL;
    struct str none = {0};
    if (s->own_stop_words && s->stop_word_count == 0)
        stop_words = &none; /* an empty list is not the language's */
    job_must(w, analyzer_open(w->analysis, s->language, stop_words, s->stop_word_count, &b->analyzer),
             "the job's language");
}

static void open_core(struct build *b)
{
    const job_message *job = b->worker->job;
    job_place_path(job->place, b->directory);
    snprintf(b->path, sizeof b->path, "%s/seg-%llu.mdb", b->directory, (unsigned long long)job->segment);
    job_must(b->worker, core_open_writer(b->directory, &b->core), "core.mdb cannot be opened");
}

static void open_build(struct build *b, struct worker *w)
{
    b->worker = w;
    open_settings(b);
    charge_arenas(b);
    regions_open(&b->regions, w);
    open_core(b);
    job_must(w, arena_init(&b->texts, w->scratch.cap, 0), "no address space for texts");
    fields_init(&b->fields, &b->settings);
    document_reader_init(&b->reader, &b->fields, str_of(w->job->primary_key), &w->scratch, &b->texts);
    inverter_init(&b->inverter, b->analyzer, &b->fields);
    patcher_open(&b->patcher, w, b->core, b->directory, &b->regions);
    b->done = b->regions.first;
    b->extent_before = heap_use().extent;
    w->words->documents_total = b->regions.end - b->regions.first;
}

/* The first document opens it: a job of deletions, or of refusals, writes no segment. */
static void open_writer(struct build *b)
{
    struct segment_options options = {
        .id = b->worker->job->segment,
        .transaction = b->worker->transaction,
        .analyzer = str_of(analyzer_identity(b->analyzer)),
    };
    job_must(b->worker, segment_writer_open(b->path, &options, &b->writer), "the segment cannot be written");
}

/* ---------------------------------------------------------------------------------------------------------- operations
 */

static struct str copy(struct str s, size_t limit)
{
    s.len = s.len < limit ? s.len : limit;
    char *bytes = malloc(s.len + 1);
    if (s.len)
        memcpy(bytes, s.ptr, s.len);
    return (struct str){.ptr = bytes, .len = s.len};
}

static void refuse(struct build *b, const struct operation *o, uint64_t task, const char *code, const char *message)
{
    if (b->refusal_count == b->refusal_room) {
        b->refusal_room = b->refusal_room ? b->refusal_room * 2 : 64;
        b->refusals = reallocarray(b->refusals, b->refusal_room, sizeof *b->refusals);
    }
    b->refusals[b->refusal_count++] = (struct core_refusal){
        .sequence = o->sequence,
        .task = task,
        .position = o->position,
        .id = o->id,
        .code = copy(str_of(code), REPORT_CODE),
        .message = copy(str_of(message), REPORT_MESSAGE),
    };
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

/* From the numbers of the job's fields to those of the segment's: names that no document has text in are in none. */
static void number_fields(struct build *b)
{
    struct inverter *v = &b->inverter;
    for (size_t i = 0; i < v->range_count; i++) {
        int number = segment_writer_field(b->writer, b->fields.items[v->ranges[i].field].path);
        if (number < 0)
            job_must(b->worker, number, "the fields cannot be written");
        v->ranges[i].field = (uint32_t)number;
    }
}

static void add_document(struct build *b, const struct operation *o, struct str body)
{
    if (!b->writer)
        open_writer(b);
    uint64_t length = invert_document(&b->inverter, b->documents, b->reader.values, b->reader.count);
    number_fields(b);
    struct segment_document document = {
        .stamp = o->stamp,
        .hash = o->hash,
        .id = o->id,
        .body = body,
        .length_code = length_encode(length),
        .ranges = b->inverter.ranges,
        .range_count = b->inverter.range_count,
    };
    segment_writer_document(b->writer, &document);
    b->documents++;
    earlier_note(&b->patcher.earlier, o, body);
}

static void put(struct build *b, const struct operation *o, struct str body, uint64_t task)
{
    struct refused why;
    int err = document_read(&b->reader, o->id, body, &why);
    b->worker->words->bytes += body.len;
    charge_arenas(b);
    if (err == ERR_FULL)
        job_scratch_full(b->worker);
    if (err)
        refuse(b, o, task, why.code, why.message);
    else
        add_document(b, o, body);
}

static void put_patched(struct build *b, const struct operation *o, uint64_t task)
{
    struct refused why;
    struct str body;
    size_t mark = arena_mark(&b->worker->scratch);
    int err = patch(&b->patcher, o, &body, &why);
    charge_arenas(b);
    if (err) {
        refuse(b, o, task, why.code, why.message);
    } else {
        if (b->regions.largest < body.len)
            b->regions.largest = body.len; /* others may become as large */
        put(b, o, body, task);
    }
    arena_rewind(&b->worker->scratch, mark);
}

/* Its id is gone with it: it is named by its number. Where nobody knows the task, nobody is to be told. */
static void refuse_lost(struct build *b, const struct operation *o, uint64_t task)
{
    char name[64];
    snprintf(name, sizeof name, "shard %u sequence %llu", b->worker->job->place->shard, (unsigned long long)o->sequence);
    struct operation named = *o;
    named.id = copy(str_of(name), sizeof name);
    if (task)
        refuse(b, &named, task, CODE_LOST, "it was accepted, but its record in the log is damaged");
}

static const Mayfly__Internal__Skip *find_skip(const job_message *job, uint64_t sequence)
{
    for (size_t i = 0; i < job->n_skip; i++)
        if (job->skip[i]->sequence == sequence)
            return job->skip[i];
    return NULL;
}

static void apply(struct build *b, const struct operation *o, uint64_t task)
{
    const Mayfly__Internal__Skip *skip = find_skip(b->worker->job, o->sequence);
    if (skip) {
        refuse(b, o, task, skip->code, skip->message);
        return;
    }
    hooks_obey(o);
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
    }
}

/* --------------------------------------------------------------------------------------------------------- the soft
 * mark
 */

/* What the largest document may take: as much for each of its bytes as those before took, but not less than its size.
 */
static size_t next_document(const struct build *b, size_t extent)
{
    uint64_t read = b->worker->words->bytes, before = b->extent_before + WRITER;
    uint64_t grown = extent > before ? extent - before : 0;
    return grown > read ? (size_t)(b->regions.largest * grown / read) : b->regions.largest;
}

/* What is still to come: the next document, the rest of a transaction (LMDB's pages stay in malloc's lists), sorted
 * terms, sorted ids, the commit. The writer of the segment is open already, and counted. Measured, with room for what
 * one text does otherwise than another: a percentage would die while writing. */
static size_t still_to_come(const struct build *b, size_t extent)
{
    size_t transaction = b->worker->transaction + b->worker->transaction / 2;
    size_t ids = ((size_t)b->documents + b->deletion_count) * BYTES_PER_ID;
    size_t terms = b->inverter.terms.count * sizeof(struct term_key) + terms_growth(&b->inverter.terms);
    return SOFT_RESERVE + (b->writer ? 0 : (size_t)WRITER) + transaction + ids + terms + next_document(b, extent);
}

/* Past it the worker writes what it has, and a successor does the rest. */
static bool is_past_soft_mark(struct build *b)
{
    struct worker *w = b->worker;
    struct heap_use heap = heap_use();
    w->words->arena_used = heap.used;
    w->words->arena_peak = heap.extent;
    return b->fields.count > FIELDS_ENOUGH || (heap.cap && heap.extent + still_to_come(b, heap.extent) > heap.cap);
}

static void read_operations(struct build *b)
{
    struct last_words *words = b->worker->words;
    struct operation o;
    uint64_t task;
    words_stage(words, STAGE_INDEXING);
    while (regions_next(&b->regions, &o, &task)) {
        words->sequence = o.sequence;
        apply(b, &o, task);
        words->documents++;
        b->done = o.sequence + 1;
        if (is_past_soft_mark(b))
            break;
    }
    words->sequence = 0; /* from here on it is no single operation's fault */
}

/* ----------------------------------------------------------------------------------------------------------------- end
 */

static void write_segment(struct build *b)
{
    struct segment_result result;
    words_stage(b->worker->words, STAGE_WRITING);
    flush_terms(&b->inverter.terms, &b->fields, b->writer);
    job_must(b->worker, segment_writer_finish(b->writer, &result), "the segment cannot be written");
}

enum exit_reason build_run(struct worker *w)
{
    struct build b = {0};
    open_build(&b, w);
    read_operations(&b);
    if (b.writer)
        write_segment(&b);
    return build_commit(&b, b.writer != NULL);
}
