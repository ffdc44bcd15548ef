/* Each kernel on random input against a plain statement of what it does, on every processor level that this machine
 * runs. */
#include "index/kernels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "index/score.h"
#include "random.h"

enum { MOST = 600, ROUNDS = 400 };

static const struct kernels *kernels_of(void **state)
{
    const char *name = *state;
    const struct kernels *k = kernels_named(name);
    if (!k) {
        print_message("skipped: this processor does not run %s\n", name);
        skip();
    }
    return k;
}

static void pack(const uint32_t *values, size_t count, unsigned bits, uint8_t *out)
{
    memset(out, 0xA5, (count * bits + 7) / 8 + KERNEL_OVERREAD); /* what stands behind is not zero */
    for (size_t i = 0; i < count * bits; i++) {
        unsigned bit = values[i / bits] >> i % bits & 1u;
        out[i / 8] = (uint8_t)((out[i / 8] & ~(1u << i % 8)) | bit << i % 8);
    }
}

static void unpacks_every_width(void **state)
{
    const struct kernels *k = kernels_of(state);
    static uint32_t values[MOST], out[MOST + KERNEL_OVERWRITE];
    static uint8_t packed[4 * MOST + KERNEL_OVERREAD];
    for (unsigned bits = 0; bits <= 32; bits++) {
        for (int round = 0; round < 20; round++) {
            size_t count = round == 0 ? 256 : next() % MOST;
            for (size_t i = 0; i < count; i++)
                values[i] = bits ? next() >> (32 - bits) : 0;
            pack(values, count, bits, packed);
            uint32_t base = round % 2 ? next() : 0;
            k->unpack(packed, bits, count, base, out);
            for (size_t i = 0; i < count; i++)
                assert_int_equal(out[i], base + values[i]);
            for (size_t i = 0; i < count; i++)
                assert_int_equal(kernel_unpack_one(packed, bits, i), values[i]);
            uint32_t before = round % 3 ? next() : UINT32_MAX, expected = before;
            k->unpack_rising(packed, bits, count, before, out);
            for (size_t i = 0; i < count; i++) {
                expected += 1 + values[i];
                assert_int_equal(out[i], expected);
            }
        }
    }
}

static void unpacks_from_any_value(void **state)
{
    const struct kernels *k = kernels_of(state);
    static uint32_t values[MOST], out[MOST + KERNEL_OVERWRITE];
    static uint8_t packed[4 * MOST + KERNEL_OVERREAD];
    for (unsigned bits = 0; bits <= 32; bits++) {
        for (int round = 0; round < 40; round++) {
            size_t count = 1 + next() % (MOST - 1), first = next() % count, length = next() % (count - first + 1);
            for (size_t i = 0; i < count; i++)
                values[i] = bits ? next() >> (32 - bits) : 0;
            pack(values, count, bits, packed);
            uint32_t before = round % 3 ? next() : UINT32_MAX, expected = before;
            size_t escaped = 0;
            size_t found = k->unpack_run(packed, bits, first, length, before, out);
            for (size_t i = 0; i < length; i++) {
                escaped += values[first + i] == (uint32_t)((UINT64_C(1) << bits) - 1);
                expected += 1 + values[first + i];
                assert_int_equal(out[i], expected);
            }
            assert_int_equal(found, escaped);
        }
    }
}

static void expands_bits(void **state)
{
    const struct kernels *k = kernels_of(state);
    static uint8_t bytes[8 * 64 + 1];
    static uint32_t out[64 * 64 + KERNEL_OVERWRITE];
    for (int round = 0; round < ROUNDS; round++) {
        size_t words = next() % 64, n = 0;
        uint32_t base = next() & ~63u;
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = (uint8_t)(round % 4 == 0 ? next() & next() & next() : next());
        size_t got = k->expand_bits(bytes + 1, words, base, out); /* at an odd address */
        for (size_t bit = 0; bit < 64 * words; bit++) {
            if (bytes[1 + bit / 8] >> bit % 8 & 1)
                assert_int_equal(out[n++], base + bit);
        }
        assert_int_equal(got, n);
    }
}

