/*
 * query_bench - how fast one thread answers queries over one shard of an index, in process, warm.
 *
 *   query_bench DIRECTORY QUERIES [OPTION]...
 *     --mode MODE     or, and, phrase, last, fuzzy; count-or (count), count-and, count-phrase: all matches, no hits
 * [or]
 *     --k HITS        [10]
 *     --rounds N      passes over all queries; the time of a query is its median over them [5]
 *     --language L    [en]
 *     --prefix        the last word is a prefix, too
 *     --times         "name<tab>microseconds<tab>hits or count" per query instead of the summary
 *     --print         hits instead, as mayfly-reference writes them: "name rank id score dropped"
 *     --ask WHEN      for pages before they are read: auto (as a shard does), never, lists, all [auto]
 *     --fetch         ids and bodies of the hits are read, too, and measured
 *     --cold WHEN     first: the first pass is measured, without one before it, and alone; each: pages leave memory before
 *                     each query, too
 *     --serve         answers requests on standard input (requests.h)
 *
 * DIRECTORY is a shard's ("DATA/indexes/1/1/0"), QUERIES has a query per line, behind its name and a tab where there is
 * one. All queries are run once unmeasured. Measured are parsing and both rounds of a query: counting, weighing,
 * executing; not fetching documents. The summary: queries per second, percentiles in microseconds; major faults and KiB
 * read from the disk, per query that was measured.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/err.h"
#include "index/core.h"
#include "index/query.h"
#include "index/score.h"
#include "index/snapshot.h"
#include "index/store.h"
#include "index/will_need.h"
#include "proto/select.h"
#include "proto/weight.h"
#include "page_cache.h"
#include "requests.h"

enum { QUERY_MEMORY = 64 << 20, KEEP = 512 << 10, MAX_ROUNDS = 99, ASKS_AUTO = 99 };

struct bench {
    const struct request_mode *mode;
    const char *language, *directory;
    struct request_queries queries;
    uint32_t k;
    unsigned rounds;
    bool prefix, print, times, serve, fetch;
    unsigned asks;    /* enum asks, or ASKS_AUTO */
    const char *cold; /* NULL, "first" or "each" */
    struct page_waits waits;
    struct kept_norms norms;
    struct page_waits_seen seen; /* by what was measured */
    struct core *core;
    struct analyzer *analyzer;
    struct snapshot *snapshot;
    struct arena arena;
};

_Noreturn static void die(const char *what, int err)
{
    fprintf(stderr, "query_bench: %s: %s\n", what, err_str(err));
    exit(EXIT_FAILURE);
}

static void must(int err, const char *what)
{
    if (err)
        die(what, err);
}

/* ------------------------------------------------------------------------------------------------------------- one
 * query */

static void weigh(struct bench *b, const struct query_word *word, struct query_weights *out)
{
    struct weighted_word weighted;
    struct candidate *candidates = arena_new_array(&b->arena, word->candidate_count, struct candidate);
    for (size_t i = 0; i < word->candidate_count; i++) {
        const struct query_candidate *c = &word->candidates[i];
        candidates[i] = (struct candidate){c->key, c->distance, c->edits, c->frequency};
    }
    must(select_terms(&b->arena, candidates, word->candidate_count, word->count, b->snapshot->view->documents,
                      &weighted),
         "weighing");
    *out = (struct query_weights){.frequency = weighted.frequency, .term_count = weighted.count};
    out->terms = arena_new_array(&b->arena, weighted.count, struct query_term);
    for (size_t i = 0; i < weighted.count; i++)
        out->terms[i] = (struct query_term){weighted.terms[i].term, weighted.terms[i].weight};
}

static const enum query_match matches[] = {
    [REQUEST_OR] = MATCH_ANY,    [REQUEST_AND] = MATCH_ALL,   [REQUEST_PHRASE] = MATCH_ALL,
    [REQUEST_LAST] = MATCH_LAST, [REQUEST_FUZZY] = MATCH_ANY,
};

