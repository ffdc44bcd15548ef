/*
 * mayflyd - the coordinator: clients, the durable log, and who runs when.
 *
 * Started by  an operator or a service manager, one per data directory
 * Holds       LOCK, catalog.mdb, the log, the listening sockets, a lifeline to each child
 * Writes      catalog.mdb and log/; unlinks segments that nobody names
 * malloc      libc, large blocks straight from the kernel, trimmed by a timer (heap.h): what it holds is bounded by
 *             connections and by the region budget
 * Ends        on SIGTERM or SIGINT, in order, with status 0; on SIGUSR2 when another has taken its place (succession.h)
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/fd.h"
#include "common/logger.h"
#include "common/slice.h"
#include "coordinator/backup.h"
#include "coordinator/budget.h"
#include "coordinator/catalog_store.h"
#include "coordinator/data_directory.h"
#include "coordinator/editions.h"
#include "coordinator/fit.h"
#include "coordinator/heap.h"
#include "coordinator/heir.h"
#include "coordinator/ingest_trim.h"
#include "coordinator/jobs_state.h"
#include "coordinator/notify.h"
#include "coordinator/recover.h"
#include "coordinator/reload.h"
#include "coordinator/reshard.h"
#include "coordinator/server.h"
#include "coordinator/service.h"
#include "coordinator/session.h"
#include "coordinator/shards_start.h"
#include "coordinator/stored_shards.h"
#include "coordinator/succession.h"
#include "coordinator/tasks_state.h"
#include "proto/thresholds.h"

enum { LOOP_TURN_MS = 20, STREAMS_MS = 1000, WORKERS_MS = 1000, UPKEEP_MS = 1000, CHILDREN_STOP_S = 5 };

struct coordinator {
    struct server server;
    uv_loop_t loop;
    uv_signal_t terminate, interrupt, reload, upgrade;
    uv_timer_t stop_timer, upkeep_timer;
    struct heap_mark heap;
    struct recovery *recovery;
    struct service service;
    int argc;
    char **argv;
    int lock;            /* -1: another mayflyd has it, or is to have it */
    struct heir *heir;   /* of another mayflyd, whose place this one takes; NULL: none */
    struct succession succession;
    bool surveyed, listening, jobs_stopped, children_stopping, failed;
    uint64_t stopping_from_ms, stop_by_ms; /* loop time */
};

static void must(int err, const char *what, const char *which)
{
    if (err)
        log_die("%s %s: %s", what, which, err_str(err));
}

/* ----------------------------------------------------------------------------------------------- ready */

static void begin_listening(struct coordinator *c)
{
    char sentence[256];
    if (c->listening)
        return;
    if (sessions_listen(c->server.sessions, sentence))
        log_die("%s", sentence);
    c->listening = true;
}

static void begin_serving(void *context)
{
    struct coordinator *c = context;
    struct server *s = &c->server;
    begin_listening(c);
    log_info("ready socket=%s listen=%s shards=%llu readers=%llu", s->config.socket[0] ? s->config.socket : "none",
             s->config.listen[0] ? s->config.listen : "none", (unsigned long long)s->config.shards,
             (unsigned long long)s->config.readers);
    notify_send("READY=1\nSTATUS=ready");
}

/* At sockets that were passed clients wait until everything can be answered, or who had them before goes on to answer; others
 * are told that it is starting. */
static void become_ready(struct coordinator *c)
{
    struct server *s = &c->server;
    if (s->state != SERVER_STARTING || !c->surveyed)
        return;
    if (!shards_all_ready(s->shards)) {
        if (!s->activation.count)
            begin_listening(c);
        return;
    }
    s->state = SERVER_READY;
    if (c->heir)
        heir_is_ready(c->heir);
    else
        begin_serving(c);
}

static void on_passed_connection(void *context, int fd, unsigned flags, struct str unanswered)
{
    struct coordinator *c = context;
    sessions_adopt(c->server.sessions, fd, flags, unanswered);
}

/* A reader that does not start again later leaves the server degraded; at the beginning it is an error. */
static void on_shards_changed(void *context)
{
    struct coordinator *c = context;
    if (c->server.state == SERVER_STARTING && c->server.shards && shards_gave_up(c->server.shards))
        log_die("the shards do not start from %s", c->server.config.libexec);
    become_ready(c);
}

static void on_recovered(void *context, int err)
{
    (void)context;
    if (err) /* the log stays as it is for whoever can read it; going on would lose what was acknowledged */
        log_die("the log cannot be recovered: %s", err_str(err));
}

