#include "index/query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "block_corpus.h"
#include "common/err.h"
#include "index/kernels.h"
#include "index/score.h"
#include "index/segment_parts.h"
#include "plain_analyzer.h"
#include "proto/select.h"
#include "proto/weight.h"

/* Pruned evaluation gives what exhaustive evaluation gives, where lists have many blocks, and groups of blocks, that
 * are passed over. That exhaustive evaluation is right is query_execute_test's: it knows nothing of blocks' bounds. */

enum { MOST = 1000 };

/* Sanitizers get by with one mode for each query, another one in each test. */
#if defined(__SANITIZE_ADDRESS__)
enum { MOST_MODES = 1 };
#else
enum { MOST_MODES = 4 };
#endif

static const char *const levels[] = {"avx512", "avx2", "portable"};
enum { LEVELS = sizeof levels / sizeof *levels };

struct fixture {
    struct block_corpus corpus;
    struct snapshot *snapshots[LEVELS]; /* opened with those kernels; NULL: this processor does not run them */
    struct snapshot *snapshot;          /* the one in use */
    struct analyzer analyzer;
    struct arena arena;
    float norms[256];
    struct query *query;
    struct query_weights *weights;
};

/* Each is run for any, all, last and frequency, or some of them. No blank at the end: the last word is a prefix. */
static const char *const queries[] = {
    /* lists of every density by themselves: bitsets, packed gaps, one block, one document */
    "most ",
    "many ",
    "half ",
    "some ",
    "few ",
    "rare ",
    "scarce ",
    "sole ",
    "early ",
    "late ",
    /* a rare lead over several groups of blocks; what it bounds and what it does not */
    "rare most ",
    "rare thick most ",
    "rare many half ",
    "few some ",
    "few thick wide ",
    "some half ",
    "many thick ",
    "scarce most ",
    "park spike ",
    "park spike spike spike spike spike spike spike spike spike spike spike spike spike spike spike spike ",
    "spike ",
    "sole most many ",
    "most many thick half wide some few rare ",
    /* nothing has both; then some have, and those that lack less push the others out */
    "early late ",
    "most early ",
    "rare scarce ",
    "some scarce half ",
    "scarce some half ",
    "rare few some half many ",
    "half rare sole ",
    "path park rare ",
    "many rare scarce path ",
    "early late cra",
    /* groups: alone, as the lead, as one of others */
    "p",
    "pa",
    "pat",
    "most p",
    "many pa",
    "scarce p",
    "rare pa",
    "few some pa",
    "+most p",
    "+rare pat",
    "+pa most ",
    "most ea",
    "cra",
    /* misspelt: "crane" and "crate"; groups that become necessary, and then the lead, on the way */
    "crabe ",
    "many crabe ",
    "many crabe early late ",
    "most many crabe late early ",
    "crabe some rare ",
    /* phrases: as the lead, and as one of others */
    "\"many most\"",
    "\"rare wide\"",
    "\"scarce early\"",
    "\"few thick\" most ",
    "\"many most\" rare ",
    "\"some half\" thick wide ",
    "\"rare wide\" many p",
    "most \"most some\" ",
    "\"many most\" \"some half\" ",
    "+\"many most\" few some ",
    /* in a field, where less counts than the lists say */
    "title:many ",
    "title:few most ",
    "body:half ",
    "body:rare thick ",
    "title:\"many most\" some ",
    "body:\"some half\" few ",
    /* required and excluded */
    "+rare most many ",
    "+most rare scarce ",
    "most -many ",
    "many thick -half ",
    "rare most -wide ",
    "+some half -most ",
    "most -\"many most\" ",
    "half some -title:some ",
    "many few -p",
    "many -sole ",
    "p -most",
};

/* ----------------------------------------------------------------------------------------------------------- one */

/* `needed`: a score that is known to be needed from the start, as another shard tells it; 0: none. */
static struct query_result execute(struct fixture *f, uint32_t limit, bool exhaustive, uint32_t needed)
{
    struct query_result result;
    struct query_fault fault;
    struct query_run run = {.weights = f->weights, .norms = f->norms, .limit = limit, .exhaustive = exhaustive};
    tagged_max shared;
    tagged_max_begin(&shared, run.shared_tag = 1);
    tagged_max_raise(&shared, run.shared_tag, needed);
    if (needed > 0)
        run.shared = &shared;
    assert_int_equal(query_execute(&f->arena, f->query, f->snapshot, &run, &result, &fault), 0);
    assert_false(result.partial);
    return result;
}

