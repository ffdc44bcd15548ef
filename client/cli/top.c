#include "client/cli/top_screen.h"
#include "client/cli/top_view.h"

#include <stdio.h>
#include <stdlib.h>

#include "client/cli/commands.h"
#include "client/cli/emit.h"
#include "client/cli/report.h"
#include "common/clock.h"

enum { COUNT_MOST = 1000000000 };

struct top {
    struct cli *cli;
    struct screen screen;
    struct top_sample before, now;
    struct buf lines;
    uint64_t interval_us;
    uint32_t count; /* 0: until it is ended */
};

/* The same request again and again. What fails is told when the terminal is as it was. */
static int ask(struct top *t, struct mayfly_answer *answer, struct mayfly_failure *failure)
{
    Mayfly__StatsGet get = MAYFLY__STATS_GET__INIT;
    REQUEST(request, stats_get, STATS_GET, get);
    return mayfly_call(t->cli->connection, &request, MAYFLY__ENVELOPE__MESSAGE_STATS, answer, failure);
}

static void print_json(const Mayfly__Stats *s, const struct top_rates *r)
{
    struct buf b = {0};
    emit_begin(&b, '{');
    emit_member_date(&b, "at", clock_wall_us());
    emit_member_string(&b, "state", s->state);
    emit_member_number(&b, "searches_per_second", (uint64_t)(r->searches + 0.5));
    emit_member_number(&b, "p50_us", r->p50_us);
    emit_member_number(&b, "p99_us", r->p99_us);
    emit_member_number(&b, "operations_per_second", (uint64_t)(r->operations + 0.5));
    emit_member_number(&b, "region_bytes", s->region_bytes);
    emit_member_number(&b, "region_budget", s->region_budget);
    emit_member_number(&b, "log_bytes", s->log_bytes);
    emit_member_number(&b, "log_quota", s->log_quota);
    emit_member_number(&b, "clients_waiting", s->clients_waiting);
    emit_end(&b, '}');
    report_json(&b);
    buf_finish(&b);
}

static void show(struct top *t, const Mayfly__Stats *stats)
{
    const struct top_rates rates = top_rates_between(&t->before, &t->now);
    if (t->cli->json) {
        print_json(stats, &rates);
        return;
    }
    t->lines.len = 0;
    top_view(&t->lines, stats, &rates, clock_wall_us());
    screen_draw(&t->screen, &t->lines);
}

/* True when the time is over; what is on the screen is drawn anew meanwhile where that is wanted. */
static bool wait(struct top *t, uint64_t until_us)
{
    enum screen_event event;
    while ((event = screen_wait(&t->screen, until_us)) == SCREEN_REDRAW)
        screen_draw(&t->screen, &t->lines);
    return event == SCREEN_TIME;
}

/* A terminal shows something at once; rates need a second reading. */
static int run(struct top *t, struct mayfly_failure *failure)
{
    struct mayfly_answer answer;
    uint64_t next_us = clock_us();
    int rc = ask(t, &answer, failure);
    if (rc)
        return rc;
    top_sample_take(&t->now, answer.envelope->stats);
    if (t->screen.is_terminal)
        show(t, answer.envelope->stats);
    for (uint32_t shown = 0; t->count == 0 || shown < t->count; shown++) {
        next_us = clock_us() > next_us + t->interval_us ? clock_us() : next_us + t->interval_us;
        if (!wait(t, next_us))
            return 0;
        rc = ask(t, &answer, failure);
        if (rc)
            return rc;
        t->before = t->now;
        top_sample_take(&t->now, answer.envelope->stats);
        show(t, answer.envelope->stats);
    }
    return 0;
}

static int read_interval(const struct cli *c, uint64_t *out_us)
{
    const char *text = args_option(c, "interval");
    char *end;
    double seconds = text ? strtod(text, &end) : 2;
    if (text && (end == text || *end || !(seconds >= 0.1 && seconds <= 86400)))
        return args_usage(c, "--interval is a number of seconds from 0.1 to 86400, not '%s'", text);
    *out_us = (uint64_t)(seconds * 1e6);
    return STATUS_DONE;
}

/* With --json there is one document, of one interval. */
int command_top(struct cli *c)
{
    struct top t = {.cli = c, .screen = {.signals = -1}};
    struct mayfly_failure failure;
    int status = read_interval(c, &t.interval_us);
    if (!status)
        status = args_number(c, "count", c->json ? 1 : 0, 1, c->json ? 1 : COUNT_MOST, &t.count);
    if (!status)
        status = report_connect(c);
    if (status)
        return status;
    if (!c->json)
        screen_open(&t.screen);
    int rc = run(&t, &failure);
    screen_close(&t.screen);
    buf_finish(&t.lines);
    return rc ? report_failure(c, rc, &failure) : STATUS_DONE;
}
