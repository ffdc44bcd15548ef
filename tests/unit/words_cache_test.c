/* words_cache_test - what is found is what was kept of the collection that is asked for, and fits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "coordinator/words_cache.h"

struct fixture {
    struct indexes all;
    struct index *books;
    struct words_cache *cache;
};

static void begin(struct fixture *f, size_t entries, size_t bytes)
{
    f->all = (struct indexes){.shards = 2};
    f->books = indexes_add(&f->all, STR("books"), STR("id"), 1, 1, 0, STR("{}"));
    f->cache = words_cache_open((struct words_limits){.entries = entries, .bytes = bytes, .collections = 2});
}

static void end(struct fixture *f)
{
    words_cache_close(f->cache);
    while (f->all.first)
        indexes_remove(&f->all, f->all.first);
}

static void move_to(struct index *i, uint64_t left, uint64_t right)
{
    i->streams[0].generation = left;
    i->streams[1].generation = right;
}

static const struct collection *counted(struct fixture *f, const struct index *i, uint64_t left, uint64_t right)
{
    const uint64_t generations[] = {left, right};
    const struct collection c = {.documents = 7, .total_length = 70, .generations = generations};
    return words_counted(f->cache, i, &c);
}

/* One word, with itself and another as its terms. */
static void keep(struct fixture *f, const struct collection *of, struct word_token token)
{
    char key[32];
    int length = snprintf(key, sizeof key, "s%.*s", (int)token.text.len, token.text.ptr);
    struct weighted_term terms[] = {{{key, (size_t)length}, 0, 0, 5}, {STR("other"), 0, 1, 3}};
    struct known_word word = {{key, (size_t)length}, {terms, 2, 5}};
    words_keep(f->cache, of, token, (struct known_token){&word, 1});
    memset(key, 'x', sizeof key); /* it has copied all */
}

static struct word_token token(const char *text)
{
    return (struct word_token){.text = str_of(text)};
}

static bool has(struct fixture *f, const char *text)
{
    const struct collection *of = words_collection(f->cache, f->books);
    return of && words_find(f->cache, of, token(text));
}

static void finds_what_was_kept(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 100, 1 << 20);
    move_to(f.books, 3, 4);
    assert_null(words_collection(f.cache, f.books));
    const struct collection *of = counted(&f, f.books, 3, 4);
    assert_true(of && of == words_collection(f.cache, f.books) && of == counted(&f, f.books, 3, 4));
    assert_true(of->documents == 7 && of->total_length == 70 && of->generations[0] == 3 && of->generations[1] == 4);
    keep(&f, of, token("water"));
    words_keep(f.cache, of, token("the"), (struct known_token){NULL, 0});
    const struct known_token *known = words_find(f.cache, of, token("water"));
    assert_int_equal(known->count, 1);
    assert_true(str_equal(known->words[0].key, STR("swater")));
    const struct weighted_word *w = &known->words[0].terms;
    assert_true(w->count == 2 && w->frequency == 5 && w->terms[0].frequency == 5 && w->terms[1].edits == 1);
    assert_true(str_equal(w->terms[0].term, STR("swater")) && str_equal(w->terms[1].term, STR("other")));
    assert_int_equal(words_find(f.cache, of, token("the"))->count, 0);
    assert_null(words_find(f.cache, of, token("wate")));
    keep(&f, of, token("water"));
    assert_int_equal(words_counts(f.cache).entries, 2);
    end(&f);
}

static void what_decides_the_words_is_part_of_the_token(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 100, 1 << 20);
    const struct collection *of = counted(&f, f.books, 0, 0);
    struct word_token one = token("water"), prefix = one, plain = one, no_typos = one;
    prefix.prefix = plain.plain = no_typos.no_typos = true;
    keep(&f, of, one);
    assert_non_null(words_find(f.cache, of, one));
    assert_null(words_find(f.cache, of, prefix));
    assert_null(words_find(f.cache, of, plain));
    assert_null(words_find(f.cache, of, no_typos));
    end(&f);
}

static void only_the_newest_generations_are_good(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 100, 1 << 20);
    move_to(f.books, 3, 4);
    keep(&f, counted(&f, f.books, 3, 4), token("water"));
    move_to(f.books, 3, 5);
    assert_false(has(&f, "water"));
    assert_null(counted(&f, f.books, 2, 5)); /* somebody who began earlier */
    assert_non_null(counted(&f, f.books, 3, 5));
    assert_null(counted(&f, f.books, 3, 4));
    assert_false(has(&f, "water"));
    move_to(f.books, 4, 6);
    keep(&f, counted(&f, f.books, 4, 7), token("water")); /* of which the coordinator has not heard yet */
    assert_false(has(&f, "water"));
    move_to(f.books, 4, 7);
    assert_true(has(&f, "water"));
    end(&f);
}

