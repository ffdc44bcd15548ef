#include "index/store.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
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
#include "index/image.h"
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

static int create(const char *path, size_t transaction, size_t image, struct store_writer **out)
{
    return store_create(&(struct store_options){.path = path, .transaction = transaction, .image = image}, out);
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
        struct image *none;
        uint64_t size;
        assert_int_equal(create(p.path, transactions[t], 0, &w), 0);
        for (uint32_t i = 0; i < SIZES; i++) {
            fill(bytes, sizes[i], i);
            store_put(w, SECTION_IDS, i, bytes, sizes[i]);
        }
        assert_int_equal(store_finish(w, &size, &none), 0);
        assert_null(none);
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
        struct extent absent;
        assert_int_equal(store_extent(s, SECTION_IDS, SIZES, &absent), -ENOENT);
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
    struct image *none;
    uint64_t size;
    uint8_t *bytes = malloc(200000), mark[16] = "find me by this";
    fill(bytes, 200000, 3);
    memcpy(bytes + 70000, mark, sizeof mark);
    assert_int_equal(create(p.path, 1 << 20, 0, &w), 0);
    store_put(w, SECTION_BODIES, 0, bytes, 200000);
    assert_int_equal(store_finish(w, &size, &none), 0);
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
    struct image *none;
    uint64_t size;
    assert_int_equal(create(p.path, 1 << 20, 0, &w), 0);
    assert_int_equal(create(p.path, 1 << 20, 0, &again), -EEXIST);
    assert_int_equal(access(p.path, F_OK), 0);
    store_put(w, SECTION_IDS, 0, "x", 1);
    store_put(w, SECTION_IDS, 0, "y", 1); /* twice: sticky */
    assert_int_not_equal(store_error(w), 0);
    store_put(w, SECTION_IDS, 1, "z", 1);
    assert_int_not_equal(store_finish(w, &size, &none), 0);
    assert_int_not_equal(access(p.path, F_OK), 0);
    assert_int_equal(create("/nowhere/at/all", 1 << 20, 0, &w), -ENOENT);
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

/* ------------------------------------------------------------------------------------------------------------- images
 */

static void put_small(struct store_writer *w, uint32_t count)
{
    uint8_t bytes[1000];
    for (uint32_t i = 0; i < count; i++) {
        fill(bytes, i % sizeof bytes, i);
        store_put(w, i % 2 ? SECTION_IDS : SECTION_BODIES, i, bytes, i % sizeof bytes);
    }
}

static void expect_small(struct store *s, uint32_t count)
{
    uint8_t bytes[1000];
    for (uint32_t i = 0; i < count; i++) {
        struct extent e;
        fill(bytes, i % sizeof bytes, i);
        assert_int_equal(store_extent(s, i % 2 ? SECTION_IDS : SECTION_BODIES, i, &e), 0);
        assert_int_equal(e.size, i % sizeof bytes);
        assert_int_equal((uintptr_t)e.payload % 32, 0);
        assert_int_equal(store_check(s, &e, 0, e.size), 0);
        assert_memory_equal(e.payload, bytes, e.size);
    }
    struct extent none;
    assert_int_equal(store_extent(s, SECTION_IDS, count | 1, &none), -ENOENT);
}

static struct image *small_image(const char *path, uint32_t count)
{
    struct store_writer *w;
    struct image *image;
    uint64_t size;
    assert_int_equal(create(path, 1 << 20, IMAGE_MOST, &w), 0);
    put_small(w, count);
    assert_int_equal(store_finish(w, &size, &image), 0);
    assert_non_null(image);
    assert_int_equal(image->size, size);
    assert_int_not_equal(access(path, F_OK), 0);
    return image;
}

static void what_is_small_is_an_image_and_no_file(void **state)
{
    (void)state;
    struct place p = make();
    struct image *image = small_image(p.path, 100), *copy;
    struct store *s;
    assert_int_equal(image_copy((struct str){(char *)image->bytes, image->size}, &copy), 0);
    image_release(image);
    assert_int_equal(store_open_image(copy, &s), 0);
    assert_int_equal(copy->references, 2);
    assert_ptr_equal(store_image(s), copy);
    image_release(copy);
    store_trim(s); /* it stays in the heap */
    expect_small(s, 100);
    store_close(s);
    discard(&p);
}

static long read_whole(const char *path, char **out)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    long size = ftell(f);
    rewind(f);
    *out = malloc((size_t)size);
    assert_int_equal(fread(*out, (size_t)size, 1, f), 1);
    fclose(f);
    return size;
}

/* Whichever way it came to be one. */
static void expect_equal_files(const char *one, const char *other)
{
    char *a, *b;
    long size = read_whole(one, &a);
    assert_int_equal(read_whole(other, &b), size);
    assert_memory_equal(a, b, (size_t)size);
    free(a);
    free(b);
}

