#include "index/pairs_out.h"

#include <errno.h>
#include <stdlib.h>

#include "common/err.h"
#include "common/hash.h"
#include "index/pack_out.h"
#include "index/pairs.h"
#include "index/pairs_found.h"
#include "index/pairs_scan.h"

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

/* ------------------------------------------------------------------------------------------------------------- buckets
 */

#define ALL_HASHES (UINT64_C(1) << 32) /* their upper halves */

enum { MOST_PARTS = 4, PAIRS_PER_BUCKET = 32, MOST_BUCKETS = 1 << 24, LARGEST_COUNT = 14 };

struct buckets {
    struct stream_writer stream, places;
    uint32_t count, ranges; /* count: 0 as long as nobody knows how many pairs there are */
    uint32_t open;          /* the one that is being filled */
    uint64_t pairs;         /* in it */
    struct bytes_out tags, entries, bucket;
};

/* By rising hash each has its turn, empty ones too. */
static void end_bucket(struct buckets *b)
{
    b->bucket.len = 0;
    bytes_out_varint(&b->bucket, b->pairs);
    bytes_out_append(&b->bucket, b->tags.data, b->tags.len);
    bytes_out_append(&b->bucket, b->entries.data, b->entries.len);
    uint64_t place = stream_writer_place(&b->stream, b->bucket.data, b->bucket.len);
    stream_writer_place(&b->places, &place, sizeof place);
    b->tags.len = b->entries.len = b->pairs = 0;
    b->open++;
}

static void put_bitmap(struct bytes_out *out, const uint16_t *ranges, uint32_t count, size_t size)
{
    static const uint8_t head = PAIR_BITMAP;
    bytes_out_append(out, &head, 1);
    if (!bytes_out_reserve(out, size))
        return;
    uint8_t *to = out->data + out->len;
    memset(to, 0, size);
    for (uint32_t i = 0; i < count; i++)
        to[ranges[i] / 8] = (uint8_t)(to[ranges[i] / 8] | 1u << ranges[i] % 8);
    out->len += size;
}

static void put_gaps(struct bytes_out *out, const uint32_t *gaps, uint32_t count, unsigned bits)
{
    bool is_small = count <= LARGEST_COUNT;
    uint8_t head = (uint8_t)((is_small ? count : LARGEST_COUNT + 1) << 4 | bits);
    bytes_out_append(out, &head, 1);
    if (!is_small)
        bytes_out_varint(out, count - LARGEST_COUNT - 1);
    pack_append(out, gaps, count, bits);
}

static void put_entry(struct bytes_out *out, const uint16_t *ranges, uint32_t count, uint32_t all)
{
    uint32_t gaps[PAIR_RANGES] = {ranges[0]};
    for (uint32_t i = 1; i < count; i++)
        gaps[i] = ranges[i] - ranges[i - 1] - 1u;
    unsigned bits = pack_width(gaps, count);
    size_t packed = ((size_t)count * bits + 7) / 8, bitmap = (all + 7) / 8;
    if (bitmap <= packed)
        put_bitmap(out, ranges, count, bitmap);
    else
        put_gaps(out, gaps, count, bits);
}

static int add_pair(void *context, uint64_t hash, const uint16_t *ranges, uint32_t count)
{
    struct buckets *b = context;
    uint8_t tag = pair_tag(hash, b->count);
    while (b->open < pair_bucket(hash, b->count))
        end_bucket(b);
    bytes_out_append(&b->tags, &tag, 1);
    put_entry(&b->entries, ranges, count, b->ranges);
    b->pairs++;
    return b->tags.failed || b->entries.failed || b->bucket.failed ? -ENOMEM : 0;
}

static int open_buckets(struct buckets *b, struct store_writer *store, uint32_t ranges)
{
    *b = (struct buckets){.ranges = ranges};
    int err = stream_writer_open(&b->stream, store, SECTION_PAIRS, EXTENT_PAYLOAD);
    return err ? err : stream_writer_open(&b->places, store, SECTION_PAIR_PLACES, TABLE_PAYLOAD / 8 * 8);
}

