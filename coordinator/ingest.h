/* ingest.h - operations on their way in: from a client's bytes into batch regions, the log, and to the jobs.
 *
 * An intake is one write stream of one client, and one task. Its operations are copied once, from the socket's buffer
 * into the open region of their stream (an index's shard); a region holds consecutive operations of one intake. Regions
 * are sealed when full, when another intake's operation comes, and whenever no append is in flight: group commit
 * without a timer. */
#ifndef COORDINATOR_INGEST_H
#define COORDINATOR_INGEST_H

#include <stdbool.h>
#include <stdint.h>

#include "common/str.h"
#include "coordinator/bundle.h"
#include "coordinator/tasks.h"
#include "proto/batch.h"

struct server;
struct ingest;
struct intake;

struct intake_refusal {
    char *text; /* id, code and message, each zero-terminated */
    size_t code, message;
    uint64_t position;
};

/* What a client is told of its stream. Operations count from its beginning. */
struct intake_progress {
    uint64_t task;
    uint64_t accepted, searchable; /* all before are durable, applied; or refused */
    uint64_t refused;
    uint64_t deleted; /* by filter */
    const struct intake_refusal *refusals; /* new ones */
    size_t refusal_count;
    bool done;
};

enum intake_wait { WAIT_ACCEPTED, WAIT_SEARCHABLE, WAIT_NONE };

typedef void intake_tell(void *context, const struct intake_progress *p);

int ingest_open(struct server *s, struct ingest **out);
void ingest_close(struct ingest *g);

/* NULL if no task number can be had. The index must not be damaged. */
struct intake *intake_begin(struct ingest *g, struct index *index, enum operation_kind kind, enum intake_wait wait,
                            intake_tell *tell, void *context);

/* Bytes of the stream, cut anywhere. ERR_CORRUPT if they cannot be read as one: the stream ends there. */
int intake_bytes(struct intake *i, struct str bytes);

/* The one operation of an intake whose kind is FILTER, and its end. */
void intake_filter(struct intake *i, struct str filter);

/* The frame is whole; what is complete will be told when it is durable. ERR_CORRUPT if `last` leaves half an operation.
 */
int intake_frame_end(struct intake *i, bool last);

/* No more bytes of it will be given: what is half there is given up, what is whole is told as ever. */
void intake_cut(struct intake *i);
bool intake_is_received(const struct intake *i); /* to its end */

/* The client is gone: nothing is told any more; what was accepted goes its way. */
void intake_hang_up(struct intake *i);

/* What comes is to be kept by who has it, and given when the index is open again. */
bool intake_is_closed(const struct intake *i);

/* Its client is not to be read from for now: the index is closed, or it is far behind, with some of what is this
 * intake's. */
bool intake_must_wait(const struct intake *i);

/* Of an index that is closed: whatever is whole goes into the log, and halves stand by themselves. False: not all of it,
 * for lack of memory. */
bool ingest_seal_index(struct index *index);

/* And whether all of it is applied. */
bool ingest_is_drained(const struct index *index);
bool ingest_is_far_behind(const struct index *index); /* more than unapplied_most */
uint64_t ingest_unapplied(const struct index *index); /* bytes of operations that wait for workers, or are with them */

/* The catalog has it now: what waited for that is told. */
void ingest_index_durable(struct ingest *g, const struct index *index);

/* Past what can be dropped from region memory: who writes is not read from until the server's sessions are called again. */
bool ingest_is_full(const struct ingest *g);
bool ingest_awaits_room(const struct ingest *g); /* in the log: log_room.h */

uint64_t ingest_bytes(const struct ingest *g);
size_t ingest_regions(const struct ingest *g); /* that have memory */

/* Nothing of it is unsealed or on its way to the log. */
bool ingest_is_idle(const struct ingest *g);

/* Operations of a former life, from the log, as one bundle. */
int ingest_recovered(struct ingest *g, struct stream *stream, uint64_t task, uint64_t first, uint32_t count,
                     struct str operations);

/* Those that the log has lost, in a bundle that says so of each: workers refuse them by name and the stream goes on. */
int ingest_lost(struct ingest *g, struct stream *stream, uint64_t task, uint64_t first, uint32_t count);

#endif
