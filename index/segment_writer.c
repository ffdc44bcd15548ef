#include "index/segment_writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "index/dictionary.h"
#include "index/documents_out.h"
#include "index/postings.h"

enum { MAX_FIELDS = 65535 };

struct segment_writer {
    struct store_writer *store;
    struct documents_out documents;
    struct dictionary_out dictionary;
    struct stream_writer postings, positions;
    struct postings_out list;
    char key[MAX_KEY]; /* of the open term; length 0: none */
    size_t key_length;
    unsigned key_flags;
    struct bytes_out fields; /* as in the TOC: u16 length and bytes */
    uint32_t field_count;
    uint64_t id;
    char *analyzer;
    int err; /* sticky */
};

static int open_parts(struct segment_writer *w)
{
    int err = documents_out_open(&w->documents, w->store);
    if (!err)
        err = dictionary_out_open(&w->dictionary, w->store);
    if (!err)
        err = stream_writer_open(&w->postings, w->store, SECTION_POSTINGS);
    return err ? err : stream_writer_open(&w->positions, w->store, SECTION_POSITIONS);
}

static void free_writer(struct segment_writer *w)
{
    documents_out_close(&w->documents);
    dictionary_out_close(&w->dictionary);
    stream_writer_close(&w->postings);
    stream_writer_close(&w->positions);
    postings_out_free(&w->list);
    bytes_out_free(&w->fields);
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
    w->analyzer = strndup(options->analyzer.ptr ? options->analyzer.ptr : "", options->analyzer.len);
    int err = w->analyzer ? store_create(path, options->transaction, &w->store) : -ENOMEM;
    if (!err)
        err = open_parts(w);
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
    const uint8_t *at = w->fields.data;
    for (uint32_t field = 0; field < w->field_count; field++) {
        struct str known = {.ptr = (const char *)at + 2, .len = load_u16(at)};
        if (str_equal(known, name))
            return (int)field;
        at += 2 + known.len;
    }
    if (w->field_count == MAX_FIELDS || name.len > UINT16_MAX)
        return ERR_FULL;
    uint16_t length = (uint16_t)name.len;
    bytes_out_append(&w->fields, &length, sizeof length);
    bytes_out_append(&w->fields, name.ptr, name.len);
    return w->fields.failed ? -ENOMEM : (int)w->field_count++;
}

void segment_writer_document(struct segment_writer *w, const struct segment_document *d)
{
    if (!w->err)
        keep_first(w, documents_out_add(&w->documents, d));
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
    if (!postings_out_end(&w->list)) {
        keep_first(w, ERR_FULL);
        return;
    }
    struct dictionary_entry e = {.documents = w->list.documents, .flags = w->key_flags};
    e.postings = place_list(&w->postings, &w->list.blocks);
    if (w->list.with_positions)
        e.positions = place_list(&w->positions, &w->list.positions);
    if (e.documents) /* a term that nobody has is left out */
        keep_first(w, dictionary_out_add(&w->dictionary, (struct str){w->key, w->key_length}, &e));
    w->key_length = 0;
}

void segment_writer_term(struct segment_writer *w, struct str key, unsigned flags)
{
    end_term(w);
    if (key.len < 2 || key.len > MAX_KEY || (key.ptr[0] != TERM_STEM && key.ptr[0] != TERM_WORD)) {
        keep_first(w, ERR_INVALID);
        return;
    }
    memcpy(w->key, key.ptr, key.len);
    w->key_length = key.len;
    w->key_flags = flags;
    postings_out_begin(&w->list, key.ptr[0] == TERM_STEM);
}

void segment_writer_posting(struct segment_writer *w, uint32_t document, uint32_t t, const struct position *positions,
                            size_t count)
{
    if (w->err)
        return;
    if (w->key_length == 0 || document >= w->documents.count || (w->list.documents && document <= w->list.previous))
        keep_first(w, ERR_INVALID);
    else
        postings_out_add(&w->list, document, t, positions, count);
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
        .parts_postings = stream_writer_finish(&w->postings),
        .parts_positions = stream_writer_finish(&w->positions),
        .parts_ids = w->documents.ids.part,
        .parts_bodies = w->documents.bodies.part,
        .blocks = (uint32_t)(w->dictionary.index.len / DICTIONARY_INDEX),
        .body_blocks = (uint32_t)(w->documents.body_blocks.len / 16),
        .analyzer = (uint16_t)strlen(w->analyzer),
        .fields = (uint16_t)w->field_count,
    };
    bytes_out_append(&bytes, &toc, sizeof toc);
    bytes_out_append(&bytes, w->analyzer, toc.analyzer);
    bytes_out_append(&bytes, w->fields.data, w->fields.len);
    if (bytes.failed)
        keep_first(w, -ENOMEM);
    else
        store_put(w->store, SECTION_TOC, 0, bytes.data, bytes.len);
    bytes_out_free(&bytes);
}

int segment_writer_finish(struct segment_writer *w, struct segment_result *out)
{
    end_term(w);
    keep_first(w, documents_out_finish(&w->documents));
    dictionary_out_finish(&w->dictionary);
    if (w->dictionary.failed)
        keep_first(w, -ENOMEM);
    put_toc(w);
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
    int err = store_finish(w->store, &result.bytes);
    free_writer(w);
    if (!err)
        *out = result;
    return err;
}

size_t segment_writer_memory(const struct segment_writer *w)
{
    return store_memory(w->store) + documents_out_memory(&w->documents) + w->dictionary.index.room +
           w->list.blocks.room + w->list.positions.room + (size_t)3 * EXTENT_PAYLOAD;
}
