/*
 * mayfly-pruning - whether pruned and exhaustive evaluation of queries agree, to the last bit and in all kernels.
 *
 *   mayfly-pruning DIRECTORY QUERIES [FIELD=WEIGHT]...
 *
 * DIRECTORY is a shard's ("DATA/indexes/1/1/0"), QUERIES has a query per line, behind its name and a tab where there is
 * one; FIELD=WEIGHT are those of the index's settings.
 *
 * Every query is asked in every form (forms.c) with every kernel that the processor runs: the hits for k = 1, 10, 100
 * and 1,000 are the first so many of the exhaustive evaluation's (documents, order, scores, words dropped), also where
 * another shard has told which score is needed; as many match as it says where there are fewer hits than k; the counts
 * without hits (k = 0) are equal; and what is exhaustive gives the same with each kernel. A line per kernel and form
 * says how much was compared; differences are told on standard error.
 *
 * Exit status: 0, 1 where anything differs, 2 where it could not be compared.
 *
 * The 10,362 queries of the shared data, over an index that it makes of 20,950 documents in several segments:
 *
 *   MAYFLY_LONG=1 ctest --test-dir build/release -R cluster.pruning -V
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "forms.h"
#include "index/core.h"
#include "index/kernels.h"
#include "index/pairs.h"
#include "index/score.h"
#include "index/store.h"
#include "proto/select.h"
#include "proto/weight.h"

enum { QUERY_MEMORY = 256 << 20, KEEP = 8 << 20, MOST = 1000, FIELDS = 8, FORMS = 32, TOLD = 20 };

static const char *const levels[] = {"avx512", "avx2", "portable"};
enum { LEVELS = sizeof levels / sizeof *levels };

struct tally {
    uint64_t queries, comparisons, hits, differences;
};

struct check {
    const char *directory;
    struct request_queries queries;
    struct query_field fields[FIELDS];
    size_t field_count;
    struct analyzer *analyzer;
    struct core *core;
    struct snapshot *snapshots[LEVELS]; /* opened with those kernels; NULL: this processor does not run them */
    struct arena arena;
    float norms[256];
    struct tally tallies[LEVELS][FORMS];
    uint64_t differences;
};

/* One query in one form, with one kernel. */
struct question {
    struct check *check;
    const char *name, *text;
    size_t level, form;
    struct query *query;
    const struct query_weights *weights;
};

static void must(int err, const char *what)
{
    if (!err)
        return;
    fprintf(stderr, "mayfly-pruning: %s: %s\n", what, err_str(err));
    exit(2);
}

static void *must_have(void *memory)
{
    must(memory ? 0 : ERR_FULL, "memory");
    return memory;
}

/* --------------------------------------------------------------------------------------------------- differences */

static void differs(struct question *x, uint32_t k, const char *what, const struct query_hit *got,
                    const struct query_hit *wanted)
{
    struct check *c = x->check;
    c->tallies[x->level][x->form].differences++;
    if (c->differences++ >= TOLD)
        return;
    fprintf(stderr, "%s, %s, k = %" PRIu32 ", query %s '%s': %s", levels[x->level], forms[x->form].name, k, x->name,
            x->text, what);
    for (int i = 0; got && i < 2; i++) {
        const struct query_hit *hit = i == 0 ? got : wanted;
        fprintf(stderr,
                "%s stamp %" PRIu64 " score %" PRIu64 " dropped %" PRIu32 " (segment %" PRIu32 ", document %" PRIu32
                ")",
                i == 0 ? "" : ", wanted", hit->stamp, hit->score, hit->dropped, hit->segment, hit->document);
    }
    fputc('\n', stderr);
}

static bool same_hit(const struct query_hit *a, const struct query_hit *b)
{
    return a->stamp == b->stamp && a->score == b->score && a->dropped == b->dropped && a->segment == b->segment &&
           a->document == b->document;
}

static void compare_hits(struct question *x, uint32_t k, const struct query_result *got,
                         const struct query_result *wanted)
{
    struct tally *t = &x->check->tallies[x->level][x->form];
    size_t count = wanted->hit_count < k ? wanted->hit_count : k;
    char what[64];
    t->comparisons++;
    t->hits += count;
    for (size_t i = 0; i < count && i < got->hit_count; i++) {
        if (same_hit(&got->hits[i], &wanted->hits[i]))
            continue;
        snprintf(what, sizeof what, "hit %zu is", i + 1);
        differs(x, k, what, &got->hits[i], &wanted->hits[i]);
        return;
    }
    if (got->hit_count != count) {
        snprintf(what, sizeof what, "%zu hits, wanted %zu", got->hit_count, count);
        differs(x, k, what, NULL, NULL);
    }
}

