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

#include "common/crc.h"
#include "common/hash.h"
#include "common/logger.h"
#include "coordinator/jobs_state.h"
#include "coordinator/merge_policy.h"
#include "coordinator/shards_start.h"
#include "proto/batch.h"
#include "proto/settings.h"

extern char **environ;
#include "jobs_life.h"

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

static void note_standby(void *context, const struct worker_view *w)
{
    if (strcmp(w->kind, "standby") == 0)
        *(int *)context = w->pid;
}

/* Of the worker that waits for the next single update; 0: none does. */
static int standby(const struct life *l)
{
    int pid = 0;
    jobs_visit(l->jobs, note_standby, &pid);
    return pid;
}

static void begin_small(struct life *l)
{
    static unsigned number;
    char prefix[16];
    snprintf(prefix, sizeof prefix, "small%u", number++);
    struct bundle *b = make_bundle(l, prefix, 1, -1, NULL);
    b->small = true;
    build(l, b);
}

static void add_small(struct life *l)
{
    unsigned before = l->applied;
    begin_small(l);
    RUN_UNTIL(l, l->applied == before + 1);
}

/* One follows the other until a worker is forked ahead. */
static void add_small_until_standby(struct life *l)
{
    while (!standby(l))
        add_small(l);
}

static void note_build(void *context, const struct worker_view *w)
{
    if (strcmp(w->kind, "build") == 0)
        *(int *)context = w->pid;
}

static void the_next_update_has_the_worker_that_was_forked_ahead(void **state)
{
    struct life l;
    int builds = 0;
    (void)state;
    make_data(&l);
    begin(&l, "manual");
    add_small_until_standby(&l);
    RUN_UNTIL(&l, jobs_running(l.jobs) == 0);
    uint64_t started = jobs_worker_counts(l.jobs)->started;
    int waits = standby(&l);
    begin_small(&l);
    jobs_visit(l.jobs, note_build, &builds);
    assert_true(waits == 0 || builds == waits); /* it may have waited for too long */
    RUN_UNTIL(&l, jobs_running(l.jobs) == 0);
    assert_int_equal(jobs_worker_counts(l.jobs)->started, started + 1);
    RUN_UNTIL(&l, !standby(&l)); /* nothing comes any more */
    assert_int_equal(l.refused, 0);
    assert_int_equal(l.stream->documents, l.applied);
    end(&l);
    remove_data(&l);
}

static void a_worker_that_was_forked_ahead_may_die(void **state)
{
    struct life l;
    (void)state;
    make_data(&l);
    begin(&l, "manual");
    for (int i = 0; i < 6; i++) {
        add_small_until_standby(&l);
        kill(i % 2 ? l.nursery.child.pid : standby(&l), SIGKILL);
        if (i > 3)
            RUN_UNTIL(&l, !standby(&l));
        add_small(&l);
    }
    add_small_until_standby(&l);
    assert_int_equal(l.refused, 0);
    RUN_UNTIL(&l, l.stream->documents == l.applied);
    end(&l); /* while one waits */
    remove_data(&l);
}

/* The index has grown since: its group would be too small. */
static void one_that_does_not_fit_is_replaced(void **state)
{
    struct life l;
    (void)state;
    make_data(&l);
    begin(&l, "manual");
    add_small_until_standby(&l);
    int first = standby(&l);
    if (l.jobs->standby.job)
        l.jobs->standby.job->limit = 1;
    while (standby(&l) == first || !standby(&l))
        add_small(&l);
    RUN_UNTIL(&l, jobs_running(l.jobs) == 0);
    assert_int_equal(l.stream->documents, l.applied);
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
        cmocka_unit_test(the_next_update_has_the_worker_that_was_forked_ahead),
        cmocka_unit_test(a_worker_that_was_forked_ahead_may_die),
        cmocka_unit_test(one_that_does_not_fit_is_replaced),
        cmocka_unit_test(optimizes_to_one_segment),
        cmocka_unit_test(merges_by_itself),      cmocka_unit_test(quarantines_what_kills_workers),
        cmocka_unit_test(folds_images_where_merges_are_manual),
        cmocka_unit_test(survives_the_nursery),  cmocka_unit_test(follows_killed_workers),
        cmocka_unit_test(drops_an_index_in_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
