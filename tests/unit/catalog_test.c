/* catalog_test - numbers are never given twice, indexes come back, streams know what is applied. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <uv.h>

#include "common/err.h"
#include "common/hash.h"
#include "coordinator/catalog.h"
#include "coordinator/catalog_store.h"
#include "coordinator/index.h"
#include "coordinator/slots.h"
#include "coordinator/tasks_state.h"

struct life {
    char path[64], why[256];
    uv_loop_t loop;
    struct indexes indexes;
    struct catalog *catalog;
};

static int begin(struct life *l, uint32_t shards)
{
    assert_int_equal(uv_loop_init(&l->loop), 0);
    return catalog_open(&l->loop, l->path, shards, &l->indexes, &l->catalog, l->why);
}

static void end(struct life *l)
{
    uv_run(&l->loop, UV_RUN_DEFAULT);
    assert_true(catalog_is_idle(l->catalog));
    catalog_close(l->catalog);
    while (l->indexes.first)
        indexes_remove(&l->indexes, l->indexes.first);
    assert_int_equal(uv_loop_close(&l->loop), 0);
}

static void make_path(struct life *l)
{
    char directory[] = "/tmp/mayfly-catalog-XXXXXX";
    assert_non_null(mkdtemp(directory));
    snprintf(l->path, sizeof l->path, "%s/catalog.mdb", directory);
}

static void remove_path(struct life *l)
{
    char lock[80];
    snprintf(lock, sizeof lock, "%s-lock", l->path);
    unlink(lock);
    unlink(l->path);
    *strrchr(l->path, '/') = 0;
    rmdir(l->path);
}

static void gives_no_number_twice(void **state)
{
    (void)state;
    struct life l = {.catalog = NULL};
    make_path(&l);
    uint64_t last = 0;
    for (uint64_t life = 1; life <= 4; life++) {
        assert_int_equal(begin(&l, 2), 0);
        assert_int_equal(catalog_epoch(l.catalog), life);
        for (unsigned i = 0; i < 1000; i++) {
            uint64_t n = catalog_next(l.catalog, NUMBER_SEGMENT);
            assert_true(n > last);
            last = n;
            if (i % 100 == 0)
                uv_run(&l.loop, UV_RUN_NOWAIT);
        }
        end(&l);
    }
    remove_path(&l);
}

static void count(void *context, int err)
{
    assert_int_equal(err, 0);
    ++*(int *)context;
}

static void task_seen(void *context, uint64_t uid, struct str packed)
{
    assert_int_equal(uid, 300);
    assert_true(str_equal(packed, STR("packed")));
    ++*(int *)context;
}

static void keeps_indexes_and_tasks(void **state)
{
    (void)state;
    struct life l = {.catalog = NULL};
    int done = 0;
    make_path(&l);
    assert_int_equal(begin(&l, 3), 0);
    struct index *a = indexes_add(&l.indexes, STR("films"), STR("id"), 7, 1, 42, STR("{}"));
    catalog_put_index(l.catalog, a, count, &done);
    struct index *b = indexes_add(&l.indexes, STR("gone"), STR("id"), 8, 1, 42, STR("{}"));
    catalog_put_index(l.catalog, b, count, &done);
    catalog_remove_index(l.catalog, b, count, &done);
    catalog_put_task(l.catalog, 5, STR("x"), NULL, NULL);
    catalog_put_task(l.catalog, 300, STR("packed"), count, &done);
    catalog_remove_task(l.catalog, 5);
    end(&l);
    assert_int_equal(done, 4);

    assert_int_equal(begin(&l, 3), 0);
    struct index *found = indexes_find(&l.indexes, STR("films"));
    assert_non_null(found);
    assert_int_equal(found->number, 7);
    assert_int_equal(found->created_at, 42);
    assert_string_equal(found->primary_key, "id");
    assert_int_equal(found->settings.len, 2);
    assert_null(indexes_find(&l.indexes, STR("gone")));
    int seen = 0;
    assert_int_equal(catalog_tasks(l.catalog, task_seen, &seen), 0);
    assert_int_equal(seen, 1);
    end(&l);

    assert_int_equal(begin(&l, 2), 0); /* what the data was made with counts */
    assert_int_equal(l.indexes.shards, 3);
    assert_int_equal(indexes_find(&l.indexes, STR("films"))->shards, 3);
    end(&l);
    remove_path(&l);
}

