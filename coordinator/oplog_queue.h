/* oplog_queue.h - appends that wait for the log, and which of them are its next group.
 *
 *   small ones      (oplog_entry.small) of clients that wait for each, first: alone in their group, unless the group before was such a one, or
 *                   no more than OPLOG_BESIDE of others wait
 *   large ones      of a bulk load, then, in the order in which they came: with at most OPLOG_GROUP bytes in a group, or one,
 *                   if small ones have come of late; else OPLOG_GROUP_MOST, since each group costs a sync
 *
 * So small ones wait for a group of that size at most, and then for their own, all but the first of them, and neither kind
 * holds up the other for good.
 * Within a stream only those overtake that may (oplog_entry.overtakes): whose number is given when they are taken, or a crash
 * between the two would leave a gap in the numbers of the stream, which is what lost operations look like; and of which it does
 * not matter when they are applied (ingest.c). */
#ifndef COORDINATOR_OPLOG_QUEUE_H
#define COORDINATOR_OPLOG_QUEUE_H

#include "coordinator/oplog.h"

enum { OPLOG_GROUP = 1 << 20, OPLOG_GROUP_MOST = 8 << 20, OPLOG_BESIDE = 256 << 10 };

struct append {
    struct append *next;
    struct oplog_entry entry;
    uint64_t from, to; /* bytes of the file, once it is written */
    oplog_done *done;
    void *context;
};

struct oplog_queue {
    struct append *first, **end;
    bool small_went; /* the last group was of small ones alone */
};

void oplog_queue_init(struct oplog_queue *q);
void oplog_queue_put(struct oplog_queue *q, struct append *a);

/* The next group, taken out; NULL: nothing waits. `is_hurried`: small ones have come of late. */
struct append *oplog_queue_take(struct oplog_queue *q, bool is_hurried);

#endif
