/* words_cache.h - what the shards of an index have of single words, so that a search whose words were all asked for before
 * needs no first round, though nobody has asked for them together. weights_cache.h has the searches that are not made of
 * such words.
 *
 * A token of a query (query_tokens.h) stands for words, and a word for terms with their frequencies over all shards, as
 * select.h chose them. They belong to a collection: an index, edition and settings at certain generations of its shards.
 * It is good as long as those are the newest that the coordinator knows. Bounded in entries, bytes and collections; those go
 * first that were not used since others came (remembered.h). */
#ifndef COORDINATOR_WORDS_CACHE_H
#define COORDINATOR_WORDS_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "coordinator/index.h"
#include "proto/select.h"

enum { WORDS_ENTRIES = 65536, WORDS_BYTES = 12 << 20, WORDS_COLLECTIONS = 256 }; /* of the server's */

struct collection {
    uint64_t documents, total_length; /* live, of all shards */
    const uint64_t *generations;      /* one per shard */
};

/* As it is looked for: a text, and what decides what it stands for. */
struct word_token {
    struct str text;
    bool plain, no_typos; /* as in the search */
    bool prefix;          /* its last word stands for all that begin with it, too */
};

struct known_word {
    struct str key; /* of itself: equal ones of a query are one word, unless it is a prefix */
    struct weighted_word terms; /* their weights mean nothing */
};

struct known_token {
    const struct known_word *words; /* none: it is a stop word, or no word at all */
    size_t count;
};

struct words_limits {
    size_t entries, bytes, collections;
};

struct words_counts {
    uint64_t entries, bytes, hits;
};

struct words_cache;

struct words_cache *words_cache_open(struct words_limits limits);
void words_cache_close(struct words_cache *c);

/* The index as it is now; NULL: nothing is known of it. What these two give is good until something is kept. */
const struct collection *words_collection(struct words_cache *c, const struct index *i);
const struct known_token *words_find(struct words_cache *c, const struct collection *of, struct word_token token);

/* Copies. Begins a collection where the one that is known is older; NULL where it is newer, or there is no memory. */
const struct collection *words_counted(struct words_cache *c, const struct index *i, const struct collection *counted);
void words_keep(struct words_cache *c, const struct collection *of, struct word_token token, struct known_token known);

/* A shard says that it has moved on from these generations, of which the coordinator has not heard. */
void words_forget(struct words_cache *c, const struct index *i, const uint64_t *generations);

/* Once a second, as weights_sweep. */
void words_sweep(struct words_cache *c, const struct indexes *all);

void words_count_hit(struct words_cache *c); /* a search needed no more than these */
struct words_counts words_counts(const struct words_cache *c);

#endif
