/* core.h - core.mdb, the manifest of one shard of one index: live segments, deletions, applied ranges, and small
 * segments themselves, as images.
 *
 * Written by workers, one small transaction each (core_commit); read by shards, which copy what changed into a snapshot
 * within a transaction of microseconds. core.c draws its keys and values byte by byte. */
#ifndef INDEX_CORE_H
#define INDEX_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/str.h"

/* Deletion marks of one segment, one bit per document, in chunks of 64 K documents that snapshots share. */
enum { CHUNK_DOCUMENTS = 1 << 16, CHUNK_BYTES = CHUNK_DOCUMENTS / 8 };

struct deletion_chunk {
    uint32_t references;
    uint64_t generation; /* that last changed it */
    uint32_t count;      /* bits set */
    uint64_t bits[CHUNK_DOCUMENTS / 64];
};

/* Small segments have no file of their own but an image (image.h) here: so many, and so much together, which is more
 * than the coordinator lets stand before it has them merged: more come meanwhile. */
enum { CORE_IMAGES_MOST = 40, CORE_IMAGE_BYTES_MOST = 1 << 20 };

struct image;

struct core_segment {
    uint64_t id;
    uint32_t documents;
    uint32_t deleted;
    uint64_t live_length; /* sum of decoded length codes of live documents */
    uint64_t bytes; /* of its file or image */
    uint64_t first_stamp, last_stamp;
    struct image *image; /* NULL: it has a file. A view has a reference; an added segment's is its maker's */
    uint64_t generation;            /* that last changed its deletions; set by core_commit */
    size_t chunk_count;             /* core_chunks(documents) */
    struct deletion_chunk **chunks; /* NULL where nothing is deleted */
};

static inline size_t core_chunks(uint32_t documents)
{
    return ((size_t)documents + CHUNK_DOCUMENTS - 1) / CHUNK_DOCUMENTS;
}

struct core_range { /* of sequence numbers: first <= n < end */
    uint64_t first, end;
};

/* What core.mdb says at one generation; malloc, reference-counted, immutable once made. */
struct core_view {
    uint32_t references;
    uint64_t generation;
    uint64_t epoch;
    uint64_t watermark;
    struct core_range *ranges; /* applied above the watermark, rising */
    size_t range_count;
    struct core_segment *segments; /* by id */
    size_t segment_count;
    uint64_t documents; /* live, over all segments */
    uint64_t total_length;
};

struct core;

/* `directory` is the shard's ("indexes/7/1/0"). Readers get -ENOENT where there is no core.mdb yet. */
int core_open_reader(const char *directory, struct core **out);
/* Makes directory and file. Takes the lock once: a writer that was killed after its commit, but before it could tell
 * readers, is found out by the next one to lock. Who relies on what is committed at start (the survey) opens it so. */
int core_open_writer(const char *directory, struct core **out);
/* The same without the lock, for whom the commit will tell what it did not see: neither does it wait for a commit under way, nor
 * does one wait for it while its processor is another's. */
int core_open_builder(const char *directory, struct core **out);
/* Of a copy, or while no server runs: without a lock file. Nothing writes it as long as it is open. */
int core_open_alone(const char *directory, struct core **out);
void core_close(struct core *c);

/* One generation of the whole file, to a file that is empty; not synced. Writers wait for a moment only. */
int core_copy(struct core *c, int fd);

/* Looks at every key and value: ERR_CORRUPT, ERR_VERSION. LMDB's own pages have no checksums: what they say when they
 * are damaged may end the process that walks them. */
int core_verify(struct core *c);

/* Clears reader slots that killed processes left behind; begins of writers do it too. */
int core_sweep(struct core *c);

size_t core_view_heap(const struct core_view *v); /* bytes of malloc, images among them */

/* The newest generation; *out is `previous` with one more reference if nothing changed (previous may be NULL). */
int core_read(struct core *c, struct core_view *previous, struct core_view **out);
struct core_view *core_view_hold(struct core_view *v);
void core_view_release(struct core_view *v); /* accepts NULL */

