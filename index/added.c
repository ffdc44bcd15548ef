#include "index/added.h"

#include <errno.h>
#include <stdlib.h>

#include "common/err.h"
#include "index/score.h"

int added_open(const struct segment *segment, struct added *out)
{
    uint32_t documents = segment_documents(segment);
    const uint64_t *stamps = segment_stamps(segment);
    const uint8_t *codes = segment_length_codes(segment);
    if (documents == 0)
        return ERR_INVALID;
    struct core_segment core = {
        .id = segment_id(segment),
        .documents = documents,
        .bytes = segment_bytes(segment),
        .image = segment_image(segment),
        .first_stamp = stamps[0],
        .last_stamp = stamps[documents - 1],
        .chunk_count = core_chunks(documents),
    };
    for (uint32_t i = 0; i < documents; i++)
        core.live_length += length_decoded[codes[i]];
    core.chunks = calloc(core.chunk_count, sizeof(struct deletion_chunk *));
    if (!core.chunks)
        return -ENOMEM;
    *out = (struct added){.core = core, .segment = segment};
    return 0;
}

void added_close(struct added *a)
{
    for (size_t i = 0; i < a->core.chunk_count; i++)
        core_chunk_release(a->core.chunks[i]);
    free(a->core.chunks);
    *a = (struct added){0};
}

static int hash_of(const void *segment, uint32_t at, uint64_t *out)
{
    return segment_id_hash(segment, at, out);
}

int added_ids(const struct added *a, struct id_filter *out)
{
    *out = (struct id_filter){0};
    if (a->core.image || a->core.documents > ADDED_IDS_MOST)
        return 0;
    return id_filter_make(a->core.id, a->core.documents, hash_of, a->segment, out);
}

int added_delete(struct added *a, uint32_t document)
{
    struct deletion_chunk **chunk = &a->core.chunks[document / CHUNK_DOCUMENTS];
    if (!*chunk)
        *chunk = core_chunk_new();
    if (!*chunk)
        return -ENOMEM;
    uint64_t *word = &(*chunk)->bits[document % CHUNK_DOCUMENTS / 64], bit = UINT64_C(1) << document % 64;
    if (*word & bit)
        return 0;
    *word |= bit;
    (*chunk)->count++;
    a->core.deleted++;
    a->core.live_length -= length_decoded[segment_length_codes(a->segment)[document]];
    return 0;
}