/* The picture of every stream is complete: writes may come, the log is replayed beside them. */
static void on_surveyed(void *context, int err, const char *why)
{
    struct coordinator *c = context;
    if (err)
        log_die("the survey of the indexes failed: %s", why ? why : err_str(err));
    err = recover_start(&c->server, on_recovered, c, &c->recovery);
    if (err)
        log_die("the log cannot be recovered: %s", err_str(err));
    jobs_set_shards(c->server.jobs, c->server.shards);
    editions_resume(&c->server);
    reshard_resume(&c->server);
    c->surveyed = true;
    become_ready(c);
}

static void on_old_refusals(void *context, const struct refusal *refused, size_t count)
{
    struct server *s = context;
    for (size_t i = 0; i < count; i++) {
        struct task *task = tasks_revive(s->tasks, refused[i].task, NULL, NULL);
        if (task)
            tasks_refuse(s->tasks, task, &refused[i]);
    }
}

/* -------------------------------------------------------------------------------------------------------------
 * stopping */

static void on_jobs_stopped(void *context, int err, const char *why)
{
    struct coordinator *c = context;
    (void)err, (void)why;
    c->jobs_stopped = true;
}

static bool is_quiet(const struct server *s)
{
    return sessions_are_gone(s->sessions) && ingest_is_idle(s->ingest) && !oplog_is_writing(s->log);
}

static bool has_stopped(struct coordinator *c)
{
    struct server *s = &c->server;
    return shards_stopped(s->shards) && s->nursery.child.state == CHILD_STOPPED && jobs_are_idle(s->jobs) &&
           catalog_is_idle(s->catalog) && oplog_is_idle(s->log) && backup_is_idle(s);
}

/* Who waits for what will not come in this life is told so, as soon as what came is safe. */
static void end_writes(struct coordinator *c)
{
    struct server *s = &c->server;
    if (uv_now(&c->loop) >= c->stopping_from_ms + STREAMS_MS)
        sessions_stop_streams(s->sessions);
    if (c->jobs_stopped && ingest_is_idle(s->ingest) && !oplog_is_writing(s->log) && catalog_is_idle(s->catalog))
        sessions_stop_waiting(s->sessions);
}

/* In order: clients are answered and let go, the log takes what came, jobs end, then the children. */
static void on_stop_turn(uv_timer_t *timer)
{
    struct coordinator *c = timer->data;
    struct server *s = &c->server;
    bool late = uv_now(&c->loop) >= c->stop_by_ms;
    if (c->lock >= 0)
        end_writes(c);
    sessions_drain(s->sessions, late);
    if (!c->children_stopping && c->jobs_stopped && (is_quiet(s) || late)) {
        c->children_stopping = true;
        nursery_stop(&s->nursery, 1000);
        shards_stop(s->shards, 1000);
        if (c->lock >= 0)
            ingest_flush(s->ingest);
    }
    if (c->children_stopping && has_stopped(c))
        uv_stop(&c->loop);
}

static void begin_stop(struct coordinator *c, const char *why)
{
    struct server *s = &c->server;
    if (s->state == SERVER_STOPPING)
        return;
    log_info("stopping: %s", why);
    if (!succession_has_heir(&c->succession)) /* else the service goes on, with another main process */
        notify_send("STOPPING=1\nSTATUS=stopping");
    s->state = SERVER_STOPPING;
    uint64_t limit_ms = s->config.stop_timeout * 1000;
    service_needs(s->config.stop_timeout + CHILDREN_STOP_S);
    c->stopping_from_ms = uv_now(&c->loop);
    c->stop_by_ms = c->stopping_from_ms + limit_ms;
    succession_end(&c->succession);
    sessions_stop_listening(s->sessions);
    editions_stop(s);
    jobs_stop(s->jobs, limit_ms / 2 < WORKERS_MS ? limit_ms / 2 : WORKERS_MS, on_jobs_stopped, c);
    c->stop_timer.data = c;
    uv_timer_start(&c->stop_timer, on_stop_turn, 0, LOOP_TURN_MS);
}

static void on_stop_signal(uv_signal_t *signal, int number)
{
    begin_stop(signal->data, number == SIGTERM ? "SIGTERM" : "SIGINT");
}

/* ---------------------------------------------------------------------------------------------- reload */

static void on_reload_signal(uv_signal_t *signal, int number)
{
    struct coordinator *c = signal->data;
    (void)number;
    reload(&c->server, c->argc, c->argv);
}

/* --------------------------------------------------------------------------------------------- upgrade */

static void on_upgrade_signal(uv_signal_t *signal, int number)
{
    struct coordinator *c = signal->data;
    (void)number;
    succession_begin(&c->succession);
}

static void on_succession_over(void *context, bool orderly)
{
    struct coordinator *c = context;
    c->failed = !orderly;
    begin_stop(c, "another mayflyd takes over");
}