static struct buf text(const char *s)
{
    struct buf b = {0};
    buf_append_str(&b, str_of(s));
    return b;
}

/* What is coming, and what it comes to; while the switch is on its way no other write undoes it. */
static void keeps_what_is_coming(void **state)
{
    (void)state;
    struct life l = {.catalog = NULL};
    int done = 0;
    make_path(&l);
    assert_int_equal(begin(&l, 1), 0);
    struct index *i = indexes_add(&l.indexes, STR("books"), STR("isbn"), 7, 4, 42, STR("{\"a\":1}"));
    struct buf coming = text("{\"b\":2}");
    index_set_coming(i, &coming, 300);
    catalog_put_index(l.catalog, i, count, &done);
    end(&l);

    assert_int_equal(begin(&l, 1), 0);
    i = indexes_find(&l.indexes, STR("books"));
    assert_true(i && index_has_coming(i));
    assert_int_equal(i->coming.task, 300);
    assert_memory_equal(i->coming.settings.data, "{\"b\":2}", i->coming.settings.len);
    assert_memory_equal(i->settings.data, "{\"a\":1}", i->settings.len);
    struct index *edition = indexes_new_edition(&l.indexes, i, 6);
    edition->streams[0].documents = 17;
    edition->streams[0].generation = 90;
    i->streams[0].next_sequence = 55;
    i->becoming = edition;
    catalog_put_switch(l.catalog, i, 300, STR("packed"), count, &done);
    strcpy(i->name, "films"); /* a swap */
    catalog_put_index(l.catalog, i, count, &done);
    i->becoming = NULL;
    uint64_t before = i->settings_id;
    index_take_edition(&l.indexes, i, edition);
    indexes_remove(&l.indexes, edition);
    assert_false(index_has_coming(i));
    assert_true(i->settings_id != before);
    assert_int_equal(i->edition, 6);
    assert_int_equal(index_documents(i), 17);
    assert_int_equal(i->streams[0].next_sequence, 55);
    end(&l);
    assert_int_equal(done, 3);

    assert_int_equal(begin(&l, 1), 0);
    i = indexes_find(&l.indexes, STR("films"));
    assert_true(i && !index_has_coming(i));
    assert_int_equal(i->edition, 6);
    assert_string_equal(i->primary_key, "isbn");
    assert_memory_equal(i->settings.data, "{\"b\":2}", i->settings.len);
    int seen = 0;
    assert_int_equal(catalog_tasks(l.catalog, task_seen, &seen), 0);
    assert_int_equal(seen, 1);
    end(&l);
    remove_path(&l);
}

/* As it stands in the file: u32 magic | u32 version | ... */
static uint32_t version_of(const struct life *l)
{
    struct catalog_store *store;
    struct catalog_meta meta;
    assert_int_equal(catalog_store_open_alone(l->path, &store), 0);
    assert_int_equal(catalog_store_meta(store, &meta), 1);
    catalog_store_close(store);
    return meta.version;
}

static void expect_shape(const struct life *l, const char *name, uint32_t shards, uint32_t numbering)
{
    const struct index *i = indexes_find(&l->indexes, str_of(name));
    assert_non_null(i);
    assert_int_equal(i->shards, shards);
    assert_int_equal(i->numbering, numbering);
    assert_int_equal(i->streams[shards - 1].numbering, numbering);
}

/* One index has the new number, one not yet, one is made meanwhile: each comes back as it was. Whoever reads only data
 * whose number of shards never changed refuses it from then on, not before. */
