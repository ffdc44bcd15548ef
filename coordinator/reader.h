/* reader.h - one shard process: its socket, and the requests to it that are not answered yet. shards.c chooses one. */
#ifndef COORDINATOR_READER_H
#define COORDINATOR_READER_H

#include <uv.h>

#include "common/buf.h"
#include "coordinator/child.h"
#include "coordinator/holdings.h"
#include "coordinator/shards.h"
#include "proto/frame.h"

enum { READER_BUFFER = 256 << 10 /* bytes of one read */ };

struct flight { /* a request that is not answered yet */
    struct flight *next;
    uint64_t request;
    struct shard_caller caller;
};

struct reader {
    struct child child;
    struct shards *shards;
    uint32_t shard, number;
    uint32_t turn;     /* in the first of a shard: searches that were given to any of them */
    char texts[4][24]; /* of its arguments */
    uv_poll_t *poll;   /* of this life; freed in its close callback */
    int watched;       /* what for */
    struct frame_reader frames;
    struct buf out, envelope, body;
    struct holdings holdings;
    struct flight *flights;
    uint32_t in_flight;
    uint64_t moved_us; /* as in reader_choice.h */
    uint64_t busy_until; /* in beats of `shards`: before that it need not answer */
    bool dirty; /* has something to flush in this loop turn */
};

/* `r` is one of `s->readers`, whose place says which one it is. */
int reader_init(struct shards *s, struct reader *r);

/* A message that is not answered; it travels with the next reader_flush. ERR_BUSY: too much waits to be sent. */
int reader_queue(struct reader *r, Mayfly__Internal__ShardEnvelope *message);
void reader_flush(struct reader *r);

/* A request, whose number stands in the message. The answer goes to the caller, unless it is dropped first. */
int reader_ask(struct reader *r, Mayfly__Internal__ShardEnvelope *message, const struct shard_caller *caller);
void reader_drop(struct reader *r, uint64_t request);

#endif
