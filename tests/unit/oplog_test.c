/* oplog_test - what was said to be durable comes back, whole and in order; what is torn or damaged never does. */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <uv.h>

#include "common/err.h"
#include "common/hash.h"
#include "common/logger.h"
#include "coordinator/oplog.h"
#include "proto/batch.h"

enum { PATH = 128, FILE_HEAD = 24, RECORD_HEAD = 72, QUOTA = 1 << 30 };
static const struct oplog_stream books = {1, 1, 0}, films = {2, 1, 1};

struct life {
    char directory[64];
    uv_loop_t loop;
    struct oplog *log;
    uint64_t epoch;
    int done; /* appends that were said to be durable */
};

static void begin(struct life *l, uint64_t quota)
{
    assert_int_equal(uv_loop_init(&l->loop), 0);
    assert_int_equal(oplog_open(&l->loop, l->directory, ++l->epoch, quota, &l->log), 0);
}

static void close_handle(uv_handle_t *handle, void *context)
{
    (void)context;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void end(struct life *l)
{
    uv_run(&l->loop, UV_RUN_DEFAULT);
    uv_walk(&l->loop, close_handle, NULL);
    uv_run(&l->loop, UV_RUN_DEFAULT);
    oplog_close(l->log);
    assert_int_equal(uv_loop_close(&l->loop), 0);
}

static int make_directory(void **state)
{
    struct life *l = calloc(1, sizeof *l);
    strcpy(l->directory, "/tmp/mayfly-oplog-XXXXXX");
    *state = l;
    return mkdtemp(l->directory) ? 0 : -1;
}

static int visit_files(const struct life *l, void (*visit)(const char *path, void *context), void *context)
{
    int count = 0;
    char path[PATH + 256];
    DIR *d = opendir(l->directory);
    assert_non_null(d);
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", l->directory, e->d_name);
        if (visit)
            visit(path, context);
        count++;
    }
    closedir(d);
    return count;
}

static void remove_file(const char *path, void *context)
{
    (void)context;
    unlink(path);
}

static int remove_directory(void **state)
{
    struct life *l = *state;
    visit_files(l, remove_file, NULL);
    rmdir(l->directory);
    free(l);
    return 0;
}

/* ------------------------------------------------------------------------------------------------- entries and reading
 */

/* One put of a document of that many bytes, all of them `fill`; malloc. */
static struct str make_operation(size_t body, char fill)
{
    size_t size = operation_size(2, body);
    char *bytes = aligned_alloc(8, size);
    assert_non_null(bytes);
    const struct operation o = {
        .kind = OPERATION_PUT, .stamp = (uint64_t)fill, .hash = hash64(STR("id")), .id = STR("id")};
    memset(operation_encode(bytes, &o, body), fill, body);
    operation_pad(bytes);
    return (struct str){bytes, size};
}

static struct str make_operations(uint32_t count, size_t body, char fill)
{
    size_t size = operation_size(2, body);
    char *bytes = aligned_alloc(8, size * count);
    assert_non_null(bytes);
    struct str one = make_operation(body, fill);
    for (uint32_t i = 0; i < count; i++)
        memcpy(bytes + i * size, one.ptr, size);
    free((void *)(uintptr_t)one.ptr);
    return (struct str){bytes, size * count};
}

static void release(struct str s)
{
    free((void *)(uintptr_t)s.ptr);
}

static void count_done(void *context)
{
    ((struct life *)context)->done++;
}

static void append(struct life *l, struct oplog_stream s, uint64_t first, uint32_t count, struct str operations)
{
    const struct oplog_entry e = {.stream = s, .task = 7, .first = first, .count = count, .operations = operations};
    assert_int_equal(oplog_append(l->log, &e, count_done, l), 0);
}

static void append_and_wait(struct life *l, struct oplog_stream s, uint64_t first, uint32_t count,
                            struct str operations)
{
    int before = l->done;
    append(l, s, first, count, operations);
    while (l->done == before)
        uv_run(&l->loop, UV_RUN_ONCE);
}

