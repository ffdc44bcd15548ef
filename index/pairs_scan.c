#include "index/pairs_scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "index/segment_parts.h"
#include "index/sort.h"

enum {
    LEAST_TOKENS = 1 << 14,
    WINDOW_DOCUMENTS = 1 << 13, /* at most; at most 2^16 */
    NEAR = 1 << 15,             /* positions below it are put to where they belong; others are sorted */
};

/* A word in a window: document in it << 48 | position << 16 | ordinal. */
static inline uint32_t token_position(uint64_t token)
{
    return (uint32_t)(token >> 16);
}

static inline uint32_t token_word(uint64_t token)
{
    return (uint32_t)token & 0xffff;
}

struct cursor {
    struct posting_list list;
    uint32_t block; /* where the window begins, or before it */
};

/* Documents [from, end), of which positions in [first, last] count: all, but of a document that is too long for a window.
 */
struct window {
    uint32_t from, end, first, last;
    size_t count;
    uint32_t starts[WINDOW_DOCUMENTS + 1]; /* of each document's tokens, once they are ordered */
};

struct pairs_scan {
    struct cursor *cursors;
    size_t word_count;
    uint32_t documents;
    struct window window;
    uint32_t span; /* documents of the next window, if there are so many */
    size_t token_room; /* of a window */
    uint64_t *tokens, *ordered;
    uint16_t *places; /* NEAR + 1, all 0 between documents */
    uint32_t *gaps;
    size_t gap_room;
    struct posting_block block;
};

/* ------------------------------------------------------------------------------------------------------------- opening
 */

static int open_lists(struct pairs_scan *s, const struct segment *segment, const struct paired_word *words)
{
    int err = 0;
    for (size_t i = 0; i < s->word_count && !err; i++)
        err = list_open(&s->cursors[i].list, segment, &words[i].term, segment->kernels);
    return err;
}

int pairs_scan_open(const struct segment *segment, const struct pairs_out *pairs, size_t memory,
                    struct pairs_scan **out)
{
    struct pairs_scan *s = calloc(1, sizeof *s);
    if (!s)
        return -ENOMEM;
    size_t tokens = memory / (2 * sizeof *s->tokens);
    s->word_count = pairs->count;
    s->documents = segment->toc.documents;
    s->token_room = tokens > LEAST_TOKENS ? tokens : (size_t)LEAST_TOKENS;
    s->cursors = calloc(pairs->count + 1, sizeof *s->cursors);
    s->tokens = malloc(s->token_room * sizeof *s->tokens);
    s->ordered = malloc(s->token_room * sizeof *s->ordered);
    s->places = calloc(NEAR + 1, sizeof *s->places);
    int err = s->cursors && s->tokens && s->ordered && s->places ? open_lists(s, segment, pairs->words) : -ENOMEM;
    if (err)
        pairs_scan_close(s);
    else
        *out = s;
    return err;
}

void pairs_scan_close(struct pairs_scan *s)
{
    if (!s)
        return;
    free(s->cursors);
    free(s->tokens);
    free(s->ordered);
    free(s->places);
    free(s->gaps);
    free(s);
}

/* ------------------------------------------------------------------------------------------------------------- reading
 */

static int make_room(struct pairs_scan *s, size_t count)
{
    if (count + GAPS_SLACK <= s->gap_room)
        return 0;
    free(s->gaps);
    s->gap_room = count + count / 2 + GAPS_SLACK;
    s->gaps = malloc(s->gap_room * sizeof *s->gaps);
    if (!s->gaps)
        s->gap_room = 0;
    return s->gaps ? 0 : -ENOMEM;
}

/* Of one document: the gap of the first is its position. */
static void take_all(struct window *w, uint64_t *tokens, uint64_t head, const uint32_t *gaps, uint32_t count)
{
    uint64_t position = gaps[0];
    for (uint32_t k = 0; k < count; k++) {
        position += k > 0 ? gaps[k] + UINT64_C(1) : 0;
        tokens[w->count++] = head | position << 16;
    }
}

/* The same of those that count, as far as there is room. */
static int take_some(struct pairs_scan *s, uint64_t head, const uint32_t *gaps, uint32_t count)
{
    struct window *w = &s->window;
    uint64_t position = gaps[0];
    for (uint32_t k = 0; k < count; k++) {
        position += k > 0 ? gaps[k] + UINT64_C(1) : 0;
        if (position < w->first || position > w->last)
            continue;
        if (w->count == s->token_room)
            return ERR_FULL;
        s->tokens[w->count++] = head | position << 16;
    }
    return 0;
}

/* Postings of the block in hand. ERR_FULL if the window has no room for them. */
static int take_postings(struct pairs_scan *s, const struct posting_list *l, uint32_t from, uint32_t end, uint32_t ordinal)
{
    struct window *w = &s->window;
    const uint32_t *starts = s->block.starts;
    size_t size = starts[end] - starts[from];
    int err = make_room(s, size);
    const uint32_t *gaps = err ? NULL : block_gaps(l, &s->block, from, end, s->gaps);
    if (!gaps)
        return err ? err : ERR_CORRUPT;
    bool all = w->first == 0 && w->last == UINT32_MAX && size <= s->token_room - w->count;
    for (uint32_t i = from; i < end && !err; i++) {
        uint64_t head = (uint64_t)(s->block.documents[i] - w->from) << 48 | ordinal;
        const uint32_t *own = gaps + (starts[i] - starts[from]);
        if (all)
            take_all(w, s->tokens, head, own, starts[i + 1] - starts[i]);
        else
            err = take_some(s, head, own, starts[i + 1] - starts[i]);
    }
    return err;
}

