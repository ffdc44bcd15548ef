#include "coordinator/remembered.h"

#include <stdlib.h>

#include "common/check.h"

enum {
    LARGEST_SHARE = 64, /* of the bytes that one entry may take: 1 / so much */
    PIECES = 256,       /* there are about so many at most */
    PIECE_LEAST = 4096,
    PIECE_MOST = 64 << 10,
    BESIDE = 2 * PIECE_LEAST, /* of an entry: parts of pages */
    BUCKETS_LEAST = 64,
    COPIED_PIECES = 2, /* of whose entries any are copied for one that comes: so that it never waits for long */
};

void remembered_init(struct remembered *r, struct remembered_limits limits)
{
    size_t size = limits.bytes / PIECES;
    *r = (struct remembered){.limits = limits};
    pieces_init(&r->pieces, size < PIECE_LEAST ? PIECE_LEAST : size > PIECE_MOST ? PIECE_MOST : size);
}

size_t remembered_bytes(const struct remembered *r)
{
    return r->pieces.bytes + r->bucket_count * sizeof(void *);
}

/* ----------------------------------------------------------------------------------------------------------- table */

static struct remembered_entry **bucket_of(const struct remembered *r, uint64_t hash)
{
    return &r->buckets[hash & (r->bucket_count - 1)];
}

static void use_table(struct remembered *r, struct remembered_entry **buckets, size_t count)
{
    struct remembered_entry **old = r->buckets;
    size_t old_count = r->bucket_count;
    r->buckets = buckets;
    r->bucket_count = count;
    for (size_t n = 0; n < old_count; n++)
        while (old[n]) {
            struct remembered_entry *e = old[n], **to = bucket_of(r, e->hash);
            old[n] = e->next;
            e->next = *to;
            *to = e;
        }
    free(old);
}

/* Whether there is a table: one that could not grow will do. */
static bool grow_table(struct remembered *r)
{
    if (r->entries < r->bucket_count)
        return true;
    size_t count = r->bucket_count ? 2 * r->bucket_count : BUCKETS_LEAST;
    struct remembered_entry **buckets = calloc(count, sizeof(void *));
    if (buckets)
        use_table(r, buckets, count);
    return r->bucket_count > 0;
}

/* With the last entry the table goes, too. */
static void drop_table(struct remembered *r)
{
    free(r->buckets);
    r->buckets = NULL;
    r->bucket_count = 0;
}

static struct remembered_entry *of_hash(struct remembered_entry *e, uint64_t hash)
{
    while (e && e->hash != hash)
        e = e->next;
    return e;
}

struct remembered_entry *remembered_first(const struct remembered *r, uint64_t hash)
{
    return r->bucket_count ? of_hash(*bucket_of(r, hash), hash) : NULL;
}

struct remembered_entry *remembered_next(const struct remembered_entry *entry)
{
    return of_hash(entry->next, entry->hash);
}

/* ------------------------------------------------------------------------------------------------- coming and going */

void remembered_hold(struct remembered_entry *entry)
{
    entry->references++;
}

void remembered_release(struct remembered *r, struct remembered_entry *entry)
{
    if (--entry->references == 0)
        pieces_leave(&r->pieces, entry);
}

static void take_out_at(struct remembered *r, struct remembered_entry **at)
{
    struct remembered_entry *e = *at;
    *at = e->next;
    e->is_in = false;
    r->entries--;
    if (r->leave)
        r->leave(r->context, e);
    remembered_release(r, e);
}

void remembered_take_out(struct remembered *r, struct remembered_entry *entry)
{
    struct remembered_entry **at = bucket_of(r, entry->hash);
    while (*at != entry)
        at = &(*at)->next;
    take_out_at(r, at);
}

/* It counts until it is let go of, so copies do not ask for room. */
static void empty_oldest(struct remembered *r, bool copies)
{
    struct piece *p = pieces_oldest(&r->pieces);
    r->is_emptying = true;
    for (struct remembered_entry *e = NULL; (e = piece_next(p, e));) {
        if (!e->is_in)
            continue;
        if (copies && e->used)
            r->copy(r->context, e);
        remembered_take_out(r, e);
    }
    r->is_emptying = false;
    pieces_let_go(&r->pieces, p);
}

static void make_room(struct remembered *r, size_t size)
{
    for (int n = 0; r->pieces.oldest; n++) {
        size_t table = r->entries < r->bucket_count ? 0 : r->bucket_count * sizeof(void *); /* twice as large then */
        if (r->entries < r->limits.entries && remembered_bytes(r) + table + size <= r->limits.bytes)
            return;
        empty_oldest(r, n < COPIED_PIECES);
    }
}

void *remembered_new(struct remembered *r, size_t size)
{
    if (size > r->limits.bytes / LARGEST_SHARE)
        return NULL;
    if (!r->is_emptying)
        make_room(r, size + BESIDE);
    struct remembered_entry *e = grow_table(r) ? pieces_take(&r->pieces, size) : NULL;
    if (e)
        *e = (struct remembered_entry){.references = 1};
    return e;
}

void remembered_put(struct remembered *r, struct remembered_entry *entry, uint64_t hash)
{
    struct remembered_entry **bucket = bucket_of(r, hash);
    entry->hash = hash;
    entry->next = *bucket;
    *bucket = entry;
    entry->is_in = true;
    r->entries++;
}

void remembered_sweep(struct remembered *r, size_t buckets, remembered_use *has_use, void *context)
{
    for (size_t n = 0; n < buckets && n < r->bucket_count; n++) {
        struct remembered_entry **at = &r->buckets[r->swept++ & (r->bucket_count - 1)];
        while (*at) {
            if (has_use(context, *at))
                at = &(*at)->next;
            else
                take_out_at(r, at);
        }
    }
    if (r->entries == 0)
        drop_table(r);
}

void remembered_finish(struct remembered *r)
{
    while (r->pieces.oldest)
        empty_oldest(r, false);
    require(r->entries == 0);
    drop_table(r);
}