static void matches_bits(void **state)
{
    const struct kernels *k = kernels_of(state);
    static uint8_t bytes[8 * 64 + 1];
    static uint32_t set[64 * 64 + KERNEL_OVERWRITE], a[MOST], wanted_a[MOST], wanted_places[MOST], out_a[MOST], out_places[MOST];
    for (int round = 0; round < ROUNDS; round++) {
        size_t words = 1 + next() % 63, count = 0, n = 0, members;
        uint32_t base = 64 + (next() & 0xffffc0);
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = (uint8_t)(round % 4 == 0 ? next() & next() & next() : next());
        members = k->expand_bits(bytes + 1, words, base, set);
        assert_int_equal(k->count_bits(bytes + 1, words), members);
        for (uint32_t number = base - 40 + next() % 80; number < base + 64 * words && count < MOST; count++) {
            a[count] = number;
            number += 1 + next() % (1 + (uint32_t)round % 90);
        }
        for (size_t i = 0, j = 0; i < count; i++) {
            while (j < members && set[j] < a[i])
                j++;
            if (j == members || set[j] != a[i])
                continue;
            wanted_a[n] = (uint32_t)i;
            wanted_places[n++] = (uint32_t)j;
        }
        assert_int_equal(k->match_bits(a, count, base, bytes + 1, out_a, out_places), n);
        assert_memory_equal(out_a, wanted_a, n * sizeof *out_a);
        assert_memory_equal(out_places, wanted_places, n * sizeof *out_places);
    }
}

static void counts_what_both_have(void **state)
{
    const struct kernels *k = kernels_of(state);
    static uint8_t a[8 * 64 + 1], b[8 * 64 + 3];
    for (int round = 0; round < ROUNDS; round++) {
        size_t words = next() % 64, n = 0;
        for (size_t i = 0; i < sizeof a; i++)
            a[i] = (uint8_t)next();
        for (size_t i = 0; i < sizeof b; i++)
            b[i] = (uint8_t)(round % 4 == 0 ? next() & next() & next() : next());
        for (size_t bit = 0; bit < 64 * words; bit++)
            n += a[1 + bit / 8] >> bit % 8 & b[3 + bit / 8] >> bit % 8 & 1;
        assert_int_equal(k->count_both(a + 1, b + 3, words), n); /* at odd addresses */
    }
}

static void scores_to_the_last_bit(void **state)
{
    const struct kernels *k = kernels_of(state);
    static uint8_t codes[1000];
    static uint32_t documents[MOST + KERNEL_OVERWRITE], t[MOST + KERNEL_OVERWRITE];
    static int32_t out[MOST + KERNEL_OVERWRITE];
    float norms[256];
    for (size_t i = 0; i < 256; i++)
        norms[i] = 0.3F + (float)length_decoded[i] * 0.00731F;
    for (int round = 0; round < ROUNDS; round++) {
        size_t count = next() % MOST;
        uint32_t weight = next() >> (2 + next() % 24);
        for (size_t i = 0; i < sizeof codes; i++)
            codes[i] = (uint8_t)next();
        for (size_t i = 0; i < count; i++) {
            documents[i] = next() % sizeof codes;
            t[i] = 1 + (next() >> (4 + next() % 27));
        }
        k->score(weight, norms, codes, documents, t, count, out);
        for (size_t i = 0; i < count; i++)
            assert_int_equal(out[i], score_contribution(weight, t[i], norms[codes[documents[i]]]));
    }
}

static void bounds_are_the_largest_of_all_pairs(void **state)
{
    const struct kernels *k = kernels_of(state);
    float norms[256];
    for (size_t i = 0; i < 256; i++)
        norms[i] = 0.3F + (float)length_decoded[i] * 0.00731F;
    for (int round = 0; round < ROUNDS; round++) {
        uint8_t pairs[2 * KERNEL_PAIRS];
        uint32_t weight = next() >> (2 + next() % 24);
        int32_t most = 0, contribution;
        for (size_t i = 0; i < 2 * KERNEL_PAIRS; i += 2) {
            pairs[i] = (uint8_t)(next() % 4 ? 1 + next() % 254 : 255);
            pairs[i + 1] = (uint8_t)next();
            contribution = score_contribution(weight, pairs[i], pairs[i] == 255 ? 0 : norms[pairs[i + 1]]);
            most = contribution > most ? contribution : most;
        }
        assert_int_equal(k->bound(weight, norms, pairs), most);
        for (size_t i = 0; i < 2 * KERNEL_PAIRS; i += 2)
            assert_true(score_contribution(weight, pairs[i] == 255 ? next() | 255 : pairs[i], norms[pairs[i + 1]]) <= most);
    }
}