/* Reads to the end: operations must be whole, of `fills[stream index]`, and dense per stream from `expected`. */
static uint32_t read_stream(struct life *l, struct oplog_stream s, uint64_t first, const char *fills)
{
    struct oplog_entry e;
    uint32_t seen = 0;
    int got;
    while ((got = oplog_next(l->log, &e)) > 0) {
        assert_true(e.operations.len > 0);
        struct str rest = e.operations;
        if (memcmp(&e.stream, &s, sizeof s) != 0)
            continue;
        assert_int_equal(e.first, first + seen);
        assert_int_equal(e.task, 7);
        for (uint32_t i = 0; i < e.count; i++, seen++) {
            struct operation o;
            assert_int_equal(operation_decode(&rest, &o), 0);
            char fill = fills[1] ? fills[seen] : fills[0];
            for (size_t k = 0; k<o.body.len; k += o.body.len> 4096 ? 509 : 1)
                assert_int_equal(o.body.ptr[k], fill);
        }
        assert_int_equal(rest.len, 0);
    }
    assert_int_equal(got, 0);
    oplog_end_reading(l->log);
    return seen;
}

/* ------------------------------------------------------------------------------------------------------------- tests
 */

static void brings_back_what_was_appended(void **state)
{
    struct life *l = *state;
    struct str few = make_operations(3, 100, 'a'), other = make_operations(2, 50, 'b');
    begin(l, QUOTA);
    assert_int_equal(oplog_tail(l->log, &books), 0);
    for (uint64_t i = 0; i < 50; i++) {
        append(l, books, 1 + 3 * i, 3, few);
        append(l, films, 1 + 2 * i, 2, other);
    }
    assert_true(oplog_is_writing(l->log));
    end(l);
    assert_int_equal(l->done, 100);
    begin(l, QUOTA);
    assert_int_equal(oplog_tail(l->log, &books), 151);
    assert_int_equal(oplog_tail(l->log, &films), 101);
    assert_int_equal(read_stream(l, books, 1, "a"), 150);
    end(l);
    begin(l, QUOTA); /* reading changes nothing */
    assert_int_equal(read_stream(l, films, 1, "b"), 100);
    end(l);
    release(few);
    release(other);
}

static void splits_what_is_larger_than_a_record(void **state)
{
    struct life *l = *state;
    struct str many = make_operations(500, 10000, 'm'), huge = make_operation(5 << 20, 'h');
    begin(l, QUOTA);
    append(l, books, 1, 500, many);
    append(l, films, 1, 1, huge);
    append(l, books, 501, 500, many);
    end(l);
    begin(l, QUOTA);
    assert_int_equal(read_stream(l, books, 1, "m"), 1000);
    end(l);
    begin(l, QUOTA);
    assert_int_equal(read_stream(l, films, 1, "h"), 1);
    end(l);
    release(many);
    release(huge);
}

struct image {
    char path[PATH + 256];
    char *bytes;
    size_t size;
};

static void load_image(const char *path, void *context)
{
    struct image *i = context;
    struct stat status;
    snprintf(i->path, sizeof i->path, "%s", path);
    FILE *from = fopen(path, "rb");
    assert_non_null(from);
    assert_int_equal(fstat(fileno(from), &status), 0);
    i->size = (size_t)status.st_size;
    i->bytes = malloc(i->size);
    assert_non_null(i->bytes);
    assert_int_equal(fread(i->bytes, 1, i->size, from), i->size);
    fclose(from);
}

static void store_image(const struct image *i, size_t size)
{
    FILE *to = fopen(i->path, "wb");
    assert_non_null(to);
    assert_int_equal(fwrite(i->bytes, 1, size, to), size);
    fclose(to);
}

static size_t size_of(const char *path)
{
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    return (size_t)status.st_size;
}

/* A log file of three records, the last of which is `last`. */
static struct image make_image(struct life *l, struct str last)
{
    struct image image = {.size = 0};
    struct str one = make_operation(200, 'x');
    begin(l, QUOTA);
    append_and_wait(l, books, 1, 1, one);
    append_and_wait(l, books, 2, 1, one);
    append_and_wait(l, books, 3, 1, last);
    end(l);
    release(one);
    assert_int_equal(visit_files(l, load_image, &image), 1);
    return image;
}

static void cuts_a_tail_that_is_torn_at_any_byte(void **state)
{
    struct life *l = *state;
    struct str one = make_operation(200, 'x');
    struct image image = make_image(l, one);
    size_t record = RECORD_HEAD + one.len;
    for (size_t cut = image.size - record; cut < image.size; cut++) {
        store_image(&image, cut);
        begin(l, QUOTA);
        assert_int_equal(oplog_tail(l->log, &books), 3);
        assert_int_equal(size_of(image.path), image.size - record);
        assert_int_equal(read_stream(l, books, 1, "x"), 2);
        end(l);
    }
    free(image.bytes);
    release(one);
}