static void parse(struct fixture *f, const char *text, enum query_match match)
{
    struct query_options options = {.match = match};
    struct query_fault fault;
    assert_int_equal(query_parse(&f->arena, &f->analyzer, str_of(text), &options, &f->query), 0);
    size_t count = query_words(f->query);
    struct query_word *words = arena_new_array(&f->arena, count, struct query_word);
    f->weights = arena_new_array(&f->arena, count, struct query_weights);
    assert_int_equal(query_prepare_alone(&f->arena, f->query, f->snapshot, words, &fault), 0);
    for (size_t i = 0; i < count; i++) {
        struct weighted_word weighted;
        struct candidate *candidates = arena_new_array(&f->arena, words[i].candidate_count, struct candidate);
        for (size_t k = 0; k < words[i].candidate_count; k++) {
            const struct query_candidate *c = &words[i].candidates[k];
            candidates[k] = (struct candidate){c->key, c->distance, c->edits, c->frequency};
        }
        assert_int_equal(select_terms(&f->arena, candidates, words[i].candidate_count, words[i].count,
                                      f->snapshot->view->documents, &weighted),
                         0);
        f->weights[i] = (struct query_weights){.frequency = weighted.frequency, .term_count = weighted.count};
        f->weights[i].terms = arena_new_array(&f->arena, weighted.count, struct query_term);
        for (size_t k = 0; k < weighted.count; k++)
            f->weights[i].terms[k] = (struct query_term){weighted.terms[k].term, weighted.terms[k].weight};
    }
}

static void compare(const struct query_result *got, const struct query_result *wanted, uint32_t k, const char *what)
{
    size_t count = wanted->hit_count < k ? wanted->hit_count : k;
    if (got->hit_count != count)
        fail_msg("%s, k = %u: %zu hits, wanted %zu", what, k, got->hit_count, count);
    for (size_t i = 0; i < count; i++) {
        const struct query_hit *a = &got->hits[i], *b = &wanted->hits[i];
        if (a->stamp != b->stamp || a->score != b->score || a->dropped != b->dropped || a->segment != b->segment ||
            a->document != b->document)
            fail_msg("%s, k = %u: hit %zu is %lu (score %lu, dropped %u), wanted %lu (score %lu, dropped %u)", what, k,
                     i, a->stamp, a->score, a->dropped, b->stamp, b->score, b->dropped);
    }
    if (count < k)
        assert_int_equal(got->estimated_total, wanted->estimated_total);
}

/* Of the last of k hits, where no word is dropped in it; 0: there are fewer, or one is. */
static uint32_t score_needed(const struct query_result *all, uint32_t k)
{
    if (all->hit_count < k || all->hits[k - 1].dropped > 0)
        return 0;
    return (uint32_t)all->hits[k - 1].score;
}

static void check_query(struct fixture *f, const char *text, enum query_match match)
{
    static const uint32_t ks[] = {1, 10, 100, MOST};
    static const char *const names[] = {"last", "all", "frequency", "any"};
    char what[200];
    struct query_result all = {0}, count = {0};
    bool is_first = true;
    for (size_t level = 0; level < LEVELS; level++) {
        if (!(f->snapshot = f->snapshots[level]))
            continue;
        parse(f, text, match);
        all = is_first ? execute(f, MOST, true, 0) : all;
        count = is_first ? execute(f, 0, true, 0) : count;
        is_first = false;
        snprintf(what, sizeof what, "'%s' %s, %s", text, names[match], levels[level]);
        for (size_t i = 0; i < sizeof ks / sizeof *ks; i++) {
            struct query_result pruned = execute(f, ks[i], false, 0);
            compare(&pruned, &all, ks[i], what);
            uint32_t needed = score_needed(&all, ks[i]);
            if (needed > 0)
                pruned = execute(f, ks[i], false, needed);
            compare(&pruned, &all, ks[i], what);
        }
        if (execute(f, 0, false, 0).estimated_total != count.estimated_total)
            fail_msg("%s: not as many match", what);
    }
    arena_reset(&f->arena, 4 << 20);
}

/* Where blocks are passed over the total is an estimate, which is not to depend on what other shards know. */
static void check_totals(struct fixture *f)
{
    static const struct {
        const char *text;
        enum query_match match;
    } queries_with_totals[] = {
        {"many half ", MATCH_ALL},       {"most thick ", MATCH_ALL},     {"rare most ", MATCH_ALL},
        {"few some ", MATCH_ALL},        {"\"many most\"", MATCH_ALL},   {"many half -most ", MATCH_ALL},
        {"most many ", MATCH_ANY},       {"many thick few ", MATCH_ANY}, {"most -many ", MATCH_ANY},
        {"many half -most ", MATCH_ANY}, {"many few -wide ", MATCH_ANY}, {"half thick -some ", MATCH_ANY},
    };
    f->snapshot = f->snapshots[LEVELS - 1];
    for (size_t i = 0; i < sizeof queries_with_totals / sizeof *queries_with_totals; i++) {
        parse(f, queries_with_totals[i].text, queries_with_totals[i].match);
        struct query_result all = execute(f, 10, true, 0);
        uint64_t total = all.estimated_total;
        assert_in_range(execute(f, 10, false, 0).estimated_total, total / 2, total * 2);
        assert_in_range(execute(f, 10, false, score_needed(&all, 10)).estimated_total, total / 2, total * 2);
    }
    arena_reset(&f->arena, 4 << 20);
}

