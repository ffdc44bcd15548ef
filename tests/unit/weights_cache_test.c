/* weights_cache_test - what is found is what was kept, is good, and fits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "coordinator/weights_cache.h"

enum { TERMS = 3 };

struct counted { /* one word with terms named after the text */
    struct weighted_term terms[TERMS];
    struct weighted_word word;
    uint64_t generations[2];
    char names[TERMS][32];
    struct weighed weighed;
};

static void count(struct counted *c, const char *text, uint64_t left, uint64_t right)
{
    for (uint32_t i = 0; i < TERMS; i++) {
        int length = snprintf(c->names[i], sizeof c->names[i], "%.20s%u", text, i);
        c->terms[i] = (struct weighted_term){.term = {c->names[i], (size_t)length}, .weight = i + 1};
    }
    c->word = (struct weighted_word){.terms = c->terms, .count = TERMS, .frequency = strlen(text)};
    c->generations[0] = left;
    c->generations[1] = right;
    c->weighed = (struct weighed){
        .documents = 7, .total_length = 70, .words = &c->word, .word_count = 1, .generations = c->generations};
}

struct fixture {
    struct indexes all;
    struct index *books;
    struct weights_cache *cache;
    char text[64];
    Mayfly__Search request;
};

static void begin(struct fixture *f, size_t entries, size_t bytes)
{
    f->all = (struct indexes){.shards = 2};
    f->books = indexes_add(&f->all, STR("books"), STR("id"), 1, 1, 0, STR("{}"));
    f->cache = weights_cache_open((struct weights_limits){.entries = entries, .bytes = bytes});
    mayfly__search__init(&f->request);
    f->request.query = f->text;
}

static void end(struct fixture *f)
{
    weights_cache_close(f->cache);
    while (f->all.first)
        indexes_remove(&f->all, f->all.first);
}

static void move_to(struct fixture *f, uint64_t left, uint64_t right)
{
    f->books->streams[0].generation = left;
    f->books->streams[1].generation = right;
}

static void keep(struct fixture *f, const char *text)
{
    struct counted c;
    count(&c, text, f->books->streams[0].generation, f->books->streams[1].generation);
    snprintf(f->text, sizeof f->text, "%s", text);
    weights_keep(f->cache, f->books, &f->request, &c.weighed);
    memset(&c, 0x5a, sizeof c); /* it has copied all */
}

static const struct weighed *find(struct fixture *f, const char *text)
{
    snprintf(f->text, sizeof f->text, "%s", text);
    return weights_find(f->cache, f->books, &f->request);
}

static bool has(struct fixture *f, const char *text)
{
    const struct weighed *w = find(f, text);
    if (w)
        weights_release(f->cache, w);
    return w != NULL;
}

static void expect(const struct weighed *w, const char *text)
{
    assert_non_null(w);
    assert_true(w->documents == 7 && w->total_length == 70 && w->word_count == 1);
    assert_int_equal(w->words[0].frequency, strlen(text));
    assert_int_equal(w->words[0].count, TERMS);
    for (uint32_t i = 0; i < TERMS; i++) {
        char name[32];
        snprintf(name, sizeof name, "%.20s%u", text, i);
        assert_int_equal(w->words[0].terms[i].weight, i + 1);
        assert_true(str_equal(w->words[0].terms[i].term, str_of(name)));
    }
}

static void finds_what_was_kept(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 100, 1 << 20);
    move_to(&f, 3, 4);
    assert_null(find(&f, "water"));
    keep(&f, "water");
    keep(&f, "");
    const struct weighed *w = find(&f, "water"), *empty = find(&f, "");
    expect(w, "water");
    expect(empty, "");
    weights_release(f.cache, empty);
    keep(&f, "water"); /* what was found before stays */
    weights_forget(f.cache, w);
    expect(w, "water");
    weights_release(f.cache, w);
    assert_true(has(&f, "water")); /* only the entry that it came from would have been forgotten */
    w = find(&f, "water");
    weights_forget(f.cache, w);
    weights_release(f.cache, w);
    assert_false(has(&f, "water"));
    struct weights_counts n = weights_counts(f.cache);
    assert_true(n.entries == 1 && n.hits == 4 && n.misses == 2);
    end(&f);
}