static void gives_indexes_other_numbers_of_shards(void **state)
{
    (void)state;
    struct life l = {.catalog = NULL};
    uint32_t shards, most;
    int done = 0;
    make_path(&l);
    assert_false(catalog_peek(l.path, false, &shards, &most));
    assert_int_equal(begin(&l, 2), 0);
    struct index *a = indexes_add(&l.indexes, STR("a"), STR("id"), 1, 1, 42, STR("{\"x\":1}"));
    struct index *b = indexes_add(&l.indexes, STR("b"), STR("isbn"), 2, 1, 42, STR("{}"));
    catalog_put_index(l.catalog, a, count, &done);
    catalog_put_index(l.catalog, b, count, &done);
    uv_run(&l.loop, UV_RUN_DEFAULT);
    assert_int_equal(version_of(&l), CATALOG_VERSION_FIXED);

    l.indexes.shards = 5;
    catalog_put_shards(l.catalog, &l.indexes, 300, count, &done);
    a->streams[1].next_sequence = 70;
    struct stream *former = &a->streams[1];
    struct index *edition = indexes_new_edition(&l.indexes, a, 2);
    edition->streams[4].documents = 9;
    a->becoming = edition;
    catalog_put_switch(l.catalog, a, 0, (struct str){0}, count, &done);
    a->becoming = NULL;
    index_take_edition(&l.indexes, a, edition);
    indexes_remove(&l.indexes, edition);
    assert_true(former->former && former->index == a && former->next_sequence == 70); /* whoever knew it still may */
    assert_int_equal(a->streams[1].next_sequence, 1);
    assert_int_equal(index_documents(a), 9);
    catalog_put_index(l.catalog, indexes_add(&l.indexes, STR("c"), STR("id"), 3, 1, 42, STR("{}")), count, &done);
    catalog_put_index(l.catalog, b, count, &done);
    end(&l);
    assert_int_equal(done, 6);
    assert_int_equal(version_of(&l), CATALOG_VERSION);
    assert_true(catalog_peek(l.path, false, &shards, &most) && shards == 5 && most == 5);

    assert_int_equal(begin(&l, 2), 0);
    assert_int_equal(l.indexes.shards, 5);
    assert_int_equal(catalog_resharding(l.catalog), 300);
    expect_shape(&l, "a", 5, 2);
    expect_shape(&l, "b", 2, 1);
    expect_shape(&l, "c", 5, 1);
    assert_string_equal(indexes_find(&l.indexes, STR("b"))->primary_key, "isbn");
    assert_memory_equal(indexes_find(&l.indexes, STR("a"))->settings.data, "{\"x\":1}", 7);
    catalog_end_resharding(l.catalog, 300, STR("packed"), count, &done);
    end(&l);

    assert_int_equal(begin(&l, 2), 0);
    assert_int_equal(catalog_resharding(l.catalog), 0);
    int seen = 0;
    assert_int_equal(catalog_tasks(l.catalog, task_seen, &seen), 0);
    assert_int_equal(seen, 1);
    end(&l);
    remove_path(&l);
}

static void joins_applied_ranges(void **state)
{
    (void)state;
    struct indexes all = {.shards = 1};
    struct index *i = indexes_add(&all, STR("x"), STR("id"), 1, 1, 0, STR("{}"));
    struct stream *s = &i->streams[0];
    stream_mark_applied(s, 10, 20);
    stream_mark_applied(s, 30, 40);
    stream_mark_applied(s, 50, 60);
    assert_int_equal(s->watermark, 1);
    assert_int_equal(s->applied.count, 3);
    assert_false(stream_is_applied(s, 9));
    assert_true(stream_is_applied(s, 10));
    assert_true(stream_is_applied(s, 19));
    assert_false(stream_is_applied(s, 20));
    assert_true(stream_is_applied(s, 59));
    assert_false(stream_is_applied(s, 60));
    stream_mark_applied(s, 20, 35);
    assert_int_equal(s->applied.count, 2);
    stream_mark_applied(s, 1, 10);
    assert_int_equal(s->watermark, 40);
    assert_int_equal(s->applied.count, 1);
    stream_mark_applied(s, 2, 45);
    assert_int_equal(s->watermark, 45);
    stream_mark_applied(s, 45, 50);
    assert_int_equal(s->watermark, 60);
    assert_int_equal(s->applied.count, 0);
    assert_int_equal(s->next_sequence, 60);
    indexes_remove(&all, i);
}