static int enter(struct pairs_scan *s, const struct posting_list *l, uint32_t block)
{
    int err = block_enter(l, block, &s->block);
    if (err)
        return err;
    block_documents(l, &s->block);
    return block_starts(l, &s->block);
}

static int take_word(struct pairs_scan *s, struct cursor *c, uint32_t ordinal)
{
    struct window *w = &s->window;
    const struct posting_list *l = &c->list;
    int err = 0;
    c->block = list_find(l, c->block, w->from);
    for (uint32_t block = c->block; block < l->blocks && !err; block++) {
        if (block > 0 && list_last(l, block - 1) >= w->end - 1)
            break;
        err = enter(s, l, block);
        size_t from = err ? 0 : kernel_below(s->block.documents, s->block.count, w->from);
        size_t end = err ? 0 : kernel_below(s->block.documents, s->block.count, w->end);
        if (from < end)
            err = take_postings(s, l, (uint32_t)from, (uint32_t)end, ordinal);
    }
    return err;
}

/* Too many tokens: fewer documents, or fewer positions of one, the last of them the first of the next window. */
static void narrow(struct pairs_scan *s)
{
    struct window *w = &s->window;
    if (w->end - w->from == 1) {
        w->last = w->first + (uint32_t)s->token_room - 1;
        return;
    }
    s->span = (w->end - w->from) / 2;
    w->end = w->from + s->span;
}

static int fill_window(struct pairs_scan *s)
{
    int err = ERR_FULL;
    while (err == ERR_FULL) {
        s->window.count = 0;
        err = 0;
        for (size_t i = 0; i < s->word_count && !err; i++)
            err = take_word(s, &s->cursors[i], (uint32_t)i + 1);
        if (err == ERR_FULL)
            narrow(s);
    }
    if (s->window.count < s->token_room / 4 && s->span < WINDOW_DOCUMENTS)
        s->span *= 2;
    return err;
}

/* Behind the one before. */
static void next_window(struct pairs_scan *s)
{
    struct window *w = &s->window;
    if (w->end > w->from && w->last < UINT32_MAX) {
        w->first = w->last;
        w->last = UINT32_MAX;
        return;
    }
    w->from = w->end;
    w->end = s->documents - w->from < s->span ? s->documents : w->from + s->span;
    w->first = 0;
    w->last = UINT32_MAX;
}

/* ------------------------------------------------------------------------------------------------------------ ordering
 */

static void order_by_documents(struct pairs_scan *s)
{
    struct window *w = &s->window;
    uint32_t documents = w->end - w->from, next[WINDOW_DOCUMENTS + 1] = {0};
    for (size_t i = 0; i < w->count; i++)
        next[(s->tokens[i] >> 48) + 1]++;
    for (uint32_t i = 0; i < documents; i++)
        next[i + 1] += next[i];
    memcpy(w->starts, next, (documents + 1) * sizeof *next);
    for (size_t i = 0; i < w->count; i++)
        s->ordered[next[s->tokens[i] >> 48]++] = s->tokens[i];
}

static void find_near(struct pairs_scan *s, const uint64_t *tokens, size_t count, uint32_t range,
                      struct pairs_found *found)
{
    uint16_t *places = s->places;
    for (size_t i = 0; i < count; i++)
        places[token_position(tokens[i])] = (uint16_t)token_word(tokens[i]);
    for (size_t i = 0; i < count; i++) {
        uint16_t second = places[token_position(tokens[i]) + 1];
        if (second)
            pairs_found_add(found, token_word(tokens[i]), second, range);
    }
    for (size_t i = 0; i < count; i++)
        places[token_position(tokens[i])] = 0;
}

static int compare(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void find_far(uint64_t *tokens, size_t count, uint32_t range, struct pairs_found *found)
{
    sort_in_place(tokens, count, sizeof *tokens, compare);
    for (size_t i = 1; i < count; i++) {
        if (token_position(tokens[i]) == token_position(tokens[i - 1]) + 1)
            pairs_found_add(found, token_word(tokens[i - 1]), token_word(tokens[i]), range);
    }
}

static bool are_near(const uint64_t *tokens, size_t count)
{
    uint32_t all = 0;
    for (size_t i = 0; i < count; i++)
        all |= token_position(tokens[i]);
    return all < NEAR;
}

static void find_pairs(struct pairs_scan *s, unsigned shift, struct pairs_found *found)
{
    const struct window *w = &s->window;
    order_by_documents(s);
    for (uint32_t i = 0; i < w->end - w->from; i++) {
        uint64_t *tokens = s->ordered + w->starts[i];
        size_t count = w->starts[i + 1] - w->starts[i];
        uint32_t range = (w->from + i) >> shift;
        if (are_near(tokens, count))
            find_near(s, tokens, count, range, found);
        else
            find_far(tokens, count, range, found);
    }
}

int pairs_scan_run(struct pairs_scan *s, unsigned shift, struct pairs_found *found)
{
    int err = 0;
    s->window = (struct window){.last = UINT32_MAX};
    s->span = WINDOW_DOCUMENTS;
    for (size_t i = 0; i < s->word_count; i++)
        s->cursors[i].block = 0;
    while (!err && !found->is_full && (s->window.end < s->documents || s->window.last < UINT32_MAX)) {
        next_window(s);
        err = fill_window(s);
        if (!err)
            find_pairs(s, shift, found);
    }
    pairs_found_end(found);
    return err;
}
