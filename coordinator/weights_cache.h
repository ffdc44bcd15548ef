/* weights_cache.h - what round 1 of searches came to: terms with their weights, kept while nothing that they were
 * counted in has changed. A search that finds its own here begins with round 2.
 *
 * One entry per index, edition, settings, text and whatever changes how the text is parsed. It is good as long as the
 * generations that were counted are the newest that the coordinator knows, which it learns before it says `searchable`:
 * so whoever was told so never gets older weights. Bounded in entries and bytes; those go first that were not used since
 * others came (remembered.h). */
#ifndef COORDINATOR_WEIGHTS_CACHE_H
#define COORDINATOR_WEIGHTS_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include "coordinator/index.h"
#include "proto/message.h"
#include "proto/select.h"

struct weighed { /* of all shards together */
    uint64_t documents, total_length;
    const struct weighted_word *words;
    size_t word_count;
    const uint64_t *generations; /* one per shard */
};

enum { WEIGHTS_ENTRIES = 32768, WEIGHTS_BYTES = 16 << 20 }; /* of the server's */

struct weights_limits {
    size_t entries, bytes;
};

struct weights_counts {
    uint64_t entries, bytes, hits, misses;
};

struct weights_cache;

struct weights_cache *weights_cache_open(struct weights_limits limits);
void weights_cache_close(struct weights_cache *c); /* nobody has anything of it */

/* NULL: none is good. What is found stays until weights_release, whatever becomes of its entry. */
const struct weighed *weights_find(struct weights_cache *c, const struct index *i, const Mayfly__Search *request);
void weights_release(struct weights_cache *c, const struct weighed *w);

/* Copies it; of the settings that the index has now. */
void weights_keep(struct weights_cache *c, const struct index *i, const Mayfly__Search *request,
                  const struct weighed *w);

/* A shard says that it has moved on, of which the coordinator has not heard. */
void weights_forget(struct weights_cache *c, const struct weighed *w);

/* Once a second: of a part of the entries those go that are good no more. All have had their turn within a few. */
void weights_sweep(struct weights_cache *c, struct indexes *all);

struct weights_counts weights_counts(const struct weights_cache *c);

#endif