static struct query *parse(struct bench *b, enum request_operator operation, const char *text)
{
    struct query *q;
    struct str words = str_of(text);
    struct query_options options = {
        .match = matches[operation],
        .no_prefix = !b->prefix,
        .no_typos = operation != REQUEST_FUZZY,
        .plain_words = operation != REQUEST_PHRASE && operation != REQUEST_LAST,
    };
    if (operation == REQUEST_PHRASE) {
        char *quoted = arena_new_array(&b->arena, words.len + 3, char);
        words.len = (size_t)snprintf(quoted, words.len + 3, "\"%s\"", text);
        words.ptr = quoted;
    }
    must(query_parse(&b->arena, b->analyzer, words, &options, &q), "parsing");
    return q;
}

static struct query_result run_query(struct bench *b, const struct request_mode *mode, uint32_t k, const char *text)
{
    struct query_fault fault;
    struct query_result result;
    struct query *q = parse(b, mode->operation, text);
    b->snapshot->asks = b->asks == ASKS_AUTO ? page_waits_ask(&b->waits) : b->asks;
    struct query_word *words = arena_new_array(&b->arena, query_words(q), struct query_word);
    struct query_weights *weights = arena_new_array(&b->arena, query_words(q), struct query_weights);
    must(query_prepare_alone(&b->arena, q, b->snapshot, words, &fault), "counting");
    for (size_t i = 0; i < query_words(q); i++)
        weigh(b, &words[i], &weights[i]);
    const struct core_view *view = b->snapshot->view;
    struct query_run run = {
        .weights = weights,
        .norms = weight_norms_kept(&b->norms, length_decoded, view->documents, view->total_length),
        .limit = mode->is_count ? 0 : k,
    };
    must(query_execute(&b->arena, q, b->snapshot, &run, &result, &fault), "executing");
    return result;
}

/* As a shard does. */
static void ask_for_hits(struct bench *b, const struct query_result *result)
{
    struct page_ranges r;
    struct needed_document *needed = arena_new_array(&b->arena, result->hit_count, struct needed_document);
    page_ranges_init(&r);
    for (size_t i = 0; i < result->hit_count; i++) {
        const struct query_hit *hit = &result->hits[i];
        needed[i] = (struct needed_document){b->snapshot->segments[hit->segment].segment, hit->document};
    }
    will_need_documents(needed, result->hit_count, true, &r);
    page_ranges_ask(&r);
}

static void fetch(struct bench *b, const struct query_result *result)
{
    if (b->snapshot->asks)
        ask_for_hits(b, result);
    for (size_t i = 0; i < result->hit_count; i++) {
        const struct segment *segment = b->snapshot->segments[result->hits[i].segment].segment;
        struct str id, body;
        size_t mark = arena_mark(&b->arena);
        must(segment_document_id(segment, result->hits[i].document, &id, NULL), "reading an id");
        must(segment_document_body(segment, result->hits[i].document, &b->arena, &body), "reading a body");
        arena_rewind(&b->arena, mark);
    }
}

static uint64_t answer(void *context, const struct request_mode *mode, uint32_t k, const char *text)
{
    struct bench *b = context;
    struct query_result result = run_query(b, mode, k, text);
    if (b->fetch)
        fetch(b, &result);
    uint64_t found = mode->is_count ? result.estimated_total : result.hit_count;
    arena_reset(&b->arena, KEEP);
    return found;
}

/* ------------------------------------------------------------------------------------------------------------ all of
 * them */

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static uint64_t *must_array(size_t count)
{
    uint64_t *array = calloc(count + 1, sizeof *array);
    if (!array)
        die("memory", ERR_FULL);
    return array;
}

/* The median time of each query; `times_ns` holds a row of all queries per round. */
static void take_medians(const struct bench *b, const uint64_t *times_ns, uint64_t *out)
{
    uint64_t times[MAX_ROUNDS];
    for (size_t i = 0; i < b->queries.count; i++) {
        for (unsigned r = 0; r < b->rounds; r++)
            times[r] = times_ns[r * b->queries.count + i];
        qsort(times, b->rounds, sizeof *times, compare);
        out[i] = times[b->rounds / 2];
    }
}

static double percentile(const uint64_t *sorted_ns, size_t count, double share)
{
    size_t at = (size_t)(share * (double)count);
    return (double)sorted_ns[at < count ? at : count - 1] / 1000;
}

