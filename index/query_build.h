/* query_build.h - puts a parsed query together: words, leaves, nodes, items.  Runs in: shard, bench.
 *
 * query_parse.c knows the grammar and calls these as it reads. The first error stays in `err`, and from then on nothing
 * is added: so it is looked at where a loop could go on, and at the end. Everything is in the arena. */
#ifndef INDEX_QUERY_BUILD_H
#define INDEX_QUERY_BUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/str.h"
#include "index/analyzer.h"
#include "index/query_tree.h"

struct parsed_word {
    struct str folded;
    uint32_t position;
    bool stop;
};

struct query_builder {
    struct arena *arena;
    struct analyzer *analyzer;
    struct query *query;
    size_t word_room, leaf_room, item_room, token_room;
    struct parsed_word *text; /* words of the token in hand */
    size_t text_count, text_room;
    size_t words_seen;
    bool no_typos;
    bool keep_stop_words;
    bool skipped_stop_words;
    int err; /* ERR_FULL, ERR_TOO_LARGE: more than QUERY_MAX_WORDS */
};

/* The words of `text` are those in hand. */
void query_build_read(struct query_builder *b, struct str text);

/* Whether a word in hand does not count, as a stop word. */
bool query_build_skips(struct query_builder *b, const struct parsed_word *w);

/* One word is one leaf and one counted word, wherever in the expression it stands. There is one prefix at most.
 * `silent`: it scores nothing, under a negation. NULL: `err`. */
struct tree_node *query_build_word(struct query_builder *b, struct str folded, struct str field, bool prefix,
                                   bool silent);

/* Between quotes a word means itself, here and wherever else it stands in the query. */
void query_build_literally(struct query_builder *b, const struct tree_node *n);

/* The words in hand, stop words among them, as one phrase. */
struct tree_node *query_build_phrase(struct query_builder *b, struct str field, bool silent);

struct tree_node *query_build_node(struct query_builder *b, enum node_kind kind, struct tree_node *first);

/* Children in order, behind each other; a list of one is that one. NULLs are passed over. */
struct query_node_list {
    struct tree_node *first, *last;
};

void query_node_list_add(struct query_node_list *list, struct tree_node *n);
struct tree_node *query_build_list(struct query_builder *b, struct query_node_list list, enum node_kind kind);

/* One more at the top. NULL: none. */
void query_build_item(struct query_builder *b, enum item_role role, struct tree_node *node);

/* One more token, of so many counted words (query_token_words). */
void query_build_token(struct query_builder *b, uint32_t words);

#endif
