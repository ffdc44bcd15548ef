/* before.h - the index as it was before the job: opened when the first operation asks for it, then kept.
 *
 * The coordinator begins a job whose operations depend on what was before it when all of that is applied. */
#ifndef WORKER_BEFORE_H
#define WORKER_BEFORE_H

#include "index/core.h"
#include "index/snapshot.h"
#include "worker/job.h"

struct before {
    struct worker *worker;
    struct core *core;
    const char *directory;
    struct snapshot *snapshot; /* NULL: nobody has asked */
};

enum before_use { BEFORE_IDS /* as snapshot_open_for_ids */, BEFORE_ALL };

/* Dies of damage, and if anything before `first` is not applied. Of one job all uses are the same. */
const struct snapshot *before_open(struct before *b, uint64_t first, enum before_use use);

/* Damage of the index, which is no operation's fault; an arena that is full is. */
_Noreturn void before_die(const struct before *b, int err, const struct snapshot_segment *s, const char *section);

#endif
