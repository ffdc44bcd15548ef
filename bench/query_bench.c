/*
 * query_bench - how fast one thread answers queries over one shard of an index, in process, warm.
 *
 *   query_bench DIRECTORY QUERIES [--mode last|or|and|phrase|count] [--k HITS] [--language en] [--rounds N] [--prefix]
 *               [--print]
 *
 * DIRECTORY is a shard's ("DATA/indexes/1/1/0"), QUERIES has a query per line, behind a tab where there is one. Every
 * query is run once unmeasured, then ROUNDS times; its time is the median of these. Both rounds of a query are
 * measured: parsing, counting, weighing, executing; not fetching documents. Prints one line: queries per second,
 * percentiles in microseconds.
 * --print writes hits instead, as mayfly-reference does: "name rank id score dropped", the name being what is before
 * the tab.
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
#include "proto/select.h"
#include "proto/weight.h"

enum { QUERY_MEMORY = 64 << 20, KEEP = 256 << 10, MAX_ROUNDS = 99 };

struct mode {
    const char *name;
    enum query_match match;
    bool plain, quoted, count_only;
};

static const struct mode modes[] = {
    {.name = "last", .match = MATCH_LAST},
    {.name = "or", .match = MATCH_ANY, .plain = true},
    {.name = "and", .match = MATCH_ALL, .plain = true},
    {.name = "phrase", .match = MATCH_ALL, .quoted = true},
    {.name = "count", .match = MATCH_ANY, .plain = true, .count_only = true},
};

struct bench {
    const struct mode *mode;
    const char *language;
    uint32_t k;
    unsigned rounds;
    bool prefix, print;
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
        candidates[i] = (struct candidate){.term = c->key, .distance = c->distance, .frequency = c->frequency};
    }
    must(select_terms(&b->arena, candidates, word->candidate_count, word->count, b->snapshot->view->documents,
                      &weighted),
         "weighing");
    *out = (struct query_weights){.frequency = weighted.frequency, .term_count = weighted.count};
    out->terms = arena_new_array(&b->arena, weighted.count, struct query_term);
    for (size_t i = 0; i < weighted.count; i++)
        out->terms[i] = (struct query_term){weighted.terms[i].term, weighted.terms[i].weight};
}

static struct query_result run_query(struct bench *b, struct str text)
{
    struct query *q;
    struct query_fault fault;
    struct query_result result;
    struct query_options options = {.match = b->mode->match, .no_prefix = !b->prefix, .plain_words = b->mode->plain};
    must(query_parse(&b->arena, b->analyzer, text, &options, &q), "parsing");
    struct query_word *words = arena_new_array(&b->arena, query_words(q), struct query_word);
    struct query_weights *weights = arena_new_array(&b->arena, query_words(q), struct query_weights);
    must(query_prepare(&b->arena, q, b->snapshot, words, &fault), "counting");
    for (size_t i = 0; i < query_words(q); i++)
        weigh(b, &words[i], &weights[i]);
    struct query_run run = {.weights = weights, .limit = b->mode->count_only ? 0 : b->k};
    weight_norms(run.norms, length_decoded, b->snapshot->view->documents, b->snapshot->view->total_length);
    must(query_execute(&b->arena, q, b->snapshot, &run, &result, &fault), "executing");
    return result;
}

/* ------------------------------------------------------------------------------------------------------------ all of
 * them */

struct totals {
    uint64_t *times_ns;
    size_t count, room;
    uint64_t hits, matches;
    size_t empty;
};

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static uint64_t measure(struct bench *b, struct str text)
{
    uint64_t times[MAX_ROUNDS];
    for (unsigned i = 0; i < b->rounds; i++) {
        uint64_t begin = clock_ns();
        run_query(b, text);
        times[i] = clock_ns() - begin;
        arena_reset(&b->arena, KEEP);
    }
    qsort(times, b->rounds, sizeof *times, compare);
    return times[b->rounds / 2];
}

static void add_time(struct totals *t, uint64_t ns)
{
    if (t->count == t->room) {
        t->room = t->room ? 2 * t->room : 1024;
        t->times_ns = realloc(t->times_ns, t->room * sizeof *t->times_ns);
        if (!t->times_ns)
            abort();
    }
    t->times_ns[t->count++] = ns;
}

static void print_hits(const struct bench *b, struct str name, const struct query_result *r)
{
    for (size_t i = 0; i < r->hit_count; i++) {
        const struct query_hit *hit = &r->hits[i];
        struct str id;
        uint64_t hash;
        must(segment_document_id(b->snapshot->segments[hit->segment].segment, hit->document, &id, &hash),
             "reading an id");
        printf("%.*s\t%zu\t%.*s\t%" PRIu64 "\t%u\n", (int)name.len, name.ptr, i + 1, (int)id.len, id.ptr, hit->score,
               hit->dropped);
    }
}