static void what_turns_out_to_be_large_is_the_file_that_it_would_have_been(void **state)
{
    (void)state;
    struct place p = make(), q = make();
    const char *const paths[] = {p.path, q.path};
    for (int i = 0; i < 2; i++) {
        struct store_writer *w;
        struct image *none;
        uint64_t size;
        assert_int_equal(create(paths[i], 1 << 20, i ? IMAGE_MOST : 0, &w), 0);
        put_small(w, 999); /* about 500 KB */
        assert_int_equal(store_finish(w, &size, &none), 0);
        assert_null(none);
    }
    expect_equal_files(p.path, q.path);
    discard(&p);
    discard(&q);
}

static void an_image_is_written_out_as_the_file_that_it_would_have_been(void **state)
{
    (void)state;
    struct place p = make(), q = make();
    struct image *image = small_image(p.path, 100), *none;
    struct store_writer *w;
    uint64_t size, plain;
    assert_int_equal(store_write_file(&(struct store_options){.path = p.path, .transaction = 1 << 20}, image, &size), 0);
    assert_int_equal(create(q.path, 1 << 20, 0, &w), 0);
    put_small(w, 100);
    assert_int_equal(store_finish(w, &plain, &none), 0);
    assert_int_equal(size, plain);
    expect_equal_files(p.path, q.path);
    image_release(image);
    discard(&p);
    discard(&q);
}

static void an_image_takes_no_key_twice_and_leaves_nothing_when_abandoned(void **state)
{
    (void)state;
    struct place p = make();
    struct store_writer *w;
    struct image *image;
    uint64_t size;
    assert_int_equal(create(p.path, 1 << 20, IMAGE_MOST, &w), 0);
    store_put(w, SECTION_IDS, 0, "x", 1);
    store_put(w, SECTION_IDS, 0, "y", 1);
    assert_int_equal(store_finish(w, &size, &image), -EEXIST);
    assert_int_equal(create(p.path, 1 << 20, IMAGE_MOST, &w), 0);
    store_put(w, SECTION_IDS, 0, "x", 1);
    store_abandon(w);
    discard(&p);
}

/* Each byte in turn: refused when it is opened, or when the extent is resolved or read. */
static void a_changed_byte_of_an_image_is_noticed(void **state)
{
    (void)state;
    struct place p = make();
    struct image *image = small_image(p.path, 3);
    for (uint32_t at = 0; at < image->size; at++) {
        struct store *s;
        struct extent e;
        image->bytes[at] ^= 0x40;
        int err = store_open_image(image, &s);
        for (uint32_t i = 0; !err && i < 3; i++) {
            err = store_extent(s, i % 2 ? SECTION_IDS : SECTION_BODIES, i, &e);
            if (!err)
                err = store_check(s, &e, 0, e.size);
            if (err || i == 2)
                store_close(s);
        }
        image->bytes[at] ^= 0x40;
        /* Zero bytes that align the next extent say nothing. */
        bool is_padding = (at >= 16 + 16 && at < 48) || (at >= 48 + 16 + 1 + 4 && at < 80);
        assert_true(is_padding || err == ERR_CORRUPT || (err == ERR_VERSION && at >= 4 && at < 8));
    }
    image_release(image);
    discard(&p);
}

static void an_image_of_more_bytes_than_one_has_is_refused(void **state)
{
    (void)state;
    struct image *image;
    struct store *s;
    char *bytes = calloc(1, IMAGE_MOST + 1);
    assert_int_equal(image_copy((struct str){bytes, IMAGE_MOST + 1}, &image), ERR_CORRUPT);
    for (size_t size = 0; size < 40; size++) {
        assert_int_equal(image_copy((struct str){bytes, size}, &image), 0);
        assert_int_equal(store_open_image(image, &s), ERR_CORRUPT);
        image_release(image);
    }
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_values_of_every_size),
        cmocka_unit_test(finds_a_changed_piece_only_where_it_is),
        cmocka_unit_test(an_abandoned_file_is_gone_and_an_older_one_is_not),
        cmocka_unit_test(refuses_what_is_no_segment),
        cmocka_unit_test(what_is_small_is_an_image_and_no_file),
        cmocka_unit_test(what_turns_out_to_be_large_is_the_file_that_it_would_have_been),
        cmocka_unit_test(an_image_is_written_out_as_the_file_that_it_would_have_been),
        cmocka_unit_test(an_image_takes_no_key_twice_and_leaves_nothing_when_abandoned),
        cmocka_unit_test(a_changed_byte_of_an_image_is_noticed),
        cmocka_unit_test(an_image_of_more_bytes_than_one_has_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
