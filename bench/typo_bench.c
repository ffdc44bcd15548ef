/*
 * typo_bench - how fast the dictionary of one shard of an index finds words, in process, warm.
 *
 *   typo_bench DIRECTORY [--rounds N] [--samples N]
 *
 * DIRECTORY is a shard's ("DATA/indexes/1/1/0"). SAMPLES words of its largest segment (default 2,000, chosen by a fixed
 * sequence) are looked up there as they are and with a letter appended, which gives the mean; and those that may be
 * misspelt, with a letter replaced, in all segments, as a query does, which gives percentiles over words. The first one, two,
 * three and four letters of samples are prepared as queries of a last word, in all segments. Of ROUNDS times the lowest
 * counts.
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
#include "index/segment.h"
#include "index/snapshot.h"
#include "index/store.h"
#include "index/typo.h"

enum { MAX_ROUNDS = 99, QUERY_MEMORY = 64 << 20, KEEP = 512 << 10, LETTERS = 4 };

struct sample {
    char key[MAX_KEY + 1];
    size_t length;
};

struct bench {
    unsigned rounds, sample_count;
    struct snapshot *snapshot;
    const struct segment *segment; /* the largest */
    struct sample *samples;
    uint64_t terms;
};

_Noreturn static void die(const char *what, int err)
{
    fprintf(stderr, "typo_bench: %s: %s\n", what, err_str(err));
    exit(EXIT_FAILURE);
}

static void must(int err, const char *what)
{
    if (err)
        die(what, err);
}

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

/* Every term has the same chance (reservoir sampling), in mixed order. */
static void choose_samples(struct bench *b)
{
    uint64_t state = 1;
    struct term t;
    struct term_cursor c;
    term_cursor_seek(&c, b->segment, STR(""));
    for (; term_cursor_next(&c, &t); b->terms++) {
        uint64_t at = b->terms < b->sample_count ? b->terms : next_random(&state) % (b->terms + 1);
        if (at >= b->sample_count)
            continue;
        memcpy(b->samples[at].key, t.key.ptr, t.key.len);
        b->samples[at].length = t.key.len;
    }
    must(c.err, "reading the dictionary");
    if (b->terms < b->sample_count)
        b->sample_count = (unsigned)b->terms;
    for (size_t i = b->sample_count; i > 1; i--) {
        size_t other = (size_t)(next_random(&state) % i);
        struct sample s = b->samples[i - 1];
        b->samples[i - 1] = b->samples[other];
        b->samples[other] = s;
    }
}

/* ------------------------------------------------------------------------------------------------------------ lookups
 */

/* For percentiles. */
static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void measure_lookups(const struct bench *b, const char *name, size_t more)
{
    uint64_t lowest = UINT64_MAX;
    size_t found = 0;
    for (unsigned round = 0; round < b->rounds; round++) {
        uint64_t begin = clock_ns();
        found = 0;
        for (size_t i = 0; i < b->sample_count; i++) {
            struct term t;
            int err = 0;
            found += segment_find_term(b->segment, (struct str){b->samples[i].key, b->samples[i].length + more}, &t,
                                       &err);
        }
        uint64_t time = clock_ns() - begin;
        lowest = time < lowest ? time : lowest;
    }
    printf("lookup=%s samples=%u found=%zu mean_ns=%.0f\n", name, b->sample_count, found,
           (double)lowest / b->sample_count);
}

/* -------------------------------------------------------------------------------------------------------- misspelt words
 */

/* Samples of ASCII letters become misspelt: a letter at a place in the middle or at the front is replaced. */
static size_t make_words(const struct bench *b, uint32_t edits, struct typo_word *out)
{
    size_t count = 0;
    for (size_t i = 0; i < b->sample_count; i++) {
        struct sample s = b->samples[i];
        struct str text = {s.key + 1, s.length - 1};
        if (typo_edits(text) != edits)
            continue;
        s.key[1 + i % text.len] = s.key[1 + i % text.len] == 'q' ? 'x' : 'q';
        typo_word_init(&out[count++], text, edits);
    }
    return count;
}

static int count_term(void *context, const struct term *t, uint32_t edits)
{
    (void)t;
    (void)edits;
    ++*(uint64_t *)context;
    return 0;
}

static void measure_typos(const struct bench *b, uint32_t edits)
{
    struct typo_word *words = calloc(b->sample_count, sizeof *words);
    uint64_t *lowest = calloc(b->sample_count, sizeof *lowest);
    if (!words || !lowest)
        abort();
    size_t count = make_words(b, edits, words);
    uint64_t found = 0, sum = 0;
    for (size_t i = 0; i < count; i++) {
        lowest[i] = UINT64_MAX;
        for (unsigned round = 0; round < b->rounds; round++) {
            uint64_t begin = clock_ns();
            for (size_t k = 0; k < b->snapshot->segment_count; k++)
                must(typo_scan(&words[i], b->snapshot->segments[k].segment, count_term, &found), "scanning");
            uint64_t time = clock_ns() - begin;
            lowest[i] = time < lowest[i] ? time : lowest[i];
        }
        sum += lowest[i];
    }
    qsort(lowest, count, sizeof *lowest, compare);
    if (count)
        printf("edits=%u words=%zu found=%.1f mean_us=%.1f p50_us=%.1f p99_us=%.1f max_us=%.1f\n", edits, count,
               (double)found / (double)(count * b->rounds), (double)sum / (double)count / 1000,
               (double)lowest[count / 2] / 1000, (double)lowest[count * 99 / 100] / 1000,
               (double)lowest[count - 1] / 1000);
    free(words);
    free(lowest);
}

/* ----------------------------------------------------------------------------------------------------------- prefixes
 */

