/* holdings.h - what this process holds for each index: counted, told to the coordinator, and let go of where it can be.
 */
#ifndef SHARD_HOLDINGS_H
#define SHARD_HOLDINGS_H

#include "common/buf.h"
#include "shard/request.h"

/* Once a second, between requests: counts into the page of figures, and appends a frame where what is held is not what
 * was told last. */
void holdings_tell(struct shard *s, struct buf *out);

request_handler holdings_trim; /* Trim -> Trimmed */

#endif
