/* The rounds of a search. One shard: one round. Several: Prepare to all, the candidates' frequencies added up, Execute
 * with weights, the hits merged, Fetch to the winners' shards. */
#include "coordinator/scatter_state.h"

#include <string.h>

enum { MOVED_MOST = 5 };

static void start_round(struct search *s, enum search_round round);

/* Some shards did not answer: the others' answer stands, as partial. None did: why not. True if the search goes on. */
static bool survives(struct search *s)
{
    const struct part *failed = NULL;
    uint32_t alive = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->parts[i].failed)
            failed = &s->parts[i];
        else
            alive++;
    }
    if (!failed)
        return true;
    /* What the query itself is at fault for is the same on every shard. */
    bool query_is_wrong = strcmp(failed->code, CODE_UNAVAILABLE) != 0 && strcmp(failed->code, CODE_DEADLINE) != 0 &&
                          strcmp(failed->code, CODE_BUSY) != 0;
    if (alive && !query_is_wrong) {
        s->partial = true;
        return true;
    }
    search_fail(s, failed->code, failed->message);
    return false;
}

static void merge(struct search *s)
{
    const struct merged_hit **lists = arena_new_array(&s->arena, s->count, const struct merged_hit *);
    size_t *counts = arena_new_array(&s->arena, s->count, size_t);
    if (!lists || !counts) {
        search_fail(s, CODE_QUERY_TOO_LARGE, "the hits need more memory than a search may take");
        return;
    }
    for (uint32_t i = 0; i < s->count; i++) {
        lists[i] = s->parts[i].hits;
        counts[i] = s->parts[i].failed ? 0 : s->parts[i].hit_count;
    }
    if (merge_hits(&s->arena, lists, counts, s->count, s->request->offset, s->request->limit, &s->hits, &s->hit_count))
        search_fail(s, CODE_QUERY_TOO_LARGE, "the hits need more memory than a search may take");
    else if (s->count > 1 && !s->request->no_documents && s->hit_count)
        start_round(s, ROUND_FETCH);
    else
        search_reply(s);
}

void search_round_over(struct search *s)
{
    if (s->moved && s->moved < MOVED_MOST * s->count && s->round != ROUND_FETCH) {
        for (uint32_t i = 0; i < s->count; i++)
            shards_abandon(s->server->shards, &s->parts[i].prepared);
        start_round(s, ROUND_PREPARE);
        return;
    }
    if (s->moved && s->round == ROUND_FETCH) {
        search_fail(s, CODE_UNAVAILABLE, "the index changed faster than the search; try again");
        return;
    }
    if (!survives(s))
        return;
    int err = s->round == ROUND_PREPARE ? search_weigh(s) : 0;
    if (err)
        search_fail(s, CODE_QUERY_TOO_LARGE, "the query has more words than a search may take");
    else if (s->round == ROUND_PREPARE)
        start_round(s, ROUND_EXECUTE);
    else if (s->round == ROUND_EXECUTE)
        merge(s);
    else
        search_reply(s);
}

static void start_round(struct search *s, enum search_round round)
{
    s->round = round;
    if (round == ROUND_PREPARE)
        s->moved = 0;
    s->waiting = 1; /* until all are sent: a failure to send must not end the round in between */
    for (uint32_t i = 0; i < s->count; i++) {
        s->parts[i].answered = false;
        if (!s->parts[i].failed)
            search_send(&s->parts[i], round);
    }
    if (--s->waiting == 0)
        search_round_over(s);
}

void search_begin(struct search *s)
{
    start_round(s, s->count == 1 ? ROUND_EXECUTE : ROUND_PREPARE);
}

/* -------------------------------------------------------------------------------------------------------------
 * deadline */

/* Whoever has not answered by now is left out. */
void search_on_deadline(uv_timer_t *timer)
{
    struct search *s = timer->data;
    for (uint32_t i = 0; i < s->count; i++) {
        struct part *p = &s->parts[i];
        if (!p->ticket.request)
            continue;
        shards_abandon(s->server->shards, &p->ticket);
        p->ticket = (struct shard_ticket){0};
        search_part_fail(p, CODE_DEADLINE, "the search took longer than its deadline");
    }
    s->partial = true;
    s->waiting = 0;
    if (s->round == ROUND_FETCH) {
        search_fail(s, CODE_DEADLINE, "the documents could not be read within the deadline");
        return;
    }
    if (!survives(s))
        return;
    if (s->round == ROUND_PREPARE)
        search_fail(s, CODE_DEADLINE, "the search took longer than its deadline");
    else
        merge(s);
}
