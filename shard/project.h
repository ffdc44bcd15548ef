/* project.h - the wanted top-level members of a stored document, as a JSON object. */
#ifndef SHARD_PROJECT_H
#define SHARD_PROJECT_H

#include <stddef.h>

#include "common/arena.h"
#include "common/str.h"

/* `document` is a JSON object, as the worker has checked. In the document's order, byte for byte; a name that the
 * document has not is left out. ERR_CORRUPT if it is no object after all, ERR_FULL. */
int project_members(struct arena *a, struct str document, const struct str *names, size_t count, struct str *out);

#endif
