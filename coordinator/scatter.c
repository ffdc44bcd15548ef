/* The rounds of a search. One shard: one round. Several: Prepare to all; Guess, if a word is misspelt, which only all of
 * them together know; the candidates' frequencies added up; Execute with weights; the hits merged; Fetch to the winners'
 * shards. Execute is the first round where all words are known (words_cache.h), or an equal search has left its weights
 * (weights_cache.h), and nothing has changed since. Whoever fails or is late is left out of what follows, and the answer is
 * partial. */
#include "coordinator/scatter_state.h"

#include <string.h>

#include "common/clock.h"
#include "common/err.h"
#include "proto/thresholds.h"

enum {
    RESTARTS_MOST = 5, /* of a search whose generations moved on between its rounds */
    GRACE_MS = 50,     /* shards cut off by themselves at the deadline: their answers are on the way */
    WAIT_LEAST_MS = 10,
};

static void start_round(struct search *s, enum search_round round);

/* -------------------------------------------------------------------------------------------------------------
 * who is left out */

static bool query_is_wrong(const char *code)
{
    return strcmp(code, CODE_UNAVAILABLE) != 0 && strcmp(code, CODE_DEADLINE) != 0 && strcmp(code, CODE_BUSY) != 0;
}

/* True if the search goes on with those that are left. What the query itself is at fault for is the same on every
 * shard, so it ends the search. */
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
    if (!failed || (alive && !query_is_wrong(failed->code) && !s->request->no_partial))
        return true;
    search_fail(s, failed->code, failed->message);
    return false;
}

static void leave_out_the_late(struct search *s)
{
    for (uint32_t i = 0; i < s->count; i++) {
        struct part *p = &s->parts[i];
        if (!p->ticket.request)
            continue;
        shards_abandon(s->server->shards, &p->ticket);
        p->ticket = (struct shard_ticket){0};
        search_let_go(p);
        search_part_fail(p, CODE_DEADLINE, "shard %u did not answer within the deadline", p->shard);
    }
    s->waiting = 0;
}

static uint32_t count_failed(const struct search *s)
{
    uint32_t failed = 0;
    for (uint32_t i = 0; i < s->count; i++)
        failed += s->parts[i].failed;
    return failed;
}

/* -------------------------------------------------------------------------------------------------------------
 * from round to round */

/* Anew for each second round: another one may weigh by other statistics, and scores of the two do not compare. */
static void share_threshold(struct search *s)
{
    struct server *server = s->server;
    tagged_max *words = (tagged_max *)(void *)server->thresholds.base;
    if (++server->threshold_tag == 0)
        server->threshold_tag = 1;
    s->threshold_tag = server->threshold_tag;
    tagged_max_begin(threshold_of(words, s->threshold_tag), s->threshold_tag);
}

static void execute(struct search *s)
{
    if (search_pack(s)) {
        search_fail(s, CODE_QUERY_TOO_LARGE, "the query has more words than a search may take");
        return;
    }
    share_threshold(s);
    start_round(s, ROUND_EXECUTE);
}

static void weigh_and_execute(struct search *s)
{
    if (search_weigh(s)) {
        search_fail(s, CODE_QUERY_TOO_LARGE, "the query has more words than a search may take");
        return;
    }
    execute(s);
}

static void guess_or_execute(struct search *s)
{
    int err = search_find_misspelt(s);
    if (err == ERR_CORRUPT)
        search_fail(s, CODE_INTERNAL, "the shards do not agree on the words of the query");
    else if (err)
        search_fail(s, CODE_QUERY_TOO_LARGE, "the query has more words than a search may take");
    else if (s->misspelt_count)
        start_round(s, ROUND_GUESS);
    else
        weigh_and_execute(s);
}