static void keeps_scores_in_place(void **state)
{
    const struct kernels *k = kernels_of(state);
    static uint32_t documents[MOST + KERNEL_OVERWRITE], wanted[MOST];
    static int32_t scores[MOST + KERNEL_OVERWRITE], wanted_scores[MOST];
    for (int round = 0; round < ROUNDS; round++) {
        size_t count = next() % MOST, n = 0;
        int32_t least = (int32_t)(next() % 1000);
        for (size_t i = 0; i < count; i++) {
            documents[i] = next();
            scores[i] = (int32_t)(next() % 1000);
            if (scores[i] >= least) {
                wanted[n] = documents[i];
                wanted_scores[n++] = scores[i];
            }
        }
        assert_int_equal(k->keep_scores(documents, scores, count, least, documents, scores), n);
        assert_memory_equal(documents, wanted, n * sizeof *wanted);
        assert_memory_equal(scores, wanted_scores, n * sizeof *wanted_scores);
    }
}

/* Never above the wanted-th best, and with sixteen scores exactly that. */
static void a_score_is_reached_by_so_many(void **state)
{
    const struct kernels *k = kernels_of(state);
    int32_t scores[MOST];
    for (int round = 0; round < ROUNDS; round++) {
        size_t count = round % 4 == 0 ? KERNEL_REACHED : next() % MOST, wanted = 1 + next() % KERNEL_REACHED, n = 0, above = 0;
        for (size_t i = 0; i < count; i++)
            scores[i] = (int32_t)(next() % (1 + next() % 1000)) - 10;
        int32_t least = k->reached(scores, count, wanted);
        if (count < KERNEL_REACHED) {
            assert_int_equal(least, INT32_MIN);
            continue;
        }
        for (size_t i = 0; i < count; i++) {
            n += scores[i] >= least;
            above += scores[i] > least;
        }
        assert_true(n >= wanted);
        assert_true(count > KERNEL_REACHED || above < wanted);
    }
}

static void drains_what_is_marked(void **state)
{
    const struct kernels *k = kernels_of(state);
    enum { WORDS = 9 };
    static int32_t sums[64 * WORDS], scores[64 * WORDS + KERNEL_OVERWRITE];
    static uint32_t documents[64 * WORDS + KERNEL_OVERWRITE];
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t seen[WORDS] = {0};
        uint32_t wanted[64 * WORDS], base = next() & ~63u;
        int32_t wanted_scores[64 * WORDS], least = (int32_t)(next() % 120) - 10;
        size_t n = 0;
        for (uint32_t at = 0; at < 64 * WORDS; at++) {
            if (next() % (1 + (uint32_t)round % 50))
                continue;
            seen[at / 64] |= UINT64_C(1) << at % 64;
            sums[at] = (int32_t)(next() % 100);
            if (sums[at] < least)
                continue;
            wanted[n] = base + at;
            wanted_scores[n++] = sums[at];
        }
        assert_int_equal(k->drain(seen, sums, WORDS, base, least, documents, scores), n);
        assert_memory_equal(documents, wanted, n * sizeof *wanted);
        assert_memory_equal(scores, wanted_scores, n * sizeof *wanted_scores);
        for (size_t at = 0; at < 64 * WORDS; at++)
            assert_true(sums[at] == 0 && seen[at / 64] == 0);
    }
}

static size_t rising(uint32_t *out, size_t count, uint32_t step)
{
    uint32_t number = next() % step;
    for (size_t i = 0; i < count; i++) {
        out[i] = number;
        number += 1 + next() % step;
    }
    return count;
}

static void intersects(void **state)
{
    const struct kernels *k = kernels_of(state);
    static uint32_t a[MOST], b[MOST + KERNEL_OVERWRITE], out_a[MOST], out_b[MOST];
    for (int round = 0; round < ROUNDS; round++) {
        size_t count_a = rising(a, next() % MOST, 1 + next() % 40), n = 0;
        size_t count_b = rising(b, next() % MOST, 1 + next() % 40);
        size_t got = k->intersect(a, count_a, b, count_b, out_a, out_b);
        for (size_t i = 0, j = 0; i < count_a; i++) {
            while (j < count_b && b[j] < a[i])
                j++;
            if (j == count_b || b[j] != a[i])
                continue;
            assert_true(n < got);
            assert_int_equal(out_a[n], i);
            assert_int_equal(out_b[n++], j);
        }
        assert_int_equal(got, n);
    }
}

/* Few of many, so that most have nothing in common. */
static void meets(void **state)
{
    const struct kernels *k = kernels_of(state);
    static uint32_t a[MOST], b[MOST + KERNEL_OVERWRITE], out_a[MOST], out_b[MOST];
    size_t met = 0;
    for (int round = 0; round < 20 * ROUNDS; round++) {
        size_t count_a = rising(a, next() % 12, 1 + next() % 900), count_b = rising(b, next() % 70, 1 + next() % 90);
        bool expected = k->intersect(a, count_a, b, count_b, out_a, out_b) > 0;
        for (size_t i = 0; i < KERNEL_OVERWRITE && count_a > 0; i++)
            b[count_b + i] = a[count_a - 1]; /* is no part of it */
        assert_int_equal(k->meet(a, count_a, b, count_b), expected);
        met += expected;
    }
    assert_true(met > ROUNDS && met < 19 * ROUNDS);
}