static void only_the_newest_generations_are_good(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 100, 1 << 20);
    move_to(&f, 3, 4);
    keep(&f, "water");
    move_to(&f, 3, 5);
    assert_false(has(&f, "water"));
    move_to(&f, 4, 4);
    assert_false(has(&f, "water"));
    keep(&f, "water");
    assert_true(has(&f, "water"));
    assert_int_equal(weights_counts(f.cache).entries, 1);
    end(&f);
}

static void whatever_changes_the_words_is_another_search(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 100, 1 << 20);
    keep(&f, "water");
    f.request.no_typos = true;
    assert_false(has(&f, "water"));
    f.request.no_typos = false;
    f.request.no_prefix = true;
    assert_false(has(&f, "water"));
    f.request.no_prefix = false;
    f.request.plain_words = true;
    assert_false(has(&f, "water"));
    f.request.plain_words = false;
    f.request.match = MAYFLY__MATCH__ANY;
    assert_false(has(&f, "water"));
    f.request.match = MAYFLY__MATCH__LAST;
    f.request.limit = 5;
    assert_true(has(&f, "water"));
    struct index *films = indexes_add(&f.all, STR("films"), STR("id"), 2, 1, 0, STR("{}"));
    assert_int_equal(films->settings_id, f.books->settings_id); /* the same text */
    assert_null(weights_find(f.cache, films, &f.request));
    f.books->edition++;
    assert_false(has(&f, "water"));
    f.books->edition--;
    struct buf other = {0};
    buf_append_str(&other, STR("{\"distinct\":null}"));
    index_take_settings(&f.all, f.books, &other);
    assert_int_not_equal(films->settings_id, f.books->settings_id);
    assert_false(has(&f, "water"));
    end(&f);
}

static void what_was_not_used_goes_first(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 3, 1 << 20);
    keep(&f, "a");
    keep(&f, "b");
    keep(&f, "c");
    assert_true(has(&f, "a"));
    keep(&f, "d");
    assert_true(has(&f, "a") && has(&f, "d"));
    assert_false(has(&f, "b") || has(&f, "c"));
    const struct weighed *copy = find(&f, "a");
    expect(copy, "a");
    weights_release(f.cache, copy);
    assert_int_equal(weights_counts(f.cache).entries, 2);
    end(&f);
}

static void takes_no_more_bytes_than_it_may(void **state)
{
    (void)state;
    struct fixture f;
    char text[16];
    begin(&f, 1000, 128 << 10);
    for (int i = 0; i < 1000; i++) {
        snprintf(text, sizeof text, "word%d", i);
        keep(&f, text);
        assert_true(weights_counts(f.cache).bytes <= 128 << 10);
        assert_true(has(&f, text));
    }
    assert_true(weights_counts(f.cache).bytes > 112 << 10);
    assert_in_range(weights_counts(f.cache).entries, 200, 500);
    end(&f);

    begin(&f, 1000, 16 << 10); /* one that would displace too many others is not kept */
    keep(&f, "water");
    assert_int_equal(weights_counts(f.cache).entries, 0);
    end(&f);
}

static void sweeps_out_what_is_good_no_more(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 100, 1 << 20);
    move_to(&f, 3, 4);
    keep(&f, "old");
    const struct weighed *held = find(&f, "old");
    move_to(&f, 3, 5);
    keep(&f, "new");
    weights_sweep(f.cache, &f.all);
    assert_int_equal(weights_counts(f.cache).entries, 1);
    assert_true(has(&f, "new"));
    expect(held, "old"); /* who has it keeps it */
    weights_release(f.cache, held);
    indexes_remove(&f.all, f.books);
    weights_sweep(f.cache, &f.all);
    assert_int_equal(weights_counts(f.cache).entries, 0);
    assert_int_equal(weights_counts(f.cache).bytes, 0);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_was_kept),
        cmocka_unit_test(only_the_newest_generations_are_good),
        cmocka_unit_test(whatever_changes_the_words_is_another_search),
        cmocka_unit_test(what_was_not_used_goes_first),
        cmocka_unit_test(takes_no_more_bytes_than_it_may),
        cmocka_unit_test(sweeps_out_what_is_good_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