static void goes_on_after_a_torn_tail(void **state)
{
    struct life *l = *state;
    struct str one = make_operation(200, 'x');
    struct image image = make_image(l, one);
    store_image(&image, image.size - 1);
    begin(l, QUOTA);
    append_and_wait(l, books, oplog_tail(l->log, &books), 1, one);
    end(l);
    begin(l, QUOTA);
    assert_int_equal(read_stream(l, books, 1, "x"), 3);
    end(l);
    free(image.bytes);
    release(one);
}

/* Of an operation in fragments there is all or nothing. */
static void gives_no_operation_without_its_last_fragment(void **state)
{
    struct life *l = *state;
    struct str large = make_operation((5 << 19) + 11, 'x');
    struct image image = make_image(l, large);
    const size_t cuts[] = {1, 100, 1 << 19, (1 << 19) + 200, 1 << 20, 3 << 19, 2 << 20, 5 << 19};
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        store_image(&image, image.size - cuts[i]);
        begin(l, QUOTA);
        assert_int_equal(oplog_tail(l->log, &books), 3);
        assert_int_equal(read_stream(l, books, 1, "x"), 2);
        end(l);
    }
    free(image.bytes);
    release(large);
}

/* Whatever bit of the last record is wrong, what comes back is what was written. */
static void gives_nothing_with_a_flipped_bit(void **state)
{
    struct life *l = *state;
    struct str one = make_operation(200, 'x');
    struct image image = make_image(l, one);
    for (size_t at = image.size - RECORD_HEAD - one.len; at < image.size; at++) {
        image.bytes[at] ^= (char)(1 << (at % 8));
        store_image(&image, image.size);
        begin(l, QUOTA);
        assert_int_equal(read_stream(l, books, 1, "x"), 2);
        end(l);
        image.bytes[at] ^= (char)(1 << (at % 8));
    }
    free(image.bytes);
    release(one);
}

static void reads_on_past_a_file_that_never_got_its_header(void **state)
{
    struct life *l = *state;
    struct str one = make_operation(200, 'x');
    struct image image = make_image(l, one);
    char *number = strrchr(image.path, '/') + 1;
    snprintf(number, 32, "%llu.log", strtoull(number, NULL, 10) + 1);
    store_image(&image, 5);
    begin(l, QUOTA);
    append_and_wait(l, books, oplog_tail(l->log, &books), 1, one);
    end(l);
    begin(l, QUOTA);
    assert_int_equal(read_stream(l, books, 1, "x"), 4);
    end(l);
    free(image.bytes);
    release(one);
}

/* ------------------------------------------------------------------------------------------------------------- damage
 */

static uint64_t present(struct life *l, struct oplog_stream s, struct range *out_gap)
{
    struct ranges has = {.at = NULL};
    oplog_present(l->log, &s, &has);
    uint64_t count = 0;
    for (size_t i = 0; i < has.count; i++)
        count += has.at[i].end - has.at[i].first;
    *out_gap = (struct range){0, 0};
    ranges_gap(&has, 1, oplog_tail(l->log, &s), out_gap);
    ranges_finish(&has);
    return count;
}

/* Books 1 to 6 and films 1 to 3, three appends of a third each: where the middle one begins. */
static struct image make_thirds(struct life *l, struct str one, size_t *out_middle)
{
    struct image image = {.size = 0};
    begin(l, QUOTA);
    for (uint64_t i = 0; i < 3; i++) {
        append_and_wait(l, books, 1 + 2 * i, 1, one);
        append_and_wait(l, books, 2 + 2 * i, 1, one);
        append_and_wait(l, films, 1 + i, 1, one);
    }
    end(l);
    assert_int_equal(visit_files(l, load_image, &image), 1);
    *out_middle = FILE_HEAD + (image.size - FILE_HEAD) / 3;
    return image;
}

/* Whatever bit is wrong, all that stands before and behind it is there, and what is lost is known by number. */
static void keeps_what_stands_behind_a_flipped_bit(void **state)
{
    struct life *l = *state;
    struct str one = make_operation(200, 'x');
    size_t middle, record = RECORD_HEAD + one.len;
    struct image image = make_thirds(l, one, &middle);
    struct range gap;
    for (size_t at = middle; at < middle + record; at++) { /* of books 3 */
        image.bytes[at] ^= (char)(1 << (at % 8));
        store_image(&image, image.size);
        begin(l, QUOTA);
        assert_int_equal(oplog_tail(l->log, &books), 7);
        assert_int_equal(present(l, books, &gap), 5);
        assert_int_equal(gap.first, 3);
        assert_int_equal(gap.end, 4);
        assert_int_equal(oplog_lost_task(l->log, &books, 3, &gap.end), 7);
        assert_int_equal(present(l, films, &gap), 3);
        assert_int_equal(oplog_has_lost_unnamed(l->log), at < middle + RECORD_HEAD);
        assert_int_equal(read_stream(l, films, 1, "x"), 3);
        assert_int_equal(size_of(image.path), image.size);
        end(l);
        image.bytes[at] ^= (char)(1 << (at % 8));
    }
    free(image.bytes);
    release(one);
}

