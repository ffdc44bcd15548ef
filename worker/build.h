/* build.h - a BUILD job while it runs: what has been read from its regions, on the way to one segment and one commit.
 */
#ifndef WORKER_BUILD_H
#define WORKER_BUILD_H

#include "index/core.h"
#include "index/segment_writer.h"
#include "worker/document.h"
#include "worker/invert.h"
#include "worker/job.h"
#include "worker/patch.h"
#include "worker/regions.h"

enum { SEGMENT_PATH_MAX = PLACE_PATH_MAX + 40 };

struct build {
    struct worker *worker;
    struct settings settings;
    struct analyzer *analyzer;
    struct regions regions;
    struct fields fields;
    struct arena texts;
    struct document_reader reader;
    struct inverter inverter;
    struct patcher patcher;

    char directory[PLACE_PATH_MAX];
    char path[SEGMENT_PATH_MAX];
    struct core *core;
    struct segment_writer *writer; /* NULL while no document was accepted */
    uint32_t documents;            /* in the segment */

    struct core_tombstone *deletions;
    size_t deletion_count, deletion_room;
    struct core_refusal *refusals;
    size_t refusal_count, refusal_room;
    uint64_t done;        /* sequence numbers below it are dealt with */
    size_t extent_before; /* of the heap, when the first operation was read */
};

/* commit.c: resolves and commits what the build has, and reports it. `segment` is whether its file was written. */
enum exit_reason build_commit(struct build *b, bool has_segment);

#endif