static void summarize(const struct bench *b, uint64_t *times_ns, const uint64_t *answers)
{
    size_t count = b->queries.count, empty = 0;
    uint64_t sum = 0, found = 0;
    double measured = (double)count * b->rounds;
    for (size_t i = 0; i < count; i++) {
        sum += times_ns[i];
        found += answers[i];
        empty += answers[i] == 0;
    }
    qsort(times_ns, count, sizeof *times_ns, compare);
    printf(
        "mode=%s k=%u queries=%zu qps=%.0f mean_us=%.1f p50_us=%.1f p95_us=%.1f p99_us=%.1f max_us=%.1f found=%" PRIu64
        " empty=%zu arena_peak=%zu faults=%.2f read_kib=%.1f\n",
        b->mode->name, b->k, count, 1e9 * (double)count / (double)sum, (double)sum / (double)count / 1000,
        percentile(times_ns, count, 0.5), percentile(times_ns, count, 0.95), percentile(times_ns, count, 0.99),
        percentile(times_ns, count, 1), found, empty, b->arena.peak, (double)b->seen.major_faults / measured,
        (double)b->seen.bytes_read / 1024 / measured);
}

/* As request_pass, each query with nothing of the index in memory. */
static void cold_pass(struct bench *b, uint64_t *times_ns, uint64_t *answers)
{
    for (size_t i = 0; i < b->queries.count; i++) {
        must(page_cache_drop(b->directory), "dropping pages");
        uint64_t begin = clock_ns();
        answers[i] = answer(b, b->mode, b->k, b->queries.queries[i].text);
        times_ns[i] = clock_ns() - begin;
    }
}

static void pass(struct bench *b, uint64_t *times_ns, uint64_t *answers)
{
    struct page_waits_seen before = page_cache_waits();
    if (b->cold && b->cold[0] == 'e')
        cold_pass(b, times_ns, answers);
    else
        request_pass(&b->queries, b->mode, b->k, answer, b, times_ns, answers);
    struct page_waits_seen after = page_cache_waits();
    b->seen.major_faults += after.major_faults - before.major_faults;
    b->seen.bytes_read += after.bytes_read - before.bytes_read;
}

static void measure(struct bench *b)
{
    size_t count = b->queries.count;
    uint64_t *times_ns = must_array(count * b->rounds), *medians_ns = must_array(count), *answers = must_array(count);
    if (!b->cold)
        request_pass(&b->queries, b->mode, b->k, answer, b, medians_ns, answers);
    for (unsigned i = 0; i < b->rounds; i++)
        pass(b, times_ns + i * count, answers);
    take_medians(b, times_ns, medians_ns);
    if (b->times)
        request_print(&b->queries, medians_ns, answers);
    else if (count > 0)
        summarize(b, medians_ns, answers);
    free(times_ns);
    free(medians_ns);
    free(answers);
}

static void print_hits(struct bench *b, const struct request_query *query)
{
    struct query_result r = run_query(b, b->mode, b->k, query->text);
    for (size_t i = 0; i < r.hit_count; i++) {
        const struct query_hit *hit = &r.hits[i];
        struct str id;
        uint64_t hash;
        must(segment_document_id(b->snapshot->segments[hit->segment].segment, hit->document, &id, &hash),
             "reading an id");
        printf("%s\t%zu\t%.*s\t%" PRIu64 "\t%u\n", query->name, i + 1, (int)id.len, id.ptr, hit->score, hit->dropped);
    }
    arena_reset(&b->arena, KEEP);
}

static void run(struct bench *b)
{
    if (b->serve)
        request_serve(&b->queries, answer, b);
    else if (!b->print)
        measure(b);
    else
        for (size_t i = 0; i < b->queries.count; i++)
            print_hits(b, &b->queries.queries[i]);
}

/* --------------------------------------------------------------------------------------------------------------- begin
 */