/* Its header tells, although no later number of the stream does. */
static void knows_that_the_last_of_a_stream_is_lost(void **state)
{
    struct life *l = *state;
    struct str one = make_operation(200, 'x');
    size_t middle, record = RECORD_HEAD + one.len;
    struct image image = make_thirds(l, one, &middle);
    struct range gap;
    image.bytes[image.size - record - 8] ^= 1; /* books 6; films 3 stand behind it */
    store_image(&image, image.size);
    begin(l, QUOTA);
    assert_int_equal(oplog_tail(l->log, &books), 7);
    assert_int_equal(present(l, books, &gap), 5);
    assert_int_equal(gap.first, 6);
    assert_false(oplog_has_lost_unnamed(l->log));
    append_and_wait(l, books, oplog_tail(l->log, &books), 1, one);
    end(l);
    begin(l, QUOTA); /* the number of what is lost was not given again */
    assert_int_equal(present(l, books, &gap), 6);
    assert_int_equal(gap.first, 6);
    end(l);
    free(image.bytes);
    release(one);
}

static void reads_on_behind_a_lost_page(void **state)
{
    struct life *l = *state;
    struct str one = make_operation(200, 'x');
    size_t middle, record = RECORD_HEAD + one.len;
    struct image image = make_thirds(l, one, &middle);
    struct range gap;
    memset(image.bytes + middle + 100, 0, 2 * record); /* ends within films 2 */
    store_image(&image, image.size);
    begin(l, QUOTA);
    assert_int_equal(present(l, books, &gap), 4);
    assert_int_equal(gap.first, 3);
    assert_int_equal(gap.end, 5);
    assert_int_equal(present(l, films, &gap), 2);
    assert_int_equal(gap.first, 2);
    end(l);
    free(image.bytes);
    release(one);
}

/* A record in the body of a document is not taken for one of ours as long as the header before it can be read. */
static void takes_no_document_for_a_record(void **state)
{
    struct life *l = *state;
    struct str one = make_operation(200, 'x');
    size_t middle, record = RECORD_HEAD + one.len;
    struct image image = make_thirds(l, one, &middle);
    visit_files(l, remove_file, NULL);
    struct str outer = make_operation(2 * record, 'o');
    char *body = (char *)(uintptr_t)outer.ptr + 48; /* aligned as a record would be */
    memcpy(body, image.bytes + middle, record);
    free(image.bytes);
    image = make_image(l, outer);
    struct range gap;
    begin(l, QUOTA);
    append_and_wait(l, films, 1, 1, one);
    end(l);
    image.bytes[image.size - 1] ^= 1; /* the last of the first file; another file follows it */
    store_image(&image, image.size);
    begin(l, QUOTA);
    assert_int_equal(present(l, books, &gap), 2);
    assert_int_equal(gap.first, 3);
    assert_int_equal(gap.end, 4);
    end(l);
    free(image.bytes);
    release(one);
    release(outer);
}

static void loses_only_the_document_whose_fragment_is_damaged(void **state)
{
    struct life *l = *state;
    struct str one = make_operation(200, 'x'), large = make_operation((5 << 19) + 11, 'x');
    const size_t places[] = {FILE_HEAD + 1000, FILE_HEAD + 20, FILE_HEAD + (1 << 20) + 100, FILE_HEAD + (1 << 20) + 8,
                             FILE_HEAD + (2 << 20) + 300, FILE_HEAD + (2 << 20) + 30};
    struct image image = {.size = 0};
    struct range gap;
    begin(l, QUOTA);
    append_and_wait(l, books, 1, 1, large);
    append_and_wait(l, books, 2, 1, one);
    end(l);
    assert_int_equal(visit_files(l, load_image, &image), 1);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        image.bytes[places[i]] ^= 4;
        store_image(&image, image.size);
        begin(l, QUOTA);
        assert_int_equal(oplog_tail(l->log, &books), 3);
        assert_int_equal(present(l, books, &gap), 1);
        assert_int_equal(gap.first, 1);
        assert_int_equal(read_stream(l, books, 2, "x"), 1);
        end(l);
        image.bytes[places[i]] ^= 4;
    }
    free(image.bytes);
    release(one);
    release(large);
}

