/* places.h - where the operations of a stream began, as file and line, for what the server refuses of them later.
 *
 * Kept in runs of equal steps, so a file of lines is one; what would take more than PLACES_RUNS is not known any more. */
#ifndef CLIENT_CLI_PLACES_H
#define CLIENT_CLI_PLACES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PLACES_RUNS = 1 << 16 };

struct place {
    const char *path;
    uint64_t line;
};

struct place_run {
    struct place first;
    uint64_t position; /* of the first operation */
    uint64_t step;     /* lines from one to the next */
};

struct places {
    struct place_run *runs;
    size_t count, room;
    uint64_t end; /* operations that are known */
    bool is_full;
};

/* Of the next operation. `path` is kept as it is, and is one pointer for one file. */
void places_note(struct places *p, const char *path, uint64_t line);

bool places_find(const struct places *p, uint64_t position, struct place *out);

void places_finish(struct places *p);

#endif
