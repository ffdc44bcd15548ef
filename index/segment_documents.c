/* What a segment has of each document: its record, and where an id is found. */
#include "index/segment_parts.h"

#include "common/err.h"
#include "common/hash.h"

/* A document's record, in two looks: the head tells how long it is. */
static int view_record(const struct segment *s, uint32_t document, const uint8_t **out)
{
    uint64_t place;
    if (document >= s->toc.documents)
        return ERR_CORRUPT;
    int err = segment_element_u64(s, &s->id_places, document, &place);
    if (!err)
        err = segment_view(s, &s->ids, place, RECORD_HEAD, out);
    if (err)
        return err;
    uint64_t size = (uint64_t)RECORD_HEAD + load_u16(*out) + load_u32(*out + 2);
    return size > UINT32_MAX ? ERR_CORRUPT : segment_view(s, &s->ids, place, (uint32_t)size, out);
}

int segment_document_id(const struct segment *s, uint32_t document, struct str *out, uint64_t *out_hash)
{
    const uint8_t *record;
    int err = view_record(s, document, &record);
    if (err)
        return err;
    *out = (struct str){.ptr = (const char *)record + RECORD_HEAD, .len = load_u16(record)};
    if (out_hash)
        *out_hash = hash64(*out);
    return 0;
}

void segment_ask_for_id_place(const struct segment *s, uint32_t document)
{
    uint32_t per = TABLE_PAYLOAD / s->id_places.width;
    if (document < s->id_places.count)
        __builtin_prefetch(s->id_places.parts.extents[document / per].payload + document % per * s->id_places.width);
}

/* What is damaged is not read here, so that whoever reads it is told. */
void segment_ask_for_id(const struct segment *s, uint32_t document)
{
    uint64_t place;
    if (segment_element_u64(s, &s->id_places, document, &place) || place >> 32 >= s->ids.count)
        return;
    const struct extent *e = &s->ids.extents[place >> 32];
    if ((uint32_t)place < e->size)
        __builtin_prefetch(e->payload + (uint32_t)place);
}

int segment_field_ranges(const struct segment *s, uint32_t document, struct field_ranges *out)
{
    const uint8_t *record;
    int err = view_record(s, document, &record);
    if (err)
        return err;
    out->at = record + RECORD_HEAD + load_u16(record);
    out->end = out->at + load_u32(record + 2);
    out->from = 0;
    out->field = UINT32_MAX;
    return 0;
}

bool field_ranges_next(struct field_ranges *r, struct field_range *range)
{
    uint64_t field, more;
    const uint8_t *at = varint_get(r->at, r->end, &field);
    at = at ? varint_get(at, r->end, &more) : NULL;
    if (!at || field > UINT16_MAX || more > UINT32_MAX - r->from)
        return false;
    r->at = at;
    r->from += (uint32_t)more;
    r->field = (uint32_t)field;
    *range = (struct field_range){r->field, r->from};
    return true;
}

/* A document may have as many ranges as words: none is gone through twice. */
uint32_t field_ranges_find(struct field_ranges *r, uint32_t position)
{
    struct field_ranges ahead = *r;
    struct field_range range;
    while (field_ranges_next(&ahead, &range) && range.from <= position)
        *r = ahead;
    return r->field;
}

int segment_id_hash(const struct segment *s, uint32_t at, uint64_t *out)
{
    return segment_element_u64(s, &s->hashes, at, out);
}

/* The first place whose hash is not below. */
static int lower_bound(const struct segment *s, uint64_t hash, uint32_t *out)
{
    uint32_t low = 0, high = s->toc.documents;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        uint64_t found;
        int err = segment_id_hash(s, middle, &found);
        if (err)
            return err;
        if (found < hash)
            low = middle + 1;
        else
            high = middle;
    }
    *out = low;
    return 0;
}

/* Whose hash stands at a place: 0, or an error; *out_document is UINT32_MAX if it is not `hash`. */
static int hash_at(const struct segment *s, uint32_t at, uint64_t hash, uint32_t *out_document)
{
    uint64_t found;
    int err = segment_id_hash(s, at, &found);
    const uint8_t *number;
    if (!err)
        err = segment_element(s, &s->hash_documents, at, &number);
    if (!err)
        *out_document = found == hash ? load_u32(number) : UINT32_MAX;
    return err;
}

static int find_id(const struct segment *s, uint64_t hash, struct str id, uint32_t from, uint32_t *out_document)
{
    uint32_t at = 0, document;
    int err = lower_bound(s, hash, &at);
    for (; !err && at < s->toc.documents; at++) {
        struct str found = {0};
        err = hash_at(s, at, hash, &document);
        if (err || document == UINT32_MAX)
            break;
        if (document < from) /* equal hashes stand by rising document */
            continue;
        err = segment_document_id(s, document, &found, NULL);
        if (err || str_equal(found, id)) {
            *out_document = document;
            return err;
        }
    }
    *out_document = UINT32_MAX;
    return err;
}

bool segment_find_id(const struct segment *s, uint64_t hash, struct str id, uint32_t *from, uint32_t *out_document,
                     int *err)
{
    uint32_t document = UINT32_MAX;
    int failure = find_id(s, hash, id, *from, &document);
    if (failure)
        *err = failure;
    if (failure || document == UINT32_MAX)
        return false;
    *from = document + 1;
    *out_document = document;
    return true;
}
