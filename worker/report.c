#include "worker/report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/err.h"
#include "worker/words.h"

typedef Mayfly__Internal__JobReport report_message;
typedef Mayfly__Internal__CoreState state_message;
typedef Mayfly__Internal__CoreState__Segment segment_message;
typedef Mayfly__Internal__Range range_message;
typedef Mayfly__Internal__Refused refused_message;

enum { SEGMENTS = 500, RANGES = 500 }; /* in one datagram: at most 40 and 24 bytes each */

static_assert(SEGMENTS * 40 + RANGES * 24 + 1024 < REPORT_BYTES, "a part of a state fits a datagram");
static_assert(REPORT_REFUSALS * (REPORT_MESSAGE + REPORT_CODE + 256 + 80) < REPORT_BYTES, "refusals fit a datagram");

static report_message report_of(const struct worker *w)
{
    report_message report;
    mayfly__internal__job_report__init(&report);
    report.job = w->job->job;
    return report;
}

static void send_report(struct worker *w, const report_message *report)
{
    size_t mark = arena_mark(&w->scratch), size = mayfly__internal__job_report__get_packed_size(report);
    if (size > REPORT_BYTES)
        words_die(w->words, EXIT_REASON_CORRUPT, "a report of %zu bytes does not fit a datagram", size);
    uint8_t *bytes = job_scratch(w, size, 1);
    mayfly__internal__job_report__pack(report, bytes);
    int err = fd_send(w->lifeline, bytes, size, NULL, 0);
    if (err == -EPIPE || err == -ECONNRESET || err == ERR_CLOSED)
        words_die(w->words, EXIT_REASON_ORPHANED, "nobody hears the report: the coordinator is gone");
    job_must(w, err, "the report cannot be sent");
    arena_rewind(&w->scratch, mark);
}

/* ----------------------------------------------------------------------------------------------------------- refusals
 */

static char *text_of(struct worker *w, struct str s)
{
    struct str copy = arena_copy(&w->scratch, s);
    if (!copy.ptr)
        job_scratch_full(w);
    return message_string(copy.ptr);
}

static refused_message **refused_of(struct worker *w, const struct core_refusal *refusals, size_t count)
{
    refused_message *items = job_scratch(w, count, sizeof *items);
    refused_message **pointers = job_scratch(w, count, sizeof *pointers);
    for (size_t i = 0; i < count; i++) {
        mayfly__internal__refused__init(&items[i]);
        items[i].sequence = refusals[i].sequence;
        items[i].task = refusals[i].task;
        items[i].position = refusals[i].position;
        items[i].id = text_of(w, refusals[i].id);
        items[i].code = text_of(w, refusals[i].code);
        items[i].message = text_of(w, refusals[i].message);
        items[i].generation = refusals[i].generation;
        pointers[i] = &items[i];
    }
    return pointers;
}

void report_refusals(struct worker *w, const struct core_refusal *refusals, size_t count, uint64_t generation)
{
    while (count) {
        size_t mark = arena_mark(&w->scratch), part = count < REPORT_REFUSALS ? count : REPORT_REFUSALS;
        report_message report = report_of(w);
        report.n_refused = part;
        report.refused = refused_of(w, refusals, part);
        for (size_t i = 0; i < part; i++)
            report.refused[i]->generation = generation;
        send_report(w, &report);
        arena_rewind(&w->scratch, mark);
        refusals += part;
        count -= part;
    }
}

/* ------------------------------------------------------------------------------------------------------------- a state
 */

static void fill_segments(struct worker *w, const struct core_segment *from, size_t count, state_message *state)
{
    segment_message *items = job_scratch(w, count, sizeof *items);
    state->segments = job_scratch(w, count, sizeof *state->segments);
    state->n_segments = count;
    for (size_t i = 0; i < count; i++) {
        mayfly__internal__core_state__segment__init(&items[i]);
        items[i].id = from[i].id;
        items[i].documents = from[i].documents;
        items[i].deleted = from[i].deleted;
        items[i].bytes = from[i].bytes;
        items[i].image = from[i].image != NULL;
        state->segments[i] = &items[i];
    }
}

