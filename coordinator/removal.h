/* removal.h - the only place that unlinks index files: what was dropped, after a grace for readers, and at start what
 * no core.mdb and no catalog names. */
#ifndef COORDINATOR_REMOVAL_H
#define COORDINATOR_REMOVAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "coordinator/index.h"

struct uv_loop_s;
struct removal;

enum { REMOVAL_GRACE_MS = 3000 };

struct removal *removal_create(struct uv_loop_s *loop, const char *data);
bool removal_is_idle(const struct removal *r); /* nothing in libuv's pool */
void removal_destroy(struct removal *r);       /* what still waits is an orphan of the next start */

void removal_segment(struct removal *r, const struct stream *s, uint64_t segment, uint64_t grace_ms);
void removal_edition(struct removal *r, uint32_t number, uint32_t edition, uint64_t grace_ms);
void removal_index(struct removal *r, uint32_t number, uint64_t grace_ms);

/* As long as it is held nothing is removed: a backup is being made. What is due waits. */
void removal_hold(struct removal *r);
void removal_release(struct removal *r);

/* What is dropped and not removed yet, and in how long the last of it is due. */
size_t removal_waiting(const struct removal *r, uint64_t *out_due_ms);

/* After the survey: directories of indexes and editions that the catalog does not have, and segment files that no live
 * core.mdb names. Streams that are damaged are left as they are. */
void removal_of_orphans(const char *data, const struct indexes *all);

#endif
