#include "coordinator/reader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/logger.h"
#include "coordinator/pulse.h"
#include "coordinator/shards_start.h"
#include "proto/peek.h"

enum {
    ANSWER_KEPT = 1 << 20,
    MOST_QUEUED = 64 << 20, /* bytes to one reader: beyond it, it is not taken for new requests */
    ENVELOPE_MOST = 64 << 20,
    FRAME_MOST = FRAME_MAX_DOCUMENT + ENVELOPE_MOST + 4,
};

static void free_poll(uv_handle_t *poll)
{
    free(poll);
}

/* -------------------------------------------------------------------------------------------------------- in flight */

static struct flight **find_flight(struct reader *r, uint64_t request)
{
    struct flight **at = &r->flights;
    while (*at && (*at)->request != request)
        at = &(*at)->next;
    return at;
}

static struct flight *take_flight(struct reader *r, uint64_t request)
{
    struct flight **at = find_flight(r, request), *f = *at;
    if (f) {
        *at = f->next;
        r->in_flight--;
    }
    return f;
}

static void fail_flight(struct flight *f, const char *code, const char *message)
{
    Mayfly__Internal__Failed failed;
    Mayfly__Internal__ShardEnvelope answer = MAYFLY__INTERNAL__SHARD_ENVELOPE__INIT;
    mayfly__internal__failed__init(&failed);
    failed.code = message_string(code);
    failed.message = message_string(message);
    answer.request = f->request;
    answer.message_case = MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_FAILED;
    answer.failed = &failed;
    f->caller.answer(f->caller.context, &answer, &(struct buf){0});
}

/* Looked at afresh each time: the callee may abandon others. */
static void fail_all(struct reader *r)
{
    while (r->flights) {
        struct flight *f = take_flight(r, r->flights->request);
        fail_flight(f, CODE_UNAVAILABLE, "the shard's process ended while it worked on this");
        free(f);
    }
}

/* ---------------------------------------------------------------------------------------------------------- writing */

static void on_ready_to(uv_poll_t *poll, int status, int events);

/* Only what changes is told to the loop, for which each time is a system call. */
static void watch(struct reader *r)
{
    int wanted = r->out.len ? UV_READABLE | UV_WRITABLE : UV_READABLE;
    if (r->poll && r->watched != wanted && uv_poll_start(r->poll, wanted, on_ready_to) == 0)
        r->watched = wanted;
}

void reader_flush(struct reader *r)
{
    size_t done = 0;
    while (r->poll && done < r->out.len) {
        ssize_t put = send(r->child.socket, r->out.data + done, r->out.len - done, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (put <= 0)
            break; /* full; or dead, which the pidfd tells */
        done += (size_t)put;
    }
    buf_consume(&r->out, done);
    buf_shrink(&r->out, READER_BUFFER);
    watch(r);
}

int reader_queue(struct reader *r, Mayfly__Internal__ShardEnvelope *message)
{
    if (r->out.len > MOST_QUEUED)
        return ERR_BUSY;
    size_t before = r->out.len;
    message_frame(&r->out, &message->base, (struct str){0});
    if (r->out.err) {
        int err = r->out.err;
        r->out.err = 0;
        r->out.len = before;
        return err;
    }
    r->dirty = true;
    return 0;
}

/* ---------------------------------------------------------------------------------------------------------- reading */

static void answer_flight(struct reader *r, struct flight *f, struct str envelope)
{
    struct arena *arena = f->caller.arena ? f->caller.arena : &r->shards->arena;
    uint64_t refusals = arena->refusals;
    Mayfly__Internal__ShardEnvelope *answer = message_unpack_shard(arena, envelope);
    if (answer)
        f->caller.answer(f->caller.context, answer, &r->body);
    else if (arena->refusals > refusals)
        fail_flight(f, CODE_QUERY_TOO_LARGE, "the answer needs more memory than a search may take; ask for fewer hits");
    else
        fail_flight(f, CODE_INTERNAL, "the shard gave an answer that cannot be read");
    arena_reset(&r->shards->arena, ANSWER_KEPT);
}

static void take_holdings(struct reader *r, struct str envelope)
{
    const Mayfly__Internal__ShardEnvelope *told = message_unpack_shard(&r->shards->arena, envelope);
    holdings_take(&r->holdings, told ? told->holdings : NULL);
    arena_reset(&r->shards->arena, ANSWER_KEPT);
}

static void give_answer(struct reader *r, struct str envelope)
{
    uint64_t request = 0;
    uint32_t message = 0;
    if (!peek_envelope(envelope, &request, &message)) {
        log_error("%s gave an answer that cannot be read", r->child.name);
    } else if (message == MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_READY) {
        child_is_ready(&r->child);
        r->shards->on_change(r->shards->context);
    } else if (message == MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_BEAT) {
        pulse_answered(&r->child);
    } else if (message == MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_HOLDINGS) {
        take_holdings(r, envelope);
    } else {
        struct flight *f = take_flight(r, request);
        if (f) /* else it was abandoned */
            answer_flight(r, f, envelope);
        free(f);
    }
    r->envelope.len = r->body.len = 0;
    buf_shrink(&r->envelope, READER_BUFFER);
    buf_shrink(&r->body, READER_BUFFER);
}

/* An envelope without a body is read where it lies. */
static bool take_bytes(struct reader *r, struct str input)
{
    struct str piece;
    for (;;) {
        enum frame_event event = frame_next(&r->frames, &input, &piece);
        if (event == FRAME_MORE)
            return true;
        if (event == FRAME_BAD)
            return false;
        if (event == FRAME_ENVELOPE && r->frames.body_left == 0) {
            give_answer(r, piece);
            continue;
        }
        buf_append_str(event == FRAME_ENVELOPE ? &r->envelope : &r->body, piece);
        if (r->envelope.err || r->body.err)
            return false;
        if (r->frames.body_left == 0)
            give_answer(r, (struct str){r->envelope.data, r->envelope.len});
    }
}

static void on_ready_to(uv_poll_t *poll, int status, int events)
{
    struct reader *r = poll->data;
    struct shards *s = r->shards;
    if (status < 0) {
        uv_poll_stop(poll);
        return;
    }
    if (events & UV_WRITABLE)
        reader_flush(r);
    if (!(events & UV_READABLE) || r->poll != poll)
        return;
    ssize_t got = recv(r->child.socket, s->buffer, READER_BUFFER, MSG_DONTWAIT);
    r->moved_us = clock_us();
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
        uv_poll_stop(poll); /* the pidfd tells the rest */
    } else if (got > 0 && !take_bytes(r, (struct str){s->buffer, (size_t)got})) {
        log_error("%s sent a frame that cannot be read, ending it", r->child.name);
        shutdown(r->child.socket, SHUT_RDWR);
    }
}

