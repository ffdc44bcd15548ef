/* How many documents have any item, without scores: bits are set, and counted. */
#include "index/query_prune.h"

#include <string.h>

struct count {
    struct scan *s;
    struct clause *clauses;
    size_t clause_count;
    struct matcher **excluded;
    struct clause *longest; /* is not marked: what it has besides what the others have is a difference; NULL: none */
};

static bool open_count(struct count *c)
{
    struct scan *s = c->s;
    const struct query *q = s->scope.query;
    c->clauses = scope_take(&s->scope, arena_new_array(s->scope.arena, q->leaf_count, struct clause));
    for (size_t i = 0; i < q->leaf_count && !s->scope.err; i++) {
        struct clause *next = &c->clauses[c->clause_count];
        if (!q->leaves[i].scored)
            continue;
        clause_open(&s->scope, &q->leaves[i], next);
        c->clause_count += next->kind != CLAUSE_NOTHING;
    }
    c->excluded = scan_matchers(s, s->plan->excluded, s->plan->excluded_count);
    return !s->scope.err;
}

/* Among words alone, of which all documents count, that with the most. */
static struct clause *find_longest(const struct count *c)
{
    struct clause *longest = NULL;
    if (c->s->core->deleted || c->s->plan->excluded_count > 0)
        return NULL;
    for (size_t i = 0; i < c->clause_count; i++) {
        struct clause *clause = &c->clauses[i];
        if (clause->kind == CLAUSE_WORD && (!longest || clause->cost > longest->cost))
            longest = clause;
    }
    return longest;
}

/* One or two words need no bits. */
static bool count_few(struct count *c)
{
    if (!c->longest || c->clause_count > 2)
        return false;
    struct clause *other = &c->clauses[c->longest == c->clauses];
    if (c->clause_count == 2 && other->kind != CLAUSE_WORD)
        return false;
    if (c->clause_count == 2)
        c->s->counts[0] += other->cost - prune_count_both(c->s, c->longest->lists, other->lists);
    return true;
}

static void clear_deleted(const struct scan *s, uint64_t *seen, uint32_t base)
{
    const struct deletion_chunk *chunk = s->core->chunks ? s->core->chunks[base / CHUNK_DOCUMENTS] : NULL;
    for (size_t i = 0; chunk && i < CHUNK_DOCUMENTS / 64; i++)
        seen[i] &= ~chunk->bits[i];
}

/* One chunk of deletion marks; phrases by windows, since their documents are no bits of a list. */
static void mark(struct count *c, uint32_t base, uint32_t end)
{
    struct prune *p = c->s->prune;
    for (size_t i = 0; i < c->clause_count; i++) {
        if (&c->clauses[i] == c->longest)
            continue;
        if (c->clauses[i].kind != CLAUSE_PHRASE) {
            clause_mark(&c->clauses[i], base, end, p->seen);
            continue;
        }
        struct window *w = prune_window(c->s);
        for (uint32_t from = base; from < end; from += WINDOW) {
            uint32_t until = end - from > WINDOW ? from + WINDOW : end;
            clause_accumulate(&c->clauses[i], from, until, w);
            for (size_t word = 0; word < WINDOW / 64; word++)
                p->seen[(from - base) / 64 + word] |= w->seen[word];
            memset(w->seen, 0, sizeof w->seen);
        }
    }
}

static uint64_t count_seen(struct count *c, uint32_t base)
{
    struct scan *s = c->s;
    const uint64_t *seen = s->prune->seen;
    if (s->plan->excluded_count == 0)
        return s->scope.kernels->count_bits((const uint8_t *)seen, CHUNK_DOCUMENTS / 64);
    uint64_t n = 0;
    for (uint32_t at = 0; at < CHUNK_DOCUMENTS; at++) {
        if (seen[at / 64] >> at % 64 & 1)
            n += !prune_is_excluded(s, c->excluded, base + at);
    }
    return n;
}

void prune_count_any(struct scan *s)
{
    struct count c = {.s = s};
    uint32_t documents = s->scope.documents;
    if (!open_count(&c) || c.clause_count == 0)
        return;
    c.longest = find_longest(&c);
    if (c.longest)
        s->counts[0] += c.longest->lists[0].list.documents;
    if (count_few(&c))
        return;
    for (uint32_t base = 0; base < documents && !scope_is_over_now(&s->scope); base += CHUNK_DOCUMENTS) {
        uint32_t end = documents - base > CHUNK_DOCUMENTS ? base + CHUNK_DOCUMENTS : documents;
        memset(s->prune->seen, 0, sizeof s->prune->seen);
        mark(&c, base, end);
        clear_deleted(s, s->prune->seen, base);
        s->counts[0] += count_seen(&c, base);
        if (c.longest)
            s->counts[0] -= scored_count_marked(c.longest->lists, base, end, s->prune->seen);
        if (documents - base <= CHUNK_DOCUMENTS)
            break;
    }
}
