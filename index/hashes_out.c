#include "index/hashes_out.h"

#include <errno.h>
#include <stdlib.h>

#include "common/bytes.h"
#include "index/sort.h"
#include "index/stream.h"

enum { ENTRY = 12 };

void hashes_out_open(struct hashes_out *h)
{
    *h = (struct hashes_out){.entries = {.width = ENTRY}};
}

void hashes_out_close(struct hashes_out *h)
{
    column_out_free(&h->entries);
}

int hashes_out_add(struct hashes_out *h, uint64_t hash, uint32_t document)
{
    uint8_t entry[ENTRY];
    store_u64(entry, hash);
    store_u32(entry + 8, document);
    return column_out_append(&h->entries, entry);
}

static int by_hash(const void *left, const void *right)
{
    uint64_t a = load_u64(left), b = load_u64(right);
    if (a != b)
        return a < b ? -1 : 1;
    uint32_t i = load_u32((const char *)left + 8), j = load_u32((const char *)right + 8);
    return (i > j) - (i < j);
}

struct merged {
    const struct column_out *entries;
    size_t *next; /* of each chunk */
};

/* The lowest of the chunks' next entries; NULL at the end. Later chunks hold higher documents: of equal ones the first
 * chunk's goes first. */
static const uint8_t *take_lowest(struct merged *m)
{
    const uint8_t *lowest = NULL;
    size_t from = 0;
    for (size_t i = 0; i < m->entries->chunk_count; i++) {
        const uint8_t *entry = m->entries->chunks[i] + m->next[i] * ENTRY;
        if (m->next[i] < column_out_chunk(m->entries, i) && (!lowest || load_u64(entry) < load_u64(lowest))) {
            lowest = entry;
            from = i;
        }
    }
    if (lowest)
        m->next[from]++;
    return lowest;
}

static int write_sorted(struct merged *m, struct store_writer *store)
{
    struct stream_writer hashes = {0}, documents = {0};
    int err = stream_writer_open(&hashes, store, SECTION_HASHES, TABLE_PAYLOAD);
    if (!err)
        err = stream_writer_open(&documents, store, SECTION_HASH_DOCUMENTS, TABLE_PAYLOAD);
    for (const uint8_t *entry; !err && (entry = take_lowest(m));) {
        stream_writer_place(&hashes, entry, 8);
        stream_writer_place(&documents, entry + 8, 4);
    }
    if (!err) {
        stream_writer_finish(&hashes);
        stream_writer_finish(&documents);
    }
    stream_writer_close(&hashes);
    stream_writer_close(&documents);
    return err;
}

int hashes_out_put(struct hashes_out *h, struct store_writer *store)
{
    struct merged m = {.entries = &h->entries};
    for (size_t i = 0; i < h->entries.chunk_count; i++)
        sort_in_place(h->entries.chunks[i], column_out_chunk(&h->entries, i), ENTRY, by_hash);
    m.next = calloc(h->entries.chunk_count + 1, sizeof *m.next);
    if (!m.next)
        return -ENOMEM;
    int err = write_sorted(&m, store);
    free(m.next);
    return err;
}
