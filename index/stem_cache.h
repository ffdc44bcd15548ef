/* stem_cache.h - stems of words that were asked for lately, so that the stemmer runs once for what many queries have.
 * Runs in: shard, bench.
 *
 * One table for a process, of a size that never changes, whatever languages its indexes have. */
#ifndef INDEX_STEM_CACHE_H
#define INDEX_STEM_CACHE_H

#include <stdint.h>

#include "common/str.h"

struct stem_cache;
int stem_cache_open(struct stem_cache **out); /* malloc */

/* The place that a word of a language has, with a few others. */
struct stem_place;
struct stem_place *stem_cache_place(struct stem_cache *c, uint8_t language, struct str word);

/* The stem that stands there, valid until the place is written again; NULL if it is not that word's. */
struct str stem_cache_get(const struct stem_place *p, uint8_t language, struct str word);

/* What is too long for a place is not kept. */
void stem_cache_put(struct stem_place *p, uint8_t language, struct str word, struct str stem);

#endif
