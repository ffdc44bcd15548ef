/* jobs_life.h - jobs with a real nursery and real workers, without a server around them: a data directory, and lives on it. */
#ifndef TESTS_JOBS_LIFE_H
#define TESTS_JOBS_LIFE_H

#include <stdbool.h>
#include <uv.h>

#include "coordinator/jobs_state.h"

enum { JOBS_LIFE_LIMIT_MS = 240000 };

struct life {
    char data[64];
    uv_loop_t loop;
    uv_timer_t guard;
    struct config config;
    struct indexes indexes;
    struct catalog *catalog;
    struct nursery nursery;
    struct shards *shards;
    struct jobs *jobs;
    struct stream *stream;
    int lock;

    bool surveyed, stopped, optimized;
    unsigned applied, refused;
    char code[64], id[64];
};

/* Fails: nothing has happened for so long. */
void jobs_life_guard(uv_timer_t *timer);

#define RUN_UNTIL(l, claim)                                                                                           \
    do {                                                                                                              \
        uv_timer_start(&(l)->guard, jobs_life_guard, JOBS_LIFE_LIMIT_MS, 0);                                          \
        while (!(claim))                                                                                              \
            uv_run(&(l)->loop, UV_RUN_ONCE);                                                                          \
        uv_timer_stop(&(l)->guard);                                                                                   \
    } while (0)

void make_data(struct life *l);
void remove_data(struct life *l);

/* A life on it, surveyed; and its orderly end. */
void begin(struct life *l, const char *merge);
void end(struct life *l);

/* Operations with ids prefix-0, prefix-1 ...; the one at `odd` has `odd_id` instead. */
struct bundle *make_bundle(struct life *l, const char *prefix, unsigned count, int odd, const char *odd_id);

/* In a turn of the loop of its own; and until it is applied. */
void build(struct life *l, struct bundle *b);
void add(struct life *l, const char *prefix, unsigned count);

void on_optimized(void *context, int err, const char *why);

#endif