static void other_indexes_editions_and_settings_are_other_collections(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 100, 1 << 20);
    keep(&f, counted(&f, f.books, 0, 0), token("water"));
    const struct index *films = indexes_add(&f.all, STR("films"), STR("id"), 2, 1, 0, STR("{}"));
    assert_null(words_collection(f.cache, films));
    f.books->edition++;
    assert_false(has(&f, "water"));
    f.books->edition--;
    assert_true(has(&f, "water"));
    struct buf other = {0};
    buf_append_str(&other, STR("{\"distinct\":null}"));
    index_take_settings(&f.all, f.books, &other);
    assert_false(has(&f, "water"));
    keep(&f, counted(&f, f.books, 0, 0), token("water"));
    assert_true(has(&f, "water"));
    assert_int_equal(words_counts(f.cache).entries, 2); /* until it is swept out */
    words_sweep(f.cache, &f.all);
    assert_true(has(&f, "water"));
    assert_int_equal(words_counts(f.cache).entries, 1);
    end(&f);
}

static void forgets_only_what_a_shard_has_moved_on_from(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 100, 1 << 20);
    keep(&f, counted(&f, f.books, 0, 0), token("water"));
    words_forget(f.cache, f.books, (const uint64_t[]){0, 1});
    assert_true(has(&f, "water"));
    words_forget(f.cache, f.books, (const uint64_t[]){0, 0});
    assert_false(has(&f, "water"));
    words_sweep(f.cache, &f.all);
    assert_int_equal(words_counts(f.cache).entries, 0);
    assert_int_equal(words_counts(f.cache).bytes, 0);
    end(&f);
}

static void collections_are_few(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 100, 1 << 20);
    struct index *films = indexes_add(&f.all, STR("films"), STR("id"), 2, 1, 0, STR("{}"));
    struct index *songs = indexes_add(&f.all, STR("songs"), STR("id"), 3, 1, 0, STR("{}"));
    keep(&f, counted(&f, f.books, 0, 0), token("water"));
    keep(&f, counted(&f, films, 0, 0), token("water"));
    assert_true(has(&f, "water"));
    keep(&f, counted(&f, songs, 0, 0), token("water"));
    assert_true(words_collection(f.cache, songs) && words_collection(f.cache, f.books));
    assert_null(words_collection(f.cache, films)); /* the least used */
    indexes_remove(&f.all, songs);
    words_sweep(f.cache, &f.all);
    assert_int_equal(words_counts(f.cache).entries, 1);
    assert_true(has(&f, "water"));
    end(&f);
}

static void takes_no_more_than_it_may(void **state)
{
    (void)state;
    struct fixture f;
    char text[16];
    begin(&f, 64, 64 << 10);
    const struct collection *of = counted(&f, f.books, 0, 0);
    keep(&f, of, token("often"));
    for (int i = 0; i < 1000; i++) {
        snprintf(text, sizeof text, "word%d", i);
        keep(&f, of, token(text));
        assert_true(words_counts(f.cache).entries <= 64);
        assert_true(words_counts(f.cache).bytes <= 64 << 10);
        assert_true(has(&f, "often")); /* who is used stays */
    }
    assert_true(words_counts(f.cache).entries >= 16);
    end(&f);

    begin(&f, 1000, 8 << 10); /* one that would displace too many others is not kept */
    keep(&f, counted(&f, f.books, 0, 0), token("water"));
    assert_int_equal(words_counts(f.cache).entries, 0);
    end(&f);

    begin(&f, 1000, 32 << 10);
    of = counted(&f, f.books, 0, 0);
    for (int i = 0; i < 1000; i++) {
        snprintf(text, sizeof text, "word%d", i);
        keep(&f, of, token(text));
        assert_true(words_counts(f.cache).bytes <= 32 << 10);
    }
    assert_in_range(words_counts(f.cache).entries, 40, 400);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_was_kept),
        cmocka_unit_test(what_decides_the_words_is_part_of_the_token),
        cmocka_unit_test(only_the_newest_generations_are_good),
        cmocka_unit_test(other_indexes_editions_and_settings_are_other_collections),
        cmocka_unit_test(forgets_only_what_a_shard_has_moved_on_from),
        cmocka_unit_test(collections_are_few),
        cmocka_unit_test(takes_no_more_than_it_may),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
