/* fields.h - the fields of a job's documents by path, with what settings say of each. */
#ifndef WORKER_FIELDS_H
#define WORKER_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/str.h"
#include "proto/settings.h"

enum {
    FIELDS_MAX = 65535,    /* of a segment */
    FIELDS_ENOUGH = 32768, /* with more the worker retires after the document in hand */
    FIELD_PATH_MAX = 4096,
};

struct field {
    struct str path;
    uint32_t weight;
    bool is_searchable;
};

struct fields {
    const struct settings *settings;
    struct field *items; /* by number */
    uint32_t count, room;
    uint32_t *table; /* of number + 1; 0: free */
    uint32_t mask;
};

/* Memory by malloc, which does not fail here. */
void fields_init(struct fields *f, const struct settings *settings);

/* The number of a path, new or known; -1 past FIELDS_MAX. */
int64_t fields_number(struct fields *f, struct str path);

#endif
