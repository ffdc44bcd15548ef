/* query_tree.h - a parsed query: the words it counts, and the expression over them.  Runs in: shard, bench.
 *
 * A leaf is what a document either has or has not, and scores by: a plain word (every word is one leaf, however often
 * it stands in the query), a word in one field, a phrase. Items are the top level of the expression. Stop words have
 * gone where they do not count. */
#ifndef INDEX_QUERY_TREE_H
#define INDEX_QUERY_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/str.h"
#include "index/query.h"

/* One entry of query_words(). */
struct tree_word {
    struct str key;    /* of its stem: 's' and the stem */
    struct str folded; /* as it was typed */
    uint32_t count;    /* qtf */
    struct term *stems; /* of `key`, in each segment that round 1 saw; documents 0: not there. NULL: there was no round 1 */
    uint64_t live;      /* live documents with `key`, as round 1 counted them */
    bool prefix;       /* it stands for all words that begin with `folded`, too */
    bool typos;        /* where nobody has it, it stands for words that are a few edits away from `folded` */
};

#define NO_WORD UINT32_MAX

struct tree_element {
    struct str key;
    uint32_t word;   /* of tree_word; NO_WORD under a negation, where nothing is scored */
    uint32_t offset; /* words behind the first element */
};

struct tree_leaf {
    struct str field;              /* empty: any */
    struct tree_element *elements; /* one, or the words of a phrase in order */
    size_t element_count;
    bool scored;
};

enum node_kind { NODE_LEAF, NODE_AND, NODE_OR, NODE_NOT };

struct tree_node {
    enum node_kind kind;
    uint32_t leaf;
    struct tree_node *first, *next; /* operands; NOT has one */
};

enum item_role { ITEM_DROPPABLE, ITEM_REQUIRED, ITEM_EXCLUDED };

struct tree_item {
    enum item_role role;
    struct tree_node *node; /* of an excluded item without its NOT */
};

struct query {
    enum query_match match;
    bool everything; /* no words but exclusions: all documents */
    struct tree_word *words;
    size_t word_count;
    struct tree_leaf *leaves;
    size_t leaf_count;
    struct tree_item *items; /* in order */
    size_t item_count;
    uint32_t *token_words; /* query_token_words */
    size_t token_count;
};

#endif
