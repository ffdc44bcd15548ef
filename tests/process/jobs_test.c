/* jobs_test - jobs with a real nursery and real workers, without a server around them: what is applied, refused,
 * quarantined, merged, surveyed, and what becomes of it when processes are killed. */
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
#include <uv.h>

#include "common/crc.h"
#include "common/hash.h"
#include "common/logger.h"
#include "coordinator/jobs_state.h"
#include "coordinator/merge_policy.h"
#include "coordinator/shards_start.h"
#include "proto/batch.h"
#include "proto/settings.h"

extern char **environ;

enum { LIMIT_MS = 60000, MAX_BODY = 200 };

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

static void on_guard(uv_timer_t *timer)
{
    (void)timer;
    fail_msg("nothing happened for %d s", LIMIT_MS / 1000);
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

static void on_optimized(void *context, int err, const char *why)
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

#define RUN_UNTIL(l, claim)                                                                                            \
    do {                                                                                                               \
        uv_timer_start(&(l)->guard, on_guard, LIMIT_MS, 0);                                                            \
        while (!(claim))                                                                                               \
            uv_run(&(l)->loop, UV_RUN_ONCE);                                                                           \
        uv_timer_stop(&(l)->guard);                                                                                    \
    } while (0)

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

static void begin(struct life *l, const char *merge)
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

static void end(struct life *l)
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

static void make_data(struct life *l)
{
    memset(l, 0, sizeof *l);
    snprintf(l->data, sizeof l->data, "/tmp/mayfly-jobs-XXXXXX");
    assert_non_null(mkdtemp(l->data));
}

static void remove_data(struct life *l)
{
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", l->data);
    assert_int_equal(system(command), 0);
}

/* Operations with ids prefix-0, prefix-1 ...; the one at `odd` has `odd_id` instead. */
static struct bundle *make_bundle(struct life *l, const char *prefix, unsigned count, int odd, const char *odd_id)
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

/* In a turn of the loop of its own. */
static void build(struct life *l, struct bundle *b)
{
    jobs_build(l->jobs, b);
    jobs_start_built(l->jobs);
}

static void add(struct life *l, const char *prefix, unsigned count)
{
    build(l, make_bundle(l, prefix, count, -1, NULL));
}

static void applies_and_surveys(void **state)
{
    struct life l;
    (void)state;
    make_data(&l);
    begin(&l, "manual");
    add(&l, "a", 100);
    add(&l, "b", 50);
    add(&l, "a", 10); /* newer versions of ten */
    RUN_UNTIL(&l, l.applied == 3);
    assert_int_equal(l.refused, 0);
    assert_int_equal(l.stream->watermark, 161);
    RUN_UNTIL(&l, jobs_running(l.jobs) == 0);
    assert_int_equal(l.stream->documents, 150);
    uint64_t generation = l.stream->generation;
    size_t segments = l.stream->segment_count;
    end(&l);

    char orphan[128];
    snprintf(orphan, sizeof orphan, "%s/indexes/1/1/0/seg-99999.mdb", l.data);
    close(open(orphan, O_CREAT | O_WRONLY, 0600));
    snprintf(orphan, sizeof orphan, "%s/indexes/77", l.data);
    assert_int_equal(mkdir(orphan, 0700), 0);
    begin(&l, "manual");
    assert_int_equal(l.stream->documents, 150);
    assert_int_equal(l.stream->watermark, 161);
    assert_int_equal(l.stream->generation, generation);
    assert_int_equal(l.stream->segment_count, segments);
    assert_int_equal(access(orphan, F_OK), -1);
    snprintf(orphan, sizeof orphan, "%s/indexes/1/1/0/seg-99999.mdb", l.data);
    assert_int_equal(access(orphan, F_OK), -1);
    add(&l, "c", 5);
    RUN_UNTIL(&l, l.applied == 1 && jobs_running(l.jobs) == 0);
    assert_int_equal(l.stream->documents, 155);
    end(&l);
    remove_data(&l);
}

/* The first has a worker at once; what comes while it is at work waits for its commit and has one together. */
static void small_ones_share_a_commit(void **state)
{
    struct life l;
    (void)state;
    make_data(&l);
    begin(&l, "manual");
    uint64_t before = jobs_worker_counts(l.jobs)->started;
    for (unsigned i = 0; i < 10; i++) {
        struct bundle *b = make_bundle(&l, (char[]){(char)('a' + i), 0}, 1, -1, NULL);
        b->small = true;
        build(&l, b);
    }
    RUN_UNTIL(&l, l.applied == 10 && jobs_running(l.jobs) == 0);
    assert_int_equal(jobs_worker_counts(l.jobs)->started - before, 2);
    assert_int_equal(l.stream->segment_count, 2);
    assert_int_equal(l.stream->documents, 10);
    end(&l);
    remove_data(&l);
}

static void optimizes_to_one_segment(void **state)
{
    struct life l;
    (void)state;
    make_data(&l);
    begin(&l, "manual");
    for (unsigned i = 0; i < 10; i++) {
        char prefix[8];
        snprintf(prefix, sizeof prefix, "p%u", i);
        add(&l, prefix, 20);
        RUN_UNTIL(&l, l.applied == i + 1);
    }
    RUN_UNTIL(&l, jobs_running(l.jobs) == 0);
    assert_int_equal(l.stream->segment_count, 10);
    jobs_optimize(l.jobs, l.stream, on_optimized, &l);
    RUN_UNTIL(&l, l.optimized);
    assert_int_equal(l.stream->segment_count, 1);
    assert_int_equal(l.stream->documents, 200);
    end(&l);
    remove_data(&l);
}

static size_t images(const struct life *l)
{
    size_t count = 0;
    for (size_t i = 0; i < l->stream->segment_count; i++)
        count += l->stream->segments[i].image;
    return count;
}

static void merges_by_itself(void **state)
{
    struct life l;
    (void)state;
    make_data(&l);
    begin(&l, "auto");
    for (unsigned i = 0; i < 9; i++) {
        add(&l, (char[]){(char)('a' + i), 0}, 2000);
        RUN_UNTIL(&l, l.applied == i + 1);
    }
    assert_int_equal(images(&l), 0);
    RUN_UNTIL(&l, l.stream->segment_count < 8 && jobs_running(l.jobs) == 0);
    assert_int_equal(l.stream->documents, 18000);
    end(&l);
    remove_data(&l);
}

/* Whoever merges by hand does not choose when core.mdb is full. */
static void folds_images_where_merges_are_manual(void **state)
{
    struct life l;
    (void)state;
    make_data(&l);
    begin(&l, "manual");
    for (unsigned i = 0; i < FOLD_SMALL - 1; i++) {
        add(&l, (char[]){(char)('a' + i), 0}, 5);
        RUN_UNTIL(&l, l.applied == i + 1);
    }
    RUN_UNTIL(&l, jobs_running(l.jobs) == 0);
    assert_int_equal(images(&l), FOLD_SMALL - 1);
    add(&l, "z", 5);
    RUN_UNTIL(&l, l.applied == FOLD_SMALL && jobs_running(l.jobs) == 0 && images(&l) == 1);
    assert_int_equal(l.stream->segment_count, 1); /* an image of all of them */
    assert_int_equal(l.stream->documents, 5 * FOLD_SMALL);
    add(&l, "y", 5);
    RUN_UNTIL(&l, l.applied == FOLD_SMALL + 1 && jobs_running(l.jobs) == 0);
    assert_int_equal(images(&l), 2);
    end(&l);
    begin(&l, "manual"); /* as the survey finds them */
    assert_int_equal(l.stream->segment_count, 2);
    assert_int_equal(images(&l), 2);
    assert_int_equal(l.stream->documents, 5 * (FOLD_SMALL + 1));
    end(&l);
    remove_data(&l);
}

static void quarantines_what_kills_workers(void **state)
{
    struct life l;
    (void)state;
#ifndef MAYFLY_TEST_HOOKS
    print_message("skipped: built without MAYFLY_TEST_HOOKS\n"); /* nothing kills the worker in such a build */
    skip();
#endif
    make_data(&l);
    setenv("MAYFLY_TEST_KILL_ID", "poison", 1);
    begin(&l, "manual");
    build(&l, make_bundle(&l, "a", 40, 17, "poison"));
    build(&l, make_bundle(&l, "b", 1, 0, "poison"));
    RUN_UNTIL(&l, l.applied == 2 && jobs_running(l.jobs) == 0);
    unsetenv("MAYFLY_TEST_KILL_ID");
    assert_int_equal(l.refused, 2);
    assert_string_equal(l.code, CODE_QUARANTINED);
    assert_string_equal(l.id, "poison");
    assert_int_equal(l.stream->documents, 39);
    end(&l);
    remove_data(&l);
}

static void survives_the_nursery(void **state)
{
    struct life l;
    (void)state;
    make_data(&l);
    begin(&l, "manual");
    for (unsigned i = 0; i < 6; i++) {
        add(&l, (char[]){(char)('a' + i), 0}, 1000);
        if (i % 2 == 0)
            RUN_UNTIL(&l, jobs_running(l.jobs) > 0);
        if (l.nursery.child.state == CHILD_READY)
            kill(l.nursery.child.pid, SIGKILL);
    }
    RUN_UNTIL(&l, l.applied == 6 && jobs_running(l.jobs) == 0);
    assert_int_equal(l.stream->documents, 6000);
    assert_int_equal(l.stream->watermark, 6001);
    end(&l);
    remove_data(&l);
}

static void kill_worker(void *context, const struct worker_view *w)
{
    kill(w->pid, SIGKILL);
    ++*(unsigned *)context;
}

static void follows_killed_workers(void **state)
{
    struct life l;
    unsigned kills = 0;
    (void)state;
    make_data(&l);
    begin(&l, "manual");
    for (unsigned i = 0; i < 10; i++) {
        add(&l, (char[]){(char)('a' + i), 0}, 500);
        while (l.applied <= i) {
            if (kills < 3 * (i + 1))
                jobs_visit(l.jobs, kill_worker, &kills);
            uv_run(&l.loop, UV_RUN_ONCE);
        }
    }
    RUN_UNTIL(&l, jobs_running(l.jobs) == 0);
    assert_true(kills > 0);
    assert_int_equal(l.refused, 0);
    assert_int_equal(l.stream->documents, 5000);
    end(&l);
    remove_data(&l);
}

static void drops_an_index_in_use(void **state)
{
    struct life l;
    char path[128];
    (void)state;
    make_data(&l);
    begin(&l, "manual");
    snprintf(path, sizeof path, "%s/indexes/1", l.data);
    for (unsigned i = 0; i < 20; i++)
        add(&l, (char[]){(char)('a' + i), 0}, 500);
    RUN_UNTIL(&l, l.applied >= 1);
    struct index *gone = l.indexes.first;
    catalog_remove_index(l.catalog, gone, NULL, NULL);
    index_hold(gone);
    indexes_remove(&l.indexes, gone);
    jobs_forget(l.jobs, gone);
    index_release(gone);
    RUN_UNTIL(&l, l.applied == 20 && jobs_running(l.jobs) == 0);
    RUN_UNTIL(&l, access(path, F_OK) < 0);
    end(&l);
    remove_data(&l);
}

int main(void)
{
    if (!getenv("MAYFLY_BIN")) {
        fprintf(stderr, "skipped: MAYFLY_BIN names no directory\n");
        return 77;
    }
    log_open("jobs_test", getenv("MAYFLY_TEST_DEBUG") ? LOG_DEBUG : LOG_WARN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(applies_and_surveys),   cmocka_unit_test(small_ones_share_a_commit),
        cmocka_unit_test(optimizes_to_one_segment),
        cmocka_unit_test(merges_by_itself),      cmocka_unit_test(quarantines_what_kills_workers),
        cmocka_unit_test(folds_images_where_merges_are_manual),
        cmocka_unit_test(survives_the_nursery),  cmocka_unit_test(follows_killed_workers),
        cmocka_unit_test(drops_an_index_in_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
