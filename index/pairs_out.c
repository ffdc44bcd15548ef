#include "index/pairs_out.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "common/err.h"
#include "common/hash.h"
#include "index/pack_out.h"
#include "index/pairs.h"
#include "index/pairs_found.h"
#include "index/pairs_scan.h"
#include "index/sort.h"

/* --------------------------------------------------------------------------------------------------------------- words
 */

void pairs_out_begin(struct pairs_out *p, const struct column_out *lengths, const struct pairs_options *options)
{
    uint32_t documents = (uint32_t)lengths->count;
    uint32_t wanted = options->wanted ? options->wanted : PAIRS_DOCUMENTS;
    uint32_t share = documents / PAIRS_SHARE;
    p->documents = documents;
    p->lengths = lengths;
    p->memory = options->memory;
    p->count = 0;
    if (p->memory && documents >= wanted) /* frequent words' lists are not inlined */
        p->least = share > INLINED_DOCUMENTS ? share : INLINED_DOCUMENTS + 1;
}

/* Too many are frequent: fewer are. */
static void raise_least(struct pairs_out *p)
{
    size_t kept = 0;
    p->least *= 2;
    for (size_t i = 0; i < p->count; i++) {
        if (p->words[i].term.documents >= p->least)
            p->words[kept++] = p->words[i];
    }
    p->count = kept;
}

static bool has_room(struct pairs_out *p)
{
    if (p->count < p->room)
        return true;
    size_t room = p->room ? 2 * p->room : 256;
    struct paired_word *words = realloc(p->words, room * sizeof *words);
    if (words) {
        p->words = words;
        p->room = room;
    }
    p->failed |= !words;
    return words;
}

void pairs_out_word(struct pairs_out *p, struct str key, const struct dictionary_entry *e)
{
    while (p->least && p->count == PAIRED_MOST)
        raise_least(p);
    if (p->least == 0 || e->documents < p->least || !has_room(p))
        return;
    p->words[p->count++] = (struct paired_word){
        .hash = hash64(key),
        .term = {.key = STR("s"), /* only the kind is looked at */
                 .documents = e->documents,
                 .postings = {e->postings.place, e->postings.length},
                 .positions = {e->positions.place, e->positions.length}},
    };
}

void pairs_out_free(struct pairs_out *p)
{
    free(p->words);
    *p = (struct pairs_out){0};
}

static int compare_words(const void *a, const void *b)
{
    const struct paired_word *x = a, *y = b;
    return (x->hash > y->hash) - (x->hash < y->hash);
}

enum { MOST_PARTS = 4 };

/* By rising hash, without those whose hash another one has, too. */
static void number_words(struct pairs_out *p)
{
    size_t kept = 0;
    sort_in_place(p->words, p->count, sizeof *p->words, compare_words);
    for (size_t i = 0; i < p->count; i++) {
        bool is_alone = (i == 0 || p->words[i - 1].hash != p->words[i].hash) &&
                        (i + 1 == p->count || p->words[i + 1].hash != p->words[i].hash);
        if (is_alone)
            p->words[kept++] = p->words[i];
    }
    p->count = kept;
}

/* ------------------------------------------------------------------------------------------------------------- entries
 */

/* To write an entry as lower bits and the rest. */
struct way {
    unsigned bits;
    uint64_t size; /* of both */
};

static uint64_t bytes_of(uint64_t bits)
{
    return (bits + 7) / 8;
}

static uint64_t rest_bits(const uint32_t *gaps, uint32_t count, unsigned bits)
{
    uint64_t sum = count;
    for (uint32_t i = 0; i < count; i++)
        sum += gaps[i] >> bits;
    return sum;
}

/* The best number of lower bits is near that of the mean gap: from there on down as long as it gets smaller. None in lists in
 * which who reads them could not be sure of sums in 32 bits. */
static struct way choose_bits(const uint32_t *gaps, uint32_t count, uint32_t postings)
{
    uint64_t sum = rest_bits(gaps, count, 0) - count;
    struct way best = {.size = UINT64_MAX};
    unsigned bits = 0;
    while (bits < PAIR_MOST_BITS && sum >> bits > count && postings < 1 << 28)
        bits++;
    for (;; bits--) {
        uint64_t size = bytes_of((uint64_t)count * bits) + bytes_of(rest_bits(gaps, count, bits));
        if (size >= best.size)
            return best;
        best = (struct way){.bits = bits, .size = size};
        if (bits == 0)
            return best;
    }
}

static void put_head(struct bytes_out *out, unsigned form, unsigned bits)
{
    uint8_t head = (uint8_t)(form << 4 | bits);
    bytes_out_append(out, &head, 1);
}

