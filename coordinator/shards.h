/* shards.h - the shard processes: started, watched, restarted; requests to them and their answers.
 *
 * Each shard number has one or more readers. A request goes to the reader that is ready and least busy
 * (reader_choice.h), or to the one that an earlier round went to. If that process dies, its requests are answered with a Failed "unavailable". */
#ifndef COORDINATOR_SHARDS_H
#define COORDINATOR_SHARDS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/buf.h"
#include "proto/message.h"

struct shards;

/* `body` is valid during the call, a large one may be taken over, leaving a zeroed buffer. Called exactly once, never
 * from within shards_send. */
typedef void shards_answer(void *context, const Mayfly__Internal__ShardEnvelope *answer, struct buf *body);

struct shard_caller { /* who waits for an answer */
    shards_answer *answer;
    void *context;
    struct arena *arena; /* what the answer is unpacked into, to stay; NULL: it is gone after the call */
};

struct shard_ticket { /* which request went where: for the next round and for abandoning */
    uint32_t shard, reader;
    uint64_t request; /* 0: none */
    uint64_t life;    /* of that reader: a restarted one knows nothing of it */
};

/* Sends `message` (its `request` is set here). `same` (may be NULL) names the reader to use; -EAGAIN style errors mean
 * that no reader is there: ERR_CLOSED, nothing will be called. */
int shards_send(struct shards *s, uint32_t shard, const struct shard_ticket *same,
                Mayfly__Internal__ShardEnvelope *message, const struct shard_caller *caller,
                struct shard_ticket *out_ticket);

/* The same, to a reader other than the one of that ticket. */
int shards_send_other(struct shards *s, const struct shard_ticket *than, Mayfly__Internal__ShardEnvelope *message,
                      const struct shard_caller *caller, struct shard_ticket *out_ticket);

/* The answer is wanted no more and `answer` will not be called; the shard drops what it holds for the request. */
void shards_abandon(struct shards *s, const struct shard_ticket *ticket);

/* Without answer, to every reader of a shard number. */
void shards_nudge(struct shards *s, uint32_t shard, uint32_t index, uint32_t edition, uint64_t generation);
void shards_forget(struct shards *s, uint32_t index, uint32_t edition);

bool shards_all_ready(const struct shards *s);

#endif
