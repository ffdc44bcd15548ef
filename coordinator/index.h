/* index.h - the coordinator's picture of the indexes: what the catalog says of them, and of each shard's core.mdb what
 * its workers and the survey have told. One registry, in memory, made at start. */
#ifndef COORDINATOR_INDEX_H
#define COORDINATOR_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/str.h"
#include "coordinator/ranges.h"

enum { INDEX_MAX_NAME = 128, INDEX_MAX_PRIMARY_KEY = 128 };

struct stream_segment {
    uint64_t id, bytes;
    uint32_t documents, deleted;
    bool image;   /* in core.mdb: it has no file */
    bool merging; /* an input of a merge that runs */
};

/* One shard of one index: a stream of operations with dense sequence numbers from 1, and what became of them. */
struct stream {
    struct index *index;
    uint32_t shard;
    uint32_t numbering; /* of its index, when the stream began: with it log and regions name the stream */
    bool former;        /* the index has other streams now; all of this one is applied */

    uint64_t next_sequence; /* of the next operation that the log takes */
    struct ranges recovered; /* while the log is replayed: what was taken from it */

    uint64_t generation;  /* of core.mdb, the newest that is known here */
    uint64_t watermark;    /* every operation below it is applied */
    struct ranges applied; /* above the watermark */
    struct stream_segment *segments;
    size_t segment_count;
    uint64_t documents;

    uint64_t unapplied, unapplied_bytes; /* bundles that are on their way through log and workers */
    uint64_t refusals_saved; /* those of commits up to this generation are in the catalog */
    bool damaged;            /* core.mdb or a segment cannot be used: writes and queries are refused */
    char damage[256];
    struct bundle *open;      /* being filled: ingest.c */
    struct bundle *making;    /* sealed, their regions are being made: ingest_region.c */
    struct stream_jobs *jobs; /* waiting and running: jobs.c */
    struct stream *next_trim; /* ingest_trim.c */
    bool trim_waits;
};

struct coming { /* settings that act once the documents are analyzed by them: editions.h */
    struct buf settings; /* complete JSON; empty: none */
    uint64_t task;
};

struct making;

struct former_streams { /* somebody may still refer to them */
    struct former_streams *next;
    struct stream *streams;
    uint32_t shards;
};

struct index {
    struct index *next;
    char name[INDEX_MAX_NAME + 1];
    char primary_key[INDEX_MAX_PRIMARY_KEY + 1];
    uint32_t number; /* of its directory, never reused */
    uint32_t edition;
    uint64_t created_at; /* wall, microseconds */
    struct buf settings; /* complete JSON */
    uint64_t settings_id; /* of that text: the same for equal ones, never used again for another */
    struct stream *streams;
    uint32_t shards;
    uint32_t numbering; /* +1 with each change of that number: its streams number their operations from 1 again. Over
                           editions that have as many shards the numbers go on */
    struct former_streams *former;
    struct coming coming;
    struct making *making;        /* the next edition is under way: editions.c */
    uint32_t newest_edition;      /* that was begun in this life: one that was given up may still be to be removed */
    const struct index *becoming; /* what the catalog is told that it is: the switch is on its way */
    bool paused;                  /* no build and no merge begins */
    /* While it is given another number of shards: */
    uint64_t unapplied_most; /* while more bytes wait for workers, who writes much is not read from; 0: any number may */
    bool bulk_waits;         /* builds that are not small do not begin */
    bool closed;             /* what comes waits until it has them (requests_write.c) */
    bool is_edition;              /* not an index, but the edition of one that is being made */
    bool durable; /* in the catalog: nothing in it is acknowledged before */
    bool dropped; /* gone from the catalog; freed when nothing refers to it */
    uint32_t references;
};

struct indexes {
    struct index *first;
    uint32_t shards; /* of an index, or edition, that is made now; those that there are may have as many as before */
    uint64_t settings_ids; /* given out last */
};

bool index_name_is_valid(struct str name);
struct index *indexes_find(const struct indexes *all, struct str name);
struct index *indexes_by_number(const struct indexes *all, uint32_t number);

/* Adds one that the catalog has; owner is the registry. */
struct index *indexes_add(struct indexes *all, struct str name, struct str primary_key, uint32_t number,
                          uint32_t edition, uint64_t created_at, struct str settings);

/* Of one that was just added: it was made when there were so many. */
void index_set_shards(struct index *i, uint32_t shards, uint32_t numbering);

/* Of all indexes, and of one that is made now. */
uint32_t indexes_most_shards(const struct indexes *all);

/* Takes the text over. */
void index_take_settings(struct indexes *all, struct index *i, struct buf *json);

/* The edition of an index that is to be, with the settings that are coming: not in the registry. */
struct index *indexes_new_edition(const struct indexes *all, const struct index *of, uint32_t edition);

/* The index is what the edition was: its settings, segments and documents. Numbers of operations go on; where the edition
 * has another number of shards, all that had one is applied, and the index begins anew with 1. */
void index_take_edition(struct indexes *all, struct index *i, struct index *edition);

static inline bool index_has_coming(const struct index *i)
{
    return i->coming.settings.len != 0;
}
void index_set_coming(struct index *i, struct buf *json, uint64_t task); /* takes the text over */
void index_drop_coming(struct index *i);

/* Takes it out of the registry, or an edition that is in none, and frees it once `references` is 0. */
void indexes_remove(struct indexes *all, struct index *gone);
void index_hold(struct index *i);
void index_release(struct index *i);

uint64_t index_documents(const struct index *i);
uint64_t index_bytes(const struct index *i); /* of its segments */
struct stream *index_route(struct index *i, uint64_t hash); /* slot -> shard */

/* Merges [first, end) into the applied ranges and raises the watermark. */
void stream_mark_applied(struct stream *s, uint64_t first, uint64_t end);
bool stream_is_applied(const struct stream *s, uint64_t sequence);

#endif
