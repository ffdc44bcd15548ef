/* phrase_pairs.h - what a segment knows of a phrase's neighbours (pairs.h), and what it spares the phrase. Used by
 * query_phrase.c.  Runs in: shard, bench. */
#ifndef INDEX_PHRASE_PAIRS_H
#define INDEX_PHRASE_PAIRS_H

#include "index/pairs.h"
#include "index/query_clause.h"

/* The positions of one distinct word in the document in hand. */
struct standing {
    uint32_t *at;
    uint32_t count;
};

/* Neighbours of which it is known where they stand side by side. */
struct phrase_pair {
    struct pair_list known;
    uint32_t owner;     /* the list whose postings they are; at first one of its elements */
    uint32_t *postings; /* NULL until they are needed */
};

struct phrase {
    uint32_t longest; /* the largest offset of an element */
    bool meets;       /* no word twice, any field: positions are moved so that they are equal where the phrase is */
    uint32_t *lists;  /* of each element: its list */
    uint32_t *from;  /* of each element: place in its list's positions */
    struct standing *standing; /* of each list */
    struct phrase_pair *pairs; /* the fewest postings first */
    size_t pair_count;
    bool is_pair; /* the first is all of the phrase */
    bool is_listed; /* it stands in these documents at most, as far as pairs of its words tell */
    uint32_t *listed;
    size_t listed_count;
    bool in_field;
    uint32_t field, field_weight;

    /* of the candidates in hand, a few at a time, those that have all words */
    size_t count;
    uint32_t documents[POSTING_BLOCK + KERNEL_OVERWRITE];
    uint32_t numbers[POSTING_BLOCK]; /* among the candidates */
    int32_t sums[POSTING_BLOCK], scratch[POSTING_BLOCK];
    uint32_t *ordinals; /* of their postings: for each list but the last a row of POSTING_BLOCK */
    uint32_t place_starts[POSTING_BLOCK], place_counts[POSTING_BLOCK]; /* of the last list's positions */
    struct places places;
};

/* The element before this one with the same word, or itself. */
size_t phrase_first_alike(const struct tree_leaf *leaf, size_t element);

/* False if two of the words stand nowhere side by side; how many documents have each is in phrase->from. */
bool phrase_find_pairs(struct clause *c);

/* Of a phrase that is no pair, with its lists open: if documents of pairs are far fewer than those with the rarest word. */
void phrase_list_documents(struct clause *c);

/* The pair's postings from one on: how many. */
size_t phrase_pair_postings(const struct clause *c, struct phrase_pair *pair, uint32_t from, const uint32_t **out);

#endif
