/* build.h - a BUILD job while it runs: what has been read from its regions, on the way to one segment and one commit.
 */
#ifndef WORKER_BUILD_H
#define WORKER_BUILD_H

#include "index/core.h"
#include "worker/indexing.h"
#include "worker/patch.h"
#include "worker/regions.h"

struct build {
    struct worker *worker;
    struct regions regions;
    struct indexing indexing;
    struct before before;
    struct patcher patcher;
    struct core *core;

    struct core_tombstone *deletions;
    size_t deletion_count, deletion_room;
    bool is_settled; /* they are a filter's */
    uint64_t stamp; /* of the last document */
    uint64_t done;  /* sequence numbers below it are dealt with */
};

/* commit.c: resolves and commits what the build has, and reports it. */
enum exit_reason build_commit(struct build *b);

/* Commits and reports the deletions and refusals so far, but no operation as applied: a part of one. */
void build_commit_part(struct build *b);

#endif
