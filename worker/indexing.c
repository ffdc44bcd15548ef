#include "worker/indexing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "index/score.h"
#include "index/segment.h"
#include "worker/flush.h"
#include "worker/malloc.h"
#include "worker/report.h"
#include "worker/terms_sort.h"
#include "worker/words.h"

enum { SOFT_RESERVE = 4 << 20, WRITER = 10 << 20, BYTES_PER_ID = 64 };

/* What the arenas have committed, malloc has not: told before it goes on, or the kernel is the first to say so. */
void indexing_charge(const struct indexing *x)
{
    size_t besides = x->besides ? x->besides->committed : 0;
    heap_charge(x->worker->scratch.committed + x->texts.committed + besides);
}

/* ------------------------------------------------------------------------------------------------------------- opening
 */

static void open_settings(struct indexing *x)
{
    struct worker *w = x->worker;
    job_must(w, settings_decode(&w->scratch, message_bytes(w->job->settings), &x->settings), "the job's settings");
    const struct settings *s = &x->settings;
    const struct str *stop_words = s->own_stop_words ? s->stop_words : NULL;
    struct str none = {0};
    if (s->own_stop_words && s->stop_word_count == 0)
        stop_words = &none; /* an empty list is not the language's */
    job_must(w, analyzer_open(w->analysis, s->language, stop_words, s->stop_word_count, &x->analyzer),
             "the job's language");
}

void indexing_open(struct indexing *x, struct worker *w)
{
    *x = (struct indexing){.worker = w};
    open_settings(x);
    job_place_path(w->job->place, x->directory);
    snprintf(x->path, sizeof x->path, "%s/seg-%llu.mdb", x->directory, (unsigned long long)w->job->segment);
    job_must(w, arena_init(&x->texts, w->scratch.cap, 0), "no address space for texts");
    fields_init(&x->fields, &x->settings);
    document_reader_init(&x->reader, &x->fields, str_of(w->job->primary_key), &x->texts);
    inverter_init(&x->inverter, x->analyzer, &x->fields);
    indexing_charge(x);
}

void indexing_begin(struct indexing *x)
{
    x->extent_before = heap_use().extent;
}

/* The first document opens it: a job of deletions, or of refusals, writes no segment. */
static void open_writer(struct indexing *x)
{
    struct segment_options options = {
        .id = x->worker->job->segment,
        .transaction = x->worker->transaction,
        .analyzer = str_of(analyzer_identity(x->analyzer)),
        .image = x->image_most,
    };
    job_must(x->worker, segment_writer_open(x->path, &options, &x->writer), "the segment cannot be written");
}

/* ----------------------------------------------------------------------------------------------------------- documents
 */

static struct str copy(struct str s, size_t limit)
{
    s.len = s.len < limit ? s.len : limit;
    char *bytes = malloc(s.len + 1);
    if (s.len)
        memcpy(bytes, s.ptr, s.len);
    return (struct str){.ptr = bytes, .len = s.len};
}

void indexing_refuse(struct indexing *x, const struct core_refusal *refusal)
{
    if (x->refusal_count == x->refusal_room) {
        x->refusal_room = x->refusal_room ? x->refusal_room * 2 : 64;
        x->refusals = reallocarray(x->refusals, x->refusal_room, sizeof *x->refusals);
    }
    struct core_refusal *kept = &x->refusals[x->refusal_count++];
    *kept = *refusal;
    kept->code = copy(refusal->code, REPORT_CODE);
    kept->message = copy(refusal->message, REPORT_MESSAGE);
}

/* From the numbers of the job's fields to those of the segment's: names that no document has text in are in none. */
static void number_fields(struct indexing *x)
{
    struct inverter *v = &x->inverter;
    for (size_t i = 0; i < v->range_count; i++) {
        int number = segment_writer_field(x->writer, x->fields.items[v->ranges[i].field].path);
        if (number < 0)
            job_must(x->worker, number, "the fields cannot be written");
        v->ranges[i].field = (uint32_t)number;
    }
}

static void add_document(struct indexing *x, const struct indexed *d)
{
    if (!x->writer)
        open_writer(x);
    uint64_t length = invert_document(&x->inverter, x->documents, x->reader.values, x->reader.count);
    number_fields(x);
    struct segment_document document = {
        .stamp = d->stamp,
        .hash = d->hash,
        .id = d->id,
        .body = d->body,
        .length_code = length_encode(length),
        .ranges = x->inverter.ranges,
        .range_count = x->inverter.range_count,
    };
    segment_writer_document(x->writer, &document);
    x->documents++;
}

int indexing_put(struct indexing *x, const struct indexed *d, struct refused *out_refused)
{
    int err = document_read(&x->reader, d->id, d->body, out_refused);
    x->worker->words->bytes += d->body.len;
    indexing_charge(x);
    if (err == ERR_FULL)
        job_scratch_full(x->worker);
    if (!err)
        add_document(x, d);
    return err;
}

/* --------------------------------------------------------------------------------------------------------- the soft
 * mark
 */

/* What the largest document may take: as much for each of its bytes as those before took, but not less than its size.
 */
static size_t next_document(const struct indexing *x, size_t extent, size_t largest)
{
    uint64_t read = x->worker->words->bytes, before = x->extent_before + WRITER;
    uint64_t grown = extent > before ? extent - before : 0;
    return grown > read ? (size_t)(largest * grown / read) : largest;
}

/* What is still to come: the next document, the rest of a transaction (LMDB's pages stay in malloc's lists), sorted
 * terms, sorted ids, the commit. The writer of the segment is open already, and counted. Measured, with room for what
 * one text does otherwise than another: a percentage would die while writing. */
static size_t still_to_come(const struct indexing *x, size_t extent, size_t largest)
{
    size_t transaction = x->worker->transaction + x->worker->transaction / 2;
    size_t ids = (size_t)x->documents * BYTES_PER_ID;
    size_t terms = x->inverter.terms.count * sizeof(struct term_key) + terms_growth(&x->inverter.terms);
    return SOFT_RESERVE + (x->writer ? 0 : (size_t)WRITER) + transaction + ids + terms +
           next_document(x, extent, largest);
}

bool indexing_is_past_soft_mark(const struct indexing *x, size_t largest, size_t more)
{
    struct last_words *words = x->worker->words;
    struct heap_use heap = heap_use();
    words->arena_used = heap.used;
    words->arena_peak = heap.extent;
    return x->fields.count > FIELDS_ENOUGH ||
           (heap.cap && heap.extent + still_to_come(x, heap.extent, largest) + more > heap.cap);
}

/* ----------------------------------------------------------------------------------------------------------------- end
 */

void indexing_write(struct indexing *x)
{
    struct segment_result result;
    if (!x->writer)
        return;
    words_stage(x->worker->words, STAGE_WRITING);
    flush_terms(&x->inverter.terms, &x->fields, x->writer);
    job_must(x->worker, segment_writer_finish(x->writer, &result), "the segment cannot be written");
    x->image = result.image;
}

struct segment *indexing_segment(const struct indexing *x)
{
    struct segment *segment;
    if (!x->documents)
        return NULL;
    const char *section;
    int err = x->image ? segment_open_image(x->image, &segment, &section) : segment_open(x->path, &segment);
    job_must(x->worker, err, "the segment just written cannot be opened");
    return segment;
}
