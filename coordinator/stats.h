/* stats.h - what every process uses and what the indexes hold, gathered for one Stats answer. Called by requests. */
#ifndef COORDINATOR_STATS_H
#define COORDINATOR_STATS_H

#include "common/arena.h"
#include "coordinator/cap.h"
#include "coordinator/catalog.h"
#include "coordinator/config.h"
#include "coordinator/index.h"
#include "coordinator/jobs.h"
#include "coordinator/shards.h"
#include "proto/latency.h"
#include "proto/message.h"

struct nursery;

struct stats_sources {
    const struct config *config;
    const struct catalog *catalog;
    const struct indexes *indexes;
    const struct nursery *nursery;
    const struct shards *shards;
    const struct jobs *jobs;
    const struct latency *latency;
    const struct cap *cap;
    uint64_t started_at;
};

/* Fills processes but for their pss, exits, workers, latency, indexes, epoch, start, version and budgets; the rest is the
 * caller's. What is filled points into the arena. ERR_FULL past its cap. */
int stats_collect(const struct stats_sources *from, struct arena *arena, Mayfly__Stats *out);

#endif
