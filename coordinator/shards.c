#include "coordinator/shards.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/err.h"
#include "common/fd.h"
#include "common/logger.h"
#include "coordinator/pulse.h"
#include "coordinator/shards_start.h"
#include "coordinator/slots.h"
#include "proto/frame.h"
#include "proto/peek.h"

enum {
    READ_SIZE = 256 << 10,
    ANSWER_MEMORY = 64 << 20, /* of one unpacked answer */
    ANSWER_KEPT = 1 << 20,
    STOP_MS = 5000, /* for one that is not wanted any more */
    MOST_QUEUED = 64 << 20, /* bytes to one reader: beyond it, it is not taken for new requests */
    ENVELOPE_MOST = 64 << 20,
    FRAME_MOST = FRAME_MAX_DOCUMENT + ENVELOPE_MOST + 4,
};

static void free_poll(uv_handle_t *poll)
{
    free(poll);
}

/* ------------------------------------------------------------------------------------------------------------- in
 * flight */

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

/* ------------------------------------------------------------------------------------------------------------- writing
 */

static void on_ready_to(uv_poll_t *poll, int status, int events);

/* Only what changes is told to the loop, for which each time is a system call. */
static void watch(struct reader *r)
{
    int wanted = r->out.len ? UV_READABLE | UV_WRITABLE : UV_READABLE;
    if (r->poll && r->watched != wanted && uv_poll_start(r->poll, wanted, on_ready_to) == 0)
        r->watched = wanted;
}

static void flush(struct reader *r)
{
    size_t done = 0;
    while (r->poll && done < r->out.len) {
        ssize_t put = send(r->child.socket, r->out.data + done, r->out.len - done, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (put <= 0)
            break; /* full; or dead, which the pidfd tells */
        done += (size_t)put;
    }
    buf_consume(&r->out, done);
    buf_shrink(&r->out, READ_SIZE);
    watch(r);
}

/* Once per loop turn: frames of one turn travel together. */
static void flush_all(uv_prepare_t *prepare)
{
    struct shards *s = prepare->data;
    for (uint32_t i = 0; i < s->count; i++)
        if (s->readers[i].dirty) {
            s->readers[i].dirty = false;
            flush(&s->readers[i]);
        }
}

static int queue(struct reader *r, Mayfly__Internal__ShardEnvelope *message)
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

/* ------------------------------------------------------------------------------------------------------------- reading
 */

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
    buf_shrink(&r->envelope, READ_SIZE);
    buf_shrink(&r->body, READ_SIZE);
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
        flush(r);
    if (!(events & UV_READABLE) || r->poll != poll)
        return;
    ssize_t got = recv(r->child.socket, s->buffer, READ_SIZE, MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
        uv_poll_stop(poll); /* the pidfd tells the rest */
    } else if (got > 0 && !take_bytes(r, (struct str){s->buffer, (size_t)got})) {
        log_error("%s sent a frame that cannot be read, ending it", r->child.name);
        shutdown(r->child.socket, SHUT_RDWR);
    }
}

/* -------------------------------------------------------------------------------------------------------------
 * processes */

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

static int init_reader(struct shards *s, struct reader *r)
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

int shards_open(uv_loop_t *loop, const struct shards_options *o, struct shards **out)
{
    struct shards *s = calloc(1, sizeof *s);
    if (!s)
        return -ENOMEM;
    *s = (struct shards){.loop = loop, .to = *o, .shards = o->shards, .per_shard = o->readers};
    s->made = s->count = o->shards * o->readers;
    s->on_change = o->on_change;
    s->context = o->context;
    s->readers = calloc((size_t)SHARDS_MOST * o->readers, sizeof *s->readers);
    setenv("TCMALLOC_RELEASE_RATE", "10", 0); /* for the shards: it can only be told so */
    s->buffer = malloc(READ_SIZE);
    int err = s->readers && s->buffer ? arena_init(&s->arena, ANSWER_MEMORY, 0) : -ENOMEM;
    if (!err)
        err = uv_prepare_init(loop, &s->prepare);
    if (err)
        return err;
    s->prepare.data = s;
    uv_prepare_start(&s->prepare, flush_all);
    for (uint32_t i = 0; i < s->count && !err; i++)
        err = init_reader(s, &s->readers[i]);
    if (!err)
        *out = s;
    return err;
}

void shards_start(struct shards *s)
{
    for (uint32_t i = 0; i < s->count; i++)
        child_start(&s->readers[i].child);
}

static bool has_ended(const struct shards *s, uint32_t from)
{
    for (uint32_t i = from; i < s->made; i++)
        if (s->readers[i].child.state != CHILD_STOPPED)
            return false;
    return true;
}