static void reads_a_file_whose_header_is_damaged(void **state)
{
    struct life *l = *state;
    struct str one = make_operation(200, 'x');
    struct image image = make_image(l, one);
    for (size_t at = 0; at < FILE_HEAD - 4; at++) {
        image.bytes[at] ^= 4; /* no version is one bit away from version 1 */
        store_image(&image, image.size);
        begin(l, QUOTA);
        assert_int_equal(read_stream(l, books, 1, "x"), 3);
        end(l);
        image.bytes[at] ^= 4;
    }
    free(image.bytes);
    release(one);
}

/* Fills files of 64 MiB with operations of one stream; where the next one begins. */
static uint64_t fill(struct life *l, struct oplog_stream s, uint64_t first, uint64_t bytes)
{
    struct str chunk = make_operations(9, 1 << 20, 'f');
    for (uint64_t written = 0; written < bytes; written += chunk.len, first += 9)
        append_and_wait(l, s, first, 9, chunk);
    release(chunk);
    return first;
}

static void removes_files_that_every_stream_has_applied(void **state)
{
    struct life *l = *state;
    struct str one = make_operation(200, 'x');
    begin(l, QUOTA);
    append_and_wait(l, films, 1, 1, one);
    uint64_t next = fill(l, books, 1, 80 << 20);
    assert_int_equal(visit_files(l, NULL, NULL), 2);
    oplog_trim(l->log, &books, next);
    assert_int_equal(visit_files(l, NULL, NULL), 2); /* films need the first */
    oplog_trim(l->log, &films, 2);
    assert_true(visit_files(l, NULL, NULL) <= 1);
    assert_true(oplog_bytes(l->log) < 64 << 20);
    end(l);
    begin(l, QUOTA);
    assert_true(oplog_tail(l->log, &films) == 0);
    end(l);
    release(one);
}

static void is_full_at_its_quota_until_enough_is_applied(void **state)
{
    struct life *l = *state;
    begin(l, 64 << 20);
    assert_int_equal(oplog_usable(l->log), 0);
    uint64_t next = fill(l, books, 1, 66 << 20);
    assert_int_equal(oplog_usable(l->log), ERR_FULL);
    oplog_trim(l->log, &books, next);
    assert_int_equal(oplog_usable(l->log), 0);
    fill(l, books, next, 9 << 20);
    assert_int_equal(oplog_usable(l->log), 0);
    end(l);
}

/* Recovery trims by what the survey said, whether the log has the stream or not. */
static void trims_streams_it_has_never_seen(void **state)
{
    struct life *l = *state;
    begin(l, QUOTA);
    for (uint32_t i = 1; i < 300; i++) {
        const struct oplog_stream s = {i, 1, i % 3};
        oplog_trim(l->log, &s, i);
        assert_int_equal(oplog_tail(l->log, &s), 0);
    }
    end(l);
}

/* A stream that no longer exists needs nothing. */
static void forgets_a_dropped_index(void **state)
{
    struct life *l = *state;
    struct str one = make_operation(200, 'x');
    begin(l, QUOTA);
    append_and_wait(l, films, 1, 1, one);
    uint64_t next = fill(l, books, 1, 80 << 20);
    oplog_drop_index(l->log, films.index);
    oplog_trim(l->log, &books, next);
    assert_true(visit_files(l, NULL, NULL) <= 1);
    end(l);
    release(one);
}

/* ---------------------------------------------------------------------------------------------------------- carry-over
 */

enum { SMALL_QUOTA = 1 << 20, CHUNK = 150 << 10 }; /* files of 128 KiB */

/* All numbers of the stream that come back; every operation must be whole, and of `fill`. */
static struct ranges read_all(struct life *l, struct oplog_stream s, char fill)
{
    struct ranges seen = {.at = NULL};
    struct oplog_entry e;
    int got;
    while ((got = oplog_next(l->log, &e)) > 0) {
        struct str rest = e.operations;
        struct operation o;
        if (memcmp(&e.stream, &s, sizeof s) != 0)
            continue;
        assert_int_equal(e.task, 7);
        for (uint32_t i = 0; i < e.count; i++) {
            assert_int_equal(operation_decode(&rest, &o), 0);
            assert_int_equal(o.stamp, fill);
            for (size_t k = 0; k < o.body.len; k++)
                assert_int_equal(o.body.ptr[k], fill);
        }
        assert_int_equal(rest.len, 0);
        ranges_add(&seen, e.first, e.first + e.count);
    }
    assert_int_equal(got, 0);
    oplog_end_reading(l->log);
    return seen;
}

