/* indexing.h - documents on the way to one segment: read, analyzed, inverted, written.  Used by jobs that build one
 * from bodies: build.c, reanalyze.c. */
#ifndef WORKER_INDEXING_H
#define WORKER_INDEXING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "index/core.h"
#include "index/segment_writer.h"
#include "worker/document.h"
#include "worker/invert.h"
#include "worker/job.h"

enum { SEGMENT_PATH_MAX = PLACE_PATH_MAX + 40 };

struct indexing {
    struct worker *worker;
    struct settings settings;
    struct analyzer *analyzer;
    struct fields fields;
    struct arena texts;
    const struct arena *besides; /* another arena of the job, which counts too; NULL: none */
    struct document_reader reader;
    struct inverter inverter;

    char directory[PLACE_PATH_MAX];
    char path[SEGMENT_PATH_MAX];
    size_t image_most;             /* a segment of so many bytes is to be an image; 0: always a file */
    struct segment_writer *writer; /* NULL while no document was accepted */
    struct image *image;           /* what was written, if it is so small; else it is at `path` */
    uint32_t documents;            /* in the segment */

    struct core_refusal *refusals;
    size_t refusal_count, refusal_room;
    size_t extent_before; /* of the heap, when the first document was read */
};

struct indexed { /* a document that is to be */
    struct str id, body;
    uint64_t hash, stamp;
};

/* From the job: its place, settings and segment. Dies of what does not hold. */
void indexing_open(struct indexing *x, struct worker *w);
void indexing_begin(struct indexing *x); /* all else that the job needs is open: what is taken from here on is documents' */

/* The arenas may have grown: indexing_put does it after each document. */
void indexing_charge(const struct indexing *x);

/* ERR_INVALID if it is refused, with the reason; else 0. */
int indexing_put(struct indexing *x, const struct indexed *d, struct refused *out_refused);

/* Code and message are copied; the id must stay. */
void indexing_refuse(struct indexing *x, const struct core_refusal *refusal);

/* The soft mark: whether there would be room for one more document, as large as the largest that is still to come.
 * `more` is what the job itself will take until its end. */
bool indexing_is_past_soft_mark(const struct indexing *x, size_t largest, size_t more);

/* Writes the segment, if there is any document. */
void indexing_write(struct indexing *x);

/* The segment that was written; NULL: none. */
struct segment *indexing_segment(const struct indexing *x);

#endif
