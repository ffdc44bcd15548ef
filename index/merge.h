/* merge.h - several segments into one: live documents only, by stamp.  Runs in: worker.
 *
 * Memory by malloc: the segment writer's, and of each input 4 bytes a document, a block of bodies and its largest body.
 */
#ifndef INDEX_MERGE_H
#define INDEX_MERGE_H

#include <stddef.h>
#include <stdint.h>

#include "index/core.h"
#include "index/segment.h"
#include "index/segment_writer.h"

struct merge_input {
    const struct segment *segment;
    const struct core_segment *core; /* its deletions; NULL: none */
};

/* Called now and then with the documents written so far, also while terms are written. Not 0: stop with that. */
typedef int merge_progress(void *context, uint32_t documents);

/* One input or more; of one, what is deleted is left out. All must have options->analyzer, else ERR_INVALID. A segment
 * without documents is a valid result. `progress` may be NULL. On failure there is no file, and *out_input (may be
 * NULL) is the number of the input at fault, or `count`. */
int merge_segments(const char *path, const struct segment_options *options, const struct merge_input *inputs,
                   size_t count, merge_progress *progress, void *context, struct segment_result *out,
                   size_t *out_input);

#endif
