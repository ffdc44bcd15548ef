/* flush.h - the terms of a job into its segment. */
#ifndef WORKER_FLUSH_H
#define WORKER_FLUSH_H

#include "index/segment_writer.h"
#include "worker/fields.h"
#include "worker/terms.h"

/* All documents are written. What goes wrong is the writer's to say when it finishes. */
void flush_terms(struct terms *terms, const struct fields *fields, struct segment_writer *out);

#endif