/* ------------------------------------------------------------------------------------------------------ the process */

static void on_start(struct child *c)
{
    struct reader *r = c->owner;
    r->poll = calloc(1, sizeof *r->poll);
    if (!r->poll || uv_poll_init(c->loop, r->poll, c->socket) != 0) {
        log_error("%s cannot be listened to", c->name);
        free(r->poll);
        r->poll = NULL;
        return;
    }
    r->poll->data = r;
    r->watched = 0;
    r->frames = (struct frame_reader){.max_envelope = ENVELOPE_MOST, .max_total = FRAME_MOST};
    watch(r);
}

static void on_death(struct child *c)
{
    struct reader *r = c->owner;
    if (r->poll)
        uv_close((uv_handle_t *)r->poll, free_poll);
    r->poll = NULL;
    frame_reader_finish(&r->frames);
    holdings_take(&r->holdings, NULL);
    r->out.len = r->envelope.len = r->body.len = 0;
    r->busy_until = 0;
    r->dirty = false;
    r->shards->on_change(r->shards->context);
    fail_all(r);
}

static void on_failed(struct child *c)
{
    struct reader *r = c->owner;
    r->shards->on_change(r->shards->context);
}

int reader_init(struct shards *s, struct reader *r)
{
    const struct shards_options *o = &s->to;
    uint32_t place = (uint32_t)(r - s->readers), shard = place / s->per_shard, number = place % s->per_shard;
    *r = (struct reader){.shards = s, .shard = shard, .number = number};
    snprintf(r->texts[0], sizeof r->texts[0], "%u", shard);
    snprintf(r->texts[1], sizeof r->texts[1], "%u", number);
    snprintf(r->texts[2], sizeof r->texts[2], "%llu", (unsigned long long)o->query_memory);
    snprintf(r->texts[3], sizeof r->texts[3], "%llu", (unsigned long long)o->heap_memory);
    r->child = (struct child){
        .arguments = {"--shard", r->texts[0], "--reader", r->texts[1], "--query-memory", r->texts[2], "--heap-memory",
                      r->texts[3], NULL},
        .directory = o->directory,
        .socket_type = SOCK_STREAM,
        .inherited = o->thresholds,
        .on_start = on_start,
        .on_death = on_death,
        .on_failed = on_failed,
        .owner = r};
    snprintf(r->child.name, sizeof r->child.name, "shard %u.%u", shard, number);
    snprintf(r->child.path, sizeof r->child.path, "%s/mayfly-shard", o->libexec);
    return child_init(&r->child, s->loop);
}

/* --------------------------------------------------------------------------------------------------------- requests */

/* The question that comes next is behind this work in its socket; one that waits for its answer is before it. */
static void excuse(struct reader *r, const Mayfly__Internal__ShardEnvelope *m)
{
    uint64_t us = m->message_case == MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_PREPARE   ? m->prepare->deadline_us
                  : m->message_case == MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_EXECUTE ? m->execute->deadline_us
                                                                                         : 0;
    uint64_t until = r->shards->beats + us / 1000000 + 2;
    if (r->child.silence == 0 && until > r->busy_until)
        r->busy_until = until;
}

int reader_ask(struct reader *r, Mayfly__Internal__ShardEnvelope *message, const struct shard_caller *caller)
{
    struct flight *f = malloc(sizeof *f);
    if (!f)
        return -ENOMEM;
    *f = (struct flight){.next = r->flights, .request = message->request, .caller = *caller};
    int err = reader_queue(r, message);
    if (err) {
        free(f);
        return err;
    }
    r->flights = f;
    if (r->in_flight++ == 0)
        r->moved_us = clock_us();
    excuse(r, message);
    return 0;
}

void reader_drop(struct reader *r, uint64_t request)
{
    free(take_flight(r, request));
}