static void prepare_succession(struct coordinator *c)
{
    c->succession.server = &c->server;
    c->succession.argv = c->argv;
    c->succession.lock = &c->lock;
    c->succession.recovery = &c->recovery;
    c->succession.stop = on_succession_over;
    c->succession.context = c;
    must(succession_init(&c->succession), "cannot begin", "a timer");
}

static void follow(struct coordinator *c, int predecessor)
{
    const struct heir_events events = {.listen = begin_serving, .connection = on_passed_connection, .context = c};
    if (predecessor >= 0)
        must(heir_open(&c->loop, predecessor, &events, &c->heir), "cannot listen to", "the mayflyd that is followed");
}

static int watch_signals(struct coordinator *c)
{
    const struct {
        uv_signal_t *handle;
        int number;
        uv_signal_cb callback;
    } signals[] = {{&c->terminate, SIGTERM, on_stop_signal},
                   {&c->interrupt, SIGINT, on_stop_signal},
                   {&c->reload, SIGHUP, on_reload_signal},
                   {&c->upgrade, SIGUSR2, on_upgrade_signal}};
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        signals[i].handle->data = c;
        int err = uv_signal_init(&c->loop, signals[i].handle);
        if (!err)
            err = uv_signal_start(signals[i].handle, signals[i].callback, signals[i].number);
        if (err)
            return err;
    }
    return 0;
}

/* -------------------------------------------------------------------------------------------------------------
 * starting */

/* Before the first child is started: with cgroup v2 this process may move, and they are to be where it is. */
static void open_cap(struct server *s)
{
    char why[CAP_WHY];
    if (cap_open((enum config_worker_cap)s->config.worker_cap, s->data, &s->cap, why))
        log_die("worker-cap cannot be had: %s", why);
}

/* What cannot be met at a start is not begun: later it would end in the middle of something. */
static void fit_to_group(struct server *s)
{
    int err = fit_config(&s->config, s->cap, cap_own_limit(), true, &s->fit);
    fit_log(&s->fit);
    if (err)
        log_die("the control group may have %lluM of memory, and with shards = %llu it takes %lluM at the least: raise its "
                "limit (MemoryMax=, memory.max), or have fewer shards (new data: shards; other: `mayfly reshard`, while it runs)",
                (unsigned long long)s->fit.limit >> 20, (unsigned long long)s->config.shards,
                (unsigned long long)s->fit.total >> 20);
    budget_log(&s->config, s->cap);
}

static void start_children(struct coordinator *c, int lock)
{
    struct server *s = &c->server;
    const struct jobs_options jobs = {.loop = s->loop,
                                      .config = &s->config,
                                      .indexes = &s->indexes,
                                      .catalog = s->catalog,
                                      .nursery = &s->nursery,
                                      .cap = s->cap,
                                      .disk = &s->disk,
                                      .directory = s->data,
                                      .callbacks = {on_old_refusals, s}};
    struct shards_options shards = {.shards = (uint32_t)s->config.shards,
                                          .readers = (uint32_t)s->config.readers,
                                          .query_memory = s->config.query_memory,
                                          .heap_memory = s->config.shard_heap,
                                          .libexec = s->config.libexec,
                                          .directory = s->data,
                                          .on_change = on_shards_changed,
                                          .context = c};
    struct nursery_events events;
    s->weights = weights_cache_open((struct weights_limits){.entries = WEIGHTS_ENTRIES, .bytes = WEIGHTS_BYTES});
    s->words = words_cache_open((struct words_limits){WORDS_ENTRIES, WORDS_BYTES, WORDS_COLLECTIONS});
    must(region_open_shared(&s->thresholds, "mayfly-thresholds", THRESHOLDS_SIZE), "cannot begin", "shared memory");
    shards.thresholds = s->thresholds.fd;
    must(jobs_open(&jobs, &s->jobs), "cannot begin", "jobs");
    must(shards_open(s->loop, &shards, &s->shards), "cannot begin", "shards");
    jobs_events(s->jobs, &events);
    must(nursery_init(&s->nursery, s->loop, s->config.libexec, s->data, lock, &events), "cannot begin", "the nursery");
    nursery_start(&s->nursery);
    shards_start(s->shards);
}

/* Who lacked room and has it now need not wait for the next try. */
static void look_at_disk(struct server *s)
{
    if (!disk_is_full(&s->disk))
        return;
    if (!jobs_lack_disk(s->jobs))
        disk_has_sufficed(&s->disk, DISK_WORKERS);
    if (disk_has_room_for(&s->disk, DISK_LOG))
        oplog_try_again(s->log);
    if (disk_has_room_for(&s->disk, DISK_WORKERS))
        jobs_try_again(s->jobs);
    disk_look(&s->disk);
}

