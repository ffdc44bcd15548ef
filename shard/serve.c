#include "shard/serve.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/check.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/logger.h"
#include "proto/frame.h"
#include "proto/message.h"
#include "proto/peek.h"
#include "shard/check_filter.h"
#include "shard/fetch.h"
#include "shard/hold.h"
#include "shard/holdings.h"
#include "shard/memory.h"
#include "shard/outbox.h"
#include "shard/places.h"
#include "shard/request.h"
#include "shard/search.h"

enum {
    READ_SIZE = 64 << 10,
    MAX_QUEUED = 16 << 20, /* bytes of requests that wait; more stay in the socket */
    TICK_US = 1000 * 1000,
    TURN_US = 1000, /* answers wait for each other no longer */
};

/* One that waits for its turn, as it arrived. */
struct queued {
    struct queued *next;
    uint64_t request;
    uint64_t arrived_us;
    size_t size;
    char bytes[];
};

struct server {
    struct shard *shard;
    int sock;
    struct frame_reader reader;
    char *input; /* READ_SIZE */
    struct queued *first, **last;
    size_t queued_bytes;
    struct outbox out;
    uint64_t next_tick_us;
    uint64_t query_memory; /* wanted by Configure; taken between requests */
    int err;               /* ERR_CLOSED: the coordinator is gone */
};

/* ------------------------------------------------------------------------------------------------------------- sending
 */

static void send_reply(struct server *v, struct reply *r)
{
    size_t count;
    if (!reply_is_due(r))
        return;
    struct iovec *pieces = reply_frame(r, &count);
    if (!pieces) {
        reply_fail_query(r, ERR_FULL);
        pieces = reply_frame(r, &count);
    }
    require(pieces);
    outbox_put(&v->out, pieces, count);
}

static void send_ready(struct server *v)
{
    Mayfly__Internal__Ready ready = MAYFLY__INTERNAL__READY__INIT;
    Mayfly__Internal__ShardEnvelope envelope = MAYFLY__INTERNAL__SHARD_ENVELOPE__INIT;
    envelope.message_case = MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_READY;
    envelope.ready = &ready;
    message_frame(&v->out.waiting, &envelope.base, (struct str){0});
    v->err = v->out.waiting.err;
}

static void send_beat(struct server *v)
{
    Mayfly__Internal__Beat beat = MAYFLY__INTERNAL__BEAT__INIT;
    Mayfly__Internal__ShardEnvelope envelope = MAYFLY__INTERNAL__SHARD_ENVELOPE__INIT;
    envelope.message_case = MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_BEAT;
    envelope.beat = &beat;
    message_frame(&v->out.waiting, &envelope.base, (struct str){0});
    v->err = v->out.waiting.err;
}

/* ------------------------------------------------------------------------------------------------------------ handling
 */

/* Those with an answer, in order of arrival. */
static request_handler *const handlers[] = {
    [MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_PREPARE] = search_prepare,
    [MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_GUESS] = search_guess,
    [MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_EXECUTE] = search_execute,
    [MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_FETCH] = fetch_documents,
    [MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_LOOKUP] = fetch_lookup,
    [MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_TRIM] = holdings_trim,
    [MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_CHECK_FILTER] = check_filter,
};

static request_handler *handler_of(uint32_t message)
{
    return message < sizeof handlers / sizeof *handlers ? handlers[message] : NULL;
}

static void take_configuration(struct server *v)
{
    struct shard *s = v->shard;
    if (v->query_memory == 0 || v->query_memory == s->arena.cap)
        return;
    struct arena wider;
    int err = arena_init(&wider, v->query_memory, 0);
    if (err) {
        log_warn("query_memory stays as it is: %s", err_str(err));
    } else {
        arena_finish(&s->arena);
        s->arena = wider;
        s->words->arena_cap = wider.cap;
    }
    v->query_memory = 0;
}