static int grow(struct shards *s, uint32_t count)
{
    if (!has_ended(s, s->count))
        return -EAGAIN;
    for (; s->made < count; s->made++) {
        int err = init_reader(s, &s->readers[s->made]);
        if (err)
            return err;
    }
    for (; s->count < count; s->count++)
        child_start_again(&s->readers[s->count].child);
    return 0;
}

int shards_resize(struct shards *s, uint32_t shards)
{
    uint32_t count = shards * s->per_shard, before = s->count;
    int err = count > before ? grow(s, count) : 0;
    if (err)
        return err;
    s->shards = shards;
    s->count = count;
    for (uint32_t i = count; i < before; i++)
        child_stop(&s->readers[i].child, STOP_MS);
    return 0;
}

bool shards_are_used(const struct shards *s, uint32_t from)
{
    for (uint32_t i = from * s->per_shard; i < s->count; i++)
        if (s->readers[i].in_flight)
            return true;
    return false;
}

/* Those that run are told, later ones are started with it. */
void shards_reconfigure(struct shards *s, uint64_t query_memory)
{
    s->to.query_memory = query_memory;
    Mayfly__Internal__Configure configure = MAYFLY__INTERNAL__CONFIGURE__INIT;
    Mayfly__Internal__ShardEnvelope message = MAYFLY__INTERNAL__SHARD_ENVELOPE__INIT;
    configure.query_memory = query_memory;
    message.message_case = MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_CONFIGURE;
    message.configure = &configure;
    for (uint32_t i = 0; i < s->count; i++) {
        struct reader *r = &s->readers[i];
        snprintf(r->texts[2], sizeof r->texts[2], "%llu", (unsigned long long)query_memory);
        if (r->child.state == CHILD_READY)
            (void)queue(r, &message);
        child_revive(&r->child);
    }
}

void shards_stop(struct shards *s, uint64_t limit_ms)
{
    for (uint32_t i = 0; i < s->made; i++)
        child_stop(&s->readers[i].child, limit_ms);
}

bool shards_stopped(const struct shards *s)
{
    return has_ended(s, 0);
}

bool shards_gave_up(const struct shards *s)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (s->readers[i].child.state == CHILD_FAILED)
            return true;
    return false;
}

bool shards_all_ready(const struct shards *s)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (s->readers[i].child.state != CHILD_READY)
            return false;
    return true;
}

/* -------------------------------------------------------------------------------------------------------------
 * requests */

/* One that has not answered of late gets nothing new as long as there is another. */
static bool is_better(const struct reader *r, const struct reader *than)
{
    bool silent = pulse_is_silent(&r->child), other = than && pulse_is_silent(&than->child);
    return !than || (silent != other ? other : r->in_flight < than->in_flight);
}

static struct reader *choose(struct shards *s, uint32_t shard, const struct shard_ticket *same)
{
    if (shard >= s->shards)
        return NULL;
    struct reader *first = &s->readers[shard * s->per_shard], *best = NULL;
    if (same && same->request) {
        struct reader *r = &first[same->reader];
        return r->child.state == CHILD_READY && r->child.life == same->life ? r : NULL;
    }
    for (uint32_t i = 0; i < s->per_shard; i++) {
        /* Of equally busy ones the one after the last chosen: both stay warm. */
        struct reader *r = &first[(first->turn + i) % s->per_shard];
        if (r->child.state == CHILD_READY && is_better(r, best))
            best = r;
    }
    first->turn++;
    return best;
}

static struct reader *choose_other(struct shards *s, const struct shard_ticket *than)
{
    struct reader *best = NULL;
    for (uint32_t i = 0; i < s->per_shard && than->shard < s->shards; i++) {
        struct reader *r = &s->readers[than->shard * s->per_shard + i];
        if (i != than->reader && r->child.state == CHILD_READY && is_better(r, best))
            best = r;
    }
    return best;
}

/* The question that comes next is behind this work in its socket; one that waits for its answer is before it. */
static void excuse(const struct shards *s, struct reader *r, const Mayfly__Internal__ShardEnvelope *m)
{
    uint64_t us = m->message_case == MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_PREPARE   ? m->prepare->deadline_us
                  : m->message_case == MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_EXECUTE ? m->execute->deadline_us
                                                                                         : 0;
    uint64_t until = s->beats + us / 1000000 + 2;
    if (r->child.silence == 0 && until > r->busy_until)
        r->busy_until = until;
}

static int send_to(struct shards *s, struct reader *r, Mayfly__Internal__ShardEnvelope *message,
                   const struct shard_caller *caller, struct shard_ticket *out_ticket)
{
    if (!r || r->child.state != CHILD_READY)
        return ERR_CLOSED;
    struct flight *f = malloc(sizeof *f);
    if (!f)
        return -ENOMEM;
    *f = (struct flight){.next = r->flights, .request = ++s->requests, .caller = *caller};
    message->request = f->request;
    int err = queue(r, message);
    if (err) {
        free(f);
        return err;
    }
    r->flights = f;
    r->in_flight++;
    excuse(s, r, message);
    *out_ticket = (struct shard_ticket){r->shard, r->number, f->request, r->child.life};
    return 0;
}

