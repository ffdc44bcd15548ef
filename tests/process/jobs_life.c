#include "jobs_life.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/crc.h"
#include "common/hash.h"
#include "common/logger.h"
#include "coordinator/merge_policy.h"
#include "coordinator/shards_start.h"
#include "proto/batch.h"
#include "proto/settings.h"

extern char **environ;

enum { MAX_BODY = 200 };

void jobs_life_guard(uv_timer_t *timer)
{
    (void)timer;
    fail_msg("nothing happened for %d s", JOBS_LIFE_LIMIT_MS / 1000);
}

static void ignore_change(void *context)
{
    (void)context;
}

static void on_surveyed(void *context, int err, const char *why)
{
    struct life *l = context;
    (void)why;
    assert_int_equal(err, 0);
    l->surveyed = true;
}

void on_optimized(void *context, int err, const char *why)
{
    struct life *l = context;
    if (err)
        fail_msg("optimize failed: %s", why);
    l->optimized = true;
}

static void on_stopped(void *context, int err, const char *why)
{
    struct life *l = context;
    (void)err, (void)why;
    l->stopped = true;
}

static void note_refusal(struct life *l, const struct refusal *r, size_t count)
{
    l->refused += (unsigned)count;
    snprintf(l->code, sizeof l->code, "%s", r->code);
    snprintf(l->id, sizeof l->id, "%s", r->id);
}

static void on_old_refusals(void *context, const struct refusal *r, size_t count)
{
    note_refusal(context, r, count);
}

static void on_applied(struct bundle *b, void *context)
{
    struct life *l = context;
    l->applied++;
    region_close(&b->region);
    free(b);
}

static void on_refused(struct bundle *b, const struct refusal *r, size_t count, void *context)
{
    assert_true(r->sequence >= b->first && r->sequence < b->end);
    note_refusal(context, r, count);
}

static void load_config(struct life *l, const char *merge)
{
    enum config_command command;
    char why[CONFIG_MAX_WHY], data[80], option[40];
    snprintf(data, sizeof data, "--data=%s", l->data);
    snprintf(option, sizeof option, "--merge=%s", merge);
    char *arguments[] = {(char[]){"mayflyd"},
                         data,
                         (char[]){"--shards=1"},
                         (char[]){"--workers=3"},
                         (char[]){"--worker-memory=64M"},
                         option,
                         NULL};
    if (config_load(6, arguments, environ, &l->config, &command, why))
        fail_msg("%s", why);
}

static void open_shards(struct life *l) /* none is started: nudges go nowhere */
{
    struct shards_options options = {.shards = 1,
                                     .readers = 1,
                                     .query_memory = 1 << 20,
                                     .thresholds = -1,
                                     .libexec = getenv("MAYFLY_BIN"),
                                     .directory = l->data,
                                     .on_change = ignore_change};
    assert_int_equal(shards_open(&l->loop, &options, &l->shards), 0);
}

void begin(struct life *l, const char *merge)
{
    char path[128], why[256];
    l->surveyed = l->stopped = false;
    l->applied = l->refused = 0;
    load_config(l, merge);
    assert_int_equal(uv_loop_init(&l->loop), 0);
    assert_int_equal(uv_timer_init(&l->loop, &l->guard), 0);
    snprintf(path, sizeof path, "%s/LOCK", l->data);
    l->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    snprintf(path, sizeof path, "%s/catalog.mdb", l->data);
    if (catalog_open(&l->loop, path, 1, &l->indexes, &l->catalog, why))
        fail_msg("%s", why);
    if (!l->indexes.first) {
        struct buf settings = {.data = NULL};
        settings_default(&settings);
        struct index *i = indexes_add(&l->indexes, STR("films"), STR("id"), 1, 1, 0,
                                      (struct str){.ptr = settings.data, .len = settings.len});
        buf_finish(&settings);
        catalog_put_index(l->catalog, i, NULL, NULL);
    }
    l->stream = &l->indexes.first->streams[0];

    struct jobs_options options = {.loop = &l->loop,
                                   .config = &l->config,
                                   .indexes = &l->indexes,
                                   .catalog = l->catalog,
                                   .nursery = &l->nursery,
                                   .directory = l->data,
                                   .callbacks = {.on_old_refusals = on_old_refusals, .context = l}};
    struct nursery_events events;
    assert_int_equal(jobs_open(&options, &l->jobs), 0);
    jobs_events(l->jobs, &events);
    assert_int_equal(nursery_init(&l->nursery, &l->loop, getenv("MAYFLY_BIN"), l->data, l->lock, &events), 0);
    nursery_start(&l->nursery);
    jobs_survey(l->jobs, on_surveyed, l);
    RUN_UNTIL(l, l->surveyed);
    open_shards(l);
    jobs_set_shards(l->jobs, l->shards);
}

