#include "index/segment_writer.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "index/dictionary.h"
#include "index/documents_out.h"
#include "index/fields_out.h"
#include "index/pairs_out.h"
#include "index/postings_out.h"
#include "index/segment_parts.h"

struct segment_writer {
    struct store_writer *store;
    struct documents_out documents;
    struct dictionary_out dictionary;
    struct stream_writer postings, positions;
    struct postings_out list;
    struct pairs_options pairs_options;
    struct pairs_out pairs;
    struct pairs_written pairs_written;
    struct written_lists lists; /* once all are written */
    char key[MAX_KEY]; /* of the open term; length 0: none */
    size_t key_length;
    struct fields_out fields;
    bool has_documents; /* all of them: terms are being written */
    uint64_t id;
    char *analyzer;
    int err; /* sticky */
};

static void free_writer(struct segment_writer *w)
{
    documents_out_close(&w->documents);
    dictionary_out_close(&w->dictionary);
    stream_writer_close(&w->postings);
    stream_writer_close(&w->positions);
    postings_out_free(&w->list);
    pairs_out_free(&w->pairs);
    fields_out_free(&w->fields);
    free(w->analyzer);
    free(w);
}

int segment_writer_open(const char *path, const struct segment_options *options, struct segment_writer **out)
{
    if (options->analyzer.len > UINT16_MAX)
        return ERR_INVALID;
    struct segment_writer *w = calloc(1, sizeof *w);
    if (!w)
        return -ENOMEM;
    w->id = options->id;
    w->pairs_options = options->image ? (struct pairs_options){0} : options->pairs;
    w->analyzer = strndup(options->analyzer.ptr ? options->analyzer.ptr : "", options->analyzer.len);
    struct store_options store = {.path = path, .transaction = options->transaction, .image = options->image};
    int err = w->analyzer ? store_create(&store, &w->store) : -ENOMEM;
    if (!err)
        err = documents_out_open(&w->documents, w->store);
    if (err) {
        segment_writer_abandon(w);
        return err;
    }
    *out = w;
    return 0;
}

void segment_writer_abandon(struct segment_writer *w)
{
    if (!w)
        return;
    store_abandon(w->store);
    free_writer(w);
}

static void keep_first(struct segment_writer *w, int err)
{
    if (!w->err)
        w->err = err;
}

int segment_writer_error(const struct segment_writer *w)
{
    return w->err ? w->err : store_error(w->store);
}

int segment_writer_field(struct segment_writer *w, struct str name)
{
    return fields_out_number(&w->fields, name);
}

void segment_writer_bodies(struct segment_writer *w, struct str bytes)
{
    if (!w->err)
        documents_out_bodies(&w->documents, bytes);
}

void segment_writer_body_block(struct segment_writer *w, struct str packed, uint32_t length)
{
    if (!w->err)
        documents_out_body_block(&w->documents, packed, length);
}

void segment_writer_document(struct segment_writer *w, const struct segment_document *d)
{
    if (!w->err)
        keep_first(w, w->has_documents ? ERR_INVALID : documents_out_add(&w->documents, d));
}

/* What documents needed is freed before what terms need is allocated. */
static void begin_terms(struct segment_writer *w)
{
    if (w->has_documents || w->err)
        return;
    w->has_documents = true;
    int err = documents_out_finish(&w->documents);
    w->list.average_length = documents_out_average_length(&w->documents);
    w->list.lengths = &w->documents.lengths;
    pairs_out_begin(&w->pairs, &w->documents.lengths, &w->pairs_options);
    if (!err)
        err = dictionary_out_open(&w->dictionary, w->store);
    if (!err)
        err = stream_writer_open(&w->postings, w->store, SECTION_POSTINGS, EXTENT_PAYLOAD);
    if (!err)
        err = stream_writer_open(&w->positions, w->store, SECTION_POSITIONS, EXTENT_PAYLOAD);
    keep_first(w, err);
}

/* ------------------------------------------------------------------------------------------------------------- terms
 */

static struct list_place place_list(struct stream_writer *stream, const struct bytes_out *list)
{
    return (struct list_place){stream_writer_place(stream, list->data, list->len), (uint32_t)list->len};
}

static void end_term(struct segment_writer *w)
{
    if (w->key_length == 0 || w->err)
        return;
    struct dictionary_entry e = {0};
    if (!postings_out_end(&w->list, &e)) {
        keep_first(w, ERR_FULL);
        return;
    }
    if (e.documents && !e.inlined.len)
        e.postings = place_list(&w->postings, &w->list.body);
    struct str key = {w->key, w->key_length};
    if (w->key[0] == TERM_STEM)
        pairs_out_word(&w->pairs, key, &e);
    if (e.documents) /* a term that nobody has is left out */
        keep_first(w, dictionary_out_add(&w->dictionary, key, &e));
    w->key_length = 0;
}

void segment_writer_term(struct segment_writer *w, struct str key)
{
    begin_terms(w);
    end_term(w);
    if (key.len < 2 || key.len > MAX_KEY || (key.ptr[0] != TERM_STEM && key.ptr[0] != TERM_WORD)) {
        keep_first(w, ERR_INVALID);
        return;
    }
    memcpy(w->key, key.ptr, key.len);
    w->key_length = key.len;
    postings_out_begin(&w->list, key.ptr[0] == TERM_STEM ? &w->positions : NULL);
}

