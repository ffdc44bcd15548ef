/* ingest_state.h - ingest from the inside.  Used by ingest.c (regions) and intake.c (a client's bytes). */
#ifndef COORDINATOR_INGEST_STATE_H
#define COORDINATOR_INGEST_STATE_H

#include <uv.h>

#include "coordinator/ingest.h"
#include "coordinator/oplog_queue.h"
#include "coordinator/oplog_record.h"
#include "coordinator/server.h"
#include "coordinator/staging.h"

/* A region is one record of the log, and no more than a group of it. */
enum { REGION_SIZE = BATCH_HEADER + OPLOG_MAX_PAYLOAD, SMALL_BUNDLE = 64 << 10 };

struct load_list { /* by age: held.c */
    struct load *oldest, *youngest;
};

/* A bundle and whose it is. */
struct load {
    struct bundle bundle;
    struct ingest *ingest;
    char *base;  /* of the region's bytes, while somebody here needs them: staging memory, or the region's own map */
    size_t room; /* bytes that there are */
    bool staged; /* the first of the two */
    bool overtakes; /* others of its stream, in the log: oplog.h */
    bool in_pool; /* its operations are being put into the region */
    bool made;    /* they were: the header is missing */
    struct load *next_open, **at_open; /* among the unsealed ones */
    struct load *next;                 /* of its intake, by first position */
    struct intake *intake;             /* NULL: hung up, or recovered */
    uint64_t first_position;
    uint32_t count;
    uint32_t counted; /* of them in its task: one by filter stands in every stream, and is one */
    uint32_t crc;     /* of the operations */
    struct load_list *list; /* it stands in: held or dropped */
    struct load *older, *younger;
    struct load *next_wanted;
    uint64_t held; /* bytes of memory */
    bool logged;
    bool aside; /* one operation that is still being read; numbered and sealed when it is whole */
};

/* Batches in the log, since there was none that is not applied: for people. */
struct ingest_backlog {
    size_t waiting, applied;
    uint64_t applied_bytes; /* of operations, since start */
};

struct ingest {
    struct server *server;
    struct load *open; /* every unsealed one */
    struct intake *intakes;
    uint64_t logging, logging_bytes; /* loads, and of operations in them */
    unsigned making; /* regions, in the pool */
    struct staging staging;
    uint64_t staged; /* bytes of it whose regions are there, too, until they are in the log */
    uint64_t bytes;  /* of memory, in so many regions */
    size_t regions, most_regions;
    uint64_t unlogged;                 /* of the bytes: not in the log yet */
    uint64_t progressed_at, worker_at; /* log_room.c */
    struct load_list held, dropped;    /* in the log, with and without memory */
    struct load *wanted, **wanted_end;
    unsigned reading;
    bool full, awaits_room; /* held.c; log_room.c */
    struct ingest_backlog backlog;
    struct stream *untrimmed; /* what the log is to be told of: ingest_trim.c */
    size_t untrimmed_count;
    unsigned flushing; /* what it will be told of when the catalog has it */
    uv_prepare_t prepare;
    uv_timer_t tick_timer;
    unsigned ticks;
};

struct intake {
    struct intake *next, **at; /* of all */
    struct ingest *ingest;
    struct index *index;
    uint64_t task; /* uid */
    enum operation_kind kind;
    enum intake_wait wait;
    intake_tell *tell;
    void *context;
    bool hung_up, received_all, ended;

    struct load *loads; /* not yet applied, by first position */
    uint64_t received, refused, deleted;
    uint64_t told_accepted, told_searchable;
    struct intake_refusal *refusals;
    size_t refusal_count;
    bool tell_now;

    /* The operation that is being read. */
    int stage;
    uint8_t length[4];
    size_t have;
    size_t id_length, body_length;
    char id[BATCH_MAX_ID + 4];
    struct load *into; /* NULL: its body is skipped */
    char *operation;   /* in the region */
    char *body;
    size_t body_have;
};

/* Room for one operation in the open load of its stream, made if need be. NULL: no memory, or no numbers. */
struct load *ingest_room(struct intake *i, struct stream *s, size_t size);
void ingest_added(struct load *l, size_t size);
void ingest_give_up(struct load *l); /* the operation that was begun in it will not come */

/* Of bundles: on_refused. */
void ingest_on_refused(struct bundle *b, const struct refusal *refused, size_t count, void *context);

void ingest_make_crc(struct load *l);
void ingest_append(struct load *l); /* to the log */

/* ingest_region.c */
bool ingest_open_region(struct load *l, size_t capacity);
void ingest_make(struct load *l); /* and then ingest_append, in the order of these calls in a stream */
int ingest_end_region(struct load *l); /* with its header */
void ingest_keep_descriptor(struct region *r); /* nothing else of it */
int ingest_end(struct load *l); /* writes the header of its region, and keeps the descriptor only */

void intake_refuse_half(struct intake *i, const char *message); /* the operation that is being read */
void intake_refuse(struct intake *i, uint64_t position, const char *id, const char *code, const char *message);
void intake_progressed(struct intake *i);
void intake_check_end(struct intake *i); /* frees it when nobody needs it */

#endif
