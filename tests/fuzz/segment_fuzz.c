/* A segment whose payloads were changed and whose checksums are right: what only the decoders can notice.
 *
 * An input is a list of edits: which extent (1 byte), where in it (2 bytes, of its length), the new byte. Extents are
 * changed in copies in the heap, of that size, so that a sanitizer sees what is read behind them. The TOC is only read
 * when a segment is opened: if it is changed, all is written to a file and opened. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/arena.h"
#include "common/bytes.h"
#include "common/hash.h"
#include "index/bodies.h"
#include "index/pairs.h"
#include "index/postings.h"
#include "index/segment_parts.h"
#include "index/store.h"
#include "index/store_writer.h"
#include "index/typo.h"
#include "tests/fuzz/fuzz.h"

enum { DOCUMENTS = 700, EDIT = 4, MOST_POSITIONS = 1 << 12 };

static const enum section sections[] = {
    SECTION_TOC,     SECTION_DICTIONARY, SECTION_BLOCKS,      SECTION_POSTINGS,       SECTION_POSITIONS,
    SECTION_LENGTHS, SECTION_STAMPS,     SECTION_IDS,         SECTION_ID_PLACES,      SECTION_HASHES,
    SECTION_BODIES,  SECTION_BODY_ENDS,  SECTION_BODY_BLOCKS, SECTION_HASH_DOCUMENTS, SECTION_PAIRS,
    SECTION_PAIR_WORDS,
};

enum { TOC = 0 /* its number among them */, READ_TERMS = 1, READ_DOCUMENTS = 2, READ_PAIRS = 4 };

enum { SECTIONS = sizeof sections / sizeof sections[0] };

static struct {
    char directory[40], good[64], bad[64];
    struct segment *segment;           /* the good one, mapped */
    struct extent *extents[SECTIONS];  /* of it; of the TOC `toc` */
    const uint8_t *payloads[SECTIONS]; /* of the file */
    struct extent toc;
    uint32_t positions[MOST_POSITIONS];
    struct posting_block block;
    uint8_t maxima; /* of all: they were read */
    struct arena arena;
} seed;

/* Blocks of every form: runs, bitsets and gaps, T with outliers, as many positions as T and other than T. */
static void write_term(struct segment_writer *w, uint32_t term, bool is_stem)
{
    uint32_t end = term > 4 && term % 8 ? 60 : DOCUMENTS; /* few are long: an input is read in a millisecond */
    for (uint32_t n = 0; n < end; n += 1 + (term + n % 3) / 2) {
        uint32_t at = n % 90 + term; /* no other term's */
        const uint32_t positions[3] = {at, at + 300, at + (n % 31 ? 600 : 9999)};
        uint32_t count = 1 + n % (1 + term % 3), t = n % 37 ? count + term % 2 : 5000;
        segment_writer_posting(w, n, is_stem ? t : 1, positions, is_stem ? count : 0);
    }
}

static void write_good(void)
{
    struct segment_options options = {
        .id = 1,
        .transaction = 1 << 20,
        .analyzer = STR("fuzz"),
        .pairs = {.memory = 1 << 20, .wanted = 1},
    };
    struct segment_result result;
    struct segment_writer *w;
    char id[16], key[16];
    if (segment_writer_open(seed.good, &options, &w))
        abort();
    segment_writer_field(w, STR("a"));
    segment_writer_field(w, STR("b"));
    for (uint32_t n = 0; n < DOCUMENTS; n++) {
        const struct field_range ranges[] = {{0, 0}, {n % 2, 30}, {0, 60 + n}};
        struct segment_document d = {.stamp = n + 1,
                                     .body = STR("{\"a\":\"some text, some of it twice\"}"),
                                     .length_code = (uint8_t)(n % 90),
                                     .ranges = ranges,
                                     .range_count = n % 4};
        d.id = (struct str){id, (size_t)snprintf(id, sizeof id, "%u", n % 250)};
        d.hash = hash64(d.id);
        segment_writer_document(w, &d);
    }
    for (uint32_t term = 0; term < 200; term++) {
        snprintf(key, sizeof key, "%c%04u", term < 150 ? 's' : 'w', term);
        segment_writer_term(w, str_of(key));
        write_term(w, term, term < 150);
    }
    if (segment_writer_finish(w, &result))
        abort();
}

static void find_extents(struct segment *s)
{
    struct extent *const extents[SECTIONS] = {
        &seed.toc,
        s->dictionary.extents,
        s->blocks.parts.extents,
        s->postings.extents,
        s->positions.extents,
        &s->lengths,
        &s->stamps,
        s->ids.extents,
        s->id_places.parts.extents,
        s->hashes.parts.extents,
        s->bodies.extents,
        s->body_ends.parts.extents,
        s->body_blocks.parts.extents,
        s->hash_documents.parts.extents,
        s->pairs.extents,
        s->pair_words.parts.extents,
    };
    if (store_extent(s->store, SECTION_TOC, 0, &seed.toc))
        abort();
    for (size_t i = 0; i < SECTIONS; i++) { /* checked now, and so never again */
        if (store_check(s->store, extents[i], 0, extents[i]->size))
            abort();
        seed.extents[i] = extents[i];
        seed.payloads[i] = extents[i]->payload;
    }
}

