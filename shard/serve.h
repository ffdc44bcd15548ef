/* serve.h - the shard's loop: frames in, one request after the other, frames out; until the coordinator is gone. */
#ifndef SHARD_SERVE_H
#define SHARD_SERVE_H

#include "shard/state.h"

/* Says Ready on the socket and serves. 0 at the end of file; negative for what cannot be gone on from. */
int serve(struct shard *s, int sock);

#endif