int shards_send(struct shards *s, uint32_t shard, const struct shard_ticket *same,
                Mayfly__Internal__ShardEnvelope *message, const struct shard_caller *caller,
                struct shard_ticket *out_ticket)
{
    return send_to(s, choose(s, shard, same), message, caller, out_ticket);
}

int shards_send_other(struct shards *s, const struct shard_ticket *than, Mayfly__Internal__ShardEnvelope *message,
                      const struct shard_caller *caller, struct shard_ticket *out_ticket)
{
    return send_to(s, choose_other(s, than), message, caller, out_ticket);
}

int shards_send_to(struct shards *s, uint32_t process, Mayfly__Internal__ShardEnvelope *message,
                   const struct shard_caller *caller, struct shard_ticket *out_ticket)
{
    return send_to(s, &s->readers[process], message, caller, out_ticket);
}

void shards_abandon(struct shards *s, const struct shard_ticket *ticket)
{
    struct reader *r = &s->readers[ticket->shard * s->per_shard + ticket->reader];
    if (!ticket->request || r->child.life != ticket->life || r->child.state != CHILD_READY)
        return;
    free(take_flight(r, ticket->request));
    Mayfly__Internal__Abandon abandon = MAYFLY__INTERNAL__ABANDON__INIT;
    Mayfly__Internal__ShardEnvelope message = MAYFLY__INTERNAL__SHARD_ENVELOPE__INIT;
    message.request = ticket->request;
    message.message_case = MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_ABANDON;
    message.abandon = &abandon;
    (void)queue(r, &message); /* else its deadline lets go of what is held */
}

static void tell(struct shards *s, uint32_t from, uint32_t count, Mayfly__Internal__ShardEnvelope *message)
{
    for (uint32_t i = from; i < from + count; i++)
        if (s->readers[i].child.state == CHILD_READY)
            (void)queue(&s->readers[i], message); /* a reader also looks by itself */
}

void shards_sweep(struct shards *s)
{
    arena_reset(&s->arena, 0);
    for (uint32_t i = 0; i < s->count; i++) {
        buf_shrink(&s->readers[i].out, 0);
        buf_shrink(&s->readers[i].envelope, 0);
        buf_shrink(&s->readers[i].body, 0);
    }
}

void shards_beat(struct shards *s, uint64_t limit_s)
{
    Mayfly__Internal__Beat beat = MAYFLY__INTERNAL__BEAT__INIT;
    Mayfly__Internal__ShardEnvelope message = MAYFLY__INTERNAL__SHARD_ENVELOPE__INIT;
    message.message_case = MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_BEAT;
    message.beat = &beat;
    s->beats++;
    for (uint32_t i = 0; i < s->count; i++) {
        struct reader *r = &s->readers[i];
        if (pulse_beat(&r->child, limit_s, r->busy_until > s->beats))
            (void)queue(r, &message); /* else it is not answered, which is what it is about */
    }
}

void shards_nudge(struct shards *s, uint32_t shard, uint32_t index, uint32_t edition, uint64_t generation)
{
    Mayfly__Internal__Place place = MAYFLY__INTERNAL__PLACE__INIT;
    Mayfly__Internal__Nudge nudge = MAYFLY__INTERNAL__NUDGE__INIT;
    Mayfly__Internal__ShardEnvelope message = MAYFLY__INTERNAL__SHARD_ENVELOPE__INIT;
    place.index = index;
    place.edition = edition;
    place.shard = shard;
    nudge.place = &place;
    nudge.generation = generation;
    message.message_case = MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_NUDGE;
    message.nudge = &nudge;
    if (shard < s->shards)
        tell(s, shard * s->per_shard, s->per_shard, &message);
}

void shards_freeze(struct shards *s)
{
    Mayfly__Internal__Freeze freeze = MAYFLY__INTERNAL__FREEZE__INIT;
    Mayfly__Internal__ShardEnvelope message = MAYFLY__INTERNAL__SHARD_ENVELOPE__INIT;
    message.message_case = MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_FREEZE;
    message.freeze = &freeze;
    tell(s, 0, s->count, &message);
}

void shards_forget(struct shards *s, uint32_t index, uint32_t edition)
{
    Mayfly__Internal__Forget forget = MAYFLY__INTERNAL__FORGET__INIT;
    Mayfly__Internal__ShardEnvelope message = MAYFLY__INTERNAL__SHARD_ENVELOPE__INIT;
    forget.index = index;
    forget.edition = edition;
    message.message_case = MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_FORGET;
    message.forget = &forget;
    tell(s, 0, s->count, &message);
}