void segment_writer_posting(struct segment_writer *w, uint32_t document, uint32_t t, const uint32_t *positions,
                            size_t count)
{
    if (w->err)
        return;
    bool is_stem = w->key_length > 0 && w->key[0] == TERM_STEM;
    bool is_next = document < w->documents.count && (w->list.documents == 0 || document > w->list.previous);
    bool is_right = w->key_length > 0 && is_next && t > 0 && t <= INT32_MAX && (count > 0) == is_stem;
    if (!is_right || !postings_out_add(&w->list, document, t, positions, count))
        keep_first(w, ERR_INVALID);
}

static bool documents_rise(const struct segment_writer *w, const struct posting_run *run)
{
    const uint32_t *documents = run->documents;
    bool rise = w->list.documents == 0 || documents[0] > w->list.previous;
    for (size_t i = 1; i < run->count; i++)
        rise &= documents[i] > documents[i - 1];
    return rise && documents[run->count - 1] < w->documents.count;
}

static bool are_counts_right(const struct posting_run *run)
{
    bool right = true;
    for (size_t i = 0; i < run->count; i++)
        right &= run->t[i] - 1 < INT32_MAX && run->n[i] > 0;
    return right;
}

void segment_writer_postings(struct segment_writer *w, const struct posting_run *run)
{
    if (w->err || run->count == 0)
        return;
    bool is_stem = w->key_length > 0 && w->key[0] == TERM_STEM;
    bool is_right = w->key_length > 0 && (run->t != NULL) == is_stem && documents_rise(w, run);
    if (is_right && (!is_stem || are_counts_right(run)))
        postings_out_add_run(&w->list, run);
    else
        keep_first(w, ERR_INVALID);
}

/* ------------------------------------------------------------------------------------------------------------- the end
 */

static void put_toc(struct segment_writer *w)
{
    struct bytes_out bytes = {0};
    struct toc toc = {
        .version = FORMAT_VERSION,
        .documents = w->documents.count,
        .id = w->id,
        .terms = w->dictionary.terms,
        .total_length = w->documents.total_length,
        .first_stamp = w->documents.first_stamp,
        .last_stamp = w->documents.last_stamp,
        .parts_dictionary = stream_writer_finish(&w->dictionary.stream),
        .parts_postings = w->lists.parts_postings,
        .parts_positions = w->lists.parts_positions,
        .parts_ids = w->documents.ids.part,
        .parts_bodies = w->documents.bodies.part,
        .blocks = w->dictionary.blocks,
        .body_blocks = w->documents.body_block_count,
        .pair_least = w->pairs_written.least,
        .pair_words = w->pairs_written.words,
        .pairs = w->pairs_written.pairs,
        .parts_pairs = w->pairs_written.parts,
        .analyzer = (uint16_t)strlen(w->analyzer),
        .fields = (uint16_t)w->fields.count,
    };
    bytes_out_append(&bytes, &toc, sizeof toc);
    bytes_out_append(&bytes, w->analyzer, toc.analyzer);
    bytes_out_append(&bytes, w->fields.names.data, w->fields.names.len);
    if (bytes.failed)
        keep_first(w, -ENOMEM);
    else
        store_put(w->store, SECTION_TOC, 0, bytes.data, bytes.len);
    bytes_out_free(&bytes);
}

/* What they needed is freed before pairs need it. */
static void finish_lists(struct segment_writer *w)
{
    w->lists = (struct written_lists){
        .documents = w->documents.count,
        .parts_postings = stream_writer_finish(&w->postings),
        .parts_positions = stream_writer_finish(&w->positions),
    };
    stream_writer_close(&w->postings);
    stream_writer_close(&w->positions);
    postings_out_free(&w->list);
}

/* Of lists that are read back. */
static int put_pairs(struct segment_writer *w)
{
    struct segment *written;
    int err = segment_open_written(w->store, &w->lists, &written);
    if (err)
        return err;
    err = pairs_out_put(&w->pairs, written, w->store, &w->pairs_written);
    segment_close(written);
    return err;
}

static void write_end(struct segment_writer *w)
{
    begin_terms(w);
    end_term(w);
    if (w->err)
        return;
    dictionary_out_finish(&w->dictionary);
    if (w->dictionary.failed)
        keep_first(w, -ENOMEM);
    finish_lists(w);
    if (w->pairs.least && !segment_writer_error(w))
        keep_first(w, put_pairs(w));
    put_toc(w);
}

int segment_writer_finish(struct segment_writer *w, struct segment_result *out)
{
    write_end(w);
    if (w->err) {
        int err = w->err;
        segment_writer_abandon(w);
        return err;
    }
    struct segment_result result = {
        .documents = w->documents.count,
        .total_length = w->documents.total_length,
        .first_stamp = w->documents.first_stamp,
        .last_stamp = w->documents.last_stamp,
    };
    int err = store_finish(w->store, &result.bytes, &result.image);
    free_writer(w);
    if (!err)
        *out = result;
    return err;
}