/* For who makes a view or a segment's deletions: zeroed, one reference; NULL out of memory. */
struct deletion_chunk *core_chunk_new(void);
void core_chunk_release(struct deletion_chunk *chunk); /* accepts NULL */

static inline bool core_is_deleted(const struct core_segment *s, uint32_t document)
{
    const struct deletion_chunk *chunk = s->chunks[document / CHUNK_DOCUMENTS];
    uint32_t at = document % CHUNK_DOCUMENTS;
    return chunk && chunk->bits[at / 64] >> at % 64 & 1;
}

/* Which of these hashes, which rise, may be of ids in a segment's file: their places, in room for `count`. Nothing is missed; of
 * what is not there one in a thousand is told. Of a segment of which nothing is known all are. Under the lock, and without. */
int core_may_have(struct core *c, uint64_t segment, const uint64_t *hashes, size_t count, uint32_t *out_places,
                  size_t *out_count);

bool core_is_applied(const struct core_view *v, uint64_t sequence);

/* ------------------------------------------------------------------------------------------------ writing: worker only
 */

struct core_mark { /* a document that this commit replaces or deletes */
    uint64_t segment;
    uint32_t document;
    uint32_t length; /* decoded from its length code: leaves the segment's live_length */
};

struct core_refusal {
    uint64_t sequence, task, position;
    struct str id, code, message;
    uint64_t generation; /* read back: of the commit that holds it */
};

struct core_tombstone { /* a deletion by id, kept until everything before it is applied */
    uint64_t hash, stamp, sequence;
    struct str id;
};

/* What is known of a shard's operations, taken over from its other edition: it replaces what the file says of them. */
struct core_position {
    uint64_t generation; /* there: the commit's is above it */
    uint64_t watermark;
    const struct core_range *ranges;
    size_t range_count;
};

struct id_filter;

/* Everything one commit does. It is compare-and-set: ERR_STALE, and nothing changed, if the epoch is lower than the
 * file's, any sequence of `applied`, but for its gaps, is applied already, the added segment is there, or an input of a merge is gone.
 * ERR_FULL where there is no room for one more image: then it must be a file. ERR_INVALID for a mark in a segment that is not there. Marks of documents that are deleted already change nothing;
 * sorted ones are cheapest. Tombstones that are below the watermark after the commit are not kept. */
struct core_change {
    uint64_t epoch;
    struct core_range applied;        /* empty for a merge; */
    const struct core_range *gaps;    /* in it, rising: others', and not applied by this */
    size_t gap_count;
    const struct core_segment *added; /* NULL: none (nothing but deletions, or all refused); its chunks say which of
                                         its own documents are born deleted */
    const struct id_filter *ids;      /* of the added one, where it has a file; NULL: none is kept */
    const uint64_t *removed;          /* inputs of a merge */
    size_t removed_count;
    const struct core_mark *marks;
    size_t mark_count;
    const struct core_position *position; /* NULL: none is taken over; tombstones are then added to what is there */
    const struct core_tombstone *tombstones;
    size_t tombstone_count;
    const struct core_refusal *refusals;
    size_t refusal_count;
    uint64_t refusals_saved; /* forget those of commits up to this generation */
};

/* Between begin and commit or abort the write lock is held: only re-check there. */
int core_begin(struct core *c);
int core_begin_view(struct core *c, struct core_view *previous,
                    struct core_view **out); /* what the lock now protects */
int core_find_tombstone(struct core *c, uint64_t hash, struct str id, uint64_t *out_stamp); /* 0: found; -ENOENT */
int core_seek_tombstone(struct core *c, uint64_t from_hash, uint64_t *out_hash); /* first at or above; -ENOENT: none */
int core_commit(struct core *c, const struct core_change *change, uint64_t *out_generation);
void core_abort(struct core *c);

/* By hash; sinks as below. */
typedef int core_tombstone_sink(void *context, const struct core_tombstone *t);
int core_tombstones(struct core *c, core_tombstone_sink *sink, void *context);

/* By rising generation; a sink that returns other than 0 stops, and that is returned. For readers and writers. */
typedef int core_refusal_sink(void *context, const struct core_refusal *r);
int core_refusals(struct core *c, core_refusal_sink *sink, void *context);

#endif