static void expect_all(struct life *l, struct oplog_stream s, uint64_t count, char fill)
{
    struct ranges seen = read_all(l, s, fill);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.at[0].first, 1);
    assert_int_equal(seen.at[0].end, count + 1);
    ranges_finish(&seen);
}

/* Rounds of a large append of books, applied at once, and a small one of films, which are stuck. */
static void play_stuck(struct life *l, unsigned rounds, uint64_t *most)
{
    struct str large = make_operation(CHUNK, 'b'), one = make_operation(300, 'f');
    for (uint64_t i = 1; i <= rounds; i++) {
        append(l, films, i, 1, one);
        append_and_wait(l, books, i, 1, large);
        oplog_trim(l->log, &books, i + 1);
        *most = oplog_bytes(l->log) > *most ? oplog_bytes(l->log) : *most;
    }
    uv_run(&l->loop, UV_RUN_DEFAULT);
    release(large);
    release(one);
}

static void is_not_filled_by_what_stands_beside_a_stuck_stream(void **state)
{
    struct life *l = *state;
    uint64_t most = 0;
    begin(l, SMALL_QUOTA);
    play_stuck(l, 100, &most);
    assert_true(most < SMALL_QUOTA / 2);
    assert_int_equal(oplog_usable(l->log), 0);
    assert_true(visit_files(l, NULL, NULL) <= 4);
    end(l);
    begin(l, SMALL_QUOTA);
    assert_int_equal(oplog_tail(l->log, &films), 101);
    expect_all(l, films, 100, 'f');
    oplog_trim(l->log, &films, 101);
    assert_true(visit_files(l, NULL, NULL) <= 1);
    end(l);
}

/* One that was already full when it was opened: nothing is appended any more, and still there will be room. */
static void makes_room_in_a_full_log_with_a_stuck_stream(void **state)
{
    struct life *l = *state;
    uint64_t most = 0;
    begin(l, 64 * SMALL_QUOTA); /* nobody counts as stuck */
    play_stuck(l, 100, &most);
    assert_true(oplog_bytes(l->log) > 2 * SMALL_QUOTA);
    end(l);
    begin(l, SMALL_QUOTA);
    assert_int_equal(oplog_usable(l->log), ERR_FULL);
    struct ranges seen = read_all(l, films, 'f');
    ranges_finish(&seen);
    oplog_trim(l->log, &books, 101);
    uv_run(&l->loop, UV_RUN_DEFAULT);
    assert_int_equal(oplog_usable(l->log), 0);
    end(l);
    begin(l, SMALL_QUOTA);
    expect_all(l, films, 100, 'f');
    end(l);
}

/* In parts, between which others write, and never a document without all of its fragments. */
static void carries_over_documents_in_fragments(void **state)
{
    struct life *l = *state;
    struct str large = make_operation(9 << 20, 'b'), two = make_operation((5 << 19) + 8, 'f');
    begin(l, 256 << 20); /* files of 32 MiB */
    for (uint64_t i = 1; i <= 5; i++)
        append_and_wait(l, films, i, 1, two);
    for (uint64_t i = 1; i <= 9; i++) {
        append_and_wait(l, books, i, 1, large);
        oplog_trim(l->log, &books, i + 1);
    }
    uv_run(&l->loop, UV_RUN_DEFAULT);
    assert_true(oplog_bytes(l->log) < 64 << 20);
    end(l);
    begin(l, 256 << 20);
    expect_all(l, films, 5, 'f');
    end(l);
    release(large);
    release(two);
}

static void store_oldest(const char *path, void *context)
{
    struct image *oldest = context;
    if (!oldest->bytes || strverscmp(path, oldest->path) < 0) {
        free(oldest->bytes);
        load_image(path, oldest);
    }
}

static void store_newest(const char *path, void *context)
{
    struct image *newest = context;
    if (!newest->bytes || strverscmp(path, newest->path) > 0) {
        free(newest->bytes);
        load_image(path, newest);
    }
}