static void make_seed(void)
{
    if (seed.segment)
        return;
    snprintf(seed.directory, sizeof seed.directory, "/tmp/mayfly-fuzz-XXXXXX");
    if (!mkdtemp(seed.directory) || arena_init(&seed.arena, 4 << 20, 0))
        abort();
    snprintf(seed.good, sizeof seed.good, "%s/good.mdb", seed.directory);
    snprintf(seed.bad, sizeof seed.bad, "%s/bad.mdb", seed.directory);
    write_good();
    if (segment_open(seed.good, &seed.segment))
        abort();
    find_extents(seed.segment);
}

static uint8_t *copy_of(const struct extent *e)
{
    uint8_t *copy = aligned_alloc(32, (e->size + KERNEL_OVERREAD + 31) / 32 * 32);
    if (!copy)
        abort();
    memcpy(copy, e->payload, e->size);
    return copy;
}

/* Which extents were changed, a bit each. */
static unsigned edit(const uint8_t *data, size_t size)
{
    unsigned changed = 0;
    for (; size >= EDIT; data += EDIT, size -= EDIT) {
        size_t i = data[0] % SECTIONS;
        struct extent *e = seed.extents[i];
        if (!(changed >> i & 1))
            e->payload = copy_of(e);
        changed |= 1u << i;
        ((uint8_t *)(uintptr_t)e->payload)[load_u16(data + 1) % e->size] = data[3];
    }
    return changed;
}

static void restore(unsigned changed)
{
    for (size_t i = 0; i < SECTIONS; i++) {
        if (!(changed >> i & 1))
            continue;
        free((void *)(uintptr_t)seed.extents[i]->payload);
        seed.extents[i]->payload = seed.payloads[i];
    }
}

static void write_bad(void)
{
    struct store_writer *w;
    struct image *none;
    uint64_t bytes;
    if (store_create(&(struct store_options){.path = seed.bad, .transaction = 1 << 20}, &w))
        abort();
    for (size_t i = 0; i < SECTIONS; i++)
        store_put(w, sections[i], 0, seed.extents[i]->payload, seed.extents[i]->size);
    if (store_finish(w, &bytes, &none))
        abort();
}

static void read_ranges(const struct segment *s, uint32_t document)
{
    struct field_ranges ranges;
    struct field_range range = {0};
    uint32_t before = 0;
    if (segment_field_ranges(s, document, &ranges))
        return;
    field_ranges_find(&ranges, 50);
    for (; field_ranges_next(&ranges, &range); before = range.from)
        if (range.from < before)
            abort();
}

static void read_documents(const struct segment *s)
{
    struct bodies bodies;
    if (bodies_open(&bodies, s))
        return;
    for (uint32_t n = 0; n < segment_documents(s) && n < DOCUMENTS; n++) {
        struct str id, body;
        uint64_t hash;
        uint32_t from = 0, document;
        int err = 0;
        if (segment_document_id(s, n, &id, &hash) == 0)
            segment_find_id(s, hash, id, &from, &document, &err);
        read_ranges(s, n);
        if (n % 50 == 0) /* each time unpacks a block, as bodies_get does not */
            segment_document_body(s, n, &seed.arena, &body);
        arena_reset(&seed.arena, 1 << 20);
        bodies_get(&bodies, n, &body);
    }
    bodies_close(&bodies);
}

static void read_list(const struct segment *s, const struct term *t)
{
    struct postings p;
    uint32_t last = 0;
    for (postings_open(&p, s, t); p.document != POSTINGS_END; postings_next(&p)) {
        if (p.document >= segment_documents(s) || p.document < last)
            abort();
        last = p.document;
        if (p.count && p.count <= MOST_POSITIONS)
            postings_positions(&p, seed.positions);
    }
    postings_open(&p, s, t);
    for (uint32_t n = 0; n < segment_documents(s) && p.document != POSTINGS_END; n += 150)
        postings_seek(&p, n);
}

/* Whatever the bytes are: documents rise and are there, so are positions, and all is found again. */
static void read_block(const struct segment *s, const struct posting_list *l, uint32_t number)
{
    struct posting_block *b = &seed.block;
    if (block_enter(l, number, b))
        return;
    uint32_t t = block_t(b, b->count - 1);
    block_documents(l, b);
    for (uint32_t i = 0; i < b->count; i++)
        if (b->documents[i] >= segment_documents(s) || (i && b->documents[i] <= b->documents[i - 1]))
            abort();
    if (block_frequencies(l, b) || t != b->t[b->count - 1] || !l->with_positions || block_starts(l, b))
        return;
    for (uint32_t i = b->count; i-- > 0;) {
        uint32_t n = b->starts[i + 1] - b->starts[i];
        if (n > MOST_POSITIONS || block_positions(l, b, i, 0, seed.positions))
            continue;
        for (uint32_t k = 1; k < n; k++)
            if (seed.positions[k] <= seed.positions[k - 1])
                abort();
    }
}