static void fill_ranges(struct worker *w, const struct core_range *from, size_t count, state_message *state)
{
    range_message *items = job_scratch(w, count, sizeof *items);
    state->applied = job_scratch(w, count, sizeof *state->applied);
    state->n_applied = count;
    for (size_t i = 0; i < count; i++) {
        mayfly__internal__range__init(&items[i]);
        items[i].first = from[i].first;
        items[i].end = from[i].end;
        state->applied[i] = &items[i];
    }
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* One part of a state for each call, until `more` is false. */
struct parts {
    const struct core_view *view;
    size_t segment, range;
};

static void fill_state(struct worker *w, struct parts *p, state_message *state)
{
    const struct core_view *v = p->view;
    size_t segments = least(v->segment_count - p->segment, SEGMENTS), ranges = least(v->range_count - p->range, RANGES);
    state->epoch = v->epoch;
    state->generation = v->generation;
    state->watermark = v->watermark;
    state->documents = v->documents;
    fill_segments(w, v->segments + p->segment, segments, state);
    fill_ranges(w, v->ranges + p->range, ranges, state);
    p->segment += segments;
    p->range += ranges;
    state->more = p->segment < v->segment_count || p->range < v->range_count;
}

static state_message state_of(const place_message *place)
{
    union {
        const place_message *from;
        place_message *to; /* protobuf-c has one type for what it reads and what it writes */
    } shared = {.from = place};
    state_message state;
    mayfly__internal__core_state__init(&state);
    state.place = shared.to;
    return state;
}

void report_outcome(struct worker *w, bool committed, struct core_range applied, const struct core_view *view)
{
    range_message range = MAYFLY__INTERNAL__RANGE__INIT;
    range.first = applied.first;
    range.end = applied.end;
    state_message state = state_of(w->job->place);
    report_message report = report_of(w);
    report.committed = committed;
    report.superseded = !committed;
    report.applied = committed && applied.first < applied.end ? &range : NULL;
    report.state = &state;
    struct parts parts = {.view = view};
    do {
        size_t mark = arena_mark(&w->scratch);
        fill_state(w, &parts, &state);
        send_report(w, &report);
        arena_rewind(&w->scratch, mark);
    } while (state.more);
}

/* ------------------------------------------------------------------------------------------------------------- surveys
 */

static void send_surveyed(struct worker *w, state_message *state)
{
    report_message report = report_of(w);
    report.n_surveyed = 1;
    report.surveyed = &state;
    send_report(w, &report);
}

void report_surveyed_refusals(struct worker *w, const place_message *place, const struct core_refusal *refusals,
                              size_t count)
{
    state_message state = state_of(place);
    state.n_refused = count;
    state.refused = refused_of(w, refusals, count);
    state.more = true;
    send_surveyed(w, &state);
}

void report_surveyed(struct worker *w, const place_message *place, const struct core_view *view)
{
    struct parts parts = {.view = view};
    state_message state = state_of(place);
    do {
        size_t mark = arena_mark(&w->scratch);
        fill_state(w, &parts, &state);
        send_surveyed(w, &state);
        arena_rewind(&w->scratch, mark);
    } while (state.more);
}

void report_survey_failed(struct worker *w, const place_message *place, int err)
{
    state_message state = state_of(place);
    state.failed = message_string(err_str(err));
    send_surveyed(w, &state);
}

void report_survey_end(struct worker *w)
{
    report_message report = report_of(w);
    report.last = true;
    send_report(w, &report);
}

void report_damaged(struct worker *w, const place_message *place, const char *format, ...)
{
    char what[400];
    va_list arguments;
    Mayfly__Internal__Place copy = *place;
    Mayfly__Internal__Damaged damaged;
    report_message report = report_of(w);
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    mayfly__internal__damaged__init(&damaged);
    damaged.place = &copy;
    damaged.what = what;
    report.damaged = &damaged;
    send_report(w, &report);
}