/* Killed while copies are written, or when they are durable and the old file still stands: all of it is there. */
static void loses_nothing_when_killed_while_it_carries_over(void **state)
{
    struct life *l = *state;
    struct image old = {.size = 0}, fresh = {.size = 0};
    uint64_t most = 0;
    begin(l, 64 * SMALL_QUOTA);
    play_stuck(l, 20, &most);
    visit_files(l, store_oldest, &old);
    end(l);
    begin(l, SMALL_QUOTA);
    struct ranges seen = read_all(l, films, 'f');
    ranges_finish(&seen);
    oplog_trim(l->log, &books, 21);
    end(l); /* it ends when nothing is under way */
    visit_files(l, store_newest, &fresh);
    assert_true(fresh.size < 20 * 500);
    assert_int_not_equal(access(old.path, F_OK), 0);
    for (size_t cut = fresh.size % 701; cut <= fresh.size; cut += 701) {
        store_image(&old, old.size);
        store_image(&fresh, cut);
        begin(l, SMALL_QUOTA);
        expect_all(l, films, 20, 'f');
        end(l);
    }
    free(old.bytes);
    free(fresh.bytes);
}

/* ---------------------------------------------------------------------------------------------------- reading again
 */

struct again {
    char *bytes;
    int64_t size;
    uint64_t lost;
    bool done;
};

static void on_read_again(void *context, int64_t bytes, uint64_t lost)
{
    struct again *a = context;
    a->size = bytes;
    a->lost = lost;
    a->done = true;
}

static struct again read_again(struct life *l, struct oplog_stream s, uint64_t first, uint64_t end, size_t room)
{
    struct again a = {.bytes = malloc(room)};
    const struct oplog_reading r = {
        .stream = s, .numbers = {first, end}, .to = a.bytes, .room = room, .done = on_read_again, .context = &a};
    assert_int_equal(oplog_read(l->log, &r), 0);
    assert_false(oplog_is_idle(l->log));
    while (!a.done)
        uv_run(&l->loop, UV_RUN_ONCE);
    return a;
}

/* The operations must be whole; which are LOST is told as '-' among their stamps. */
static void expect_again(struct life *l, struct oplog_stream s, uint64_t first, const char *stamps, size_t room)
{
    struct again a = read_again(l, s, first, first + strlen(stamps), room);
    assert_true(a.size > 0);
    struct str rest = {a.bytes, (size_t)a.size};
    uint64_t lost = 0;
    for (; *stamps; stamps++) {
        struct operation o;
        assert_int_equal(operation_decode(&rest, &o), 0);
        assert_int_equal(o.kind == OPERATION_LOST, *stamps == '-');
        lost += *stamps == '-';
        for (size_t k = 0; k < o.body.len; k++)
            assert_int_equal(o.body.ptr[k], *stamps);
    }
    assert_int_equal(rest.len, 0);
    assert_int_equal(a.lost, lost);
    free(a.bytes);
}

static void reads_again_what_is_durable(void **state)
{
    struct life *l = *state;
    struct str small = make_operations(3, 100, 'a'), other = make_operation(70, 'b'), large = make_operation(3 << 20, 'c');
    begin(l, QUOTA);
    append(l, books, 1, 3, small);
    append(l, films, 1, 1, other);
    append_and_wait(l, books, 4, 1, large);
    append(l, books, 5, 3, small);
    while (l->done < 4)
        uv_run(&l->loop, UV_RUN_ONCE);
    expect_again(l, books, 1, "aaacaaa", large.len + 2 * small.len);
    expect_again(l, books, 2, "aac", large.len + small.len);
    expect_again(l, books, 6, "a", small.len / 3); /* no more room than it takes */
    expect_again(l, films, 1, "b", other.len);
    struct again a = read_again(l, books, 1, 8, large.len);
    assert_int_equal(a.size, ERR_FULL);
    free(a.bytes);
    end(l);
    release(small);
    release(other);
    release(large);
}

static void reads_again_what_was_carried_over(void **state)
{
    struct life *l = *state;
    uint64_t most = 0;
    char stamps[101] = {0};
    memset(stamps, 'f', 100);
    begin(l, SMALL_QUOTA);
    play_stuck(l, 100, &most);
    expect_again(l, films, 1, stamps, 100 * operation_size(2, 300));
    expect_again(l, films, 40, stamps + 50, 50 * operation_size(2, 300));
    end(l);
}

