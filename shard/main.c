/*
 * mayfly-shard - answer queries for one shard number of every index.
 *
 * Started by  mayflyd, by posix_spawn, one process per shard number and reader; its working directory is the data
 * Holds       fd 3: a stream socket to the coordinator (ShardEnvelope frames); fd 4: its last-words page; fd 5: the
 *             thresholds that searches share;
 *             core.mdb and segment files of the indexes that are asked for, mapped read-only
 * Writes      nothing but its reader slots in the lock files of core.mdb
 * malloc      tcmalloc for what lives long, returned to the kernel by a timer; a query's memory is one arena straight
 *             from mmap, capped, reset after each reply
 * Ends        at the end of file on fd 3: the coordinator is gone, or done with it
 */
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/err.h"
#include "common/fd.h"
#include "common/logger.h"
#include "common/region.h"
#include "common/slice.h"
#include "index/store.h"
#include "proto/last_words.h"
#include "shard/hold.h"
#include "shard/memory.h"
#include "shard/places.h"
#include "shard/rules.h"
#include "shard/serve.h"

enum { SOCKET_FD = 3, WORDS_FD = 4, THRESHOLDS_FD = 5, DEFAULT_QUERY_MEMORY = 64 << 20 };

struct options {
    uint32_t shard, reader;
    uint64_t query_memory;
    uint64_t heap_memory;
};

static uint64_t number(const char *option, const char *text, uint64_t most)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);
    if (end == text || *end || value > most)
        log_die("--%s wants a number up to %llu, not '%s'", option, (unsigned long long)most, text);
    return value;
}

static struct options read_options(int argc, char **argv)
{
    static const struct option known[] = {
        {"shard", required_argument, NULL, 's'},
        {"reader", required_argument, NULL, 'r'},
        {"query-memory", required_argument, NULL, 'm'},
        {"heap-memory", required_argument, NULL, 'h'},
        {0},
    };
    struct options o = {.query_memory = DEFAULT_QUERY_MEMORY, .heap_memory = HEAP_MOST};
    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (c == 's')
            o.shard = (uint32_t)number("shard", optarg, UINT32_MAX);
        else if (c == 'r')
            o.reader = (uint32_t)number("reader", optarg, UINT32_MAX);
        else if (c == 'm')
            o.query_memory = number("query-memory", optarg, UINT64_C(1) << 40);
        else if (c == 'h')
            o.heap_memory = number("heap-memory", optarg, UINT64_C(1) << 40);
        else
            log_die("this program is started by mayflyd");
    }
    return o;
}

static void name_the_log(const struct options *o)
{
    char name[32];
    snprintf(name, sizeof name, "mayfly-shard[%u.%u]", o->shard, o->reader);
    log_open(name, LOG_INFO);
}

/* ---------------------------------------------------------------------------------------------------------- last words
 */

/* A file that is shorter than its map (somebody cut it, the disk failed) cannot be survived by going on: the page says
 * so, and the coordinator starts another shard. */
static struct last_words *dying_words;

static void on_bus_error(int signal_number)
{
    static const char text[] = "a mapped file of an index could not be read (SIGBUS)";
    (void)signal_number;
    memcpy(dying_words->text, text, sizeof text);
    dying_words->reason = EXIT_REASON_CORRUPT;
    _exit(EXIT_FAILURE);
}

static struct last_words *open_words(const struct options *o)
{
    static struct region page = {.fd = -1};
    int err = region_map_shared(&page, WORDS_FD, LAST_WORDS_SIZE);
    if (err)
        log_die("the last-words page cannot be mapped: %s", err_str(err));
    struct last_words *words = (struct last_words *)(void *)page.base;
    words->magic = LAST_WORDS_MAGIC;
    words->pid = (uint32_t)getpid();
    words->arena_cap = o->query_memory;
    words->stage = STAGE_BORN;
    dying_words = words;
    struct sigaction action = {.sa_handler = on_bus_error};
    sigaction(SIGBUS, &action, NULL);
    return words;
}

/* Without them (a test that starts a shard by itself) each search is alone. */
static tagged_max *open_thresholds(void)
{
    static struct region page = {.fd = -1};
    int err = region_map_shared(&page, THRESHOLDS_FD, THRESHOLDS_SIZE);
    return err ? NULL : (tagged_max *)(void *)page.base;
}

/* -------------------------------------------------------------------------------------------------------------- begin
 */

/* Only the coordinator ends a shard: a Ctrl-C or a stop that reaches the whole group is for it to act upon. */
static void ignore_signals(void)
{
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
}

static void must(int err, const char *what)
{
    if (err)
        log_die("%s: %s", what, err_str(err));
}

static void open_shard(const struct options *o, struct shard *s)
{
    s->number = o->shard;
    s->reader = o->reader;
    s->words = open_words(o);
    s->thresholds = open_thresholds();
    must(arena_init(&s->arena, o->query_memory, 0), "reserving the query arena");
    must(arena_init(&s->scratch, o->query_memory, 0), "reserving the scratch arena");
    must(places_open(o->shard, &s->places), "preparing for indexes");
    must(holds_open(&s->holds), "preparing for queries");
    must(rules_cache_open(&s->rules), "loading the analysis data");
}

int main(int argc, char **argv)
{
    struct options o = read_options(argc, argv);
    static struct shard s; /* static: what it holds is not lost when main returns, and needs no closing */
    name_the_log(&o);
    store_name_errors();
    ignore_signals();
    /* Huge pages would let a small query keep 2 MiB; workers, which want them, are no children of a shard. */
    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
    memory_setup(o.heap_memory);
    open_shard(&o, &s);
    s.words->stage = STAGE_SERVING;
    slice_ask(SLICE_SHORT_US);
    int err = serve(&s, SOCKET_FD);
    s.words->reason = err ? EXIT_REASON_CORRUPT : EXIT_REASON_DONE;
    if (err)
        log_error("the coordinator cannot be understood, ending: %s", err_str(err));
    return err ? EXIT_FAILURE : EXIT_SUCCESS;
}