static void tell_arenas(const struct shard *s)
{
    const struct arena *a = &s->arena, *b = &s->scratch;
    memory_figures_write(s->words)->arena = (struct arena_figures){.reserved = a->cap + b->cap,
                                                                .committed = a->committed + b->committed,
                                                                .high_water = a->peak + b->peak,
                                                                .resets = a->resets + b->resets,
                                                                .discards = a->discards + b->discards,
                                                                .refusals = a->refusals + b->refusals};
}

static void answer(struct server *v, const struct queued *q)
{
    struct shard *s = v->shard;
    struct reply reply;
    reply_init(&reply, &s->arena, q->request);
    uint64_t refusals = s->arena.refusals;
    Mayfly__Internal__ShardEnvelope *envelope = message_unpack_shard(&s->arena, (struct str){q->bytes, q->size});
    struct request r = {.id = q->request, .arrived_us = q->arrived_us, .envelope = envelope};
    if (envelope && handler_of(envelope->message_case))
        handler_of(envelope->message_case)(s, &r, &reply);
    else if (s->arena.refusals > refusals)
        reply_fail_query(&reply, ERR_FULL);
    else
        reply_fail(&reply, CODE_INTERNAL, "the request does not decode");
    send_reply(v, &reply);
    reply_finish(&reply);
    s->words->arena_used = s->arena.used;
    s->words->arena_peak = s->arena.peak;
    arena_reset(&s->scratch, ARENA_KEEP);
    arena_reset(&s->arena, ARENA_KEEP);
    take_configuration(v);
    tell_arenas(s);
}

static void answer_first(struct server *v)
{
    struct queued *q = v->first;
    v->first = q->next;
    if (!v->first)
        v->last = &v->first;
    v->queued_bytes -= q->size;
    answer(v, q);
    free(q);
}

/* ----------------------------------------------------------------------------------------------------------- receiving
 */

static void enqueue(struct server *v, uint64_t request, struct str bytes)
{
    struct queued *q = malloc(sizeof *q + bytes.len);
    if (!q) {
        v->err = -ENOMEM;
        return;
    }
    *q = (struct queued){.request = request, .arrived_us = clock_us(), .size = bytes.len};
    memcpy(q->bytes, bytes.ptr, bytes.len);
    *v->last = q;
    v->last = &q->next;
    v->queued_bytes += q->size;
}

static void drop_queued(struct server *v, uint64_t request)
{
    struct queued **link = &v->first;
    while (*link && (*link)->request != request)
        link = &(*link)->next;
    struct queued *q = *link;
    if (!q)
        return;
    *link = q->next;
    if (!q->next)
        v->last = link;
    v->queued_bytes -= q->size;
    free(q);
}

/* Messages without an answer take effect as they arrive; false if it is none of them. */
static bool obey(struct server *v, const Mayfly__Internal__ShardEnvelope *e)
{
    struct places *places = v->shard->places;
    if (e->message_case == MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_ABANDON) {
        drop_queued(v, e->request);
        holds_drop(v->shard->holds, e->request);
    } else if (e->message_case == MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_NUDGE) {
        if (e->nudge->place)
            places_refresh(places, e->nudge->place->index, e->nudge->place->edition);
    } else if (e->message_case == MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_FORGET) {
        places_forget(places, e->forget->index, e->forget->edition);
    } else if (e->message_case == MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_BEAT) {
        send_beat(v);
    } else if (e->message_case == MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_FREEZE) {
        places_freeze(places);
    } else if (e->message_case == MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_CONFIGURE) {
        v->query_memory = e->configure->query_memory;
    } else {
        return false;
    }
    return true;
}

