/* core_view.h - a view from what core.mdb says in the transaction that is open.  Used by core.c only. */
#ifndef INDEX_CORE_VIEW_H
#define INDEX_CORE_VIEW_H

#include "index/core.h"
#include "index/core_file.h"
#include "index/core_keys.h"

/* Of a file that nothing was committed to: generation 0, watermark 1. */
int core_meta_read(struct core_file *f, struct core_meta *out);

/* As core_read. */
int core_view_read(struct core_file *f, struct core_view *previous, struct core_view **out);

#endif
