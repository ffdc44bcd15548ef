/* oplog_life.h - lives of a log in a directory of its own for each case, and its files as bytes that may be cut
 * and damaged. */
#ifndef TESTS_OPLOG_LIFE_H
#define TESTS_OPLOG_LIFE_H

#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "coordinator/oplog.h"

enum { PATH = 128, FILE_HEAD = 24, RECORD_HEAD = 72, QUOTA = 1 << 30 };
enum { SMALL_QUOTA = 1 << 20 /* files of 128 KiB */ };

extern const struct oplog_stream books, films;

struct life {
    char directory[64];
    uv_loop_t loop;
    struct oplog *log;
    uint64_t epoch;
    int appended, done; /* appends, and those of them that were said to be durable */
};

/* For cmocka's cases. */
int oplog_life_make(void **state);
int oplog_life_drop(void **state);

void begin(struct life *l, uint64_t quota);
void end(struct life *l); /* when all that was appended is durable */

int visit_files(const struct life *l, void (*visit)(const char *path, void *context), void *context); /* how many */
void remove_file(const char *path, void *context);
size_t size_of(const char *path);

/* One put of a document of that many bytes, all of them `fill`; to be released. */
struct str make_operation(size_t body, char fill);
struct str make_operations(uint32_t count, size_t body, char fill);
void release(struct str s);

void append(struct life *l, struct oplog_stream s, uint64_t first, uint32_t count, struct str operations);
void append_and_wait(struct life *l, struct oplog_stream s, uint64_t first, uint32_t count, struct str operations);

/* Rounds of a large append of books, applied at once, and a small one of films, which are stuck. */
void play_stuck(struct life *l, unsigned rounds, uint64_t *most);

/* Reads to the end: operations must be whole, of `fills`, and dense from `first`. How many. */
uint32_t read_stream(struct life *l, struct oplog_stream s, uint64_t first, const char *fills);

struct image {
    char path[PATH + 256];
    char *bytes;
    size_t size;
};

void load_image(const char *path, void *image);
void store_image(const struct image *i, size_t size);

/* A log file of three records, the last of which is `last`. */
struct image make_image(struct life *l, struct str last);

#endif
