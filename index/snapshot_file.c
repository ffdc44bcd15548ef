#include "index/snapshot_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "index/postings.h"

struct deleted_count {
    uint64_t at; /* of the term's postings: its name within a segment */
    uint64_t marks;
    uint32_t documents; /* with the term, deleted ones included; 0: empty */
    uint32_t deleted;
};

enum {
    JOURNAL_MAX = 1 << 16,
    BUCKET = 4, /* the count that would be cheapest to make again gives way */
    BUCKETS_MIN = 16,
    BUCKETS_MAX = 1024,
    DOCUMENTS_PER_BUCKET = 64,
    PROBE = 8, /* looking one document up costs as much as stepping over so many postings */
};

/* ---------------------------------------------------------------------------------------------------------- the file
 */

static int open_segment(const char *path, const struct core_segment *core, bool for_ids, struct segment **out,
                        const char **out_section)
{
    if (core->image)
        return segment_open_image(core->image, out, out_section);
    return for_ids ? segment_open_for_ids(path, out, out_section) : segment_open_named(path, out, out_section);
}

int snapshot_open_segment(const char *directory, const struct core_segment *core, bool for_ids, struct segment **out,
                          struct segment_fault *out_fault)
{
    char path[SNAPSHOT_PATH_MAX];
    struct segment *s;
    *out_fault = (struct segment_fault){.segment = core->id, .in_core = core->image};
    snapshot_segment_path(directory, core->id, path, sizeof path);
    int err = open_segment(path, core, for_ids, &s, &out_fault->section);
    if (err)
        return err;
    if (segment_id(s) != core->id || segment_documents(s) != core->documents) {
        out_fault->section = "TOC, which is of another segment";
        segment_close(s);
        return ERR_CORRUPT;
    }
    *out = s;
    return 0;
}

int snapshot_file_open(const char *directory, const struct core_segment *core, bool for_ids, struct snapshot_file **out,
                       struct segment_fault *out_fault)
{
    struct snapshot_file *f = calloc(1, sizeof *f);
    if (!f)
        return -ENOMEM;
    f->references = 1;
    int err = snapshot_open_segment(directory, core, for_ids, &f->segment, out_fault);
    if (err)
        snapshot_file_release(f);
    else
        *out = f;
    return err;
}

struct snapshot_file *snapshot_file_hold(struct snapshot_file *f)
{
    f->references++;
    return f;
}

void snapshot_file_release(struct snapshot_file *f)
{
    if (!f || --f->references > 0)
        return;
    segment_close(f->segment);
    free(f->journal);
    free(f->counts);
    free(f);
}

size_t snapshot_file_heap(const struct snapshot_file *f)
{
    size_t counts = f->counts ? (f->bucket_mask + 1) * BUCKET * sizeof *f->counts : 0;
    return sizeof *f + f->journal_room * sizeof *f->journal + counts + segment_heap(f->segment);
}

/* ------------------------------------------------------------------------------------------------------- the journal
 */

static uint64_t end_of(const struct snapshot_file *f)
{
    return f->first + f->journal_count;
}

/* Positions up to now mean nothing any more: nothing is known of the way from them to later ones. */
static uint64_t forget(struct snapshot_file *f)
{
    f->first = end_of(f) + 1;
    f->journal_count = 0;
    return f->first;
}

static bool append(struct snapshot_file *f, uint32_t document)
{
    if (f->journal_count == f->journal_room) {
        size_t room = f->journal_room ? f->journal_room * 2 : 64;
        uint32_t *grown = room <= JOURNAL_MAX ? reallocarray(f->journal, room, sizeof *grown) : NULL;
        if (!grown)
            return false;
        f->journal = grown;
        f->journal_room = room;
    }
    f->journal[f->journal_count++] = document;
    return true;
}

static bool append_chunk(struct snapshot_file *f, uint32_t base, const struct deletion_chunk *before,
                         const struct deletion_chunk *after)
{
    for (uint32_t word = 0; word < CHUNK_DOCUMENTS / 64; word++) {
        uint64_t added = after->bits[word] & ~(before ? before->bits[word] : 0);
        for (; added; added &= added - 1) {
            if (!append(f, base + word * 64 + (uint32_t)__builtin_ctzll(added)))
                return false;
        }
    }
    return true;
}

uint64_t snapshot_file_advance(struct snapshot_file *f, const struct core_segment *before, uint64_t marks,
                               const struct core_segment *after)
{
    if (before->generation == after->generation)
        return marks;
    if (marks != end_of(f) || after->generation < before->generation)
        return forget(f);
    for (size_t i = 0; i < after->chunk_count; i++) {
        struct deletion_chunk *chunk = after->chunks[i];
        if (chunk != before->chunks[i] && !append_chunk(f, (uint32_t)i * CHUNK_DOCUMENTS, before->chunks[i], chunk))
            return forget(f);
    }
    return end_of(f);
}

/* ----------------------------------------------------------------------------------------------------------- counting
 */

static int64_t count_by_postings(struct snapshot_file *f, const struct core_segment *core, const struct term *term)
{
    struct posting_list l;
    struct posting_block b; /* of which documents alone are read */
    int64_t deleted = 0;
    int err = list_open(&l, f->segment, term, segment_kernels(f->segment));
    for (uint32_t number = 0; !err && number < l.blocks; number++) {
        err = block_enter(&l, number, &b);
        if (err)
            break;
        block_documents(&l, &b);
        for (uint32_t i = 0; i < b.count; i++)
            deleted += core_is_deleted(core, b.documents[i]);
    }
    return err ? err : deleted;
}

