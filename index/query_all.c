/* The best of the documents that have all of what is required and at least so many rungs of the ladder. The rarest clause
 * leads, a block of its documents at a time; a block is passed over where the bounds of all clauses there are too low (Ding
 * and Suel, "Faster top-k document retrieval using block-max indexes", 2011), and what is left of it is looked up in the
 * other clauses, the next rarest first. */
#include "index/query_prune.h"

#include <string.h>

#include "index/query_phrase.h"

enum { CLOCK_EVERY = 16 /* blocks */ };

struct all {
    struct scan *s;
    struct batch *batch;
    struct clause *clauses;   /* one per leaf */
    struct clause **required; /* what every hit has, cheapest first, phrases last */
    size_t required_count;
    size_t must; /* rungs among them */
    struct clause *lead;
    struct matcher **excluded;
    bool incomplete_only;
    uint32_t from;    /* documents below it are done */
    bool pruned;      /* not all hits were counted */
    uint64_t counted; /* hits, of those that have all rungs */
};

/* ------------------------------------------------------------------------------------------------------------- opening
 */

/* Whether the segment has something of all that every hit must have. */
static bool may_have_all(struct all *x)
{
    struct scan *s = x->s;
    const struct tree_leaf *leaves = s->scope.query->leaves;
    for (size_t i = 0; i < s->plan->required_count; i++) {
        if (!clause_may_be(&s->scope, &leaves[s->plan->required[i]->leaf]))
            return false;
    }
    for (size_t i = 0; i < x->must; i++) {
        if (!clause_may_be(&s->scope, &leaves[s->plan->ladder[i]]))
            return false;
    }
    return true;
}

static bool open_all(struct all *x)
{
    struct scan *s = x->s;
    const struct query *q = s->scope.query;
    x->clauses = scope_take(&s->scope, arena_new_array(s->scope.arena, q->leaf_count, struct clause));
    x->required = scope_take(&s->scope, arena_new_array(s->scope.arena, q->leaf_count + 1, struct clause *));
    for (size_t i = 0; i < q->leaf_count && !s->scope.err; i++) {
        if (q->leaves[i].scored)
            clause_open(&s->scope, &q->leaves[i], &x->clauses[i]);
    }
    x->excluded = scan_matchers(s, s->plan->excluded, s->plan->excluded_count);
    return !s->scope.err;
}

static bool comes_before(const struct clause *a, const struct clause *b)
{
    bool is_phrase = a->kind == CLAUSE_PHRASE, other_is = b->kind == CLAUSE_PHRASE;
    return is_phrase != other_is ? other_is : a->cost < b->cost;
}

static void add_required(struct all *x, struct clause *c)
{
    size_t at = x->required_count;
    for (size_t i = 0; i < at; i++) {
        if (x->required[i] == c)
            return;
    }
    x->required_count++;
    for (; at > 0 && comes_before(c, x->required[at - 1]); at--)
        x->required[at] = x->required[at - 1];
    x->required[at] = c;
    if (!x->lead || c->cost < x->lead->cost)
        x->lead = c;
}

/* With so many rungs, from where the scan is. False if a document that has them all cannot be. */
static bool require(struct all *x, size_t must)
{
    const struct plan *p = x->s->plan;
    x->must = must;
    x->required_count = 0;
    x->lead = NULL;
    for (size_t i = 0; i < p->required_count; i++)
        add_required(x, &x->clauses[p->required[i]->leaf]);
    for (size_t i = 0; i < must; i++)
        add_required(x, &x->clauses[p->ladder[i]]);
    for (size_t i = 0; i < x->required_count; i++) {
        if (x->required[i]->kind == CLAUSE_NOTHING)
            return false;
    }
    if (x->lead && x->lead->found_at != NO_WINDOW) /* as another's follower it went on to the end of a window */
        clause_rewind(x->lead);
    return x->required_count > 0;
}

/* ---------------------------------------------------------------------------------------------------------- candidates
 */

static bool is_complete(const struct all *x)
{
    return x->must == x->s->plan->rungs;
}

/* What a document at or after `from` must score; only where no hit has more rungs than another. Nothing as long as nobody
 * was tried: by those that are the total is estimated, whatever other shards know. */
