/* documents.h - the documents of a file, one after the other: lines, an array, or a table. Holds one at a time. */
#ifndef CLIENT_CLI_DOCUMENTS_H
#define CLIENT_CLI_DOCUMENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "client/cli/csv.h"
#include "client/cli/json_split.h"
#include "common/buf.h"

enum format { FORMAT_GUESS, FORMAT_NDJSON, FORMAT_JSON, FORMAT_CSV };

struct document {
    struct str text; /* valid until the next one; of one too large only its beginning */
    uint64_t line;   /* where it begins, from 1 */
    bool is_too_large;
    const char *problem; /* why it is none, or NULL */
};

struct documents {
    int fd;
    enum format format;
    size_t max_size; /* a larger document is cut off and marked */
    uint64_t line;   /* of the next byte */
    char *chunk;     /* what was read: [at, len) is not taken yet */
    size_t at, len;
    bool eof, began;
    bool is_packed; /* as its first bytes say */
    struct buf current;  /* the document in hand, where it crosses chunks */
    size_t current_size; /* also what is not kept of one too large */
    uint64_t current_line;
    struct json_split split;
    struct csv csv;
    bool is_broken; /* what follows cannot be told apart */
};

/* 0 or a negative errno. "-" is standard input. FORMAT_GUESS goes by the name, then by the first byte. */
int documents_open(struct documents *d, const char *path, enum format format, size_t max_size);
void documents_close(struct documents *d);

/* Whether it can be read, without taking anything from it; its size, 0 where that is not known. A negative errno. */
int documents_look(const char *path, uint64_t *out_size);

/* How to read a file that is packed, as its first bytes say: the program that unpacks it, or NULL. */
const char *documents_unpacker(const char *path);

/* 1 with *out filled, 0 at the end, or a negative errno. */
int documents_next(struct documents *d, struct document *out);

#endif