static void routes_every_slot(void **state)
{
    (void)state;
    struct indexes all = {.shards = 3};
    struct index *i = indexes_add(&all, STR("x"), STR("id"), 1, 1, 0, STR("{}"));
    assert_int_equal(index_route(i, 0)->shard, 0);
    assert_int_equal(index_route(i, UINT64_MAX)->shard, 2);
    for (uint64_t slot = 0; slot < SLOTS; slot++) {
        uint32_t shard = index_route(i, slot << 54)->shard;
        assert_in_range(slot, slots_first(shard, 3), slots_first(shard + 1, 3) - 1);
    }
    index_hold(i);
    indexes_remove(&all, i);
    assert_true(i->dropped);
    index_release(i);
}

/* Shards' slots are a partition, whatever their number, and overlap another partition's where they say so. */
static void deals_every_slot_once(void **state)
{
    (void)state;
    for (uint32_t shards = 1; shards <= SHARDS_MOST; shards++) {
        assert_int_equal(slots_first(0, shards), 0);
        assert_int_equal(slots_first(shards, shards), SLOTS);
        for (unsigned slot = 0; slot < SLOTS; slot++) {
            uint32_t shard = slot_shard(slot, shards);
            assert_true(slots_first(shard, shards) <= slot && slot < slots_first(shard + 1, shards));
        }
    }
    for (uint32_t n = 0; n < 5; n++)
        for (uint32_t k = 0; k < 3; k++) {
            bool found = false;
            for (unsigned slot = 0; slot < SLOTS; slot++)
                found |= slot_shard(slot, 5) == n && slot_shard(slot, 3) == k;
            assert_int_equal(slots_overlap(n, 5, k, 3), found);
        }
}

/* A life that ends without warning: what was given to the catalog is there, the rest is not. */
static void die(struct life *l, struct tasks *t)
{
    uv_run(&l->loop, UV_RUN_DEFAULT);
    t->oldest_dirty = UINT64_MAX;
    tasks_close(t);
    end(l);
}

static void a_task_is_in_the_catalog_before_newer_ones(void **state)
{
    (void)state;
    struct life l = {.catalog = NULL};
    struct tasks *t;
    make_path(&l);
    assert_int_equal(begin(&l, 1), 0);
    assert_int_equal(tasks_open(l.catalog, &t), 0);
    uint64_t first = tasks_new(t, NULL, "add")->uid, last = tasks_new(t, NULL, "add")->uid;
    tasks_save(t, tasks_find(t, last), NULL, NULL);
    die(&l, t);

    assert_int_equal(begin(&l, 1), 0);
    assert_int_equal(tasks_open(l.catalog, &t), 0);
    assert_non_null(tasks_find(t, last));
    assert_non_null(tasks_revive(t, first, NULL, "add")); /* what the log says of it finds it */
    die(&l, t);
    remove_path(&l);
}

static uint64_t add_task(struct tasks *t, const char *type, uint64_t searchable)
{
    struct task *task = tasks_new(t, NULL, type);
    task->received = 5;
    task->accepted = task->searchable = searchable;
    tasks_changed(t, task);
    return task->uid;
}

static void expect_task(struct tasks *t, uint64_t uid, enum task_status status, uint64_t searchable)
{
    const struct task *task = tasks_find(t, uid);
    assert_non_null(task);
    assert_int_equal(task->status, status);
    assert_int_equal(task->searchable, searchable);
}

static void succeed(struct tasks *t, uint64_t uid)
{
    struct task *task = tasks_find(t, uid);
    task->received_all = true;
    tasks_changed(t, task);
    assert_int_equal(task->status, TASK_SUCCEEDED);
}

