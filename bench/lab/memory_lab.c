/*
 * memory_lab - one discipline of memory, through bursts of indexing, searches all the while and one huge document.
 *
 *   memory_lab [OPTION]... DISCIPLINE NDJSON
 *     --burst N        documents of a burst [20000]
 *     --bursts N       bursts that follow the first [8]
 *     --huge FILE      which is one more document, all of it
 *     --cache N        entries that searches keep [16384]
 *     --settle A,B     milliseconds of light traffic after the first burst, and after the others [10000,5000]
 *     --list           names of disciplines instead
 *
 * malloc is whatever LD_PRELOAD says. Nothing is measured here but CPU time and what the arenas know: `memory-lab`
 * looks at /proc. A line of JSON on standard output says what begins or is over, and when (CLOCK_MONOTONIC).
 */
#include <err.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bench/lab/corpus.h"
#include "bench/lab/indexer.h"
#include "bench/lab/nursery.h"
#include "bench/lab/searches.h"
#include "common/check.h"
#include "common/clock.h"

enum { LOOKED_AT_MS = 300, PER_SEARCH = 4, AT_ONCE = 16 };

struct lab {
    const struct discipline *discipline;
    size_t burst, bursts, cache;
    uint64_t settle_first_ms, settle_ms;
    const char *huge_path, *corpus_path;
    struct corpus corpus, huge;
    struct searches searches;
    struct space space; /* where there is no worker */
    struct nursery nursery;
    struct report last; /* of a worker; its cpu_us is the sum of all */
    int out;
};

static uint64_t own_cpu_us(void)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (uint64_t)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1000000 +
           (uint64_t)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

static void say(const struct lab *l, const char *event)
{
    bool is_worker = l->discipline->is_worker;
    struct space_figures f = is_worker ? l->last.figures : space_figures(&l->space);
    if (is_worker)
        f.committed = 0; /* it is gone */
    dprintf(STDOUT_FILENO,
            "{\"event\": \"%s\", \"ns\": %" PRIu64 ", \"cpu_us\": %" PRIu64 ", \"live\": %zu, \"searches\": %" PRIu64
            ", \"committed\": %" PRIu64 ", \"arena_peak\": %" PRIu64 ", \"commits\": %" PRIu64
            ", \"discards\": %" PRIu64 "}\n",
            event, clock_ns(), own_cpu_us() + l->last.cpu_us, l->searches.live, l->searches.done, f.committed, f.peak,
            f.commits, f.discards);
}

/* An event after which the process goes on as lightly as before for a while, so that somebody can look at it. */
static void say_and_rest(struct lab *l, const char *event)
{
    say(l, event);
    searches_light(&l->searches, LOOKED_AT_MS);
}

static void search_once(void *searches)
{
    searches_run(searches, 1);
}

/* As many searches as an indexing process of the same batch would answer between its documents. */
static void run_beside_worker(struct lab *l, const struct batch *b)
{
    size_t searches = b->count / PER_SEARCH;
    struct report report;
    bool ended = false;
    nursery_order(&l->nursery, b);
    while (searches > 0) {
        size_t now = searches < AT_ONCE ? searches : AT_ONCE;
        searches_run(&l->searches, now);
        searches -= now;
        ended = ended || nursery_reports(&l->nursery, 1, &report);
    }
    if (!ended)
        nursery_reports(&l->nursery, -1, &report);
    report.cpu_us += l->last.cpu_us;
    l->last = report;
}

static void run_batch(struct lab *l, const struct batch *b)
{
    if (l->discipline->is_worker)
        run_beside_worker(l, b);
    else
        index_batch(&l->space, b, l->out, search_once, &l->searches);
}

static void run_burst(struct lab *l, size_t number)
{
    struct batch b = {.corpus = &l->corpus, .first = number * l->burst, .count = l->burst};
    run_batch(l, &b);
}

static void run_huge_document(struct lab *l)
{
    struct batch b = {.corpus = &l->huge};
    say(l, "huge begins");
    run_batch(l, &b);
    say(l, "huge");
    searches_light(&l->searches, l->settle_ms);
    say_and_rest(l, "huge settled");
}

static void run(struct lab *l)
{
    say_and_rest(l, "ready");
    say(l, "burst begins");
    run_burst(l, 0);
    say(l, "burst");
    searches_light(&l->searches, l->settle_first_ms);
    say_and_rest(l, "burst settled");
    say(l, "bursts begin");
    for (size_t i = 1; i <= l->bursts; i++)
        run_burst(l, i);
    say(l, "bursts");
    searches_light(&l->searches, l->settle_ms);
    say_and_rest(l, "bursts settled");
    if (l->huge_path)
        run_huge_document(l);
}

/* The nursery is forked while the process is small, and the files are mapped before, so that it has them too. */
static void open_lab(struct lab *l)
{
    corpus_open(&l->corpus, l->corpus_path);
    if (l->huge_path)
        corpus_open(&l->huge, l->huge_path);
    FILE *out = tmpfile();
    if (!out)
        err(EXIT_FAILURE, "a temporary file");
    l->out = dup(fileno(out));
    fclose(out);
    if (l->discipline->is_worker)
        nursery_start(&l->nursery, l->discipline, l->out);
    else
        space_open(&l->space, l->discipline);
    searches_open(&l->searches, l->cache);
}

static void close_lab(struct lab *l)
{
    searches_close(&l->searches);
    if (l->discipline->is_worker)
        nursery_stop(&l->nursery);
    else
        space_close(&l->space);
    if (l->huge_path)
        corpus_close(&l->huge);
    corpus_close(&l->corpus);
    close(l->out);
}

static const struct option options[] = {
    {"burst", required_argument, NULL, 'b'},
    {"bursts", required_argument, NULL, 'n'},
    {"huge", required_argument, NULL, 'h'},
    {"cache", required_argument, NULL, 'c'},
    {"settle", required_argument, NULL, 's'},
    {"list", no_argument, NULL, 'l'},
    {0},
};

static bool take_option(struct lab *l, int option, const char *value)
{
    switch (option) {
    case 'b':
        return (l->burst = strtoul(value, NULL, 10)) > 0;
    case 'n':
        l->bursts = strtoul(value, NULL, 10);
        return true;
    case 'h':
        l->huge_path = value;
        return true;
    case 'c':
        return (l->cache = strtoul(value, NULL, 10)) > 0;
    case 's':
        return sscanf(value, "%" SCNu64 ",%" SCNu64, &l->settle_first_ms, &l->settle_ms) == 2;
    case 'l':
        discipline_list();
        exit(EXIT_SUCCESS);
    default:
        return false;
    }
}

static bool take_arguments(struct lab *l, int argc, char **argv)
{
    *l = (struct lab){.burst = 20000, .bursts = 8, .cache = 16384, .settle_first_ms = 10000, .settle_ms = 5000};
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;)
        if (!take_option(l, c, optarg))
            return false;
    if (argc - optind != 2)
        return false;
    l->discipline = discipline_find(argv[optind]);
    l->corpus_path = argv[optind + 1];
    return l->discipline != NULL;
}

int main(int argc, char **argv)
{
    struct lab l;
    if (!take_arguments(&l, argc, argv)) {
        fprintf(
            stderr,
            "usage: memory_lab [--burst N] [--bursts N] [--huge FILE] [--cache N] [--settle A,B] DISCIPLINE NDJSON\n"
            "       memory_lab --list\n");
        return 2;
    }
    open_lab(&l);
    run(&l);
    close_lab(&l);
    return EXIT_SUCCESS;
}
