/* The ranges of a document's fields, of any bytes: they end, never go back, and a position is found in the last that
 * begins at or before it. */
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "index/segment.h"
#include "tests/fuzz/fuzz.h"

static uint32_t field_at(struct field_ranges r, uint32_t position)
{
    struct field_range range;
    uint32_t field = UINT32_MAX;
    while (field_ranges_next(&r, &range) && range.from <= position)
        field = range.field;
    return field;
}

static int ranges_fuzz(const uint8_t *data, size_t size)
{
    static const uint32_t positions[] = {0, 1, 50, 300, 70000, UINT32_MAX};
    uint8_t *copy = malloc(size + 1);
    require(copy);
    if (size)
        memcpy(copy, data, size);
    uint8_t *exact = copy + 1; /* ends where the allocation does */
    memmove(exact, copy, size);
    const struct field_ranges whole = {.at = exact, .end = exact + size, .field = UINT32_MAX};
    struct field_ranges all = whole, found = whole;
    struct field_range range;
    for (uint32_t before = 0; field_ranges_next(&all, &range); before = range.from)
        require(range.from >= before && range.field <= UINT16_MAX);
    for (size_t i = 0; i < sizeof positions / sizeof *positions; i++)
        require(field_ranges_find(&found, positions[i]) == field_at(whole, positions[i]));
    free(copy);
    return 0;
}

const struct fuzz_target fuzz_target = {.most = 512, .rounds = 5000, .mutations = 50, .run = ranges_fuzz};
