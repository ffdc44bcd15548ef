/* Queries of a file: pipelined, printed in the order of the file as soon as their turn has come. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/emit.h"
#include "client/cli/hits.h"
#include "client/cli/search.h"
#include "common/clock.h"
#include "proto/message.h"

/* A query from when it is sent until its hits are printed. */
struct slot {
    uint64_t request, sent_us;
    bool answered;
    char *qid;
    struct buf output;
};

struct batch {
    struct cli *cli;
    struct search *search;
    FILE *file;
    uint32_t depth;
    struct slot *slots; /* a ring: the query that is printed next, and those after it */
    size_t size, first, count, in_flight;
    uint64_t *latencies; /* microseconds */
    size_t done, room, failed;
    bool at_end;
    bool has_printed; /* of the JSON array */
    char *line;
    size_t line_room;
};

static struct slot *slot_at(struct batch *b, size_t place)
{
    return &b->slots[(b->first + place) % b->size];
}

/* The next `qid TAB text`; false at the end of the file. */
static bool read_query(struct batch *b, char **out_qid, char **out_text)
{
    ssize_t length;
    while ((length = getline(&b->line, &b->line_room, b->file)) >= 0) {
        while (length && (b->line[length - 1] == '\n' || b->line[length - 1] == '\r'))
            b->line[--length] = 0;
        char *tab = strchr(b->line, '\t');
        if (tab) {
            *tab = 0;
            *out_qid = b->line;
            *out_text = tab + 1;
            return true;
        }
        if (length) {
            fprintf(stderr, "mayfly: a line without a tab is no query: %.60s\n", b->line);
            b->failed++;
        }
    }
    b->at_end = true;
    return false;
}

static int send_query(struct batch *b, const char *qid, char *text)
{
    struct mayfly_failure failure;
    struct slot *slot = slot_at(b, b->count);
    b->search->message.query = text;
    REQUEST(request, search, SEARCH, b->search->message);
    slot->qid = strdup(qid);
    slot->sent_us = clock_us();
    slot->answered = false;
    slot->output.len = 0;
    int rc = slot->qid ? mayfly_queue(b->cli->connection, &request, &failure) : 0;
    if (rc || !slot->qid)
        return rc ? report_failure(b->cli, rc, &failure) : args_usage(b->cli, "out of memory");
    slot->request = request.request;
    b->count++;
    b->in_flight++;
    return STATUS_DONE;
}

static int send_more(struct batch *b)
{
    char *qid, *text;
    int status = STATUS_DONE;
    while (!status && b->in_flight < b->depth && b->count < b->size && read_query(b, &qid, &text))
        status = send_query(b, qid, text);
    return status;
}

/* ------------------------------------------------------------------------------------------------ answers */

static void write_json(struct slot *slot, const Mayfly__Found *found)
{
    emit_begin(&slot->output, '{');
    emit_member_string(&slot->output, "qid", slot->qid);
    emit_key(&slot->output, "hits");
    emit_begin(&slot->output, '[');
    struct hits hits = {.found = found};
    for (struct hit hit; hits_next(&hits, &hit);) {
        emit_begin(&slot->output, '{');
        emit_key(&slot->output, "id");
        emit_str(&slot->output, hit.id);
        emit_key(&slot->output, "score");
        emit_score(&slot->output, hit.score);
        emit_end(&slot->output, '}');
    }
    emit_end(&slot->output, ']');
    emit_member_number(&slot->output, "took_us", found->took_us);
    emit_end(&slot->output, '}');
}

static void write_run(struct slot *slot, const Mayfly__Found *found)
{
    char score[EMIT_SCORE_SIZE];
    struct hits hits = {.found = found};
    for (struct hit hit; hits_next(&hits, &hit);) {
        emit_score_text(score, hit.score);
        buf_printf(&slot->output, "%s Q0 %.*s %zu %s mayfly\n", slot->qid, (int)hit.id.len, hit.id.ptr, hits.next, score);
    }
}

static void fail_query(struct batch *b, const struct slot *slot, const Mayfly__Error *error)
{
    b->failed++;
    fprintf(stderr, "mayfly: query %s: %s (%s)\n", slot->qid, error->message, error->code);
}

static void note_latency(struct batch *b, uint64_t us)
{
    if (b->done == b->room) {
        size_t room = b->room ? b->room * 2 : 1024;
        uint64_t *more = reallocarray(b->latencies, room, sizeof *more);
        if (!more)
            return;
        b->latencies = more;
        b->room = room;
    }
    b->latencies[b->done++] = us;
}