/* What is damaged of an excluded word is said, in either way. The extent is changed in the heap, behind its checksums. */
static void check_damage(struct fixture *f)
{
    struct query_result result;
    struct query_fault fault = {0};
    struct query_run run = {.norms = f->norms, .limit = 10};
    struct term t;
    int err = 0;
    f->snapshot = f->snapshots[LEVELS - 1];
    struct segment *s = f->snapshot->segments[0].segment;
    assert_true(segment_find_term(s, STR("smany"), &t, &err));
    struct extent *e = &s->postings.extents[t.postings.place >> 32];
    const uint8_t *payload = e->payload;
    uint8_t *bytes = malloc(e->size + KERNEL_OVERREAD);
    memset(bytes, 0xff, e->size + KERNEL_OVERREAD);
    memcpy(bytes, payload, e->size);
    memset(bytes + (uint32_t)t.postings.place, 0xff, t.postings.length);
    for (enum query_match match = MATCH_ALL; match <= MATCH_ANY; match += MATCH_ANY - MATCH_ALL) {
        parse(f, "half some -many ", match);
        run.weights = f->weights;
        e->payload = bytes;
        assert_int_equal(query_execute(&f->arena, f->query, f->snapshot, &run, &result, &fault), ERR_CORRUPT);
        assert_string_equal(fault.part, "postings");
        e->payload = payload;
    }
    free(bytes);
    arena_reset(&f->arena, 4 << 20);
}

/* ----------------------------------------------------------------------------------------------------------- all */

/* A segment's kernels are chosen when it is opened. */
static void open_levels(struct fixture *f)
{
    for (size_t level = 0; level < LEVELS; level++) {
        if (!kernels_named(levels[level]))
            continue;
        setenv("MAYFLY_CPU", levels[level], 1);
        f->snapshots[level] = block_corpus_open(&f->corpus);
        assert_ptr_equal(segment_kernels(f->snapshots[level]->segments[0].segment), kernels_named(levels[level]));
    }
}

static void check(bool is_even, uint32_t deleted_one_in, size_t modes)
{
    struct fixture f = {.corpus = {.is_even = is_even, .deleted_one_in = deleted_one_in}};
    block_corpus_make(&f.corpus);
    open_levels(&f);
    assert_int_equal(arena_init(&f.arena, 64 << 20, 0), 0);
    assert_int_equal(arena_init(&f.analyzer.words, 1 << 20, 0), 0);
    const struct core_view *view = f.snapshots[LEVELS - 1]->view; /* portable: they are always there */
    weight_norms(f.norms, length_decoded, view->documents, view->total_length);
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
        for (size_t mode = 0; mode < modes && mode < MOST_MODES; mode++)
            check_query(&f, queries[i], (enum query_match)((i + mode + deleted_one_in) % 4));
    }
    check_totals(&f);
    check_damage(&f);
    for (size_t level = 0; level < LEVELS; level++)
        snapshot_release(f.snapshots[level]);
    arena_finish(&f.arena);
    arena_finish(&f.analyzer.words);
    block_corpus_remove(&f.corpus);
}

static void bounds_of_blocks_and_groups_lose_nothing(void **state)
{
    (void)state;
    check(false, 0, 4);
}

static void nor_do_they_where_every_other_document_is_deleted(void **state)
{
    (void)state;
    check(false, 2, 2);
}

static void thousands_of_ties_are_ordered_by_stamp(void **state)
{
    (void)state;
    check(true, 9, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds_of_blocks_and_groups_lose_nothing),
        cmocka_unit_test(nor_do_they_where_every_other_document_is_deleted),
        cmocka_unit_test(thousands_of_ties_are_ordered_by_stamp),
    };
    for (size_t i = 0; i < LEVELS; i++) {
        if (!kernels_named(levels[i]))
            printf("note: this processor does not run %s kernels: pruned evaluation is not tried with them\n",
                   levels[i]);
    }
    if (MOST_MODES < 4)
        puts("note: pruned evaluation over lists of many blocks is tried in fewer modes under sanitizers");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