/* Nothing is handled now, so the arena is free for a message that is obeyed at once. */
static void receive_envelope(struct server *v, struct str bytes)
{
    uint64_t request;
    uint32_t message;
    if (!peek_envelope(bytes, &request, &message)) {
        v->err = ERR_CORRUPT;
        return;
    }
    if (handler_of(message)) {
        enqueue(v, request, bytes);
        return;
    }
    const Mayfly__Internal__ShardEnvelope *e = message_unpack_shard(&v->shard->arena, bytes);
    if (!e)
        v->err = ERR_CORRUPT;
    else if (!obey(v, e))
        log_warn("a message of kind %u is not for a shard", message);
    arena_rewind(&v->shard->arena, 0);
}

static void receive_bytes(struct server *v, struct str input)
{
    while (!v->err) {
        struct str piece;
        enum frame_event event = frame_next(&v->reader, &input, &piece);
        if (event == FRAME_MORE)
            return;
        if (event == FRAME_BAD)
            v->err = v->reader.err;
        else if (event == FRAME_ENVELOPE)
            receive_envelope(v, piece);
    }
}

/* With nothing to do, as soon as the socket has something, or when it is time for the next tick. Whoever slept in recv would
 * also be woken whenever the coordinator reads an answer, since then there is room to write; poll waits for what it is asked. */
static ssize_t read_input(struct server *v)
{
    struct pollfd wait = {.fd = v->sock, .events = POLLIN};
    ssize_t size = recv(v->sock, v->input, READ_SIZE, MSG_DONTWAIT);
    if (size >= 0 || errno != EAGAIN || v->first || poll(&wait, 1, TICK_US / 1000) < 0)
        return size;
    return recv(v->sock, v->input, READ_SIZE, MSG_DONTWAIT);
}

/* What the socket has now. */
static void receive(struct server *v)
{
    ssize_t size = READ_SIZE;
    while (size == READ_SIZE && v->queued_bytes < MAX_QUEUED && !v->err) {
        size = read_input(v);
        if (size > 0)
            receive_bytes(v, (struct str){v->input, (size_t)size});
        else if (size == 0)
            v->err = ERR_CLOSED;
        else if (errno == EAGAIN || errno == EINTR)
            return;
        else
            v->err = errno == ECONNRESET ? ERR_CLOSED : -errno;
    }
}

/* -----------------------------------------------------------------------------------------------------------------
 * loop */

static void tick(struct server *v)
{
    uint64_t now = clock_us();
    if (now < v->next_tick_us)
        return;
    v->next_tick_us = now + TICK_US;
    holds_drop_expired(v->shard->holds, now);
    places_sweep(v->shard->places);
    holdings_tell(v->shard, &v->out.waiting);
    outbox_flush(&v->out);
    memory_release_excess(&memory_figures_write(v->shard->words)->heap);
    memory_figures_write(v->shard->words)->counted++;
}

/* Answers what waits, all answers in one system call; but none waits longer for the others than TURN_US, or for a query
 * that is known to be slow (search.c). Then the coordinator is heard again: it may have abandoned what is queued. */
static void take_turn(struct server *v)
{
    uint64_t began = v->first ? clock_us() : 0;
    while (v->first && !v->err) {
        answer_first(v);
        if (clock_us() - began >= TURN_US)
            break;
    }
    outbox_flush(&v->out);
    if (!v->err)
        v->err = v->out.err;
}

int serve(struct shard *s, int sock)
{
    struct server v = {.shard = s, .sock = sock, .input = malloc(READ_SIZE), .out = {.sock = sock}};
    if (!v.input)
        return -ENOMEM;
    v.last = &v.first;
    v.next_tick_us = clock_us() + TICK_US;
    s->outbox = &v.out;
    tell_arenas(s);
    memory_release_excess(&memory_figures_write(s->words)->heap);
    send_ready(&v);
    while (!v.err) {
        take_turn(&v);
        if (!v.err)
            receive(&v);
        tick(&v);
    }
    while (v.first)
        drop_queued(&v, v.first->request);
    frame_reader_finish(&v.reader);
    outbox_finish(&v.out);
    free(v.input);
    return v.err == ERR_CLOSED ? 0 : v.err;
}