/* While it is in use: nobody opens it anew. */
static void says_lost_for_what_was_damaged_since(void **state)
{
    struct life *l = *state;
    struct str one = make_operation(200, 'x'), large = make_operation((5 << 19) + 8, 'x');
    size_t record = RECORD_HEAD + one.len;
    struct image image = {.size = 0};
    const struct {
        size_t at;
        const char *stamps;
    } flips[] = {{FILE_HEAD + record + 30, "x-xxxx"},
                 {FILE_HEAD + 2 * record + 100, "xx-xxx"},
                 {FILE_HEAD + 3 * record + RECORD_HEAD + 9, "xxx-xx"},
                 {FILE_HEAD + 3 * record + (2 << 20), "xxx-xx"}};
    begin(l, QUOTA);
    for (uint64_t i = 1; i <= 6; i++)
        append_and_wait(l, books, i, 1, i == 4 ? large : one);
    visit_files(l, load_image, &image);
    for (size_t i = 0; i < sizeof flips / sizeof flips[0]; i++) {
        image.bytes[flips[i].at] ^= 1;
        store_image(&image, image.size);
        expect_again(l, books, 1, flips[i].stamps, 6 * large.len);
        image.bytes[flips[i].at] ^= 1;
    }
    store_image(&image, FILE_HEAD + 2 * record);
    expect_again(l, books, 1, "xx----", large.len + 5 * one.len);
    end(l);
    free(image.bytes);
    release(one);
    release(large);
}

/* The disk says no to everything past `bytes` of a file: fault injection by the kernel. */
static void limit_file_size(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void says_durable_only_once_a_failed_write_succeeded(void **state)
{
    struct life *l = *state;
    struct str one = make_operation(2000, 'x');
    signal(SIGXFSZ, SIG_IGN);
    begin(l, QUOTA);
    append_and_wait(l, books, 1, 1, one);
    limit_file_size(3000);
    append(l, books, 2, 1, one);
    append(l, books, 3, 1, one);
    while (oplog_usable(l->log) == 0)
        uv_run(&l->loop, UV_RUN_ONCE);
    assert_int_equal(oplog_usable(l->log), -EFBIG);
    assert_int_equal(l->done, 1);
    limit_file_size(RLIM_INFINITY);
    while (l->done < 3)
        uv_run(&l->loop, UV_RUN_ONCE);
    assert_int_equal(oplog_usable(l->log), 0);
    append_and_wait(l, books, 4, 1, one);
    end(l);
    release(one);
}

/* What a failed group left behind may come back a second time, never less and never out of order. */
static void loses_nothing_to_a_failed_write(void **state)
{
    struct life *l = *state;
    says_durable_only_once_a_failed_write_succeeded(state);
    begin(l, QUOTA);
    assert_int_equal(oplog_tail(l->log, &books), 5);
    struct oplog_entry e;
    uint64_t reached = 1;
    while (oplog_next(l->log, &e) > 0) {
        assert_true(e.first <= reached);
        if (e.first + e.count > reached)
            reached = e.first + e.count;
    }
    assert_int_equal(reached, 5);
    oplog_end_reading(l->log);
    end(l);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, make_directory, remove_directory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(brings_back_what_was_appended),
        CASE(splits_what_is_larger_than_a_record),
        CASE(cuts_a_tail_that_is_torn_at_any_byte),
        CASE(goes_on_after_a_torn_tail),
        CASE(gives_no_operation_without_its_last_fragment),
        CASE(gives_nothing_with_a_flipped_bit),
        CASE(reads_on_past_a_file_that_never_got_its_header),
        CASE(keeps_what_stands_behind_a_flipped_bit),
        CASE(knows_that_the_last_of_a_stream_is_lost),
        CASE(reads_on_behind_a_lost_page),
        CASE(takes_no_document_for_a_record),
        CASE(loses_only_the_document_whose_fragment_is_damaged),
        CASE(reads_a_file_whose_header_is_damaged),
        CASE(removes_files_that_every_stream_has_applied),
        CASE(is_full_at_its_quota_until_enough_is_applied),
        CASE(trims_streams_it_has_never_seen),
        CASE(forgets_a_dropped_index),
        CASE(is_not_filled_by_what_stands_beside_a_stuck_stream),
        CASE(makes_room_in_a_full_log_with_a_stuck_stream),
        CASE(carries_over_documents_in_fragments),
        CASE(loses_nothing_when_killed_while_it_carries_over),
        CASE(reads_again_what_is_durable),
        CASE(reads_again_what_was_carried_over),
        CASE(says_lost_for_what_was_damaged_since),
        CASE(says_durable_only_once_a_failed_write_succeeded),
        CASE(loses_nothing_to_a_failed_write),
    };
    log_open("oplog_test", (enum log_level)(LOG_ERROR + 1)); /* torn tails and damage are meant here */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
