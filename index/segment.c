#include "index/segment.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "index/dictionary.h"
#include "index/pairs.h"
#include "index/segment_parts.h"

/* ------------------------------------------------------------------------------------------------------------- opening
 */

static int open_array(struct segment *s, enum section section, size_t size, struct extent *out)
{
    int err = store_extent(s->store, section, 0, out);
    if (err == -ENOENT || (!err && out->size != size))
        return ERR_CORRUPT;
    return err;
}

static int open_stream(struct segment *s, enum section section, uint32_t parts, struct parts *out)
{
    if (parts > store_bytes(s->store) / EXTENT_HEADER)
        return ERR_CORRUPT;
    out->extents = calloc(parts ? parts : 1, sizeof *out->extents);
    if (!out->extents)
        return -ENOMEM;
    for (out->count = 0; out->count < parts; out->count++) {
        int err = store_extent(s->store, section, out->count, &out->extents[out->count]);
        if (err)
            return err == -ENOENT ? ERR_CORRUPT : err;
    }
    return 0;
}

static int read_names(struct segment *s, const uint8_t *at, const uint8_t *end)
{
    if (s->toc.analyzer > end - at)
        return ERR_CORRUPT;
    s->analyzer = (struct str){.ptr = (const char *)at, .len = s->toc.analyzer};
    at += s->toc.analyzer;
    s->fields = calloc(s->toc.fields ? s->toc.fields : 1u, sizeof *s->fields);
    if (!s->fields)
        return -ENOMEM;
    for (uint32_t i = 0; i < s->toc.fields; i++) {
        if (end - at < 2 || end - at - 2 < load_u16(at))
            return ERR_CORRUPT;
        s->fields[i] = (struct str){.ptr = (const char *)at + 2, .len = load_u16(at)};
        at += 2 + s->fields[i].len;
    }
    return at == end ? 0 : ERR_CORRUPT;
}

static bool are_pairs_right(const struct toc *t)
{
    bool has_pairs = t->pair_least > 0;
    return t->pair_words <= PAIRED_MOST && (has_pairs || (t->pair_words == 0 && t->parts_pairs == 0));
}

static int read_toc(struct segment *s)
{
    struct extent e;
    int err = store_extent(s->store, SECTION_TOC, 0, &e);
    if (err)
        return err == -ENOENT ? ERR_CORRUPT : err;
    if (e.size < sizeof s->toc)
        return ERR_CORRUPT;
    err = store_check(s->store, &e, 0, e.size);
    if (err)
        return err;
    memcpy(&s->toc, e.payload, sizeof s->toc);
    if (s->toc.version != FORMAT_VERSION)
        return ERR_VERSION;
    if (!are_pairs_right(&s->toc))
        return ERR_CORRUPT;
    return read_names(s, e.payload + sizeof s->toc, e.payload + e.size);
}

static int open_table(struct segment *s, enum section section, uint32_t count, uint32_t width, struct table *out)
{
    uint32_t per = TABLE_PAYLOAD / width, parts = count / per + (count % per != 0);
    out->width = width;
    out->count = count;
    int err = open_stream(s, section, parts, &out->parts);
    for (uint32_t i = 0; i < parts && !err; i++) {
        uint32_t elements = i + 1 < parts ? per : count - i * per;
        err = out->parts.extents[i].size == elements * width ? 0 : ERR_CORRUPT;
    }
    return err;
}

static int open_tables(struct segment *s)
{
    const uint32_t n = s->toc.documents;
    const struct {
        enum section section;
        uint32_t count, width;
        struct table *out;
    } tables[] = {
        {SECTION_ID_PLACES, n, 8, &s->id_places},
        {SECTION_HASHES, n, 8, &s->hashes},
        {SECTION_HASH_DOCUMENTS, n, 4, &s->hash_documents},
        {SECTION_BODY_ENDS, n, 8, &s->body_ends},
        {SECTION_BODY_BLOCKS, s->toc.body_blocks, 16, &s->body_blocks},
        {SECTION_BLOCKS, s->toc.blocks, DICTIONARY_INDEX, &s->blocks},
        {SECTION_PAIR_WORDS, s->toc.pair_words, PAIR_WORD, &s->pair_words},
    };
    int err = 0;
    for (size_t i = 0; i < sizeof tables / sizeof tables[0] && !err; i++)
        err = open_table(s, tables[i].section, tables[i].count, tables[i].width, tables[i].out);
    return err;
}

static int open_streams(struct segment *s)
{
    const struct {
        enum section section;
        uint32_t parts;
        struct parts *out;
    } streams[] = {
        {SECTION_DICTIONARY, s->toc.parts_dictionary, &s->dictionary},
        {SECTION_POSTINGS, s->toc.parts_postings, &s->postings},
        {SECTION_POSITIONS, s->toc.parts_positions, &s->positions},
        {SECTION_IDS, s->toc.parts_ids, &s->ids},
        {SECTION_BODIES, s->toc.parts_bodies, &s->bodies},
        {SECTION_PAIRS, s->toc.parts_pairs, &s->pairs},
    };
    int err = 0;
    for (size_t i = 0; i < sizeof streams / sizeof streams[0] && !err; i++)
        err = open_stream(s, streams[i].section, streams[i].parts, streams[i].out);
    return err;
}

