/* core_place.h - a core.mdb in a directory of its own for each case, and what most cases do to it. */
#ifndef TESTS_CORE_PLACE_H
#define TESTS_CORE_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#include "index/core.h"
#include "index/core_keys.h"

struct place {
    char root[64];
    char directory[96];
};

/* For cmocka's cases. */
int core_place_make(void **state);
int core_place_drop(void **state);
struct core *core_place_writer(void **state);

/* Whether that part of the segment is in the file. */
bool core_place_has(void **state, enum core_kind kind, uint64_t segment, uint32_t part);

int try_commit(struct core *c, const struct core_change *change);
struct core_view *read_view(struct core *c, struct core_view *previous);

void apply(struct core *c, uint64_t first, uint64_t end);
void add(struct core *c, uint64_t id, uint32_t documents); /* a segment whose documents are all of length 10 */
void mark(struct core *c, uint64_t segment, uint32_t first, uint32_t count);
int try_add_image(struct core *c, uint64_t id, uint32_t bytes, char fill); /* of 100 documents, too */

#endif
