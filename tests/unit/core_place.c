#include "core_place.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "index/core_file.h"
#include "index/image.h"

int core_place_make(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    strcpy(p->root, "/tmp/mayfly-core-XXXXXX");
    assert_non_null(mkdtemp(p->root));
    snprintf(p->directory, sizeof p->directory, "%s/7/1/0", p->root);
    *state = p;
    return 0;
}

int core_place_drop(void **state)
{
    struct place *p = *state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", p->root);
    assert_int_equal(system(command), 0);
    free(p);
    return 0;
}

struct core *core_place_writer(void **state)
{
    struct place *p = *state;
    struct core *c;
    assert_int_equal(core_open_writer(p->directory, &c), 0);
    return c;
}

bool core_place_has(void **state, enum core_kind kind, uint64_t segment, uint32_t part)
{
    struct place *p = *state;
    char path[160];
    struct core_file *f;
    struct core_key key = core_key_part(kind, segment, part);
    struct str value;
    snprintf(path, sizeof path, "%s/core.mdb", p->directory);
    assert_int_equal(core_file_open(path, CORE_READS, &f), 0);
    assert_int_equal(core_file_look(f), 0);
    int err = core_file_get(f, core_key_str(&key), &value);
    core_file_done(f);
    core_file_close(f);
    assert_true(err == 0 || err == -ENOENT);
    return !err;
}

int try_commit(struct core *c, const struct core_change *change)
{
    uint64_t generation;
    assert_int_equal(core_begin(c), 0);
    return core_commit(c, change, &generation);
}

struct core_view *read_view(struct core *c, struct core_view *previous)
{
    struct core_view *v;
    assert_int_equal(core_read(c, previous, &v), 0);
    return v;
}

void apply(struct core *c, uint64_t first, uint64_t end)
{
    struct core_change change = {.epoch = 1, .applied = {first, end}};
    assert_int_equal(try_commit(c, &change), 0);
}

/* A segment whose documents are all of length 10. */
void add(struct core *c, uint64_t id, uint32_t documents)
{
    struct deletion_chunk *none[64] = {0};
    struct core_segment s = {.id = id,
                             .documents = documents,
                             .live_length = (uint64_t)documents * 10,
                             .bytes = 4096,
                             .first_stamp = id * 1000,
                             .last_stamp = id * 1000 + documents,
                             .chunk_count = core_chunks(documents),
                             .chunks = none};
    struct core_change change = {.epoch = 1, .added = &s};
    assert_true(s.chunk_count <= 64);
    assert_int_equal(try_commit(c, &change), 0);
}

void mark(struct core *c, uint64_t segment, uint32_t first, uint32_t count)
{
    struct core_mark *marks = calloc(count, sizeof *marks);
    for (uint32_t i = 0; i < count; i++)
        marks[i] = (struct core_mark){.segment = segment, .document = first + i, .length = 10};
    struct core_change change = {.epoch = 1, .marks = marks, .mark_count = count};
    assert_int_equal(try_commit(c, &change), 0);
    free(marks);
}

/* One whose bytes are `fill`; nobody looks at them here. */
int try_add_image(struct core *c, uint64_t id, uint32_t bytes, char fill)
{
    struct deletion_chunk *none[1] = {0};
    char *content = malloc(bytes);
    memset(content, fill, bytes);
    struct core_segment s = {
        .id = id, .documents = 100, .live_length = 1000, .bytes = bytes, .chunk_count = 1, .chunks = none};
    assert_int_equal(image_copy((struct str){content, bytes}, &s.image), 0);
    struct core_change change = {.epoch = 1, .added = &s};
    int err = try_commit(c, &change);
    image_release(s.image);
    free(content);
    return err;
}
