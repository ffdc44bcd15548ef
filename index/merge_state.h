/* merge_state.h - a merge under way.  Used by merge.c and merge_terms.c. */
#ifndef INDEX_MERGE_STATE_H
#define INDEX_MERGE_STATE_H

#include <stdbool.h>

#include "index/bodies.h"
#include "index/merge.h"
#include "index/postings.h"

struct merge_source {
    const struct segment *segment;
    const struct core_segment *core;
    const uint64_t *stamps;
    uint32_t documents;
    uint32_t next;     /* live document to be written next */
    uint32_t *numbers; /* of its documents in the output; MERGE_DELETED */
    uint32_t *fields;  /* of its fields in the output */
    struct bodies bodies;
    struct term_cursor terms;
    struct term term;
    bool has_term;
    struct postings postings;
};

#define MERGE_DELETED UINT32_MAX

struct merge {
    struct merge_source *sources;
    size_t count;
    struct segment_writer *writer;
    uint32_t documents; /* written */
    size_t at_fault;    /* source that could not be read; count: none */
    merge_progress *progress;
    void *context;
    uint32_t documents_of_run[POSTING_BLOCK], counts_of_run[POSTING_BLOCK]; /* postings on their way to the writer */
    uint32_t *gaps;                                                         /* their positions */
    size_t gaps_room;
    struct field_range *ranges; /* of one document, fields renumbered */
    size_t range_room;
    size_t *standing; /* sources that have the current term */
};

int merge_report(struct merge *m);
int merge_fail(struct merge *m, size_t source, int err); /* notes who was at fault; gives back err */

int merge_terms(struct merge *m);

#endif