static void count_chunk(struct postings *p, uint32_t base, const struct deletion_chunk *chunk, int64_t *count)
{
    for (uint32_t word = 0; word < CHUNK_DOCUMENTS / 64 && p->document != POSTINGS_END; word++) {
        for (uint64_t left = chunk->bits[word]; left; left &= left - 1) {
            uint32_t document = base + word * 64 + (uint32_t)__builtin_ctzll(left);
            if (document > p->document)
                postings_seek(p, document);
            *count += p->document == document;
        }
    }
}

static int64_t count_by_deletions(struct snapshot_file *f, const struct core_segment *core, const struct term *term)
{
    struct postings p;
    int64_t deleted = 0;
    postings_open(&p, f->segment, term);
    for (size_t i = 0; i < core->chunk_count; i++) {
        if (core->chunks[i])
            count_chunk(&p, (uint32_t)i * CHUNK_DOCUMENTS, core->chunks[i], &deleted);
    }
    return p.err ? p.err : deleted;
}

static int64_t count(struct snapshot_file *f, const struct core_segment *core, const struct term *term)
{
    bool few = core->deleted < term->documents / PROBE;
    return few ? count_by_deletions(f, core, term) : count_by_postings(f, core, term);
}

static int by_number(const void *a, const void *b)
{
    uint32_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

/* Of the journal's documents [from, end) those with the term. */
static int64_t count_between(struct snapshot_file *f, uint64_t from, uint64_t end, const struct term *term)
{
    size_t n = (size_t)(end - from);
    uint32_t *documents = n ? malloc(n * sizeof *documents) : NULL;
    if (!documents)
        return n ? -ENOMEM : 0;
    memcpy(documents, f->journal + (from - f->first), n * sizeof *documents);
    qsort(documents, n, sizeof *documents, by_number);
    struct postings p;
    int64_t found = 0;
    postings_open(&p, f->segment, term);
    for (size_t i = 0; i < n && p.document != POSTINGS_END; i++) {
        if (documents[i] > p.document)
            postings_seek(&p, documents[i]);
        found += p.document == documents[i];
    }
    free(documents);
    return p.err ? p.err : found;
}

/* ------------------------------------------------------------------------------------------------------------- counts
 */

static struct deleted_count *bucket_of(struct snapshot_file *f, uint64_t at)
{
    if (!f->counts) {
        size_t buckets = BUCKETS_MIN;
        while (buckets < BUCKETS_MAX && buckets * DOCUMENTS_PER_BUCKET < segment_documents(f->segment))
            buckets *= 2;
        f->counts = calloc(buckets * BUCKET, sizeof *f->counts);
        f->bucket_mask = buckets - 1;
    }
    uint64_t mixed = at * UINT64_C(0x9E3779B97F4A7C15);
    return f->counts ? f->counts + ((mixed >> 32) & f->bucket_mask) * BUCKET : NULL;
}

static struct deleted_count *find_count(struct snapshot_file *f, struct deleted_count *bucket, const struct term *term)
{
    for (size_t i = 0; bucket && i < BUCKET; i++) {
        if (bucket[i].documents && bucket[i].at == term->postings.place && bucket[i].marks >= f->first)
            return &bucket[i];
    }
    return NULL;
}

static struct deleted_count *place_for(struct deleted_count *bucket, uint64_t at)
{
    struct deleted_count *cheapest = bucket;
    for (size_t i = 0; i < BUCKET; i++) {
        if (bucket[i].at == at && bucket[i].documents)
            return &bucket[i];
        if (bucket[i].documents < cheapest->documents)
            cheapest = &bucket[i];
    }
    return cheapest;
}

static int64_t from_known(struct snapshot_file *f, const struct deleted_count *known, uint64_t marks,
                          const struct term *term)
{
    bool forward = marks >= known->marks;
    int64_t between =
        forward ? count_between(f, known->marks, marks, term) : count_between(f, marks, known->marks, term);
    if (between < 0)
        return between;
    return forward ? known->deleted + between : known->deleted - between;
}

static bool is_worth_it(const struct deleted_count *known, uint64_t marks, const struct term *term)
{
    uint64_t between = marks >= known->marks ? marks - known->marks : known->marks - marks;
    return between * PROBE <= term->documents || between <= PROBE;
}

int64_t snapshot_file_deleted(struct snapshot_file *f, const struct core_segment *core, uint64_t marks,
                              const struct term *term)
{
    if (term->inlined.len) /* a few postings, and no place of their own to be remembered by */
        return count_by_postings(f, core, term);
    bool in_journal = marks >= f->first; /* else a generation from before the journal was dropped */
    struct deleted_count *bucket = in_journal ? bucket_of(f, term->postings.place) : NULL;
    struct deleted_count *known = find_count(f, bucket, term);
    int64_t deleted =
        known && is_worth_it(known, marks, term) ? from_known(f, known, marks, term) : count(f, core, term);
    if (deleted < 0 || !bucket || (known && known->marks >= marks))
        return deleted;
    *place_for(bucket, term->postings.place) = (struct deleted_count){
        .at = term->postings.place, .marks = marks, .documents = term->documents, .deleted = (uint32_t)deleted};
    return deleted;
}
