/* shards_start.h - the shard processes from the side of main.c and stats.c: options, start and stop, who they are. */
#ifndef COORDINATOR_SHARDS_START_H
#define COORDINATOR_SHARDS_START_H

#include <uv.h>

#include "common/arena.h"
#include "coordinator/reader.h"

struct shards_options {
    uint32_t shards, readers;
    uint64_t query_memory, heap_memory;
    int thresholds; /* the region of proto/thresholds.h, for every shard to inherit */
    const char *libexec, *directory;
    void (*on_change)(void *context);
    void *context;
};

struct shards {
    uv_loop_t *loop;
    struct shards_options to;
    struct reader *readers; /* those of shard 0 first; room for SHARDS_MOST */
    uint32_t shards, per_shard, count; /* that are there */
    uint32_t made;                     /* that ever were: those behind `count` have ended, or do so */
    uint32_t processors;               /* that this process may use */
    uint64_t requests, beats;
    struct arena arena; /* of one answer */
    char *buffer;       /* one for all reads, of READER_BUFFER */
    uv_prepare_t prepare;
    void (*on_change)(void *context); /* a reader became ready or died */
    void *context;
};

/* As shards_send, to `readers[process]`. */
int shards_send_to(struct shards *s, uint32_t process, Mayfly__Internal__ShardEnvelope *message,
                   const struct shard_caller *caller, struct shard_ticket *out_ticket);

int shards_open(uv_loop_t *loop, const struct shards_options *o, struct shards **out);
void shards_start(struct shards *s);
void shards_reconfigure(struct shards *s, uint64_t query_memory); /* also starts again what was given up */

/* While the server runs: more of them, or fewer; those that are there go on. -EAGAIN: some that are wanted again have
 * not ended yet. */
int shards_resize(struct shards *s, uint32_t shards);
bool shards_are_used(const struct shards *s, uint32_t from); /* a request is with one from that shard on */
void shards_sweep(struct shards *s); /* once a second: buffers that nothing is in go */
void shards_beat(struct shards *s, uint64_t limit_s); /* once a second: pulse.h */
void shards_freeze(struct shards *s); /* another mayflyd has the data: they answer from what they have open */
void shards_stop(struct shards *s, uint64_t limit_ms);
bool shards_stopped(const struct shards *s);
bool shards_gave_up(const struct shards *s); /* a reader is in a crash loop and not started any more */

#endif
