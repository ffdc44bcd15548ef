/* merge_fields.h - a document with some of its fields changed: the text that a partial update leaves. */
#ifndef WORKER_MERGE_FIELDS_H
#define WORKER_MERGE_FIELDS_H

#include <stddef.h>

#include "common/arena.h"
#include "common/str.h"

/* `object` with the top-level members of `change` in place of its own of that name, its others as they are written, new
 * ones behind them. Both are objects that a parse has accepted; values are not looked into: null replaces as any other.
 * Of members of `change` with one name the last counts. In `arena`: 0, or ERR_FULL. */
int merge_fields(struct arena *arena, struct str object, struct str change, struct str *out);

#endif
