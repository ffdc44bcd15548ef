/* last_words.h - the shared page in which a child says of itself what must be known when it is dead.
 *
 * Owned by the coordinator, mapped writable by one child; numbers only, never a pointer. The child writes, the
 * coordinator reads at any time; each field is written whole (aligned), and `text` before `reason`. Shards and the
 * nursery have one too: state, arena and text mean the same there. */
#ifndef PROTO_LAST_WORDS_H
#define PROTO_LAST_WORDS_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

enum { LAST_WORDS_SIZE = 4096, LAST_WORDS_MAGIC = 0x574c464d /* "MFLW" */ };

enum child_stage {
    STAGE_NONE,
    STAGE_BORN,
    STAGE_READING,  /* regions or inputs are being mapped and checked */
    STAGE_INDEXING,
    STAGE_WRITING,  /* the segment file */
    STAGE_COMMITTING,
    STAGE_DONE,
    STAGE_SERVING,  /* shards, nursery */
    STAGE_WAITING,  /* forked ahead, for a job */
    STAGES,
};

enum exit_reason {
    EXIT_REASON_NONE, /* it did not get to say: somebody killed it */
    EXIT_REASON_DONE,
    EXIT_REASON_RETIRED,    /* past the soft mark: committed what it had, the rest is for a successor */
    EXIT_REASON_SUPERSEDED, /* the commit found its work done or an input gone */
    EXIT_REASON_CAP,        /* the arena's hard cap */
    EXIT_REASON_KERNEL_CAP, /* RLIMIT_DATA refused memory before that */
    EXIT_REASON_CORRUPT,    /* input, segment or core.mdb does not decode */
    EXIT_REASON_WRITE,      /* a write failed: I/O error, a read-only file system, */
    EXIT_REASON_DISK_FULL,  /* or no room, or no quota, for it */
    EXIT_REASON_ORPHANED,   /* the coordinator is gone */
    /* Found by the coordinator, of a worker that did not get to say. */
    EXIT_REASON_CRASHED,    /* a signal of its own making, or an exit without words */
    EXIT_REASON_OOM_KILLED, /* by the kernel, at the limit of its own group */
    EXIT_REASON_STARVED,    /* by the kernel, because the service or the machine had no memory left */
    EXIT_REASON_TIMEOUT,    /* by the coordinator: it had one document in hand for too long */
    EXIT_REASON_CANCELLED,  /* by the coordinator: the index was dropped, the server stops */
    EXIT_REASON_LOST,       /* with its nursery */
    EXIT_REASONS,
};

const char *exit_reason_name(unsigned reason); /* "done", "cap", ...; "unknown" past the end */
const char *child_stage_name(unsigned stage);

struct last_words {
    uint32_t magic;
    uint32_t stage;  /* enum child_stage */
    uint32_t reason; /* enum exit_reason */
    uint32_t pid;
    uint64_t arena_used; /* bytes; shards: by the request that was answered last */
    uint64_t arena_peak;
    uint64_t arena_cap;
    uint64_t documents;       /* done so far in this job */
    uint64_t documents_total; /* 0: not known */
    uint64_t bytes;           /* of input consumed */
    uint64_t sequence;        /* of the operation in hand: what killed the worker */
    uint64_t input_segment;   /* merges: whose document is in hand */
    uint64_t generation;      /* of the commit; 0 before it */
    uint64_t reserved[6];
    char text[512]; /* a sentence, zero-terminated */
};

static_assert(sizeof(struct last_words) <= LAST_WORDS_SIZE, "last words fit their page");

#endif
