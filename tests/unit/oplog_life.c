#include "oplog_life.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/hash.h"
#include "proto/batch.h"

const struct oplog_stream books = {1, 1, 0}, films = {2, 1, 1};

void begin(struct life *l, uint64_t quota)
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

void end(struct life *l)
{
    uv_run(&l->loop, UV_RUN_DEFAULT);
    uv_walk(&l->loop, close_handle, NULL);
    uv_run(&l->loop, UV_RUN_DEFAULT);
    oplog_close(l->log);
    assert_int_equal(uv_loop_close(&l->loop), 0);
}

int oplog_life_make(void **state)
{
    struct life *l = calloc(1, sizeof *l);
    strcpy(l->directory, "/tmp/mayfly-oplog-XXXXXX");
    *state = l;
    return mkdtemp(l->directory) ? 0 : -1;
}

int visit_files(const struct life *l, void (*visit)(const char *path, void *context), void *context)
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

void remove_file(const char *path, void *context)
{
    (void)context;
    unlink(path);
}

int oplog_life_drop(void **state)
{
    struct life *l = *state;
    visit_files(l, remove_file, NULL);
    rmdir(l->directory);
    free(l);
    return 0;
}

/* One put of a document of that many bytes, all of them `fill`; malloc. */
struct str make_operation(size_t body, char fill)
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

struct str make_operations(uint32_t count, size_t body, char fill)
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

void release(struct str s)
{
    free((void *)(uintptr_t)s.ptr);
}

static void count_done(void *context)
{
    ((struct life *)context)->done++;
}

void append(struct life *l, struct oplog_stream s, uint64_t first, uint32_t count, struct str operations)
{
    const struct oplog_entry e = {.stream = s, .task = 7, .first = first, .count = count, .operations = operations};
    assert_int_equal(oplog_append(l->log, &e, count_done, l), 0);
    l->appended++;
}

void append_and_wait(struct life *l, struct oplog_stream s, uint64_t first, uint32_t count, struct str operations)
{
    append(l, s, first, count, operations);
    while (l->done < l->appended)
        uv_run(&l->loop, UV_RUN_ONCE);
}

uint32_t read_stream(struct life *l, struct oplog_stream s, uint64_t first, const char *fills)
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
            for (size_t k = 0; k < o.body.len; k += o.body.len > 4096 ? 509 : 1)
                assert_int_equal(o.body.ptr[k], fill);
        }
        assert_int_equal(rest.len, 0);
    }
    assert_int_equal(got, 0);
    oplog_end_reading(l->log);
    return seen;
}

void load_image(const char *path, void *context)
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

void store_image(const struct image *i, size_t size)
{
    FILE *to = fopen(i->path, "wb");
    assert_non_null(to);
    assert_int_equal(fwrite(i->bytes, 1, size, to), size);
    fclose(to);
}

size_t size_of(const char *path)
{
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    return (size_t)status.st_size;
}

struct image make_image(struct life *l, struct str last)
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

void play_stuck(struct life *l, unsigned rounds, uint64_t *most)
{
    struct str large = make_operation(150 << 10, 'b'), one = make_operation(300, 'f');
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