static void put_sizes(struct bytes_out *out, uint32_t count, uint64_t bytes)
{
    bytes_out_varint(out, count);
    bytes_out_varint(out, bytes);
}

/* So many bytes that are 0. */
static uint8_t *put_zeros(struct bytes_out *out, uint64_t bytes)
{
    if (!bytes_out_reserve(out, bytes))
        return NULL;
    uint8_t *to = out->data + out->len;
    memset(to, 0, bytes);
    out->len += bytes;
    return to;
}

static void set_bit(uint8_t *bits, uint64_t i)
{
    bits[i / 8] = (uint8_t)(bits[i / 8] | 1u << i % 8);
}

static void put_rests(struct bytes_out *out, const uint32_t *gaps, uint32_t count, unsigned bits, uint64_t bytes)
{
    uint8_t *to = put_zeros(out, bytes);
    uint64_t at = 0;
    for (uint32_t i = 0; to && i < count; i++, at++)
        set_bit(to, at += gaps[i] >> bits);
}

/* As lower bits and the rest; what is packed loses what is above its bits. */
static void put_split(struct bytes_out *out, uint32_t *gaps, uint32_t count, unsigned bits)
{
    uint64_t bytes = bytes_of(rest_bits(gaps, count, bits));
    struct bytes_out rests = {0};
    put_rests(&rests, gaps, count, bits, bytes);
    put_head(out, PAIR_FEW + 1, bits);
    put_sizes(out, count, bytes);
    for (uint32_t i = 0; i < count; i++)
        gaps[i] &= (1u << bits) - 1;
    pack_append(out, gaps, count, bits);
    bytes_out_append(out, rests.data, rests.len);
    out->failed |= rests.failed;
    bytes_out_free(&rests);
}

/* `gaps` is used up. */
static void put_entry(struct bytes_out *out, uint32_t *gaps, uint32_t count, uint32_t postings)
{
    unsigned width = pack_width(gaps, count);
    struct way split = choose_bits(gaps, count, postings);
    if (count <= PAIR_FEW && width <= PAIR_MOST_BITS && bytes_of((uint64_t)count * width) <= split.size + 2) {
        put_head(out, count, width);
        pack_append(out, gaps, count, width);
    } else {
        put_split(out, gaps, count, split.bits);
    }
}

/* ---------------------------------------------------------------------------------------------------------------- rows
 */

enum { MOST_GROUPS = PAIRED_MOST / PAIR_GROUP };

struct rows {
    struct stream_writer stream, table;
    const struct pairs_out *pairs;
    uint32_t open; /* the row that is being filled, from 1 on */
    uint32_t entry_count;
    uint64_t bits[MOST_GROUPS];
    uint32_t ends[MOST_GROUPS];
    struct bytes_out entries, row;
};

static uint32_t group_count(const struct rows *r)
{
    return (uint32_t)((r->pairs->count + PAIR_GROUP - 1) / PAIR_GROUP);
}

static void put_groups(struct rows *r)
{
    uint32_t end = 0;
    for (uint32_t i = 0; i < group_count(r); i++) {
        end = r->ends[i] > end ? r->ends[i] : end; /* 0: it has none */
        bytes_out_append(&r->row, &r->bits[i], sizeof r->bits[i]);
        bytes_out_append(&r->row, &end, sizeof end);
    }
}

static void name_row(struct rows *r, uint64_t place)
{
    uint64_t element[] = {r->pairs->words[r->open - 1].hash, place};
    stream_writer_place(&r->table, element, sizeof element);
    memset(r->bits, 0, sizeof r->bits);
    memset(r->ends, 0, sizeof r->ends);
    r->entries.len = r->row.len = 0;
    r->open++;
}
static_assert(PAIR_WORD == 2 * sizeof(uint64_t), "as drawn");

/* Each word has its turn, those with nothing behind them, too. */
static void end_row(struct rows *r)
{
    put_groups(r);
    bytes_out_append(&r->row, r->entries.data, r->entries.len);
    name_row(r, stream_writer_place(&r->stream, r->row.data, r->row.len));
}

static int add_pair(void *context, uint32_t first, uint32_t second, uint32_t *gaps, uint32_t count)
{
    struct rows *r = context;
    uint32_t in_first = r->pairs->words[first - 1].term.documents, bit = second - 1;
    uint32_t in_second = r->pairs->words[second - 1].term.documents;
    while (r->open < first)
        end_row(r);
    put_entry(&r->entries, gaps, count, in_first <= in_second ? in_first : in_second);
    r->bits[bit / PAIR_GROUP] |= UINT64_C(1) << bit % PAIR_GROUP;
    r->ends[bit / PAIR_GROUP] = (uint32_t)r->entries.len;
    r->entry_count++;
    return r->entries.failed || r->row.failed ? -ENOMEM : 0;
}