static void merge(struct search *s)
{
    const struct merged_hit **lists = arena_new_array(s->arena, s->count, const struct merged_hit *);
    size_t *counts = arena_new_array(s->arena, s->count, size_t);
    if (!lists || !counts) {
        search_fail(s, CODE_QUERY_TOO_LARGE, "the hits need more memory than a search may take");
        return;
    }
    for (uint32_t i = 0; i < s->count; i++) {
        lists[i] = s->parts[i].hits;
        counts[i] = s->parts[i].failed ? 0 : s->parts[i].hit_count;
    }
    s->merged_without = count_failed(s);
    if (merge_hits(s->arena, lists, counts, s->count, s->request->offset, s->request->limit, &s->hits, &s->hit_count))
        search_fail(s, CODE_QUERY_TOO_LARGE, "the hits need more memory than a search may take");
    else if (search_fetches(s) && s->hit_count)
        start_round(s, ROUND_FETCH);
    else
        search_reply(s);
}

/* Without its documents a hit is none: if a shard was lost meanwhile, the page is that of the others. */
static void after_fetch(struct search *s)
{
    if (count_failed(s) > s->merged_without)
        merge(s);
    else
        search_reply(s);
}

static bool take_next_edition(struct search *s)
{
    for (uint32_t i = 0; i < s->count; i++)
        buf_finish(&s->parts[i].body);
    return search_take_edition(s);
}

/* A generation that round 1 named is gone, or the settings or the shards are others: its statistics are worth nothing. */
static void restart(struct search *s)
{
    if (++s->restarts > RESTARTS_MOST) {
        search_fail(s, CODE_UNAVAILABLE, "the index changed faster than the search; try again");
        return;
    }
    for (uint32_t i = 0; i < s->count; i++)
        search_let_go(&s->parts[i]);
    search_forget_weights(s);
    s->counts = true;
    if (s->edition == s->index->edition || take_next_edition(s))
        search_begin(s);
    else
        search_fail(s, CODE_QUERY_TOO_LARGE, "the query needs more memory than a search may take");
}

void search_round_over(struct search *s)
{
    static void (*const next[])(struct search *) = {
        [ROUND_PREPARE] = guess_or_execute,
                                                     [ROUND_GUESS] = weigh_and_execute,
                                                     [ROUND_EXECUTE] = merge,
                                                     [ROUND_FETCH] = after_fetch};
    if (s->moved)
        restart(s);
    else if (survives(s))
        next[s->round](s);
}

/* ----------------------------------------------------------------------------------------------------------- deadlines
 */

static uint64_t left_ms(const struct search *s)
{
    uint64_t now = clock_us();
    return s->deadline_us > now ? (s->deadline_us - now) / 1000 : 0;
}

/* Before Execute a round has half of what is left, so that those who answered have the other half; unless all are wanted
 * or none. */
static uint64_t limit_ms(const struct search *s)
{
    return s->round < ROUND_EXECUTE && !s->request->no_partial ? left_ms(s) / 2 : left_ms(s) + GRACE_MS;
}

static bool has_statistics(const struct search *s)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (search_counts(&s->parts[i]))
            return true;
    return false;
}

static void on_limit(uv_timer_t *timer)
{
    struct search *s = timer->data;
    if (s->round == ROUND_PREPARE && !has_statistics(s) && left_ms(s) > WAIT_LEAST_MS) {
        uv_timer_start(timer, on_limit, limit_ms(s), 0); /* there is nobody to go on with */
        return;
    }
    leave_out_the_late(s);
    search_round_over(s);
}

static void start_round(struct search *s, enum search_round round)
{
    s->round = round;
    s->moved = false;
    s->waiting = 1; /* until all are sent: a failure to send must not end the round in between */
    uv_timer_start(&s->space->timer, on_limit, limit_ms(s), 0);
    for (uint32_t i = 0; i < s->count; i++)
        if (!s->parts[i].failed)
            search_send(&s->parts[i]);
    if (--s->waiting == 0)
        search_round_over(s);
}

void search_begin(struct search *s)
{
    for (uint32_t i = 0; i < s->count; i++)
        s->parts[i].statistics = NULL;
    search_release_weights(s);
    if (s->count == 1) {
        start_round(s, ROUND_EXECUTE);
    } else if (search_remembers_weights(s)) {
        execute(s);
    } else {
        start_round(s, ROUND_PREPARE);
    }
}