struct prefixes {
    struct snapshot *snapshot;
    struct analyzer *analyzer;
    struct arena arena;
};

static void open_prefixes(struct prefixes *p, struct snapshot *s)
{
    static struct analysis *analysis; /* lives with the process */
    p->snapshot = s;
    must(analysis_load(&analysis), "loading the analysis data");
    must(analysis_remember_stems(analysis), "preparing for stems");
    must(analyzer_open(analysis, STR("en"), NULL, 0, &p->analyzer), "opening the analyzer");
    must(arena_init(&p->arena, QUERY_MEMORY, 0), "reserving the query arena");
}

/* How many terms it stands for, of which QUERY_CANDIDATES are taken. */
static size_t prepare_prefix(struct prefixes *p, struct str text)
{
    struct query *q;
    struct query_word word = {0};
    struct query_fault fault;
    struct query_options options = {.match = MATCH_ALL, .no_typos = true};
    must(query_parse(&p->arena, p->analyzer, text, &options, &q), "parsing");
    if (query_words(q) == 1)
        must(query_prepare(&p->arena, q, p->snapshot, &word, &fault), "counting");
    arena_reset(&p->arena, KEEP);
    return word.candidate_count;
}

static uint64_t lowest_of_rounds(const struct bench *b, struct prefixes *p, struct str text, uint64_t *found)
{
    uint64_t lowest = UINT64_MAX;
    for (unsigned round = 0; round < b->rounds; round++) {
        uint64_t begin = clock_ns();
        size_t candidates = prepare_prefix(p, text);
        uint64_t time = clock_ns() - begin;
        lowest = time < lowest ? time : lowest;
        *found += round == 0 ? candidates : 0;
    }
    return lowest;
}

static bool begins_with_letters(const struct sample *s, size_t letters)
{
    bool does = s->length > letters;
    for (size_t i = 0; does && i < letters; i++)
        does = s->key[1 + i] >= 'a' && s->key[1 + i] <= 'z';
    return does;
}

static void measure_prefixes(const struct bench *b, struct prefixes *p, size_t letters)
{
    uint64_t *lowest = calloc(b->sample_count + 1, sizeof *lowest);
    uint64_t found = 0, sum = 0;
    size_t count = 0;
    if (!lowest)
        abort();
    for (size_t i = 0; i < b->sample_count; i++) {
        if (!begins_with_letters(&b->samples[i], letters))
            continue;
        lowest[count] = lowest_of_rounds(b, p, (struct str){b->samples[i].key + 1, letters}, &found);
        sum += lowest[count++];
    }
    qsort(lowest, count, sizeof *lowest, compare);
    if (count)
        printf("prefix=%zu words=%zu candidates=%.1f mean_us=%.1f p50_us=%.1f p99_us=%.1f max_us=%.1f\n", letters, count,
               (double)found / (double)count, (double)sum / (double)count / 1000, (double)lowest[count / 2] / 1000,
               (double)lowest[count * 99 / 100] / 1000, (double)lowest[count - 1] / 1000);
    free(lowest);
}

static void measure_all_prefixes(const struct bench *b)
{
    struct prefixes p;
    open_prefixes(&p, b->snapshot);
    for (size_t letters = 1; letters <= LETTERS; letters++)
        measure_prefixes(b, &p, letters);
    arena_finish(&p.arena);
    analyzer_close(p.analyzer);
}

/* --------------------------------------------------------------------------------------------------------------- begin
 */

static const struct segment *largest_segment(const struct snapshot *s)
{
    const struct segment *largest = NULL;
    for (size_t i = 0; i < s->segment_count; i++) {
        if (!largest || segment_documents(s->segments[i].segment) > segment_documents(largest))
            largest = s->segments[i].segment;
    }
    if (!largest)
        die("no segment", ERR_INVALID);
    return largest;
}

static void open_index(struct bench *b, const char *directory)
{
    struct core *core;
    struct core_view *view;
    struct segment_fault fault;
    must(core_open_reader(directory, &core), directory);
    must(core_read(core, NULL, &view), directory);
    must(snapshot_open(directory, view, NULL, &b->snapshot, &fault), directory);
    b->segment = largest_segment(b->snapshot);
}

int main(int argc, char **argv)
{
    static const struct option known[] = {
        {"rounds", required_argument, NULL, 'r'},
        {"samples", required_argument, NULL, 's'},
        {0},
    };
    struct bench b = {.rounds = 5, .sample_count = 2000};
    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (c == 'r')
            b.rounds = (unsigned)strtoul(optarg, NULL, 10);
        else if (c == 's')
            b.sample_count = (unsigned)strtoul(optarg, NULL, 10);
        else
            return 2;
    }
    if (argc - optind != 1 || b.rounds == 0 || b.rounds > MAX_ROUNDS || b.sample_count == 0) {
        fprintf(stderr, "usage: typo_bench DIRECTORY [--rounds N] [--samples N]\n");
        return 2;
    }
    store_name_errors();
    open_index(&b, argv[optind]);
    b.samples = calloc(b.sample_count, sizeof *b.samples);
    if (!b.samples)
        abort();
    choose_samples(&b);
    printf("segments=%zu largest: documents=%u terms=%" PRIu64 "\n", b.snapshot->segment_count,
           segment_documents(b.segment), b.terms);
    measure_typos(&b, 1);
    measure_typos(&b, 2);
    measure_all_prefixes(&b);
    measure_lookups(&b, "present", 0);
    for (size_t i = 0; i < b.sample_count; i++)
        b.samples[i].key[b.samples[i].length] = 'q';
    measure_lookups(&b, "absent", 1);
    free(b.samples);
    return 0;
}