/* As a backup does it. */
static void tasks_that_are_held_get_no_further_in_the_catalog(void **state)
{
    (void)state;
    struct life l = {.catalog = NULL}, copy = {.catalog = NULL};
    struct tasks *t;
    make_path(&l);
    make_path(&copy);
    assert_int_equal(begin(&l, 1), 0);
    assert_int_equal(tasks_open(l.catalog, &t), 0);
    uint64_t ended = add_task(t, "add", 5), going = add_task(t, "delete", 2), settings = add_task(t, "settings", 0);
    succeed(t, ended);
    tasks_hold(t);
    uint64_t fresh = add_task(t, "add", 5);
    succeed(t, going);
    succeed(t, fresh);
    tasks_finish(t, tasks_find(t, settings), TASK_SUCCEEDED, NULL, NULL);
    tasks_flush(t, NULL, NULL);
    uv_run(&l.loop, UV_RUN_DEFAULT);
    assert_int_equal(catalog_copy(l.catalog, copy.path), 0);
    tasks_release(t);
    tasks_flush(t, NULL, NULL);
    die(&l, t);

    assert_int_equal(begin(&copy, 1), 0);
    assert_int_equal(tasks_open(copy.catalog, &t), 0);
    expect_task(t, ended, TASK_SUCCEEDED, 5);
    expect_task(t, going, TASK_PROCESSING, 2);
    expect_task(t, fresh, TASK_ENQUEUED, 0);
    expect_task(t, settings, TASK_SUCCEEDED, 0);
    die(&copy, t);

    assert_int_equal(begin(&l, 1), 0);
    assert_int_equal(tasks_open(l.catalog, &t), 0);
    for (uint64_t uid = ended; uid <= fresh; uid++)
        expect_task(t, uid, TASK_SUCCEEDED, uid == settings ? 0 : 5);
    die(&l, t);
    remove_path(&l);
    remove_path(&copy);
}

static void tell(void *context, int err)
{
    int *told = context;
    assert_int_equal(err, 0);
    ++*told;
}

/* Written just before, or nothing to write: either way the catalog has it when it says so. */
static void a_flush_is_told_when_the_catalog_has_it(void **state)
{
    (void)state;
    struct life l = {.catalog = NULL};
    struct tasks *t;
    int told = 0;
    make_path(&l);
    assert_int_equal(begin(&l, 1), 0);
    assert_int_equal(tasks_open(l.catalog, &t), 0);
    tasks_flush(t, tell, &told);
    assert_int_equal(told, 1);
    uint64_t uid = tasks_new(t, NULL, "add")->uid;
    tasks_save(t, tasks_find(t, uid), NULL, NULL);
    tasks_flush(t, tell, &told);
    assert_int_equal(told, 1);
    uv_run(&l.loop, UV_RUN_DEFAULT);
    assert_int_equal(told, 2);
    die(&l, t);
    remove_path(&l);
}

static void keep_answer(void *context, const struct task *task)
{
    *(int *)context = task ? (int)task->status : -1;
}

/* The catalog hears of tasks a moment later: what it has not heard of may be in the log, until that has been read. */
static void who_waits_for_a_task_is_told_when_the_log_has_been_read(void **state)
{
    (void)state;
    enum { UNTOLD = 99 };
    struct life l = {.catalog = NULL};
    struct tasks *t;
    int of_first = UNTOLD, of_second = UNTOLD;
    make_path(&l);
    assert_int_equal(begin(&l, 1), 0);
    assert_int_equal(tasks_open(l.catalog, &t), 0);
    assert_true(tasks_may_have(t, 1) && tasks_may_have(t, 2));
    tasks_wait(t, 1, keep_answer, &of_first);
    tasks_wait(t, 2, keep_answer, &of_second);
    assert_non_null(tasks_revive(t, 1, NULL, "add"));
    assert_int_equal(of_first, UNTOLD);
    tasks_recovered(t, false);
    assert_int_equal(of_first, TASK_SUCCEEDED);
    assert_int_equal(of_second, -1);
    assert_false(tasks_may_have(t, 2));
    die(&l, t);
    remove_path(&l);
}