/* A block's heads and last bytes, of which every second one says that its term is long or short. */
static size_t random_heads(uint8_t heads[3 * KERNEL_TERMS])
{
    for (size_t i = 0; i < 3 * KERNEL_TERMS; i++)
        heads[i] = (uint8_t)(next() % 3 ? next() % 256 : (next() % 2 ? 0xf0 : 0x0f) | next() % 256);
    size_t count = next() % 3 ? KERNEL_TERMS : 1 + next() % KERNEL_TERMS;
    for (size_t i = 0; i < count; i++)
        heads[count + i] = (uint8_t)(next() % 2 ? next() % 4 : 0x7e + next() % 4);
    return count;
}

static void tells_terms_by_heads_and_last_bytes(void **state)
{
    const struct kernels *k = kernels_of(state);
    size_t found = 0;
    for (int round = 0; round < 20 * ROUNDS; round++) {
        uint8_t heads[3 * KERNEL_TERMS];
        size_t count = random_heads(heads), sizes = 0;
        uint8_t last = heads[count + next() % count];
        unsigned least = next() % 64, most = least + next() % (64 - least);
        uint64_t longs = 0, ending = 0, out_longs = 1, set = 0, got = k->ending(heads, count, last, least, most, &out_longs);
        for (size_t i = 0; i < count; i++) {
            unsigned shared = heads[i] >> 4, rest = heads[i] & 15u;
            bool is_long = shared == 15 || rest == 15;
            longs |= (uint64_t)is_long << i;
            if (heads[count + i] == last && (is_long || (shared + rest >= least && shared + rest <= most)))
                ending |= UINT64_C(1) << i;
            if (!is_long && rest > 0 && next() % 3) {
                set |= UINT64_C(1) << i;
                sizes += rest - 1;
            }
        }
        assert_true(got == ending && out_longs == longs);
        assert_int_equal(k->short_texts(heads, set), sizes);
        found += ending != 0;
    }
    assert_true(found > ROUNDS);
}

static void counts_ascii(void **state)
{
    const struct kernels *k = kernels_of(state);
    static uint8_t bytes[3 * INT8_MAX * 32];
    for (int round = 0; round < ROUNDS; round++) {
        size_t from = next() % 64, n = 0, count = round % 20 ? next() % 300 : sizeof bytes - from;
        uint8_t least = (uint8_t)(next() % 128);
        for (size_t i = 0; i < from + count; i++)
            bytes[i] = (uint8_t)(round % 3 ? next() % 256 : 0x7f);
        for (size_t i = 0; i < count; i++)
            n += bytes[from + i] >= least && bytes[from + i] < 0x80;
        assert_int_equal(k->count_ascii(bytes + from, count, least), n);
    }
}

static void the_environment_chooses(void **state)
{
    (void)state;
    setenv("MAYFLY_CPU", "portable", 1);
    assert_string_equal(kernels_best()->name, "portable");
    setenv("MAYFLY_CPU", "abacus", 1);
    const struct kernels *best = kernels_best();
    unsetenv("MAYFLY_CPU");
    assert_ptr_equal(best, kernels_best());
    assert_null(kernels_named("abacus"));
}

static char portable[] = "portable", avx2[] = "avx2", avx512[] = "avx512";

#define ON(test, cpu) {#test " on " #cpu, test, NULL, NULL, cpu}
#define ON_ALL(test) ON(test, portable), ON(test, avx2), ON(test, avx512)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_ALL(unpacks_every_width),
        ON_ALL(unpacks_from_any_value),
        ON_ALL(expands_bits),
        ON_ALL(matches_bits),
        ON_ALL(counts_what_both_have),
        ON_ALL(scores_to_the_last_bit),
        ON_ALL(bounds_are_the_largest_of_all_pairs),
        ON_ALL(keeps_scores_in_place),
        ON_ALL(a_score_is_reached_by_so_many),
        ON_ALL(drains_what_is_marked),
        ON_ALL(intersects),
        ON_ALL(meets),
        ON_ALL(tells_terms_by_heads_and_last_bytes),
        ON_ALL(counts_ascii),
        cmocka_unit_test(the_environment_chooses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