static int32_t least_score(const struct all *x, uint32_t from)
{
    bool is_asked = is_complete(x) && from < x->s->scope.documents && x->s->prune->tried > 0;
    return is_asked ? prune_least(x->s, from) : 0;
}

/* What all required clauses but the lead may add. */
static int32_t bound_of_others(const struct all *x)
{
    int32_t sum = 0;
    for (size_t i = 0; i < x->required_count; i++)
        sum += x->required[i] == x->lead ? 0 : x->required[i]->bound;
    return sum;
}

/* Whether a document in [from, end) to which the lead adds at most `sum` can score `least`. */
static bool can_reach(struct all *x, int32_t sum, uint32_t from, uint32_t end, int32_t least)
{
    for (size_t i = 0; i < x->required_count; i++) {
        int32_t bound = x->required[i] == x->lead ? 0 : clause_bound(x->required[i], from, end);
        if (bound == ABSENT)
            return false;
        sum += bound;
    }
    return sum >= least;
}

/* Of the lead's block what lies at or after x->from and may score `least`, and how many lie there; scores are what the
 * lead adds, of a phrase, whose rarest word's block it is, 0: its words are looked up with it. */
static size_t take_block(struct all *x, struct scored_list *l, uint32_t block, int32_t least)
{
    struct batch *b = x->batch;
    b->count = 0;
    if (!scored_enter(l, block))
        return 0;
    size_t skipped = kernel_below(l->block.documents, l->block.count, x->from);
    size_t count = l->block.count - skipped;
    bool is_word = x->lead->kind != CLAUSE_PHRASE && !x->s->scope.unscored;
    if (is_word || least > 0) {
        scored_score_block(l);
        b->count = x->s->scope.kernels->keep_scores(l->block.documents + skipped, l->scores + skipped, count, least,
                                                    b->documents, b->scores);
    } else {
        memcpy(b->documents, l->block.documents + skipped, count * sizeof *b->documents);
        b->count = count;
    }
    if (!is_word)
        memset(b->scores, 0, b->count * sizeof *b->scores);
    return count;
}

/* The lead is a group: what it adds in a window. */
static void take_group_window(struct all *x, uint32_t base, uint32_t end)
{
    struct batch *b = x->batch;
    struct window *w = prune_window(x->s);
    clause_accumulate(x->lead, base, end, w);
    size_t count = x->s->scope.kernels->expand_bits((const uint8_t *)w->seen, WINDOW / 64, base, b->documents);
    b->count = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t document = b->documents[i];
        b->documents[b->count] = document;
        b->scores[b->count] = w->sums[document - base];
        b->count += document >= x->from;
        w->sums[document - base] = 0;
    }
    memset(w->seen, 0, sizeof w->seen);
}

/* The required clauses one after the other; `rest` is what all of them may add. */
static void require_others(struct all *x, int32_t least, int32_t rest)
{
    struct batch *b = x->batch;
    for (size_t i = 0; i < x->required_count && b->count > 0; i++) {
        struct clause *c = x->required[i];
        if (c == x->lead && c->kind != CLAUSE_PHRASE)
            continue;
        rest -= c->bound;
        struct candidates candidates = {
            .documents = b->documents,
            .count = b->count,
            .scores = least > 0 ? b->scores : NULL,
            .least = least - rest,
            .out = b->added,
        };
        clause_look_up(c, &candidates);
        prune_add(x->s, b, true, candidates.least);
    }
}

/* ---------------------------------------------------------------------------------------------------------------- hits
 */

/* The rungs that may be missing, in order: what they add, and up to where none is missing. */
static void climb(struct all *x)
{
    struct batch *b = x->batch;
    const struct plan *p = x->s->plan;
    memset(b->kept, 0, b->count * sizeof *b->kept);
    for (size_t rung = x->must; rung < p->rungs; rung++) {
        struct candidates c = {.documents = b->documents, .count = b->count, .out = b->added};
        clause_look_up(&x->clauses[p->ladder[rung]], &c);
        for (size_t i = 0; i < b->count; i++) {
            bool has = b->added[i] >= 0;
            b->scores[i] += has ? b->added[i] : 0;
            b->kept[i] = (uint16_t)(b->kept[i] + (has && b->kept[i] == rung - x->must));
        }
    }
}

