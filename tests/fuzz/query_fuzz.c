/* A query's text of any bytes, more often of pieces that mean something. */
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "index/query.h"
#include "index/query_tree.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/plain_analyzer.h"

enum { MAX_DEPTH = 64 * 3 + 3 }; /* of nodes: an OR of ANDs of NOTs in each group */

static struct {
    struct analyzer analyzer;
    struct arena arena;
} state;

static void require_that(bool claim)
{
    if (!claim)
        abort();
}

static void check_node(const struct query *q, const struct tree_node *n, size_t depth)
{
    require_that(depth <= MAX_DEPTH);
    require_that((n->kind == NODE_LEAF) == (n->first == NULL));
    require_that(n->kind != NODE_LEAF || n->leaf < q->leaf_count);
    for (const struct tree_node *child = n->first; child; child = child->next)
        check_node(q, child, depth + 1);
}

static void check_query(const struct query *q)
{
    require_that(q->word_count <= QUERY_MAX_WORDS);
    for (size_t i = 0; i < q->item_count; i++)
        check_node(q, q->items[i].node, 0);
    for (size_t i = 0; i < q->leaf_count; i++) {
        const struct tree_leaf *l = &q->leaves[i];
        require_that(l->element_count > 0);
        for (size_t k = 0; k < l->element_count; k++) {
            require_that(l->elements[k].key.len >= 2 && l->elements[k].offset >= k);
            require_that(l->scored ? l->elements[k].word < q->word_count : l->elements[k].word == NO_WORD);
        }
    }
}

/* Without documents: nothing is found, but everything is walked. */
static void run_empty(const struct query *q)
{
    struct core_view view = {.references = 1};
    struct snapshot empty = {.references = 1, .view = &view};
    struct query_word *words = arena_new_array(&state.arena, query_words(q), struct query_word);
    struct query_weights *weights = arena_new_array(&state.arena, query_words(q), struct query_weights);
    struct query_run run = {.weights = weights, .limit = 10};
    struct query_fault fault;
    struct query_result result;
    if (!words || !weights || query_prepare_alone(&state.arena, q, &empty, words, &fault))
        return;
    if (query_execute(&state.arena, q, &empty, &run, &result, &fault) == 0)
        require_that(result.hit_count == 0);
}

static void parse(struct str text, struct query_options options)
{
    struct query *q;
    int err = query_parse(&state.arena, &state.analyzer, text, &options, &q);
    require_that(err == 0 || err == ERR_FULL || err == ERR_TOO_LARGE);
    if (!err) {
        check_query(q);
        run_empty(q);
    }
    arena_rewind(&state.arena, 0);
}

static size_t spell(const uint8_t *data, size_t size, char *text)
{
    static const char *const pieces[] = {
        "(",    ")",    "\"", "-",    "+",       " ",  "a",  "the ", "AND ", "OR ",
        "NOT ", " cat", ":",  "f:",   "((",      "))", "-(", "\"a",  "a\" ", "\xe5\x85\xa8",
        "x-y",  "NOT(", "\0", "\xff", "title:(", "  "};
    return fuzz_spell(pieces, sizeof pieces / sizeof *pieces, data, size, text);
}

static int query_fuzz(const uint8_t *data, size_t size)
{
    if (!state.arena.cap && (arena_init(&state.arena, 1 << 20, 0) || arena_init(&state.analyzer.words, 1 << 16, 0)))
        return 0;
    char *text = malloc(8 * size + 1);
    if (!text)
        return 0;
    struct query_options options = {.match = (enum query_match)(size % 4), .plain_words = size % 11 == 0};
    if (size > 0)
        memcpy(text, data, size);
    parse((struct str){text, size}, options);
    parse((struct str){text, spell(data, size, text)}, options);
    free(text);
    return 0;
}

static void finish(void)
{
    arena_finish(&state.arena);
    arena_finish(&state.analyzer.words);
}

const struct fuzz_target fuzz_target = {
    .most = 2000, .rounds = 20000, .mutations = 2, .run = query_fuzz, .finish = finish};
