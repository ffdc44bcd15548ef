/* core_commit.h - one change of core.mdb, in the writing transaction that is open.  Used by core.c only. */
#ifndef INDEX_CORE_COMMIT_H
#define INDEX_CORE_COMMIT_H

#include "index/core.h"
#include "index/core_file.h"

/* Writes what the change says; the caller commits, or aborts if this fails. */
int core_change_write(struct core_file *f, const struct core_change *change, uint64_t *out_generation);

#endif