static void offer(struct all *x)
{
    struct scan *s = x->s;
    struct batch *b = x->batch;
    if (s->scope.unscored && is_complete(x)) {
        s->counts[0] += x->incomplete_only ? 0 : b->count;
        return;
    }
    if (is_complete(x) && !x->incomplete_only) {
        s->counts[0] += b->count;
        x->counted += b->count;
        prune_offer(s, b);
        return;
    }
    for (size_t i = 0; i < b->count && !s->scope.err; i++) {
        uint32_t dropped = (uint32_t)(s->plan->rungs - x->must - b->kept[i]);
        if (x->incomplete_only && dropped == 0)
            continue;
        s->counts[dropped]++;
        x->counted += dropped == 0;
        scan_offer(s, dropped, (uint64_t)b->scores[i], b->documents[i]);
    }
}

/* `tried` of the lead's documents were there, those that the batch has not for want of score among them. */
static void finish_batch(struct all *x, size_t tried, int32_t least, int32_t rest)
{
    struct prune *p = x->s->prune;
    uint64_t before = x->counted;
    require_others(x, least, rest);
    prune_exclude(x->s, x->batch, x->excluded);
    climb(x);
    offer(x);
    prune_share(x->s);
    if (least > 0 || !is_complete(x))
        return;
    p->tried += tried;
    p->found += x->counted - before;
}

/* Nothing more has become necessary. */
static bool is_enough(const struct all *x)
{
    return scan_rungs_needed(x->s, x->must) == x->must;
}

/* --------------------------------------------------------------------------------------------------------------- ways
 */

/* Both return at the end, or when more rungs have become necessary. */

static void walk_windows(struct all *x)
{
    uint32_t documents = x->s->scope.documents;
    while (x->from < documents && !scope_is_over_now(&x->s->scope) && is_enough(x)) {
        uint32_t base = clause_reach(x->lead, x->from) & ~(uint32_t)(WINDOW - 1);
        if (base >= documents) {
            x->from = documents;
            return;
        }
        uint32_t end = documents - base > WINDOW ? base + WINDOW : documents;
        int32_t least = least_score(x, base);
        take_group_window(x, base, end);
        x->pruned |= least > 0;
        finish_batch(x, x->batch->count, least, bound_of_others(x));
        x->from = end;
    }
}

/* What the lead may add in a block of its own, from x->from on; a phrase is bounded by its other words, too. */
static int32_t lead_bound(struct all *x, uint32_t block, uint32_t end, int32_t least)
{
    if (x->lead->kind != CLAUSE_PHRASE)
        return scored_block_bound(&x->lead->lists[0], block);
    return least > 0 ? clause_bound(x->lead, x->from, end) : x->lead->bound;
}

/* Whether a document from x->from on to `end` can have all phrases, as far as lists of pairs tell. */
static bool may_have_phrases(const struct all *x, uint32_t end)
{
    for (size_t i = 0; i < x->required_count; i++) {
        const struct clause *c = x->required[i];
        if (c->kind == CLAUSE_PHRASE && !phrase_may_be(c, x->from, end))
            return false;
    }
    return true;
}

/* Nothing of the lead's block is a hit: as if all of it had been looked at. */
static void pass_over(struct all *x, uint32_t block, int32_t least)
{
    const struct posting_list *l = &x->lead->lists[0].list;
    if (least == 0 && is_complete(x))
        x->s->prune->tried += block + 1 < l->blocks ? (uint32_t)POSTING_BLOCK : l->documents - block * POSTING_BLOCK;
}

static void walk_blocks(struct all *x)
{
    struct scope *scope = &x->s->scope;
    struct scored_list *l = &x->lead->lists[0];
    uint32_t blocks = l->list.blocks, ticks = 0;
    int32_t others = bound_of_others(x), rest = others + (x->lead->kind == CLAUSE_PHRASE ? x->lead->bound : 0);
    for (uint32_t block = list_find(&l->list, 0, x->from); is_enough(x); block++) {
        if (block >= blocks)
            x->from = scope->documents;
        if (block >= blocks || scope->err || (ticks++ % CLOCK_EVERY == 0 && scope_is_over_now(scope)))
            return;
        uint32_t end = block + 1 < blocks ? list_last(&l->list, block) + 1 : scope->documents;
        int32_t least = least_score(x, x->from), bound = lead_bound(x, block, end, least);
        x->pruned |= least > 0;
        if (!may_have_phrases(x, end)) {
            pass_over(x, block, least);
        } else if (bound + others >= least && (least == 0 || can_reach(x, bound, x->from, end, least))) {
            size_t tried = take_block(x, l, block, least - others - (bound - scored_block_bound(l, block)));
            finish_batch(x, tried, least, rest);
        }
        x->from = end;
    }
}

