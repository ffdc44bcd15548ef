#include "index/prefix.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
// cmocka wants the four above first
#include <cmocka.h>

#include "index/segment.h"
#include "random.h"
#include "sorted_keys.h"

enum { KEYS = 6000, ROUNDS = 400, ENOUGH = 7 };

/* Many that begin alike, for blocks and more; some with the highest byte, some long. */
static size_t make_keys(struct key *keys)
{
    uint32_t seed = 11;
    for (size_t i = 0; i < KEYS; i++) {
        size_t rest = 1 + next_random(&seed) % (i % 40 ? 12 : i % 80 ? 60 : 400);
        keys[i].text[0] = next_random(&seed) % 3 ? TERM_STEM : TERM_WORD;
        for (size_t k = 1; k <= rest; k++)
            keys[i].text[k] = (char)(next_random(&seed) % 50 ? 'a' + next_random(&seed) % (k < 3 ? 2 : 6) : 255);
        keys[i].length = 1 + rest;
    }
    return sort_keys(keys, KEYS);
}

static struct segment *build(const struct key *keys, size_t count)
{
    char directory[] = "/tmp/mayfly-prefix-XXXXXX", path[64];
    struct segment_options options = {.id = 1, .transaction = 1 << 20};
    struct segment_document document = {.stamp = 1, .id = STR("x")};
    struct segment_result result;
    struct segment_writer *w;
    struct segment *s;
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/seg-1.mdb", directory);
    assert_int_equal(segment_writer_open(path, &options, &w), 0);
    segment_writer_document(w, &document);
    for (size_t i = 0; i < count; i++) {
        uint32_t position = 0;
        segment_writer_term(w, view(&keys[i]));
        segment_writer_posting(w, 0, 1, &position, keys[i].text[0] == TERM_STEM);
    }
    assert_int_equal(segment_writer_finish(w, &result), 0);
    assert_int_equal(segment_open(path, &s), 0);
    unlink(path); /* it stays mapped */
    rmdir(directory);
    return s;
}

struct expected {
    const struct key *keys;
    size_t count, at, given, most_given;
    struct str prefix;
    uint32_t least, most;
};

static bool is_wanted(const struct expected *e, const struct key *k)
{
    return k->length >= e->least && k->length <= e->most && k->length >= e->prefix.len &&
           memcmp(k->text, e->prefix.ptr, e->prefix.len) == 0;
}

static void pass_others(struct expected *e)
{
    while (e->at < e->count && !is_wanted(e, &e->keys[e->at]))
        e->at++;
}

static int expect_term(void *context, const struct term *t)
{
    struct expected *e = context;
    pass_others(e);
    assert_true(e->at < e->count);
    assert_true(str_equal(t->key, view(&e->keys[e->at])));
    assert_int_equal(t->documents, 1);
    e->at++;
    return ++e->given == e->most_given ? ENOUGH : 0;
}

static void expect_range(const struct segment *s, struct expected e)
{
    struct prefix_range r;
    struct prefix_lengths lengths = {.longest = 0};
    uint32_t longest = 0;
    prefix_range_find(&r, s, e.prefix);
    assert_int_equal(prefix_count(&r, &lengths), 0);
    struct expected all = e;
    all.least = 0;
    all.most = MAX_KEY;
    for (pass_others(&all); all.at < all.count; all.at++, pass_others(&all)) {
        size_t length = all.keys[all.at].length;
        longest = length > longest ? (uint32_t)length : longest;
        assert_true(lengths.counts[length]-- > 0);
    }
    assert_int_equal(lengths.longest, longest);
    for (size_t i = 0; i <= MAX_KEY; i++)
        assert_int_equal(lengths.counts[i], 0);

    int result = prefix_terms(&r, e.least, e.most, expect_term, &e);
    assert_int_equal(result, e.given == e.most_given ? ENOUGH : 0);
    pass_others(&e);
    assert_true(result == ENOUGH || e.at == e.count);
}

static void gives_what_begins_so_by_length(void **state)
{
    (void)state;
    struct key *keys = calloc(KEYS, sizeof *keys);
    size_t count = make_keys(keys);
    struct segment *s = build(keys, count);
    uint32_t seed = 3;
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct key key = keys[next_random(&seed) % count];
        size_t most = key.length < 14 ? key.length : 14;
        key.length = 1 + next_random(&seed) % most;
        if (i % 5 == 0)
            key.text[key.length - 1] ^= 1; /* perhaps nothing begins so */
        uint32_t least = next_random(&seed) % 14;
        struct expected e = {.keys = keys, .count = count, .prefix = view(&key), .least = least};
        e.most = least + next_random(&seed) % (i % 3 ? 4 : 500);
        e.most = e.most < MAX_KEY ? e.most : MAX_KEY;
        e.most_given = i % 4 ? SIZE_MAX : 1 + next_random(&seed) % 30;
        expect_range(s, e);
    }
    segment_close(s);
    free(keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_what_begins_so_by_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
