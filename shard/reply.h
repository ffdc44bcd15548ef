/* reply.h - one answer to the coordinator: an envelope, and documents behind it. All of it is in the query arena. */
#ifndef SHARD_REPLY_H
#define SHARD_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "common/arena.h"
#include "common/str.h"
#include "index/snapshot.h"
#include "proto/message.h"

struct reply {
    struct arena *arena;
    Mayfly__Internal__ShardEnvelope envelope; /* its message is set by reply_as or reply_fail */
    struct str *documents;
    size_t document_count, document_room;
    uint64_t document_bytes;
    const Mayfly__Internal__Place *place; /* of the snapshot, as it was asked for: the request's. NULL: none yet */
    struct snapshot *snapshot; /* held until the answer is sent: ids and documents may be views into its files */
};

void reply_init(struct reply *r, struct arena *arena, uint64_t request);
void reply_finish(struct reply *r); /* once it is sent, or given up */

/* Takes over a reference. */
void reply_keep(struct reply *r, struct snapshot *s, const Mayfly__Internal__Place *place);

/* Sets one of the messages that a shard sends; it stays the caller's, in the arena. */
void reply_prepared(struct reply *r, Mayfly__Internal__Prepared *m);
void reply_guessed(struct reply *r, Mayfly__Internal__Guessed *m);
void reply_executed(struct reply *r, Mayfly__Internal__Executed *m);
void reply_fetched(struct reply *r, Mayfly__Internal__Fetched *m);
void reply_trimmed(struct reply *r, Mayfly__Internal__Trimmed *m);
void reply_filter_checked(struct reply *r);
void reply_moved(struct reply *r);
void reply_settings_wanted(struct reply *r);

/* Replaces whatever was set. */
void reply_fail(struct reply *r, const char *code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The same for a failure of the index libraries while a query ran, ERR_FULL (the arena) among them. */
void reply_fail_query(struct reply *r, int err);

/* ERR_FULL past the arena's cap, ERR_TOO_LARGE when several documents exceed ANSWER_MAX_DOCUMENTS. */
int reply_add_document(struct reply *r, struct str document);

/* The frame in pieces; NULL when even the arena has no room for it, or nothing was set (no answer is due). */
struct iovec *reply_frame(struct reply *r, size_t *out_count);

static inline bool reply_is_due(const struct reply *r)
{
    return r->envelope.message_case != MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE__NOT_SET;
}

#endif