static void take_line(struct bench *b, struct totals *t, char *line)
{
    char quoted[8192];
    line[strcspn(line, "\r\n")] = '\0';
    char *tab = strchr(line, '\t');
    const char *text = tab ? tab + 1 : line;
    if (b->mode->quoted) {
        snprintf(quoted, sizeof quoted, "\"%s\"", text);
        text = quoted;
    }
    struct query_result warm = run_query(b, str_of(text));
    t->hits += warm.hit_count;
    t->matches += warm.estimated_total;
    t->empty += warm.estimated_total == 0;
    if (b->print)
        print_hits(b, (struct str){line, tab ? (size_t)(tab - line) : strlen(line)}, &warm);
    arena_reset(&b->arena, KEEP);
    if (!b->print)
        add_time(t, measure(b, str_of(text)));
}

static double percentile(const struct totals *t, double share)
{
    size_t at = (size_t)(share * (double)t->count);
    return (double)t->times_ns[at < t->count ? at : t->count - 1] / 1000;
}

static void report(const struct bench *b, struct totals *t)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < t->count; i++)
        sum += t->times_ns[i];
    if (t->count == 0)
        return;
    qsort(t->times_ns, t->count, sizeof *t->times_ns, compare);
    printf(
        "mode=%s k=%u queries=%zu qps=%.0f mean_us=%.1f p50_us=%.1f p95_us=%.1f p99_us=%.1f max_us=%.1f hits=%" PRIu64
        " matches=%" PRIu64 " empty=%zu arena_peak=%zu\n",
        b->mode->name, b->k, t->count, 1e9 * (double)t->count / (double)sum, (double)sum / (double)t->count / 1000,
        percentile(t, 0.5), percentile(t, 0.95), percentile(t, 0.99), percentile(t, 1), t->hits, t->matches, t->empty,
        b->arena.peak);
}

static void run_file(struct bench *b, const char *path)
{
    FILE *file = fopen(path, "re");
    char *line = NULL;
    size_t room = 0;
    struct totals totals = {0};
    if (!file) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    while (getline(&line, &room, file) > 0)
        take_line(b, &totals, line);
    report(b, &totals);
    free(totals.times_ns);
    free(line);
    fclose(file);
}

/* --------------------------------------------------------------------------------------------------------------- begin
 */

static void open_index(struct bench *b, const char *directory)
{
    struct analysis *analysis;
    struct core *core;
    struct core_view *view;
    uint64_t segment;
    must(analysis_load(&analysis), "loading the analysis data");
    must(analyzer_open(analysis, str_of(b->language), NULL, 0, &b->analyzer), b->language);
    must(core_open_reader(directory, &core), directory);
    must(core_read(core, NULL, &view), directory);
    must(snapshot_open(directory, view, NULL, &b->snapshot, &segment), directory);
    must(arena_init(&b->arena, QUERY_MEMORY, 0), "reserving the query arena");
    fprintf(stderr, "%" PRIu64 " documents in %zu segments\n", view->documents, view->segment_count);
}

static const struct mode *find_mode(const char *name)
{
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        if (strcmp(modes[i].name, name) == 0)
            return &modes[i];
    }
    die(name, ERR_INVALID);
}

int main(int argc, char **argv)
{
    static const struct option known[] = {
        {"mode", required_argument, NULL, 'm'},
        {"k", required_argument, NULL, 'k'},
        {"language", required_argument, NULL, 'l'},
        {"rounds", required_argument, NULL, 'r'},
        {"prefix", no_argument, NULL, 'p'},
        {"print", no_argument, NULL, 'o'},
        {0},
    };
    struct bench b = {.mode = &modes[1], .language = "en", .k = 10, .rounds = 3};
    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (c == 'm')
            b.mode = find_mode(optarg);
        else if (c == 'k')
            b.k = (uint32_t)strtoul(optarg, NULL, 10);
        else if (c == 'l')
            b.language = optarg;
        else if (c == 'r')
            b.rounds = (unsigned)strtoul(optarg, NULL, 10);
        else if (c == 'p' || c == 'o')
            *(c == 'p' ? &b.prefix : &b.print) = true;
        else
            return 2;
    }
    if (argc - optind != 2 || b.rounds == 0 || b.rounds > MAX_ROUNDS) {
        fprintf(stderr,
                "usage: query_bench DIRECTORY QUERIES [--mode last|or|and|phrase|count] [--k HITS] [--language L]"
                " [--rounds N] [--prefix] [--print]\n");
        return 2;
    }
    store_name_errors();
    open_index(&b, argv[optind]);
    run_file(&b, argv[optind + 1]);
    return 0;
}