/* Tasks that could not be written before are in the pool when the catalog is closed: it waits for them. */
static void closing_waits_for_the_last_tasks(void **state)
{
    (void)state;
    struct life l = {.catalog = NULL};
    struct tasks *t;
    make_path(&l);
    assert_int_equal(begin(&l, 1), 0);
    assert_int_equal(tasks_open(l.catalog, &t), 0);
    uint64_t uid = tasks_new(t, NULL, "settings")->uid;
    tasks_finish(t, tasks_find(t, uid), TASK_SUCCEEDED, NULL, NULL);
    tasks_close(t);
    assert_false(catalog_is_idle(l.catalog));
    catalog_close(l.catalog);
    assert_int_equal(uv_loop_close(&l.loop), 0);

    assert_int_equal(begin(&l, 1), 0);
    assert_int_equal(tasks_open(l.catalog, &t), 0);
    assert_int_equal(tasks_find(t, uid)->status, TASK_SUCCEEDED);
    die(&l, t);
    remove_path(&l);
}

static void refuse_many(struct tasks *t, struct task *task)
{
    char id[32], message[600];
    memset(message, 'x', sizeof message - 1);
    message[sizeof message - 1] = 0;
    for (uint64_t n = 0; n < 1000; n++) {
        snprintf(id, sizeof id, "document-%d", (int)n);
        tasks_refuse(t, task, &(struct refusal){0, task->uid, n, 0, id, "invalid_id", message});
    }
}

/* All that is refused is counted; what was said of it is kept as long as there is room, longest of the newest. */
static void refusals_are_kept_within_bounds(void **state)
{
    (void)state;
    struct life l = {.catalog = NULL};
    struct tasks *t;
    uint64_t last = 0;
    make_path(&l);
    assert_int_equal(begin(&l, 1), 0);
    assert_int_equal(tasks_open(l.catalog, &t), 0);
    size_t empty = tasks_bytes(t);
    for (int n = 0; n < 60; n++) {
        struct task *task = tasks_new(t, NULL, "add");
        last = task->uid;
        refuse_many(t, task);
        assert_true(tasks_bytes(t) <= TASKS_BYTES + 1024);
        assert_int_equal(task->refused, 1000);
        assert_int_equal(tasks_entry(t, last)->error_count, 1000);
        tasks_finish(t, task, TASK_FAILED, NULL, NULL);
        tasks_flush(t, NULL, NULL);
        uv_run(&l.loop, UV_RUN_DEFAULT);
    }
    assert_true(tasks_count(t) > 10 && tasks_count(t) < 60);
    die(&l, t);

    assert_int_equal(begin(&l, 1), 0);
    assert_int_equal(tasks_open(l.catalog, &t), 0);
    assert_int_equal(tasks_find(t, last)->refused, 1000);
    assert_int_equal(tasks_entry(t, last)->error_count, 1000);
    assert_true(tasks_bytes(t) <= TASKS_BYTES + 1024);
    for (int n = 0; n < 60; n++) { /* under way at once: none can be forgotten */
        struct task *task = tasks_new(t, NULL, "add");
        refuse_many(t, task);
        assert_int_equal(task->refused, 1000);
        assert_true(tasks_bytes(t) <= TASKS_BYTES + 60 * 1024);
    }
    for (size_t i = 0; i < tasks_count(t); i++)
        tasks_forget_refusals(t, tasks_find(t, tasks_at(t, i)->uid));
    assert_true(tasks_bytes(t) < empty + 100 * 1024);
    die(&l, t);
    remove_path(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_no_number_twice),
        cmocka_unit_test(keeps_indexes_and_tasks),
        cmocka_unit_test(keeps_what_is_coming),
        cmocka_unit_test(gives_indexes_other_numbers_of_shards),
        cmocka_unit_test(deals_every_slot_once),
        cmocka_unit_test(joins_applied_ranges),
        cmocka_unit_test(routes_every_slot),
        cmocka_unit_test(a_task_is_in_the_catalog_before_newer_ones),
        cmocka_unit_test(tasks_that_are_held_get_no_further_in_the_catalog),
        cmocka_unit_test(a_flush_is_told_when_the_catalog_has_it),
        cmocka_unit_test(who_waits_for_a_task_is_told_when_the_log_has_been_read),
        cmocka_unit_test(closing_waits_for_the_last_tasks),
        cmocka_unit_test(refusals_are_kept_within_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