static void close_buckets(struct buckets *b)
{
    stream_writer_close(&b->stream);
    stream_writer_close(&b->places);
    bytes_out_free(&b->tags);
    bytes_out_free(&b->entries);
    bytes_out_free(&b->bucket);
}

/* Hashes are spread evenly: a part of them tells how many there are of all. */
static uint32_t bucket_count(size_t pairs, uint64_t hashes)
{
    double all = (double)pairs * (double)ALL_HASHES / (double)hashes;
    uint32_t count = 1;
    while (count < MOST_BUCKETS && (double)count * PAIRS_PER_BUCKET < all)
        count *= 2;
    return count;
}

/* -------------------------------------------------------------------------------------------------------------- passes
 */

/* By what is found the next part is as large as there is room for, and a bit less: of so many documents of all. */
static uint64_t next_width(uint64_t width, double used, double done)
{
    double next = (double)width * 0.75 * done / (used > 0.01 ? used : 0.01);
    return next < (double)ALL_HASHES ? (uint64_t)next + 1 : ALL_HASHES;
}

/* All words are read again for each part of the hashes. ERR_FULL, and nothing was written: there would be too many. */
static int put_parts(struct pairs_scan *scan, unsigned shift, struct pairs_found *f, struct buckets *b)
{
    uint64_t width = ALL_HASHES;
    int err = 0;
    for (uint64_t low = 0; low < ALL_HASHES && !err;) {
        uint64_t high = ALL_HASHES - low < width ? ALL_HASHES : low + width;
        pairs_found_begin(f, low, high);
        err = pairs_scan_run(scan, shift, f);
        if (!err && !f->is_full) {
            b->count = b->count ? b->count : bucket_count(f->count, high - low);
            err = pairs_found_visit(f, add_pair, b);
            low = high;
        }
        width = next_width(width, pairs_found_used(f), pairs_found_done(f));
        if (!err && low == 0 && width < ALL_HASHES / MOST_PARTS)
            err = ERR_FULL;
    }
    return err;
}

/* In little memory fewer words are frequent. */
static int put_some(struct pairs_out *p, const struct segment *segment, unsigned shift, struct pairs_found *f,
                    struct buckets *b)
{
    int err = ERR_FULL;
    while (err == ERR_FULL) {
        struct pairs_scan *scan;
        err = pairs_scan_open(segment, p, p->memory / 5, &scan);
        if (err)
            return err;
        err = put_parts(scan, shift, f, b);
        pairs_scan_close(scan);
        if (err == ERR_FULL)
            raise_least(p);
    }
    return err;
}

static unsigned shift_of(uint32_t documents)
{
    unsigned shift = 5;
    while (pair_range_count(documents, shift) > PAIR_RANGES)
        shift++;
    return shift;
}

static int put_pairs(struct pairs_out *p, const struct segment *segment, struct store_writer *store,
                     struct pairs_written *out)
{
    struct pairs_found found = {0};
    struct buckets buckets = {0};
    uint32_t ranges = pair_range_count(p->documents, out->shift);
    int err = open_buckets(&buckets, store, ranges);
    if (!err)
        err = pairs_found_open(&found, p->words, p->memory / 5 * 4, ranges);
    if (!err)
        err = put_some(p, segment, out->shift, &found, &buckets);
    while (!err && buckets.open < buckets.count)
        end_bucket(&buckets);
    stream_writer_finish(&buckets.places);
    out->parts = stream_writer_finish(&buckets.stream);
    out->buckets = buckets.count;
    out->least = p->least;
    pairs_found_close(&found);
    close_buckets(&buckets);
    return err;
}

int pairs_out_put(struct pairs_out *p, const struct segment *segment, struct store_writer *store,
                  struct pairs_written *out)
{
    *out = (struct pairs_written){.shift = shift_of(p->documents)};
    return p->failed ? -ENOMEM : put_pairs(p, segment, store, out);
}
