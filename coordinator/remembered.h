/* remembered.h - what is remembered and may be forgotten: entries found by a hash, in memory of their own.
 *
 * Entries come and go by thousands with each commit, so they lie in pieces (pieces.h). Where there are too many, the oldest
 * piece is emptied: what was used meanwhile is copied to the newest one, all else is forgotten. So no piece stays for a few
 * entries. */
#ifndef COORDINATOR_REMEMBERED_H
#define COORDINATOR_REMEMBERED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "coordinator/pieces.h"

struct remembered_entry {          /* the first member of an entry; all of it is the table's */
    struct remembered_entry *next; /* of its bucket */
    uint64_t hash;
    uint32_t references; /* of those who found it, and one of the table */
    bool used;           /* since it came, or was copied */
    bool is_in;          /* it can be found */
};

struct remembered_limits {
    size_t entries, bytes;
};

struct remembered {
    struct remembered_limits limits;
    struct remembered_entry **buckets;
    size_t bucket_count; /* 0, or a power of two */
    size_t swept;        /* buckets, ever */
    struct pieces pieces;
    size_t entries;
    bool is_emptying;
    void *context; /* these three are the owner's */
    void (*copy)(void *context, const struct remembered_entry *entry);  /* keeps it once more */
    void (*leave)(void *context, const struct remembered_entry *entry); /* it is not in any more; NULL: no matter */
};

void remembered_init(struct remembered *r, struct remembered_limits limits);
void remembered_finish(struct remembered *r); /* nobody has anything of it */

size_t remembered_bytes(const struct remembered *r);

/* Those of the same hash, one after the other; NULL: none is left. */
struct remembered_entry *remembered_first(const struct remembered *r, uint64_t hash);
struct remembered_entry *remembered_next(const struct remembered_entry *entry);

/* An entry that is to be filled and put, before anything else is kept. Forgets others where there is no room. NULL where it
 * would displace too many, or there is no memory. */
void *remembered_new(struct remembered *r, size_t size);
void remembered_put(struct remembered *r, struct remembered_entry *entry, uint64_t hash);

void remembered_take_out(struct remembered *r, struct remembered_entry *entry); /* and it is gone, unless somebody has it */
void remembered_hold(struct remembered_entry *entry);
void remembered_release(struct remembered *r, struct remembered_entry *entry);

/* Takes out what is of no use, in so many buckets more than the last time. */
typedef bool remembered_use(void *context, const struct remembered_entry *entry);
void remembered_sweep(struct remembered *r, size_t buckets, remembered_use *has_use, void *context);

#endif