/* The lead is a phrase, and the documents are known that may have it: a block of them at a time. */
static void walk_listed(struct all *x)
{
    struct scope *scope = &x->s->scope;
    struct batch *b = x->batch;
    const uint32_t *documents;
    int32_t others = bound_of_others(x), rest = others + x->lead->bound;
    size_t left = phrase_documents(x->lead, x->from, &documents), count;
    for (; left > 0 && is_enough(x) && !scope_is_over(scope); left -= count, documents += count) {
        count = left < POSTING_BLOCK ? left : (size_t)POSTING_BLOCK;
        uint32_t from = documents[0], end = documents[count - 1] + 1;
        int32_t least = least_score(x, from), bound = least > 0 ? clause_bound(x->lead, from, end) : x->lead->bound;
        x->pruned |= least > 0;
        if (bound + others >= least && (least == 0 || can_reach(x, bound, from, end, least))) {
            memcpy(b->documents, documents, count * sizeof *documents);
            memset(b->scores, 0, count * sizeof *b->scores);
            b->count = count;
            finish_batch(x, count, least, rest);
        }
        x->from = end;
    }
    if (left == 0)
        x->from = scope->documents;
}

/* Of which documents those that are tried are some: a phrase's first word has more than the phrase. */
static uint64_t candidates(const struct all *x)
{
    const uint32_t *listed;
    if (x->lead->kind != CLAUSE_PHRASE)
        return x->lead->cost;
    return phrase_leads(x->lead) ? phrase_documents(x->lead, 0, &listed) : x->lead->lists[0].list.documents;
}

/* As many of the lead's documents are hits as of those that were tried while any score got in: what was counted after
 * that is only what scores more. */
static void estimate(struct all *x)
{
    const struct prune *p = x->s->prune;
    if (!x->pruned || p->tried == 0)
        return;
    uint64_t hits = (uint64_t)((double)candidates(x) * (double)p->found / (double)p->tried);
    x->s->counts[0] += hits > x->counted ? hits - x->counted : 0;
}

/* Nothing but the number of documents is asked, all of which count. */
static bool is_count(const struct all *x)
{
    const struct scan *s = x->s;
    return s->scope.unscored && is_complete(x) && !x->incomplete_only && s->core->deleted == 0 &&
           s->plan->excluded_count == 0;
}

static bool count_two(struct all *x)
{
    struct clause **r = x->required;
    if (x->required_count != 2 || r[0]->kind != CLAUSE_WORD || r[1]->kind != CLAUSE_WORD)
        return false;
    x->s->counts[0] += prune_count_both(x->s, r[0]->lists, r[1]->lists);
    return true;
}

static bool count_phrase(struct all *x)
{
    const struct clause *c = x->required[0];
    if (x->required_count != 1 || c->kind != CLAUSE_PHRASE || !phrase_is_counted(c))
        return false;
    x->s->counts[0] += c->cost;
    return true;
}

void prune_all(struct scan *s, size_t must, bool incomplete_only)
{
    struct all x = {.s = s, .batch = &s->prune->batch, .must = must, .incomplete_only = incomplete_only};
    if (!may_have_all(&x) || !open_all(&x))
        return;
    if (is_count(&x) && require(&x, must) && (count_two(&x) || count_phrase(&x)))
        return;
    while (x.from < s->scope.documents && !s->scope.err && !s->scope.late && require(&x, scan_rungs_needed(s, x.must))) {
        if (x.lead->kind == CLAUSE_GROUP)
            walk_windows(&x);
        else if (x.lead->kind == CLAUSE_PHRASE && phrase_leads(x.lead))
            walk_listed(&x);
        else
            walk_blocks(&x);
    }
    if (x.lead && !s->scope.err)
        estimate(&x);
}