static void compare_totals(struct question *x, uint32_t k, const struct query_result *got,
                           const struct query_result *wanted)
{
    char what[80];
    x->check->tallies[x->level][x->form].comparisons++;
    if (got->estimated_total == wanted->estimated_total)
        return;
    snprintf(what, sizeof what, "%" PRIu64 " match, wanted %" PRIu64, got->estimated_total, wanted->estimated_total);
    differs(x, k, what, NULL, NULL);
}

/* ------------------------------------------------------------------------------------------------------- queries */

/* `needed`: a score that is known to be needed from the start, as another shard tells it; 0: none. */
static struct query_result execute(const struct question *x, uint32_t k, bool exhaustive, uint32_t needed)
{
    struct check *c = x->check;
    struct query_fault fault;
    struct query_result result;
    struct query_run run = {
        .norms = c->norms,
        .weights = x->weights,
        .fields = c->fields,
        .field_count = c->field_count,
        .limit = k,
        .exhaustive = exhaustive,
    };
    tagged_max shared;
    tagged_max_begin(&shared, run.shared_tag = 1);
    tagged_max_raise(&shared, run.shared_tag, needed);
    if (needed > 0)
        run.shared = &shared;
    must(query_execute(&c->arena, x->query, c->snapshots[x->level], &run, &result, &fault), "executing");
    return result;
}

/* Of the last of k hits, where no word is dropped in it; 0: there are fewer, or one is. */
static uint32_t score_needed(const struct query_result *all, uint32_t k)
{
    if (all->hit_count < k || all->hits[k - 1].dropped > 0)
        return 0;
    return (uint32_t)all->hits[k - 1].score;
}

static void compare_all(struct question *x, const struct query_result *all, const struct query_result *count)
{
    static const uint32_t ks[] = {1, 10, 100, MOST};
    for (size_t i = 0; i < sizeof ks / sizeof *ks; i++) {
        size_t mark = arena_mark(&x->check->arena);
        struct query_result pruned = execute(x, ks[i], false, 0);
        compare_hits(x, ks[i], &pruned, all);
        if (pruned.hit_count < ks[i])
            compare_totals(x, ks[i], &pruned, all);
        uint32_t needed = score_needed(all, ks[i]);
        if (needed > 0) {
            pruned = execute(x, ks[i], false, needed);
            compare_hits(x, ks[i], &pruned, all);
        }
        arena_rewind(&x->check->arena, mark);
    }
    struct query_result counted = execute(x, 0, false, 0);
    compare_totals(x, 0, &counted, count);
}

static void weigh(struct check *c, uint64_t documents, const struct query_word *word, struct query_weights *out)
{
    struct weighted_word weighted;
    struct candidate *candidates = must_have(arena_new_array(&c->arena, word->candidate_count, struct candidate));
    for (size_t i = 0; i < word->candidate_count; i++) {
        const struct query_candidate *from = &word->candidates[i];
        candidates[i] = (struct candidate){from->key, from->distance, from->edits, from->frequency};
    }
    must(select_terms(&c->arena, candidates, word->candidate_count, word->count, documents, &weighted), "weighing");
    *out = (struct query_weights){.frequency = weighted.frequency, .term_count = weighted.count};
    out->terms = must_have(arena_new_array(&c->arena, weighted.count, struct query_term));
    for (size_t i = 0; i < weighted.count; i++)
        out->terms[i] = (struct query_term){weighted.terms[i].term, weighted.terms[i].weight};
}

/* From the text on, as in a shard that runs with these kernels. */
static void prepare(struct question *x)
{
    struct check *c = x->check;
    struct snapshot *snapshot = c->snapshots[x->level];
    struct query_fault fault;
    must(query_parse(&c->arena, c->analyzer, str_of(x->text), &forms[x->form].options, &x->query), "parsing");
    size_t count = query_words(x->query);
    struct query_word *words = must_have(arena_new_array(&c->arena, count, struct query_word));
    struct query_weights *weights = must_have(arena_new_array(&c->arena, count, struct query_weights));
    must(query_prepare_alone(&c->arena, x->query, snapshot, words, &fault), "counting");
    for (size_t i = 0; i < count; i++)
        weigh(c, snapshot->view->documents, &words[i], &weights[i]);
    x->weights = weights;
}

