/* server.h - a running coordinator: its parts, made and wired in main.c. Handlers of requests get this. */
#ifndef COORDINATOR_SERVER_H
#define COORDINATOR_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "common/region.h"
#include "coordinator/activation.h"
#include "coordinator/cap.h"
#include "coordinator/catalog.h"
#include "coordinator/config.h"
#include "coordinator/disk.h"
#include "coordinator/fit.h"
#include "coordinator/index.h"
#include "coordinator/jobs.h"
#include "coordinator/nursery.h"
#include "coordinator/oplog.h"
#include "coordinator/shards.h"
#include "coordinator/tasks.h"
#include "coordinator/weights_cache.h"
#include "coordinator/words_cache.h"
#include "coordinator/workspace.h"
#include "proto/latency.h"

/* YIELDING: another mayflyd takes over the data, what only reads is answered until it is ready (succession.h). */
enum server_state { SERVER_STARTING, SERVER_READY, SERVER_YIELDING, SERVER_STOPPING };

struct server {
    uv_loop_t *loop;
    struct config config;
    struct activation activation; /* its sockets go to sessions_listen */
    char data[4000]; /* absolute */
    struct disk disk; /* that the data is on */
    enum server_state state;
    uint64_t started_at;

    struct indexes indexes;
    struct catalog *catalog;
    struct tasks *tasks;
    struct oplog *log;
    struct nursery nursery;
    struct cap *cap; /* of workers */
    struct fit fit;  /* what was cut of the settings */
    struct jobs *jobs;
    struct shards *shards;
    struct ingest *ingest;
    struct sessions *sessions;
    struct resharding *resharding;
    struct backup *backup;   /* that is being made; NULL: none */
    struct workspaces spare; /* of searches that are over */
    struct weights_cache *weights; /* of searches over several shards */
    struct words_cache *words;     /* and of the words that most of them are made of */
    struct region thresholds; /* proto/thresholds.h */
    uint32_t threshold_tag;   /* given out last */

    uint64_t searches, operations; /* since start */
    uint32_t searching;            /* searches under way */
    struct latency latency;        /* of searches that were answered, or failed */
};

/* starting | ready | degraded | stopping */
const char *server_state_name(const struct server *s);

#endif
