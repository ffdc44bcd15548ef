#include "index/dictionary.h"
#include "index/postings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
// cmocka wants the four above first
#include <cmocka.h>

#include "common/bytes.h"
#include "common/err.h"
#include "index/dictionary_terms.h"
#include "index/segment.h"
#include "index/store.h"
#include "random.h"
#include "sorted_keys.h"

enum { KEYS = 3000 };

/* Long common beginnings, bytes of any value, lengths from 2 to the largest. */
static size_t make_keys(struct key *keys)
{
    uint32_t seed = 5;
    for (size_t i = 0; i < KEYS; i++) {
        size_t shared = i && next_random(&seed) % 3 ? next_random(&seed) % keys[i - 1].length : 0;
        size_t rest = 1 + next_random(&seed) % (i % 50 ? 20 : MAX_KEY);
        keys[i].text[0] = next_random(&seed) % 4 ? TERM_STEM : TERM_WORD;
        if (shared)
            memcpy(keys[i].text, keys[i - 1].text, shared);
        else
            shared = 1;
        keys[i].length = shared + rest < MAX_KEY ? shared + rest : MAX_KEY;
        for (size_t k = shared; k < keys[i].length; k++)
            keys[i].text[k] = (char)(i % 2 ? next_random(&seed) % 256 : 'a' + next_random(&seed) % 3);
    }
    return sort_keys(keys, KEYS);
}

static struct segment *build(const struct key *keys, size_t count, char path[64])
{
    char directory[] = "/tmp/mayfly-dictionary-XXXXXX";
    struct segment_options options = {.id = 1, .transaction = 1 << 20};
    struct segment_result result;
    struct segment_writer *w;
    struct segment *s;
    assert_non_null(mkdtemp(directory));
    snprintf(path, 64, "%s/seg-1.mdb", directory);
    assert_int_equal(segment_writer_open(path, &options, &w), 0);
    for (uint32_t n = 0; n < 5; n++) {
        struct segment_document d = {.stamp = n + 1, .id = STR("x")};
        segment_writer_document(w, &d);
    }
    for (size_t i = 0; i < count; i++) {
        segment_writer_term(w, view(&keys[i]));
        bool is_stem = keys[i].text[0] == TERM_STEM;
        for (uint32_t n = 0; n <= i % 5; n++)
            segment_writer_posting(w, n, 1 + (uint32_t)i * is_stem, &n, is_stem);
    }
    assert_int_equal(segment_writer_finish(w, &result), 0);
    assert_int_equal(segment_open(path, &s), 0);
    return s;
}

static void discard(struct segment *s, char path[64])
{
    segment_close(s);
    unlink(path);
    *strrchr(path, '/') = 0;
    rmdir(path);
}

static void expect(const struct segment *s, const struct term *t, const struct key *keys, size_t i)
{
    struct postings p;
    assert_true(str_equal(t->key, view(&keys[i])));
    assert_int_equal(t->documents, 1 + i % 5);
    postings_open(&p, s, t);
    assert_int_equal(p.document, 0);
    assert_int_equal(p.t, keys[i].text[0] == TERM_STEM ? 1 + i : 1);
}

static void finds_each_key_and_no_other(void **state)
{
    (void)state;
    char path[64];
    struct key *keys = calloc(KEYS, sizeof *keys);
    size_t count = make_keys(keys);
    struct segment *s = build(keys, count, path);
    int err = 0;
    for (size_t i = 0; i < count; i++) {
        struct term t;
        assert_true(segment_find_term(s, view(&keys[i]), &t, &err));
        expect(s, &t, keys, i);
        struct key other = keys[i]; /* shorter by a byte, longer by one, another last byte */
        other.length--;
        assert_int_equal(segment_find_term(s, view(&other), &t, &err),
                         bsearch(&other, keys, count, sizeof *keys, compare_keys) != NULL);
        other.length++;
        other.text[other.length - 1] ^= 1;
        assert_int_equal(segment_find_term(s, view(&other), &t, &err),
                         bsearch(&other, keys, count, sizeof *keys, compare_keys) != NULL);
    }
    struct term t;
    assert_false(segment_find_term(s, STR(""), &t, &err));
    assert_false(segment_find_term(s, STR("s"), &t, &err));
    assert_int_equal(err, 0);
    discard(s, path);
    free(keys);
}