static int open_sections(struct segment *s)
{
    int err = open_array(s, SECTION_LENGTHS, s->toc.documents, &s->lengths);
    if (!err)
        err = open_array(s, SECTION_STAMPS, (size_t)s->toc.documents * 8, &s->stamps);
    if (!err)
        err = open_tables(s);
    return err ? err : open_streams(s);
}

/* What is given out as an array is checked whole, now; so is the block index, of which a lookup reads a dozen places.
 */
static int check_arrays(struct segment *s)
{
    int err = store_check(s->store, &s->lengths, 0, s->lengths.size);
    if (!err)
        err = store_check(s->store, &s->stamps, 0, s->stamps.size);
    for (uint32_t i = 0; i < s->blocks.parts.count && !err; i++)
        err = store_check(s->store, &s->blocks.parts.extents[i], 0, s->blocks.parts.extents[i].size);
    return err;
}

static int sample_blocks(struct segment *s)
{
    uint32_t count = segment_sampled(s);
    s->sampled = malloc((count + 1) * sizeof *s->sampled);
    for (uint32_t i = 0; s->sampled && i < count; i++)
        s->sampled[i] = segment_block_prefix(s, i * SAMPLED_BLOCKS);
    return s->sampled ? 0 : -ENOMEM;
}

static const char *name_of(enum section section)
{
    static const struct {
        enum section section;
        const char *name;
    } names[] = {
        {SECTION_TOC, "TOC"},
        {SECTION_DICTIONARY, "dictionary"},
        {SECTION_BLOCKS, "block index"},
        {SECTION_POSTINGS, "postings"},
        {SECTION_POSITIONS, "positions"},
        {SECTION_PAIRS, "pairs"},
        {SECTION_PAIR_WORDS, "pair words"},
        {SECTION_LENGTHS, "length codes"},
        {SECTION_STAMPS, "stamps"},
        {SECTION_IDS, "records"},
        {SECTION_ID_PLACES, "id places"},
        {SECTION_HASHES, "id hashes"},
        {SECTION_HASH_DOCUMENTS, "hash documents"},
        {SECTION_BODIES, "stored bodies"},
        {SECTION_BODY_BLOCKS, "body blocks"},
        {SECTION_BODY_ENDS, "body ends"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].section == section)
            return names[i].name;
    return "a section";
}

const char *segment_damaged(const struct segment *s, const char *otherwise)
{
    enum section damaged = store_damaged(s->store);
    return damaged ? name_of(damaged) : otherwise;
}

int segment_open(const char *path, struct segment **out)
{
    const char *section;
    return segment_open_named(path, out, &section);
}

void segment_fault_text(const struct segment_fault *fault, char out[FAULT_TEXT])
{
    snprintf(out, FAULT_TEXT, "%s%" PRIu64 "%s%s%s", fault->in_core ? "core.mdb, image of segment " : "seg-",
             fault->segment, fault->in_core ? "" : ".mdb", fault->section ? ", " : "",
             fault->section ? fault->section : "");
}

static int open_segment(struct segment *s, bool checks_arrays)
{
    s->kernels = kernels_best();
    int err = read_toc(s);
    if (!err)
        err = open_sections(s);
    if (err || !checks_arrays)
        return err;
    err = check_arrays(s);
    return err ? err : sample_blocks(s);
}

int segment_open_written(struct store_writer *w, const struct written_lists *lists, struct segment **out)
{
    struct segment *s = calloc(1, sizeof *s);
    if (!s)
        return -ENOMEM;
    s->kernels = kernels_best();
    s->toc.documents = lists->documents;
    int err = store_open_written(w, &s->store);
    if (!err)
        err = open_stream(s, SECTION_POSTINGS, lists->parts_postings, &s->postings);
    if (!err)
        err = open_stream(s, SECTION_POSITIONS, lists->parts_positions, &s->positions);
    if (err)
        segment_close(s);
    else
        *out = s;
    return err;
}

struct opening {
    struct store *store;
    int err;               /* why there is none */
    const char *otherwise; /* what is at fault then */
    bool checks_arrays;
};

/* Takes over the store. */
static int open_on_store(const struct opening *o, struct segment **out, const char **out_section)
{
    struct store *store = o->store;
    int err = o->err;
    *out_section = err == ERR_CORRUPT ? o->otherwise : NULL;
    struct segment *s = err ? NULL : calloc(1, sizeof *s);
    if (!s) {
        store_close(store);
        return err ? err : -ENOMEM;
    }
    s->store = store;
    err = open_segment(s, o->checks_arrays);
    if (err) {
        *out_section = segment_damaged(s, "TOC");
        segment_close(s);
        return err;
    }
    *out = s;
    return 0;
}

static int open_file(const char *path, bool checks_arrays, struct segment **out, const char **out_section)
{
    struct opening o = {.otherwise = "pages and seal", .checks_arrays = checks_arrays};
    o.err = store_open(path, &o.store);
    return open_on_store(&o, out, out_section);
}

