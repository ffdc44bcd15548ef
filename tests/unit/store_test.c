#include "index/store.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
// cmocka wants the four above first
#include <cmocka.h>

#include "common/err.h"
#include "index/store_writer.h"

struct place {
    char directory[40], path[64];
};

static struct place make(void)
{
    struct place p = {.directory = "/tmp/mayfly-store-XXXXXX"};
    assert_non_null(mkdtemp(p.directory));
    snprintf(p.path, sizeof p.path, "%s/seg-1.mdb", p.directory);
    return p;
}

static void discard(const struct place *p)
{
    unlink(p->path);
    assert_int_equal(rmdir(p->directory), 0);
}

static void fill(uint8_t *bytes, size_t size, uint32_t seed)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(i * 31 + i / 251 + seed);
}

/* Around a piece, a page, an extent, and far above. */
static const size_t sizes[] = {0,
                               1,
                               15,
                               4031,
                               4032,
                               4033,
                               4064,
                               65535,
                               65536,
                               65537,
                               99999,
                               8,
                               16,
                               32,
                               1000000,
                               1048575,
                               1048480 /* one extent */,
                               1048481,
                               3000000};

enum { SIZES = sizeof sizes / sizeof sizes[0] };

static void keeps_values_of_every_size(void **state)
{
    (void)state;
    uint8_t *bytes = malloc(3000000);
    static const size_t transactions[] = {4096, 1 << 20, 64 << 20};
    for (size_t t = 0; t < 3; t++) {
        struct place p = make();
        struct store_writer *w;
        struct store *s;
        struct stat status;
        uint64_t size;
        assert_int_equal(store_create(p.path, transactions[t], &w), 0);
        for (uint32_t i = 0; i < SIZES; i++) {
            fill(bytes, sizes[i], i);
            store_put(w, SECTION_IDS, i, bytes, sizes[i]);
        }
        assert_int_equal(store_finish(w, &size), 0);
        assert_int_equal(stat(p.path, &status), 0);
        assert_int_equal(status.st_size, size);
        assert_int_equal(store_open(p.path, &s), 0);
        assert_int_equal(store_bytes(s), size);
        for (uint32_t i = 0; i < SIZES; i++) {
            struct extent e;
            fill(bytes, sizes[i], i);
            assert_int_equal(store_extent(s, SECTION_IDS, i, &e), 0);
            assert_int_equal(e.size, sizes[i]);
            assert_int_equal((uintptr_t)e.payload % 32, 0);
            assert_int_equal(store_check(s, &e, 0, e.size), 0);
            assert_int_equal(store_check(s, &e, e.size, 1), ERR_CORRUPT);
            assert_memory_equal(e.payload, bytes, sizes[i]);
        }
        struct extent none;
        assert_int_equal(store_extent(s, SECTION_IDS, SIZES, &none), -ENOENT);
        store_close(s);
        discard(&p);
    }
    free(bytes);
}

static void finds_a_changed_piece_only_where_it_is(void **state)
{
    (void)state;
    struct place p = make();
    struct store_writer *w;
    struct store *s;
    struct extent e;
    uint64_t size;
    uint8_t *bytes = malloc(200000), mark[16] = "find me by this";
    fill(bytes, 200000, 3);
    memcpy(bytes + 70000, mark, sizeof mark);
    assert_int_equal(store_create(p.path, 1 << 20, &w), 0);
    store_put(w, SECTION_BODIES, 0, bytes, 200000);
    assert_int_equal(store_finish(w, &size), 0);
    char *file = malloc(size);
    FILE *f = fopen(p.path, "r+b");
    assert_int_equal(fread(file, size, 1, f), 1);
    char *at = memmem(file, size, mark, sizeof mark);
    assert_non_null(at);
    fseek(f, at - file, SEEK_SET);
    fputc('F', f);
    fclose(f);
    assert_int_equal(store_open(p.path, &s), 0);
    assert_int_equal(store_extent(s, SECTION_BODIES, 0, &e), 0);
    assert_int_equal(store_check(s, &e, 0, 65536), 0);
    assert_int_equal(store_check(s, &e, 65535, 2), ERR_CORRUPT);
    assert_int_equal(store_check(s, &e, 131071, 1), ERR_CORRUPT);
    assert_int_equal(store_check(s, &e, 131072, 200000 - 131072), 0);
    assert_int_equal(store_check(s, &e, 100000, 0), 0);
    store_close(s);
    free(file);
    free(bytes);
    discard(&p);
}

static void an_abandoned_file_is_gone_and_an_older_one_is_not(void **state)
{
    (void)state;
    struct place p = make();
    struct store_writer *w, *again;
    uint64_t size;
    assert_int_equal(store_create(p.path, 1 << 20, &w), 0);
    assert_int_equal(store_create(p.path, 1 << 20, &again), -EEXIST);
    assert_int_equal(access(p.path, F_OK), 0);
    store_put(w, SECTION_IDS, 0, "x", 1);
    store_put(w, SECTION_IDS, 0, "y", 1); /* twice: sticky */
    assert_int_not_equal(store_error(w), 0);
    store_put(w, SECTION_IDS, 1, "z", 1);
    assert_int_not_equal(store_finish(w, &size), 0);
    assert_int_not_equal(access(p.path, F_OK), 0);
    assert_int_equal(store_create("/nowhere/at/all", 1 << 20, &w), -ENOENT);
    discard(&p);
}

static void refuses_what_is_no_segment(void **state)
{
    (void)state;
    struct place p = make();
    struct store *s;
    static const size_t lengths[] = {0, 1, 31, 32, 4096, 100000};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        FILE *f = fopen(p.path, "wb");
        for (size_t k = 0; k < lengths[i]; k++)
            fputc((int)(k * 7 % 256), f);
        fclose(f);
        assert_int_equal(store_open(p.path, &s), ERR_CORRUPT);
    }
    assert_int_equal(store_open(p.directory, &s), -EISDIR);
    discard(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_values_of_every_size),
        cmocka_unit_test(finds_a_changed_piece_only_where_it_is),
        cmocka_unit_test(an_abandoned_file_is_gone_and_an_older_one_is_not),
        cmocka_unit_test(refuses_what_is_no_segment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