static void walks_from_any_key(void **state)
{
    (void)state;
    char path[64];
    struct key *keys = calloc(KEYS, sizeof *keys);
    size_t count = make_keys(keys);
    struct segment *s = build(keys, count, path);
    for (size_t from = 0; from < count; from += 61) {
        struct term_cursor c;
        struct term t;
        size_t at = from;
        struct key key = keys[from];
        if (from % 2) { /* between this key and the next */
            if (key.length == MAX_KEY)
                continue;
            key.text[key.length++] = 0;
            at = from + 1;
            if (at < count && str_equal(view(&keys[at]), view(&key)))
                continue;
        }
        term_cursor_seek(&c, s, view(&key));
        for (size_t steps = 0; steps < 200 && term_cursor_next(&c, &t); steps++)
            expect(s, &t, keys, at++);
        assert_true(at == count || at >= from + 200);
        assert_int_equal(c.err, 0);
    }
    discard(s, path);
    free(keys);
}

/* ------------------------------------------------------------------------------------------- entries, without a segment
 */

static struct dictionary_entry made_entry(size_t i, const char *list)
{
    struct dictionary_entry e = {.documents = 1 + (uint32_t)(i % 7) * 40};
    if (i % 4 < 2)
        e.inlined = (struct str){list + i % 50, 1 + i % 48};
    else
        e.postings = (struct list_place){place_of((uint32_t)i / 900, (uint32_t)i % 900 * 100), i % 5 ? 100 : 7};
    return e;
}

static void expect_entry(const struct dictionary_entry *e, const struct dictionary_entry *expected)
{
    assert_int_equal(e->documents, expected->documents);
    if (expected->inlined.len) {
        assert_true(str_equal(e->inlined, expected->inlined));
        return;
    }
    assert_int_equal(e->inlined.len, 0);
    assert_int_equal(e->postings.place, expected->postings.place);
    assert_int_equal(e->postings.length, expected->postings.length);
}

/* Blocks lie one behind the other: the index of the file is not needed to read them. */
static void inlined_lists_and_places_come_back(void **state)
{
    (void)state;
    char directory[] = "/tmp/mayfly-dictionary-XXXXXX", path[64], list[100];
    struct key *keys = calloc(KEYS, sizeof *keys);
    size_t count = make_keys(keys);
    for (size_t i = 0; i < sizeof list; i++)
        list[i] = (char)(i * 37);
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/seg-1.mdb", directory);

    struct store_writer *w;
    struct dictionary_out d;
    uint64_t bytes;
    assert_int_equal(store_create(&(struct store_options){.path = path, .transaction = 1 << 20}, &w), 0);
    assert_int_equal(dictionary_out_open(&d, w), 0);
    for (size_t i = 0; i < count; i++) {
        struct dictionary_entry e = made_entry(i, list);
        assert_int_equal(dictionary_out_add(&d, view(&keys[i]), &e), 0);
    }
    dictionary_out_finish(&d);
    stream_writer_finish(&d.stream);
    uint32_t blocks = d.blocks;
    dictionary_out_close(&d);
    struct image *none;
    assert_int_equal(store_finish(w, &bytes, &none), 0);

    struct store *s;
    struct extent texts, index;
    assert_int_equal(store_open(path, &s), 0);
    assert_int_equal(store_extent(s, SECTION_DICTIONARY, 0, &texts), 0);
    assert_int_equal(store_extent(s, SECTION_BLOCKS, 0, &index), 0);
    assert_int_equal(index.size, blocks * DICTIONARY_INDEX);
    size_t at = 0;
    for (uint32_t n = 0; n < blocks; n++) {
        char key[DICTIONARY_KEY];
        size_t length = 0;
        struct dictionary_block b;
        struct dictionary_entry e = {0};
        uint64_t place = load_u64(index.payload + n * DICTIONARY_INDEX);
        assert_true(dictionary_block_open(&b, texts.payload + place, texts.payload + texts.size));
        assert_int_equal(load_u64(index.payload + n * DICTIONARY_INDEX + 8), dictionary_prefix(view(&keys[at])));
        while (b.at < b.terms) {
            struct dictionary_entry expected = made_entry(at, list);
            assert_true(dictionary_read(&b, key, &length, &e));
            assert_true(str_equal((struct str){key, length}, view(&keys[at])));
            assert_int_equal(b.kind, keys[at].text[0]);
            expect_entry(&e, &expected);
            at++;
        }
    }
    assert_int_equal(at, count);
    store_close(s);
    unlink(path);
    rmdir(directory);
    free(keys);
}

/* ---------------------------------------------------------------------------------------- terms by what is known of them
 */