static void close_handle(uv_handle_t *handle, void *context)
{
    (void)context;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

void end(struct life *l)
{
    jobs_stop(l->jobs, 5000, on_stopped, l);
    RUN_UNTIL(l, l->stopped && jobs_are_idle(l->jobs) && catalog_is_idle(l->catalog));
    nursery_stop(&l->nursery, 5000);
    RUN_UNTIL(l, l->nursery.child.state == CHILD_STOPPED);
    jobs_close(l->jobs);
    uv_run(&l->loop, UV_RUN_NOWAIT);
    catalog_close(l->catalog);
    l->stream = NULL;
    while (l->indexes.first)
        indexes_remove(&l->indexes, l->indexes.first);
    uv_walk(&l->loop, close_handle, NULL);
    uv_run(&l->loop, UV_RUN_DEFAULT);
    region_close(&l->nursery.child.words);
    arena_finish(&l->shards->arena);
    free(l->shards->buffer);
    free(l->shards->readers);
    free(l->shards);
    assert_int_equal(uv_loop_close(&l->loop), 0);
    close(l->lock);
    config_finish(&l->config);
}

void make_data(struct life *l)
{
    memset(l, 0, sizeof *l);
    snprintf(l->data, sizeof l->data, "/tmp/mayfly-jobs-XXXXXX");
    assert_non_null(mkdtemp(l->data));
}

void remove_data(struct life *l)
{
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", l->data);
    assert_int_equal(system(command), 0);
}

struct bundle *make_bundle(struct life *l, const char *prefix, unsigned count, int odd, const char *odd_id)
{
    struct bundle *b = calloc(1, sizeof *b);
    assert_non_null(b);
    *b = (struct bundle){.stream = l->stream,
                         .state = BUNDLE_LOGGED,
                         .first = l->stream->next_sequence,
                         .on_applied = on_applied,
                         .on_refused = on_refused,
                         .context = l};
    assert_int_equal(region_open(&b->region, "test", BATCH_HEADER + (size_t)count * 512), 0);
    char *at = b->region.base + BATCH_HEADER;
    for (unsigned i = 0; i < count; i++) {
        char id[64], body[MAX_BODY];
        if ((int)i == odd)
            snprintf(id, sizeof id, "%s", odd_id);
        else
            snprintf(id, sizeof id, "%s-%u", prefix, i);
        int length = snprintf(body, sizeof body, "{\"id\":\"%s\",\"title\":\"the film number %u\"}", id, i);
        struct operation o = {.kind = OPERATION_PUT,
                              .stamp = catalog_next(l->catalog, NUMBER_STAMP),
                              .hash = hash64(str_of(id)),
                              .position = i,
                              .id = str_of(id)};
        memcpy(operation_encode(at, &o, (size_t)length), body, (size_t)length);
        operation_pad(at);
        at += operation_size(o.id.len, (size_t)length);
    }
    b->bytes = (uint64_t)(at - b->region.base) - BATCH_HEADER;
    b->end = b->first + count;
    l->stream->next_sequence = b->end;
    struct batch_header header = {.count = count,
                                  .index = 1,
                                  .edition = 1,
                                  .first = b->first,
                                  .bytes = b->bytes,
                                  .crc = crc32c(0, b->region.base + BATCH_HEADER, b->bytes)};
    batch_header_encode(b->region.base, &header);
    b->region.used = BATCH_HEADER + b->bytes;
    assert_int_equal(region_seal(&b->region), 0);
    return b;
}

void build(struct life *l, struct bundle *b)
{
    jobs_build(l->jobs, b);
    jobs_start_built(l->jobs);
}

void add(struct life *l, const char *prefix, unsigned count)
{
    build(l, make_bundle(l, prefix, count, -1, NULL));
}
