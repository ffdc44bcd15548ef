/* resolve_world.h - random puts and deletions of a few ids, cut into jobs that are committed in random order with merges
 * between. */
#ifndef TESTS_RESOLVE_WORLD_H
#define TESTS_RESOLVE_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "index/resolve.h"

enum { IDS = 12, OPERATIONS_MOST = 400, JOBS_MOST = 200, SNAPSHOTS = 6 };

struct operation {
    uint32_t id;
    bool is_deletion;
};

struct world {
    char directory[64];
    uint64_t random;
    struct operation operations[OPERATIONS_MOST + 1]; /* by sequence number */
    uint32_t count;
    struct core_range jobs[JOBS_MOST];
    uint32_t job_count;
    uint64_t next_segment, segment_step;
    struct core *core;
    struct snapshot *held[SNAPSHOTS];
};

struct merging {
    struct snapshot *merged;
    uint64_t inputs[16];
    size_t count;
    struct segment *output;
};

/* Below `below`, of the world's own dice. */
uint32_t pick(struct world *w, uint32_t below);

uint64_t stamp_of(uint64_t sequence);
uint8_t code_of(uint64_t stamp);
struct str id_text(uint32_t id, char room[16]);
struct str key_of(uint32_t id, char room[16]);

/* Of a job, into a segment; and of what is live, into one that a merge writes: what the commit came to. */
int run_job(struct world *w, struct core_range job);
bool begin_merge(struct world *w, struct merging *m);
int end_merge(struct world *w, struct merging *m);

/* A snapshot of now. */
struct snapshot *look(struct world *w, struct snapshot *previous);

struct world *make_world(uint64_t seed);
void end_world(struct world *w);

#endif