static int open_rows(struct rows *r, struct store_writer *store, const struct pairs_out *pairs)
{
    *r = (struct rows){.pairs = pairs, .open = 1};
    int err = stream_writer_open(&r->stream, store, SECTION_PAIRS, EXTENT_PAYLOAD);
    return err ? err : stream_writer_open(&r->table, store, SECTION_PAIR_WORDS, TABLE_PAYLOAD / PAIR_WORD * PAIR_WORD);
}

static void close_rows(struct rows *r)
{
    stream_writer_close(&r->stream);
    stream_writer_close(&r->table);
    bytes_out_free(&r->entries);
    bytes_out_free(&r->row);
}

/* -------------------------------------------------------------------------------------------------------------- passes
 */

/* First words [low, high), numbers from 1 on; how many of them the next part is to have by what was found: as many as there
 * is room for, and a bit less. */
struct part {
    uint32_t low, high;
};

static uint32_t next_width(const struct part *p, double used, double done)
{
    double next = (double)(p->high - p->low) * 0.75 * done / (used > 0.01 ? used : 0.01);
    return next < PAIRED_MOST ? (uint32_t)next + (next < 1) : PAIRED_MOST;
}

static int find_part(struct pairs_scan *scan, struct pairs_found *f, const struct part *p)
{
    pairs_found_begin(f, p->low, p->high, pairs_scan_postings(scan));
    int err = pairs_scan_run(scan, f);
    pairs_found_end(f);
    return err;
}

/* All words are read again for each part of the first words. Of a word by itself that has no room nothing is known in the end.
 * ERR_FULL, and nothing was written: there would be too many parts. */
static int put_parts(struct pairs_scan *scan, struct pairs_found *f, struct rows *r)
{
    const uint32_t end = (uint32_t)r->pairs->count + 1;
    uint32_t width = end;
    int err = 0;
    for (struct part p = {.low = 1}; p.low < end && !err;) {
        p.high = end - p.low < width ? end : p.low + width;
        err = find_part(scan, f, &p);
        width = next_width(&p, pairs_found_used(f), pairs_scan_done(scan));
        if (!err && f->is_full && p.low == 1 && width < end / MOST_PARTS)
            err = ERR_FULL;
        if (err || (f->is_full && p.high - p.low > 1))
            continue;
        if (!f->is_full)
            err = pairs_found_visit(f, add_pair, r);
        while (!f->is_full && r->open < p.high)
            end_row(r);
        if (f->is_full)
            name_row(r, NO_ROW);
        p.low = p.high;
    }
    return err;
}

/* In little memory fewer words are frequent. */
static int put_some(struct pairs_out *p, const struct segment *segment, struct store_writer *store, struct pairs_found *f,
                    struct rows *r)
{
    int err = ERR_FULL;
    while (err == ERR_FULL) {
        struct pairs_scan *scan;
        number_words(p);
        err = open_rows(r, store, p);
        if (!err)
            err = pairs_scan_open(segment, p, p->memory / 5, &scan);
        if (err)
            return err;
        err = put_parts(scan, f, r);
        pairs_scan_close(scan);
        if (err == ERR_FULL) {
            close_rows(r);
            raise_least(p);
        }
    }
    return err;
}

static int put_pairs(struct pairs_out *p, const struct segment *segment, struct store_writer *store,
                     struct pairs_written *out)
{
    struct pairs_found found = {0};
    struct rows rows = {0};
    int err = pairs_found_open(&found, p, p->memory / 5 * 4);
    if (!err)
        err = put_some(p, segment, store, &found, &rows);
    if (err == ERR_INVALID) { /* of nothing anything is known */
        err = 0;
        p->count = 0;
    }
    if (!err) {
        stream_writer_finish(&rows.table);
        out->parts = stream_writer_finish(&rows.stream);
        out->words = (uint32_t)p->count;
        out->pairs = rows.entry_count;
        out->least = p->least;
    }
    pairs_found_close(&found);
    close_rows(&rows);
    return err;
}

int pairs_out_put(struct pairs_out *p, const struct segment *segment, struct store_writer *store,
                  struct pairs_written *out)
{
    *out = (struct pairs_written){0};
    return p->failed ? -ENOMEM : put_pairs(p, segment, store, out);
}
