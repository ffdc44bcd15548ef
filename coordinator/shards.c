#include "coordinator/shards.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/err.h"
#include "coordinator/heap.h"
#include "coordinator/pulse.h"
#include "coordinator/reader_choice.h"
#include "coordinator/shards_start.h"
#include "coordinator/slots.h"

enum {
    ANSWER_MEMORY = 64 << 20, /* of one unpacked answer */
    STOP_MS = 5000,           /* for one that is not wanted any more */
};

/* Once per loop turn: frames of one turn travel together. */
static void flush_all(uv_prepare_t *prepare)
{
    struct shards *s = prepare->data;
    for (uint32_t i = 0; i < s->count; i++)
        if (s->readers[i].dirty) {
            s->readers[i].dirty = false;
            reader_flush(&s->readers[i]);
        }
}

int shards_open(uv_loop_t *loop, const struct shards_options *o, struct shards **out)
{
    struct shards *s = calloc(1, sizeof *s);
    if (!s)
        return -ENOMEM;
    *s = (struct shards){.loop = loop, .to = *o, .shards = o->shards, .per_shard = o->readers};
    s->made = s->count = o->shards * o->readers;
    s->processors = uv_available_parallelism();
    s->on_change = o->on_change;
    s->context = o->context;
    s->readers = calloc((size_t)SHARDS_MOST * o->readers, sizeof *s->readers);
    setenv("TCMALLOC_RELEASE_RATE", "10", 0); /* for the shards: it can only be told so */
    s->buffer = malloc(READER_BUFFER);
    int err = s->readers && s->buffer ? arena_init(&s->arena, ANSWER_MEMORY, 0) : -ENOMEM;
    if (!err)
        err = uv_prepare_init(loop, &s->prepare);
    if (err)
        return err;
    s->prepare.data = s;
    uv_prepare_start(&s->prepare, flush_all);
    for (uint32_t i = 0; i < s->count && !err; i++)
        err = reader_init(s, &s->readers[i]);
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
        int err = reader_init(s, &s->readers[s->made]);
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
            (void)reader_queue(r, &message);
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

/* --------------------------------------------------------------------------------------------------------- requests */

static struct reader_load load_of(const struct reader *r)
{
    return (struct reader_load){r->child.state == CHILD_READY, pulse_is_silent(&r->child), r->in_flight, r->moved_us};
}

/* Of all readers of a shard but `than`. */
static struct reader *choose_but(struct shards *s, uint32_t shard, uint32_t than)
{
    struct reader_load loads[READERS_MOST];
    struct reader *first = &s->readers[shard * s->per_shard];
    for (uint32_t i = 0; i < s->per_shard; i++) {
        loads[i] = load_of(&first[i]);
        loads[i].ready &= i != than;
    }
    struct reader_places places = {.count = s->per_shard,
                                   .at_once = readers_at_once(s->processors, s->shards, s->per_shard),
                                   .first = (uint32_t)(s->beats % s->per_shard),
                                   .turn = first->turn++};
    int best = reader_choose(loads, &places, clock_us());
    return best < 0 ? NULL : &first[best];
}

static struct reader *choose(struct shards *s, uint32_t shard, const struct shard_ticket *same)
{
    if (shard >= s->shards)
        return NULL;
    if (!same || !same->request)
        return choose_but(s, shard, UINT32_MAX);
    struct reader *r = &s->readers[shard * s->per_shard + same->reader];
    return r->child.state == CHILD_READY && r->child.life == same->life ? r : NULL;
}

static struct reader *choose_other(struct shards *s, const struct shard_ticket *than)
{
    return than->shard < s->shards ? choose_but(s, than->shard, than->reader) : NULL;
}

static int send_to(struct shards *s, struct reader *r, Mayfly__Internal__ShardEnvelope *message,
                   const struct shard_caller *caller, struct shard_ticket *out_ticket)
{
    if (!r || r->child.state != CHILD_READY)
        return ERR_CLOSED;
    message->request = ++s->requests;
    int err = reader_ask(r, message, caller);
    if (!err)
        *out_ticket = (struct shard_ticket){r->shard, r->number, message->request, r->child.life};
    return err;
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
    reader_drop(r, ticket->request);
    Mayfly__Internal__Abandon abandon = MAYFLY__INTERNAL__ABANDON__INIT;
    Mayfly__Internal__ShardEnvelope message = MAYFLY__INTERNAL__SHARD_ENVELOPE__INIT;
    message.request = ticket->request;
    message.message_case = MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_ABANDON;
    message.abandon = &abandon;
    (void)reader_queue(r, &message); /* else its deadline lets go of what is held */
}

static void tell(struct shards *s, uint32_t from, uint32_t count, Mayfly__Internal__ShardEnvelope *message)
{
    for (uint32_t i = from; i < from + count; i++)
        if (s->readers[i].child.state == CHILD_READY)
            (void)reader_queue(&s->readers[i], message); /* a reader also looks by itself */
}

void shards_sweep(struct shards *s)
{
    arena_reset(&s->arena, 0);
    heap_untouch(s->buffer, READER_BUFFER);
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
            (void)reader_queue(r, &message); /* else it is not answered, which is what it is about */
    }
}

void shards_nudge(struct shards *s, uint32_t shard, uint32_t index, uint32_t edition, uint64_t generation)
{
    Mayfly__Internal__Place place;
    Mayfly__Internal__Nudge nudge = MAYFLY__INTERNAL__NUDGE__INIT;
    Mayfly__Internal__ShardEnvelope message = MAYFLY__INTERNAL__SHARD_ENVELOPE__INIT;
    mayfly__internal__place__init(&place);
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