static void take_answer(struct batch *b, struct slot *slot, const Mayfly__Envelope *e)
{
    slot->answered = true;
    b->in_flight--;
    if (e->message_case == MAYFLY__ENVELOPE__MESSAGE_ERROR) {
        fail_query(b, slot, e->error);
        return;
    }
    note_latency(b, clock_us() - slot->sent_us);
    if (e->message_case != MAYFLY__ENVELOPE__MESSAGE_FOUND)
        return;
    if (e->found->partial)
        fprintf(stderr, "mayfly: query %s: partial: %s\n", slot->qid, search_partial_reason(e->found));
    if (b->cli->json)
        write_json(slot, e->found);
    else
        write_run(slot, e->found);
}

static int receive(struct batch *b)
{
    struct mayfly_failure failure;
    struct mayfly_answer answer;
    int rc = mayfly_receive(b->cli->connection, &answer, &failure);
    if (rc)
        return report_failure(b->cli, rc, &failure);
    for (size_t i = 0; i < b->count; i++) {
        struct slot *slot = slot_at(b, i);
        if (slot->request != answer.envelope->request || slot->answered)
            continue;
        take_answer(b, slot, answer.envelope);
        break;
    }
    return STATUS_DONE;
}

static void print_answered(struct batch *b)
{
    while (b->count && b->slots[b->first].answered) {
        struct slot *slot = &b->slots[b->first];
        if (b->cli->json && slot->output.len) {
            fputs(b->has_printed ? ",\n" : "\n", stdout);
            b->has_printed = true;
        }
        if (slot->output.len)
            fwrite(slot->output.data, 1, slot->output.len, stdout);
        free(slot->qid);
        slot->qid = NULL;
        b->first = (b->first + 1) % b->size;
        b->count--;
    }
}

/* ------------------------------------------------------------------------------------------------ summary */

static int by_size(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

/* The smallest latency that so many percent do not exceed. */
static uint64_t percentile(const struct batch *b, unsigned percent)
{
    return b->done ? b->latencies[(b->done * percent + 99) / 100 - 1] : 0;
}

static void print_summary(struct batch *b, uint64_t wall_us)
{
    if (b->done)
        qsort(b->latencies, b->done, sizeof *b->latencies, by_size);
    double rate = wall_us ? (double)b->done * 1e6 / (double)wall_us : 0;
    fprintf(stderr,
            "%zu queries, %zu failed, %.3f s wall, %.1f q/s, p50 %.3f ms, p95 %.3f ms, p99 %.3f ms (depth %u)\n",
            b->done, b->failed, (double)wall_us / 1e6, rate, (double)percentile(b, 50) / 1e3,
            (double)percentile(b, 95) / 1e3, (double)percentile(b, 99) / 1e3, b->depth);
    if (b->cli->json)
        printf("\n],\"queries\":%zu,\"failed\":%zu,\"wall_us\":%" PRIu64 ",\"p50_us\":%" PRIu64 ",\"p95_us\":%" PRIu64
               ",\"p99_us\":%" PRIu64 "}\n",
               b->done, b->failed, wall_us, percentile(b, 50), percentile(b, 95), percentile(b, 99));
}

static int run(struct batch *b)
{
    uint64_t began = clock_us();
    int status = STATUS_DONE;
    if (b->cli->json)
        fputs("{\"results\":[", stdout);
    while (!status) {
        status = send_more(b);
        if (!status && b->at_end && b->count == 0)
            break;
        if (!status && b->count)
            status = receive(b);
        print_answered(b);
    }
    if (status)
        return status;
    print_summary(b, clock_us() - began);
    return b->failed ? STATUS_REFUSED : STATUS_DONE;
}

static void finish(struct batch *b)
{
    for (size_t i = 0; b->slots && i < b->size; i++) {
        free(b->slots[i].qid);
        buf_finish(&b->slots[i].output);
    }
    free(b->slots);
    free(b->latencies);
    free(b->line);
    if (b->file && b->file != stdin)
        fclose(b->file);
}

int batch_run(struct cli *c, struct search *s, const char *path, uint32_t depth)
{
    /* More slots than queries in flight: one that is slow does not hold up the others at once. */
    struct batch b = {.cli = c, .search = s, .depth = depth, .size = (size_t)depth * 4};
    b.file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    if (!b.file)
        return report_unreadable(c, path, -errno);
    s->message.no_documents = s->message.columns = true;
    s->message.plain_words = s->message.match == MAYFLY__MATCH__ANY;
    b.slots = calloc(b.size, sizeof *b.slots);
    int status = b.slots ? report_connect(c) : args_usage(c, "out of memory");
    if (!status)
        status = run(&b);
    finish(&b);
    return status;
}
