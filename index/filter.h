/* filter.h - filter expressions: which documents satisfy `price < 10 AND (tags = "new" OR NOT stock EXISTS)`.  Runs in:
 * shard, worker.
 *
 *   expression  conditions with AND, OR, NOT and parentheses; NOT binds closest, OR least
 *   condition   FIELD = VALUE | != | < | <= | > | >=, FIELD LOW TO HIGH, FIELD [NOT] IN [VALUE, ...],
 *               FIELD [NOT] EXISTS, FIELD IS [NOT] NULL | EMPTY, FIELD [NOT] CONTAINS VALUE,
 *               FIELD [NOT] STARTS WITH VALUE
 *   FIELD       a path ("at.city"), quoted where it is a keyword or has other characters
 *   VALUE       a number, true, false, or a string, quoted ('it\'s', "it") unless it is one plain word
 *
 * A field has the values that stand at its path, through arrays: several values, and a condition holds if one of them
 * satisfies it. Each has its own type: 1999 is a number and "1999" a string, and they are never equal. Numbers are
 * compared exactly, strings byte for byte. `a != 1` is NOT a = 1, and so is every other NOT: it holds where there is no
 * such field. */
#ifndef INDEX_FILTER_H
#define INDEX_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/str.h"
#include "index/bodies.h"

enum {
    FILTER_MAX_TEXT = 64 << 10,
    FILTER_MAX_DEPTH = 64, /* of parentheses and NOTs */
    FILTER_MAX_CONDITIONS = 256,
    FILTER_MAX_PATH = 1024,
};

struct filter;
struct snapshot_segment;

struct filter_error {
    bool is_unsupported; /* known elsewhere, but not here */
    size_t offset;       /* byte at which it was found */
    char message[200];   /* one line, with its place in characters from 1 */
};

/* In `arena`, where it must stay. 0; ERR_INVALID, with the reason; ERR_FULL. */
int filter_parse(struct arena *arena, struct str text, struct filter **out, struct filter_error *error);

/* Whether a document satisfies it: `body` is its JSON. Memory of the parse is rewound. ERR_FULL, or ERR_CORRUPT for what
 * is no JSON. A filter is for one document at a time. */
int filter_matches(struct filter *f, struct arena *scratch, struct str body, bool *out);

/* The live documents of a segment that satisfy it and have a lower stamp than `below`, one after the other. */
struct filter_scan {
    struct filter *filter;
    const struct snapshot_segment *segment;
    struct arena *scratch;
    uint64_t below;
    struct bodies bodies;
    uint32_t next;
};
int filter_scan_open(struct filter_scan *s, struct filter *f, const struct snapshot_segment *segment, uint64_t below,
                     struct arena *scratch); /* -ENOMEM */
void filter_scan_close(struct filter_scan *s);

/* Looks at documents until one satisfies it, or at so many: *out_found tells. False at the segment's end, and on
 * failure: ERR_FULL of `scratch`, ERR_CORRUPT or -ENOMEM in *err. */
bool filter_scan_next(struct filter_scan *s, uint32_t most, uint32_t *out_document, bool *out_found, int *err);

#endif
