/* documents_out.h - the parts of a segment that are per document: ids, stamps, lengths, stored bodies.  Runs in:
 * worker.
 *
 * Bodies, ids and where they are stream out as they come; stamp, length and hash of the id (21 bytes a document) are
 * kept until the end, lengths until terms are written, too. */
#ifndef INDEX_DOCUMENTS_OUT_H
#define INDEX_DOCUMENTS_OUT_H

#include "index/bytes_out.h"
#include "index/column_out.h"
#include "index/hashes_out.h"
#include "index/segment_writer.h"
#include "index/stream.h"

struct documents_out {
    struct store_writer *store;
    struct stream_writer ids, id_places, bodies, body_blocks, body_ends;
    struct column_out lengths, stamps;
    struct hashes_out hashes;
    struct bytes_out record; /* of the document in hand */
    uint8_t *plain, *packed; /* a block of bodies before and after LZ4 */
    size_t plain_used, packed_room;
    uint64_t packed_bytes; /* of bodies, in blocks that are written */
    uint64_t body_bytes, total_length;
    uint64_t first_stamp, last_stamp;
    uint32_t body_block_count;
    uint32_t count;
};

int documents_out_open(struct documents_out *d, struct store_writer *store);
void documents_out_close(struct documents_out *d); /* accepts a zeroed one */

/* ERR_INVALID unless the stamp is above the one before and the id is 1 to 65,535 bytes. */
int documents_out_add(struct documents_out *d, const struct segment_document *document);
/* For documents that come with `body_is_written`: see segment_writer.h. */
void documents_out_bodies(struct documents_out *d, struct str bytes);
void documents_out_body_block(struct documents_out *d, struct str packed, uint32_t length);
int documents_out_finish(struct documents_out *d); /* and frees what only documents need */

/* Until it is closed. */
float documents_out_average_length(const struct documents_out *d); /* at least 1 */

#endif
