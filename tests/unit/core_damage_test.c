/* Of a damaged file, or one of a later version, no view comes that differs from the true one. */
#include "index/core.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/err.h"
#include "core_place.h"
#include "index/core_file.h"
#include "index/core_keys.h"

/* Every byte of the file that holds a live value, turned over: no view comes of it that differs from the true one. */
static void damage_is_found(void **state)
{
    struct place *p = *state;
    struct core *c = core_place_writer(state);
    add(c, 1, 100);
    mark(c, 1, 7, 50);
    mark(c, 1, 57, 3); /* these stand with the meta value */
    apply(c, 4, 6);
    core_close(c);
    char path[128];
    snprintf(path, sizeof path, "%s/core.mdb", p->directory);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    off_t size = lseek(fd, 0, SEEK_END);
    assert_true(fd >= 0 && size > 0);
    uint32_t found = 0;
    static const char magic[] = "MFCV";
    for (off_t at = 0; at + 4 < size; at++) {
        char here[4];
        assert_int_equal(pread(fd, here, 4, at), 4);
        if (memcmp(here, magic, 4) != 0)
            continue;
        for (off_t i = 0; i < 30; i += 3) {
            char byte;
            assert_int_equal(pread(fd, &byte, 1, at + i), 1);
            char turned = (char)(byte ^ 0x10);
            assert_int_equal(pwrite(fd, &turned, 1, at + i), 1);
            struct core_view *v = NULL;
            int err = core_open_reader(p->directory, &c);
            assert_int_equal(err, 0);
            err = core_read(c, NULL, &v);
            assert_true(err == 0 || err == ERR_CORRUPT || err == ERR_VERSION);
            found += err != 0;
            if (!err) { /* the value was an old one, in a page that is free */
                assert_int_equal(v->documents, 47);
                core_view_release(v);
            }
            core_close(c);
            assert_int_equal(pwrite(fd, &byte, 1, at + i), 1);
        }
    }
    close(fd);
    assert_true(found >= 30);
}

/* Damage in front of the image is the value's, in it the segment's, and an image that is cut is the value's again. */
static void a_damaged_value_with_an_image_is_refused(void **state)
{
    (void)state;
    char value[CORE_IMAGE_AT + 3000];
    struct core_key key = core_key_u64(CORE_SEGMENT, 7);
    struct str k = core_key_str(&key), image;
    struct core_segment s = {.documents = 10, .bytes = 2500}, out;
    size_t size;
    memset(value, 'i', sizeof value);
    core_put_image(value, k, &s, &size);
    assert_int_equal(size, CORE_IMAGE_AT + 2500);
    assert_int_equal(core_get_segment(k, (struct str){value, size}, &out, &image), 0);
    assert_ptr_equal(image.ptr, value + CORE_IMAGE_AT);
    assert_int_equal(image.len, 2500);
    for (size_t at = 0; at < CORE_IMAGE_AT; at++) {
        value[at] ^= 0x20;
        int err = core_get_segment(k, (struct str){value, size}, &out, &image);
        value[at] ^= 0x20;
        assert_true(err == ERR_CORRUPT || (err == ERR_VERSION && (at == 4 || at == 5)));
    }
    assert_int_equal(core_get_segment(k, (struct str){value, size - 1}, &out, &image), ERR_CORRUPT);
    s.bytes = 10; /* filled up to what has pages of its own */
    core_put_image(value, k, &s, &size);
    assert_int_equal(size, 2040);
    assert_int_equal(core_get_segment(k, (struct str){value, size}, &out, &image), 0);
    assert_int_equal(image.len, 10);
}

/* What a program without images does with a version that it does not know. */
static void a_value_of_a_later_version_is_refused_by_its_version(void **state)
{
    struct place *p = *state;
    struct core *c = core_place_writer(state);
    assert_int_equal(try_add_image(c, 1, 100, 'x'), 0);
    core_close(c);
    char path[160];
    struct core_file *f;
    struct core_key key = core_key_u64(CORE_SEGMENT, 1);
    struct str value;
    snprintf(path, sizeof path, "%s/core.mdb", p->directory);
    assert_int_equal(core_file_open(path, true, &f), 0);
    assert_int_equal(core_file_begin(f), 0);
    assert_int_equal(core_file_get(f, core_key_str(&key), &value), 0);
    char *later = malloc(value.len);
    size_t size = value.len;
    memcpy(later, value.ptr, size);
    later[4] = 3;
    core_file_put(f, core_key_str(&key), (struct str){later, size});
    assert_int_equal(core_file_commit(f), 0);
    core_file_close(f);
    free(later);
    c = core_place_writer(state);
    struct core_view *v;
    assert_int_equal(core_read(c, NULL, &v), ERR_VERSION);
    core_close(c);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, core_place_make, core_place_drop)
    static const struct CMUnitTest tests[] = {
        CASE(damage_is_found),
        CASE(a_damaged_value_with_an_image_is_refused),
        CASE(a_value_of_a_later_version_is_refused_by_its_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