static void open_index(struct bench *b)
{
    const char *directory = b->directory;
    static struct analysis *analysis; /* lives with the process */
    struct core_view *view;
    struct segment_fault fault;
    must(analysis_load(&analysis), "loading the analysis data");
    must(analysis_remember_stems(analysis), "preparing for stems");
    must(analyzer_open(analysis, str_of(b->language), NULL, 0, &b->analyzer), b->language);
    struct page_waits_seen before = page_cache_waits();
    uint64_t begin = clock_ns();
    must(core_open_reader(directory, &b->core), directory);
    must(core_read(b->core, NULL, &view), directory);
    must(snapshot_open(directory, view, NULL, &b->snapshot, &fault), directory);
    must(arena_init(&b->arena, QUERY_MEMORY, 0), "reserving the query arena");
    struct page_waits_seen after = page_cache_waits();
    uint64_t bytes = 0;
    for (size_t i = 0; i < b->snapshot->segment_count; i++)
        bytes += segment_bytes(b->snapshot->segments[i].segment);
    fprintf(stderr,
            "%" PRIu64 " documents in %zu segments of %" PRIu64 " bytes, opened in %.2f ms: %" PRIu64 " major faults, %" PRIu64
            " KiB read\n",
            view->documents, view->segment_count, bytes, (double)(clock_ns() - begin) / 1e6,
            after.major_faults - before.major_faults, (after.bytes_read - before.bytes_read) / 1024);
}

static void close_index(struct bench *b)
{
    arena_finish(&b->arena);
    snapshot_release(b->snapshot);
    core_close(b->core);
    analyzer_close(b->analyzer);
    request_queries_free(&b->queries);
}

static const struct option options[] = {
    {"mode", required_argument, NULL, 'm'},
    {"k", required_argument, NULL, 'k'},
    {"language", required_argument, NULL, 'l'},
    {"rounds", required_argument, NULL, 'r'},
    {"prefix", no_argument, NULL, 'p'},
    {"print", no_argument, NULL, 'o'},
    {"times", no_argument, NULL, 't'},
    {"ask", required_argument, NULL, 'a'},
    {"fetch", no_argument, NULL, 'f'},
    {"cold", required_argument, NULL, 'c'},
    {"serve", no_argument, NULL, 's'},
    {0},
};

static bool take_asks(struct bench *b, const char *value)
{
    static const struct {
        const char *name;
        unsigned asks;
    } names[] = {{"auto", ASKS_AUTO}, {"never", ASKS_NOTHING}, {"lists", ASKS_LISTS}, {"all", ASKS_ALL}};
    size_t i = 0, count = sizeof names / sizeof *names;
    while (i < count && strcmp(value, names[i].name) != 0)
        i++;
    if (i < count)
        b->asks = names[i].asks;
    return i < count;
}

static bool take_option(struct bench *b, int option, const char *value)
{
    switch (option) {
    case 'm':
        b->mode = request_mode_find(value);
        return b->mode != NULL;
    case 'k':
        b->k = (uint32_t)strtoul(value, NULL, 10);
        return true;
    case 'l':
        b->language = value;
        return true;
    case 'r':
        b->rounds = (unsigned)strtoul(value, NULL, 10);
        return b->rounds > 0 && b->rounds <= MAX_ROUNDS;
    case 'p':
        return b->prefix = true;
    case 'o':
        return b->print = true;
    case 't':
        return b->times = true;
    case 'a':
        return take_asks(b, value);
    case 'f':
        return b->fetch = true;
    case 'c':
        b->cold = value;
        b->rounds = 1;
        return strcmp(value, "first") == 0 || strcmp(value, "each") == 0;
    case 's':
        return b->serve = true;
    default:
        return false;
    }
}

static bool take_arguments(struct bench *b, int argc, char **argv)
{
    *b = (struct bench){.mode = request_mode_find("or"), .language = "en", .k = 10, .rounds = 5, .asks = ASKS_AUTO};
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (!take_option(b, c, optarg))
            return false;
    }
    if (argc - optind != 2)
        return false;
    b->directory = argv[optind];
    request_queries_read(&b->queries, argv[optind + 1]);
    return true;
}

int main(int argc, char **argv)
{
    struct bench b;
    if (!take_arguments(&b, argc, argv)) {
        fprintf(stderr,
                "usage: query_bench DIRECTORY QUERIES [--mode last|or|and|phrase|fuzzy|count-or|count-and|count-phrase]"
                " [--k HITS] [--rounds N] [--language L] [--prefix] [--ask auto|never|lists|all] [--fetch] [--cold first|each] [--times | --print | --serve]\n");
        return 2;
    }
    store_name_errors();
    open_index(&b);
    run(&b);
    close_index(&b);
    return 0;
}