/* Who is silent is seen. What is not wanted any more, and memory that is free, is let go of also while nobody asks for anything. */
static void on_upkeep(uv_timer_t *timer)
{
    struct coordinator *c = timer->data;
    nursery_beat(&c->server.nursery, c->server.config.answer_timeout);
    shards_beat(c->server.shards, c->server.config.answer_timeout);
    weights_sweep(c->server.weights, &c->server.indexes);
    words_sweep(c->server.words, &c->server.indexes);
    workspaces_sweep(&c->server.spare);
    shards_sweep(c->server.shards);
    heap_give_back(&c->heap);
    look_at_disk(&c->server);
}

static int start_upkeep(struct coordinator *c)
{
    int err = uv_timer_init(&c->loop, &c->upkeep_timer);
    c->upkeep_timer.data = c;
    return err ? err : uv_timer_start(&c->upkeep_timer, on_upkeep, UPKEEP_MS, UPKEEP_MS);
}

/* Connections and regions are descriptors; nothing here is hurt by many. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* What ended while the server stopped; the pool writes it, so the loop has to turn until it has. */
static void write_last_tasks(struct coordinator *c)
{
    tasks_flush(c->server.tasks, NULL, NULL);
    while (!catalog_is_idle(c->server.catalog))
        uv_run(&c->loop, UV_RUN_ONCE);
}

static int run(struct coordinator *c)
{
    struct server *s = &c->server;
    s->started_at = clock_wall_us();
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    raise_descriptor_limit();
    handover_program(c->succession.program);
    data_directory_make(s);
    int predecessor = heir_say_here();
    c->lock = data_directory_lock(s);
    data_directory_must_be_whole(s);
    open_cap(s);
    stored_shards_take(&s->config, s->data);
    fit_to_group(s);
    must(uv_loop_init(&c->loop), "cannot begin", "the loop");
    s->loop = &c->loop;
    must(watch_signals(c), "cannot watch", "signals");
    must(uv_timer_init(&c->loop, &c->stop_timer), "cannot begin", "a timer");
    prepare_succession(c);
    data_directory_open(s);
    must(tasks_open(s->catalog, &s->tasks), "cannot load", "tasks");
    editions_keep_tasks(s);
    reshard_keep_task(s);
    must(reshard_open(s, &s->resharding), "cannot begin", "a timer");
    must(sessions_open(s, &s->sessions), "cannot begin", "sessions");
    must(ingest_open(s, &s->ingest), "cannot begin", "ingest");
    follow(c, predecessor);
    start_children(c, c->lock);
    must(service_start(&c->service, s), "cannot begin", "a timer");
    must(start_upkeep(c), "cannot begin", "a timer");
    jobs_survey(s->jobs, on_surveyed, c);
    slice_ask(SLICE_SHORT_US); /* threads of the pool that are there already give way to the loop */
    do
        uv_run(&c->loop, UV_RUN_DEFAULT);
    while (!has_stopped(c)); /* a timer of the last turn may have begun to write something */
    if (c->lock >= 0)
        write_last_tasks(c);

    words_cache_close(s->words);
    weights_cache_close(s->weights);
    tasks_close(s->tasks);
    catalog_close(s->catalog);
    oplog_close(s->log);
    cap_close(s->cap);
    fd_close(&c->lock);
    log_info("stopped");
    return c->failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    static struct coordinator c;
    enum config_command command;
    char why[CONFIG_MAX_WHY];
    heap_setup();
    log_open("mayflyd", LOG_INFO);
    catalog_store_name_errors();
    err_name_range(-4095, -3000, uv_strerror);
    int err = config_load(argc, argv, environ, &c.server.config, &command, why);
    if (err) {
        fprintf(stderr, "mayflyd: %s\n", why);
        return 2;
    }
    switch (command) {
    case CONFIG_HELP:
        config_help(stdout);
        return EXIT_SUCCESS;
    case CONFIG_VERSION:
        printf("mayflyd %s\n", MAYFLY_VERSION);
        return EXIT_SUCCESS;
    case CONFIG_PRINT:
        config_print(&c.server.config, stdout);
        return EXIT_SUCCESS;
    case CONFIG_CHECK:
        puts("the configuration is valid");
        stored_shards_check(&c.server.config);
        return EXIT_SUCCESS;
    case CONFIG_RUN:
        break;
    }
    log_set_level((enum log_level)c.server.config.log_level);
    c.argc = argc;
    c.argv = argv;
    if (activation_take(ACTIVATION_FIRST, &c.server.activation, why))
        log_die("%s", why);
    return run(&c);
}