static struct dictionary_block write_block(const struct key *keys, uint32_t count, uint8_t *bytes, size_t room)
{
    char directory[] = "/tmp/mayfly-dictionary-XXXXXX", path[64];
    struct store_writer *w;
    struct dictionary_out d;
    struct dictionary_block b;
    uint64_t size;
    struct image *none;
    struct store *s;
    struct extent texts;
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/seg-1.mdb", directory);
    assert_int_equal(store_create(&(struct store_options){.path = path, .transaction = 1 << 20}, &w), 0);
    assert_int_equal(dictionary_out_open(&d, w), 0);
    for (uint32_t i = 0; i < count; i++) {
        struct dictionary_entry e = {.documents = 1, .inlined = STR("x")};
        assert_int_equal(dictionary_out_add(&d, view(&keys[i]), &e), 0);
    }
    dictionary_out_finish(&d);
    stream_writer_finish(&d.stream);
    dictionary_out_close(&d);
    assert_int_equal(store_finish(w, &size, &none), 0);
    assert_int_equal(store_open(path, &s), 0);
    assert_int_equal(store_extent(s, SECTION_DICTIONARY, 0, &texts), 0);
    assert_in_range(texts.size, 1, room);
    memcpy(bytes, texts.payload, texts.size);
    assert_true(dictionary_block_open(&b, bytes, bytes + texts.size));
    assert_int_equal(b.terms, count);
    store_close(s);
    unlink(path);
    rmdir(directory);
    return b;
}

/* As many bytes of the rest as were asked for, or all. */
static bool ends_alike(const struct key *before, const struct key *key, const char *bytes, size_t count)
{
    size_t shared = 0;
    while (before && shared < before->length && shared < key->length && before->text[shared] == key->text[shared])
        shared++;
    size_t rest = key->length - shared, own = rest < count ? rest : count;
    return memcmp(key->text + key->length - own, bytes + count - own, own) == 0;
}

static const char *const cpus[] = {"portable", "avx2", "avx512"};

static uint64_t length_bit(const struct key *key)
{
    return UINT64_C(1) << (key->length < 63 ? key->length : 63);
}

/* Which terms end as `like` does in its last four bytes, and have one of the lengths. */
static void expect_ending(const struct dictionary_block *b, const struct key *keys, const struct kernels *k,
                          const struct key *like, uint64_t lengths)
{
    const char *end = like->text + like->length;
    size_t most = like->length - 1 < 4 ? like->length - 1 : 4;
    uint64_t got = dictionary_texts_ending(b, k, lengths, (const uint8_t *)end - most, (uint32_t)most), expected = 0;
    for (uint32_t i = 0; i < b->terms; i++) {
        bool is_like = lengths & length_bit(&keys[i]) && keys[i].text[keys[i].length - 1] == end[-1] &&
                       ends_alike(i ? &keys[i - 1] : NULL, &keys[i], end - most, most);
        expected |= (uint64_t)is_like << i;
    }
    assert_true(got == expected);
}

static void expect_terms(const struct key *keys, uint32_t count)
{
    uint8_t bytes[70000 + KERNEL_OVERREAD];
    struct dictionary_block b = write_block(keys, count, bytes, sizeof bytes - KERNEL_OVERREAD);
    assert_int_equal(dictionary_all(&b), UINT64_MAX >> (64 - count));
    for (uint32_t i = 0; i < count; i++) {
        uint8_t key[DICTIONARY_KEY];
        uint32_t found;
        struct dictionary_block again = b;
        assert_int_equal(dictionary_key(&b, i, key), keys[i].length);
        assert_memory_equal(key, keys[i].text, keys[i].length);
        assert_true(dictionary_find(&again, view(&keys[i]), &found));
        assert_int_equal(found, i);

        const char *end = keys[i].text + keys[i].length;
        uint64_t ending = dictionary_ending(&b, (uint8_t)end[-1]), up_to = dictionary_up_to(&b, i);
        for (uint32_t k = 0; k < count; k++) {
            bool is_long = dictionary_is_long(b.heads[k]);
            assert_int_equal(ending >> k & 1, keys[k].text[keys[k].length - 1] == end[-1]);
            assert_int_equal(up_to >> k & 1, is_long || keys[k].length <= i);
        }
    }
    for (size_t cpu = 0; cpu < sizeof cpus / sizeof *cpus; cpu++) {
        const struct kernels *k = kernels_named(cpus[cpu]);
        for (uint32_t i = 0; k && i < count; i++)
            expect_ending(&b, keys, k, &keys[i], i % 2 ? UINT64_MAX : length_bit(&keys[i]) | length_bit(&keys[i / 2]));
    }
}

static void terms_are_told_by_last_byte_length_and_number(void **state)
{
    (void)state;
    struct key *keys = calloc(KEYS, sizeof *keys);
    size_t count = make_keys(keys);
    for (size_t from = 0, size = 1; from + size < count; from += size, size = size % TERMS_PER_BLOCK + 1)
        if (keys[from].text[0] == keys[from + size - 1].text[0])
            expect_terms(keys + from, (uint32_t)size);
    free(keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_each_key_and_no_other),
        cmocka_unit_test(walks_from_any_key),
        cmocka_unit_test(inlined_lists_and_places_come_back),
        cmocka_unit_test(terms_are_told_by_last_byte_length_and_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