int segment_open_named(const char *path, struct segment **out, const char **out_section)
{
    return open_file(path, true, out, out_section);
}

int segment_open_for_ids(const char *path, struct segment **out, const char **out_section)
{
    return open_file(path, false, out, out_section);
}

int segment_check_document(const struct segment *s, uint32_t document)
{
    int err = store_check(s->store, &s->stamps, document * (uint32_t)sizeof(uint64_t), sizeof(uint64_t));
    return err ? err : store_check(s->store, &s->lengths, document, 1);
}

int segment_open_image(struct image *image, struct segment **out, const char **out_section)
{
    struct opening o = {.otherwise = "its table", .checks_arrays = true};
    o.err = store_open_image(image, &o.store);
    return open_on_store(&o, out, out_section);
}

static int verify(struct segment *s, const char **out_section)
{
    int err = store_verify(s->store);
    if (err)
        *out_section = segment_damaged(s, "contents");
    segment_close(s);
    return err;
}

int segment_verify(const char *path, const char **out_section)
{
    struct segment *s;
    int err = segment_open_named(path, &s, out_section);
    return err ? err : verify(s, out_section);
}

int segment_verify_image(struct image *image, const char **out_section)
{
    struct segment *s;
    int err = segment_open_image(image, &s, out_section);
    return err ? err : verify(s, out_section);
}

enum { STREAMS = 13 };

static void list_streams(const struct segment *s, const struct parts *out[STREAMS])
{
    const struct parts *const streams[STREAMS] = {
        &s->dictionary,      &s->postings,          &s->positions,    &s->ids,
        &s->bodies,          &s->id_places.parts,   &s->hashes.parts, &s->hash_documents.parts,
        &s->body_ends.parts, &s->body_blocks.parts, &s->blocks.parts, &s->pairs,
        &s->pair_words.parts,
    };
    memcpy(out, streams, sizeof streams);
}

void segment_close(struct segment *s)
{
    const struct parts *streams[STREAMS];
    if (!s)
        return;
    list_streams(s, streams);
    for (size_t i = 0; i < STREAMS; i++)
        free(streams[i]->extents);
    free(s->fields);
    free(s->sampled);
    store_close(s->store);
    free(s);
}

size_t segment_heap(const struct segment *s)
{
    const struct parts *streams[STREAMS];
    list_streams(s, streams);
    size_t bytes = sizeof *s + s->toc.fields * sizeof *s->fields + segment_sampled(s) * sizeof *s->sampled +
                   store_heap(s->store);
    for (size_t i = 0; i < STREAMS; i++)
        bytes += malloc_usable_size(streams[i]->extents);
    return bytes;
}

void segment_trim(const struct segment *s)
{
    store_trim(s->store);
}

int segment_view(const struct segment *s, const struct parts *p, uint64_t place, uint32_t size, const uint8_t **out)
{
    uint32_t part = (uint32_t)(place >> 32), offset = (uint32_t)place;
    if (part >= p->count)
        return ERR_CORRUPT;
    int err = store_check(s->store, &p->extents[part], offset, size);
    if (!err)
        *out = p->extents[part].payload + offset;
    return err;
}

int segment_element(const struct segment *s, const struct table *t, uint32_t at, const uint8_t **out)
{
    uint32_t per = TABLE_PAYLOAD / t->width, offset = at % per * t->width;
    if (at >= t->count)
        return ERR_CORRUPT;
    const struct extent *e = &t->parts.extents[at / per];
    int err = store_check(s->store, e, offset, t->width);
    if (!err)
        *out = e->payload + offset;
    return err;
}

int segment_element_u64(const struct segment *s, const struct table *t, uint32_t at, uint64_t *out)
{
    const uint8_t *element;
    int err = segment_element(s, t, at, &element);
    if (!err)
        *out = load_u64(element);
    return err;
}

/* ------------------------------------------------------------------------------------------------------------- what it
 * is */

uint64_t segment_id(const struct segment *s)
{
    return s->toc.id;
}

uint32_t segment_documents(const struct segment *s)
{
    return s->toc.documents;
}

uint64_t segment_bytes(const struct segment *s)
{
    return store_bytes(s->store);
}

struct image *segment_image(const struct segment *s)
{
    return store_image(s->store);
}

const struct kernels *segment_kernels(const struct segment *s)
{
    return s->kernels;
}

struct str segment_analyzer(const struct segment *s)
{
    return s->analyzer;
}

uint32_t segment_fields(const struct segment *s)
{
    return s->toc.fields;
}

struct str segment_field_name(const struct segment *s, uint32_t field)
{
    return field < s->toc.fields ? s->fields[field] : (struct str){0};
}

int64_t segment_field_find(const struct segment *s, struct str name)
{
    for (uint32_t i = 0; i < s->toc.fields; i++)
        if (str_equal(s->fields[i], name))
            return i;
    return -1;
}

/* A payload is aligned to 32. */
const uint64_t *segment_stamps(const struct segment *s)
{
    return (const uint64_t *)(const void *)s->stamps.payload;
}

const uint8_t *segment_length_codes(const struct segment *s)
{
    return s->lengths.payload;
}