static void ask(struct check *c, size_t number, size_t form)
{
    char text[FORM_TEXT];
    struct query_result all = {0}, count = {0};
    bool is_first = true;
    forms[form].write(&c->queries, number, text);
    for (size_t level = 0; level < LEVELS; level++) {
        struct question x = {
            .check = c, .name = c->queries.queries[number].name, .text = text, .level = level, .form = form};
        if (!c->snapshots[level])
            continue;
        prepare(&x);
        c->tallies[level][form].queries++;
        struct query_result exhaustive = execute(&x, MOST, true, 0), counted = execute(&x, 0, true, 0);
        if (is_first) {
            all = exhaustive;
            count = counted;
        } else {
            compare_hits(&x, MOST, &exhaustive, &all);
            compare_totals(&x, MOST, &exhaustive, &all);
            compare_totals(&x, 0, &counted, &count);
        }
        is_first = false;
        compare_all(&x, &all, &count);
    }
    arena_reset(&c->arena, KEEP);
}

static void report(const struct check *c)
{
    for (size_t level = 0; level < LEVELS; level++) {
        if (!c->snapshots[level])
            printf("%s: skipped: this processor does not run it\n", levels[level]);
        for (size_t form = 0; c->snapshots[level] && forms[form].name; form++) {
            const struct tally *t = &c->tallies[level][form];
            printf("%s %s: %" PRIu64 " queries, %" PRIu64 " comparisons, %" PRIu64 " hits, %" PRIu64 " differences\n",
                   levels[level], forms[form].name, t->queries, t->comparisons, t->hits, t->differences);
        }
    }
}

/* --------------------------------------------------------------------------------------------------------- begin */

/* A segment's kernels are chosen when it is opened. */
static void open_level(struct check *c, size_t level)
{
    struct core_view *view;
    struct segment_fault fault;
    if (!kernels_named(levels[level]))
        return;
    setenv("MAYFLY_CPU", levels[level], 1);
    must(core_read(c->core, NULL, &view), c->directory);
    must(snapshot_open(c->directory, view, NULL, &c->snapshots[level], &fault), c->directory);
    for (size_t i = 0; i < view->segment_count; i++) {
        const struct kernels *used = segment_kernels(c->snapshots[level]->segments[i].segment);
        must(used == kernels_named(levels[level]) ? 0 : ERR_INVALID, levels[level]);
    }
}

static void open_index(struct check *c)
{
    static struct analysis *analysis; /* lives with the process */
    uint64_t deleted = 0, paired = 0;
    must(analysis_load(&analysis), "loading the analysis data");
    must(analyzer_open(analysis, str_of("en"), NULL, 0, &c->analyzer), "English");
    must(core_open_reader(c->directory, &c->core), c->directory);
    must(arena_init(&c->arena, QUERY_MEMORY, 0), "reserving the query arena");
    for (size_t level = 0; level < LEVELS; level++)
        open_level(c, level);
    const struct core_view *view = c->snapshots[LEVELS - 1]->view; /* portable: they are always there */
    weight_norms(c->norms, length_decoded, view->documents, view->total_length);
    for (size_t i = 0; i < view->segment_count; i++) {
        deleted += view->segments[i].deleted;
        paired += segment_pairs_least(c->snapshots[LEVELS - 1]->segments[i].segment) > 0;
    }
    printf("%" PRIu64 " documents in %zu segments, %" PRIu64 " with pairs, %" PRIu64 " deleted\n", view->documents,
           view->segment_count, paired, deleted);
}

static void close_index(struct check *c)
{
    arena_finish(&c->arena);
    for (size_t level = 0; level < LEVELS; level++)
        snapshot_release(c->snapshots[level]);
    core_close(c->core);
    analyzer_close(c->analyzer);
    request_queries_free(&c->queries);
}

static bool take_field(struct check *c, char *argument)
{
    char *value = strchr(argument, '=');
    if (!value || c->field_count == FIELDS)
        return false;
    c->fields[c->field_count++] = (struct query_field){
        .name = {argument, (size_t)(value - argument)},
        .weight = (uint32_t)strtoul(value + 1, NULL, 10),
    };
    return true;
}

static bool take_arguments(struct check *c, int argc, char **argv)
{
    if (argc < 3)
        return false;
    c->directory = argv[1];
    request_queries_read(&c->queries, argv[2]);
    for (int i = 3; i < argc; i++) {
        if (!take_field(c, argv[i]))
            return false;
    }
    return c->queries.count > 0;
}

int main(int argc, char **argv)
{
    static struct check c;
    if (!take_arguments(&c, argc, argv)) {
        fprintf(stderr, "usage: mayfly-pruning DIRECTORY QUERIES [FIELD=WEIGHT]...\n");
        return 2;
    }
    store_name_errors();
    open_index(&c);
    for (size_t number = 0; number < c.queries.count; number++) {
        for (size_t form = 0; forms[form].name; form++)
            ask(&c, number, form);
    }
    report(&c);
    close_index(&c);
    return c.differences > 0;
}