static void read_blocks(const struct segment *s, const struct term *t)
{
    struct posting_list l;
    uint32_t found = 0;
    if (list_open(&l, s, t, kernels_best()))
        return;
    for (uint32_t number = l.blocks; number-- > 0;) {
        read_block(s, &l, number);
        for (size_t i = 0; l.blocks > 1 && i < MAXIMA; i++)
            seed.maxima |= list_maxima(&l, number)[i] | list_group_maxima(&l, number / GROUP_BLOCKS)[i];
    }
    for (uint32_t n = 0; n < segment_documents(s) && n < DOCUMENTS && found < l.blocks; n += 50) {
        uint32_t next = list_find(&l, found, n);
        if (next < found || next > l.blocks)
            abort();
        found = next;
    }
}

static int count_term(void *context, const struct term *t, uint32_t edits)
{
    if (t->key.len < 2 || t->key.len > MAX_KEY || edits == 0 || edits > TYPO_EDITS)
        abort();
    return ++*(unsigned *)context > 1000;
}

static void find_misspelt(const struct segment *s)
{
    static const struct str words[] = {{"0077", 4}, {"01770", 5}, {"\xc3\xa9\xc3\xa9", 4}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        struct typo_word word;
        unsigned found = 0;
        typo_word_init(&word, words[i], 1 + (uint32_t)i % TYPO_EDITS);
        typo_scan(&word, s, count_term, &found);
    }
}

static void read_terms(const struct segment *s)
{
    struct term_cursor c;
    struct term t;
    int err = 0;
    term_cursor_seek(&c, s, (struct str){0});
    while (term_cursor_next(&c, &t)) {
        read_list(s, &t);
        read_blocks(s, &t);
    }
    segment_find_term(s, STR("s0077"), &t, &err);
    segment_find_term(s, STR("w0177"), &t, &err);
    find_misspelt(s);
}

/* Of many words: each row and group is come to. What a term says of its documents may be damaged, too. */
static void read_pairs(const struct segment *s)
{
    static uint32_t postings[DOCUMENTS + KERNEL_OVERWRITE];
    char first[16], second[16];
    for (uint32_t n = 0; segment_pairs_least(s) && n < 150; n++) {
        struct pair_word before = {.documents = DOCUMENTS - n}, behind = {.documents = DOCUMENTS / 2 + n};
        struct pair_list l;
        before.key = (struct str){first, (size_t)snprintf(first, sizeof first, "s%04u", n)};
        behind.key = (struct str){second, (size_t)snprintf(second, sizeof second, "s%04u", n * 7 % 150)};
        if (segment_pair(s, &before, &behind, &l) <= 0 || l.count == 0)
            continue;
        if (l.count > DOCUMENTS)
            abort();
        if (segment_pair_postings(s, &l, postings) == 0 && postings[l.count - 1] >= l.postings)
            abort();
    }
}

static void read_file(void)
{
    struct segment *s;
    write_bad();
    if (segment_open(seed.bad, &s) == 0) {
        read_documents(s);
        read_terms(s);
        read_pairs(s);
        segment_close(s);
    }
    unlink(seed.bad);
}

/* Only what the changed extents are read for. */
static void read_changed(unsigned changed)
{
    static const uint8_t readers[SECTIONS] = {
        0,
        READ_TERMS,
        READ_TERMS,
        READ_TERMS,
        READ_TERMS,
        0,
        0,
        READ_DOCUMENTS,
        READ_DOCUMENTS,
        READ_DOCUMENTS,
        READ_DOCUMENTS,
        READ_DOCUMENTS,
        READ_DOCUMENTS,
        READ_DOCUMENTS,
        READ_PAIRS,
        READ_PAIRS,
    };
    unsigned read = 0;
    for (size_t i = 0; i < SECTIONS; i++)
        read |= changed >> i & 1 ? readers[i] : 0;
    if (read & READ_DOCUMENTS)
        read_documents(seed.segment);
    if (read & READ_TERMS)
        read_terms(seed.segment);
    if (read & READ_PAIRS)
        read_pairs(seed.segment);
}

static int segment_fuzz(const uint8_t *data, size_t size)
{
    make_seed();
    unsigned changed = edit(data, size);
    if (changed >> TOC & 1)
        read_file();
    else
        read_changed(changed);
    restore(changed);
    return 0;
}

static void finish(void)
{
    if (!seed.segment)
        return;
    segment_close(seed.segment);
    arena_finish(&seed.arena);
    unlink(seed.good);
    rmdir(seed.directory);
}

const struct fuzz_target fuzz_target = {
    .most = 8 * EDIT, .rounds = 400, .mutations = 1, .run = segment_fuzz, .finish = finish};
