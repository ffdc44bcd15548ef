#include "index/core_keys.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "index/core_ids.h"
#include "index/core_value.h"

/* Keys: one byte of kind, then numbers in big-endian, so that they sort as numbers.
 *
 *   M                          meta
 *   S  u64 segment             one live segment
 *   D  u64 segment  u32 chunk  deleted documents [chunk * 64 K, (chunk + 1) * 64 K) of it
 *   I  u64 segment  u32 part   which ids its file may have (core_ids.c); not there: any
 *   R  u64 first               an applied range above the watermark; ranges never touch
 *   T  u64 hash     id         a deletion by id that something before it may still need to know of
 *   U  u64 sequence            the same, in the order in which the watermark passes them
 *   F  u64 generation  u64 sequence   a refused operation
 *
 * Values, behind their header (core_value.h), little-endian:
 *
 *   M  u64 generation  u64 epoch  u64 watermark
 *      version 1: that is all. Version 2: marks follow that are not in D and S yet, at least one, rising by segment and
 *      document: u64 count, then each u64 segment  u64 generation  u32 document  u32 length. Who knows none refuses it.
 *   S  u64 generation  u32 documents  u32 deleted  u64 live length  u64 bytes  u64 first stamp  u64 last stamp
 *      version 1: it has a file. Version 2: its image follows, `bytes` long, which has checksums of its own (image.h): the
 *      header's is of what is in front of it. Zero bytes fill it up to 2,040, so that LMDB gives it pages of its own, and
 *      all that a small commit changes stays in one leaf. Who knows no images refuses it for its version.
 *   D  u64 generation  u32 count  u32 encoding  then: 0 = `count` rising u16; 1 = 8,192 bytes, a bit per document
 *   R  u64 end
 *   T  u64 stamp  u64 sequence
 *   U  u64 hash  id
 *   F  u64 task  u64 position  u32 id bytes  u32 code bytes  id code message */
enum {
    VERSION = CORE_VALUE_VERSION,
    VERSION_IMAGE = 2,  /* of segments */
    VERSION_RECENT = 2, /* of the meta value */
    META_BYTES = 24,
    RECENT_HEAD = 8,
    RECENT_BYTES = 24,
    SEGMENT_BYTES = 48,
    CHUNK_HEAD = 16,
    TOMBSTONE_BYTES = 16,
    REFUSAL_HEAD = 24,
    ENCODING_LIST = 0,
    ENCODING_BITS = 1,
    LIST_MAX = 1900, /* a longer list would not stay within one page */
};

static_assert(CORE_KEY_MAX <= 511, "LMDB's longest key");
static_assert(CORE_HEADER + CHUNK_HEAD + CHUNK_BYTES <= CORE_VALUE_MAX, "room for the largest value but refusals");
static_assert(CORE_HEADER + META_BYTES + RECENT_HEAD + CORE_RECENT_MOST * RECENT_BYTES < 2000, "LMDB keeps it in a leaf");
static_assert(CORE_HEADER + 8 + CORE_ID_MAX <= CORE_VALUE_MAX, "room for an id");
static_assert((int)CORE_HEADER + (int)SEGMENT_BYTES == (int)CORE_IMAGE_AT, "the image is behind its segment's values");

/* ------------------------------------------------------------------------------------------------------------- keys */

struct core_key core_key(enum core_kind kind)
{
    struct core_key k = {.len = 1};
    k.bytes[0] = (char)kind;
    return k;
}

struct core_key core_key_u64(enum core_kind kind, uint64_t a)
{
    struct core_key k = core_key(kind);
    store_be64(k.bytes + 1, a);
    k.len = 9;
    return k;
}

struct core_key core_key_part(enum core_kind kind, uint64_t segment, uint32_t part)
{
    struct core_key k = core_key_u64(kind, segment);
    store_be32(k.bytes + 9, part);
    k.len = 13;
    return k;
}

struct core_key core_key_refusal(uint64_t generation, uint64_t sequence)
{
    struct core_key k = core_key_u64(CORE_REFUSAL, generation);
    store_be64(k.bytes + 9, sequence);
    k.len = 17;
    return k;
}

struct core_key core_key_tombstone(uint64_t hash, struct str id)
{
    assert(id.len <= CORE_ID_MAX);
    struct core_key k = core_key_u64(CORE_TOMBSTONE, hash);
    if (id.len)
        memcpy(k.bytes + 9, id.ptr, id.len);
    k.len = 9 + id.len;
    return k;
}

static bool is_key(enum core_kind kind, struct str key, size_t len)
{
    return key.len == len && key.ptr[0] == (char)kind;
}

int core_key_read_u64(enum core_kind kind, struct str key, uint64_t *out)
{
    if (!is_key(kind, key, 9))
        return ERR_CORRUPT;
    *out = load_be64(key.ptr + 1);
    return 0;
}

int core_key_read_pair(enum core_kind kind, struct str key, uint64_t *out_a, uint64_t *out_b)
{
    if (!is_key(kind, key, 17))
        return ERR_CORRUPT;
    *out_a = load_be64(key.ptr + 1);
    *out_b = load_be64(key.ptr + 9);
    return 0;
}

int core_key_read_tombstone(struct str key, uint64_t *out_hash)
{
    if (key.ptr[0] != CORE_TOMBSTONE)
        return -ENOENT;
    if (key.len < 9)
        return ERR_CORRUPT;
    *out_hash = load_be64(key.ptr + 1);
    return 0;
}

int core_key_read_part(enum core_kind kind, struct str key, uint64_t *out_segment, uint32_t *out_part)
{
    if (!is_key(kind, key, 13))
        return ERR_CORRUPT;
    *out_segment = load_be64(key.ptr + 1);
    *out_part = load_be32(key.ptr + 9);
    return 0;
}

/* ----------------------------------------------------------------------------------------------------------- header */

static struct str seal(char *to, struct str key, size_t payload)
{
    core_value_head(to, key, VERSION, payload, payload);
    return (struct str){.ptr = to, .len = CORE_HEADER + payload};
}

static int unseal(struct str key, struct str value, size_t at_least, struct str *out)
{
    int err = core_value_check_version(value, VERSION);
    if (!err)
        err = core_value_check(key, value, at_least, value.len - CORE_HEADER);
    if (!err)
        *out = (struct str){.ptr = value.ptr + CORE_HEADER, .len = value.len - CORE_HEADER};
    return err;
}

static int unseal_exactly(struct str key, struct str value, size_t size, struct str *out)
{
    int err = unseal(key, value, size, out);
    return err || out->len == size ? err : ERR_CORRUPT;
}

/* ----------------------------------------------------------------------------------------------------------- values */

static bool is_of_version(struct str value, uint16_t version)
{
    return value.len >= CORE_HEADER && load_u16(value.ptr + 4) == version;
}

static void put_recent(char *to, const struct core_recent *m)
{
    store_u64(to, m->segment);
    store_u64(to + 8, m->generation);
    store_u32(to + 16, m->document);
    store_u32(to + 20, m->length);
}

struct str core_put_meta(char *to, struct str key, const struct core_meta *meta)
{
    char *p = to + CORE_HEADER;
    size_t count = meta->recent.count, size = META_BYTES + (count ? RECENT_HEAD + count * RECENT_BYTES : 0);
    store_u64(p, meta->generation);
    store_u64(p + 8, meta->epoch);
    store_u64(p + 16, meta->watermark);
    store_u64(p + META_BYTES, count);
    for (size_t i = 0; i < count; i++)
        put_recent(p + META_BYTES + RECENT_HEAD + i * RECENT_BYTES, &meta->recent.items[i]);
    core_value_head(to, key, count ? VERSION_RECENT : VERSION, size, size);
    return (struct str){.ptr = to, .len = CORE_HEADER + size};
}

static int get_recent(struct str list, uint64_t generation, struct core_recents *out)
{
    for (size_t i = 0; i < out->count; i++) {
        const char *p = list.ptr + i * RECENT_BYTES;
        const struct core_recent *before = i ? &out->items[i - 1] : NULL;
        struct core_recent *m = &out->items[i];
        *m = (struct core_recent){load_u64(p), load_u64(p + 8), load_u32(p + 16), load_u32(p + 20)};
        bool rises = !before || before->segment < m->segment ||
                     (before->segment == m->segment && before->document < m->document);
        if (!rises || m->generation > generation)
            return ERR_CORRUPT;
    }
    return 0;
}

static int check_meta(struct str key, struct str value)
{
    struct str ignored;
    if (!is_of_version(value, VERSION_RECENT))
        return unseal_exactly(key, value, META_BYTES, &ignored);
    int err = core_value_check_version(value, VERSION_RECENT);
    return err ? err : core_value_check(key, value, META_BYTES + RECENT_HEAD, value.len - CORE_HEADER);
}

int core_get_meta(struct str key, struct str value, struct core_meta *out)
{
    int err = check_meta(key, value);
    if (err)
        return err;
    const char *p = value.ptr + CORE_HEADER;
    out->generation = load_u64(p);
    out->epoch = load_u64(p + 8);
    out->watermark = load_u64(p + 16);
    out->recent.count = 0;
    if (!is_of_version(value, VERSION_RECENT))
        return 0;
    size_t room = value.len - CORE_HEADER - META_BYTES - RECENT_HEAD;
    uint64_t count = load_u64(p + META_BYTES);
    if (count == 0 || count > CORE_RECENT_MOST || room != count * RECENT_BYTES)
        return ERR_CORRUPT;
    out->recent.count = (size_t)count;
    return get_recent((struct str){p + META_BYTES + RECENT_HEAD, room}, out->generation, &out->recent);
}

static void put_segment(char *p, const struct core_segment *s)
{
    store_u64(p, s->generation);
    store_u32(p + 8, s->documents);
    store_u32(p + 12, s->deleted);
    store_u64(p + 16, s->live_length);
    store_u64(p + 24, s->bytes);
    store_u64(p + 32, s->first_stamp);
    store_u64(p + 40, s->last_stamp);
}

struct str core_put_segment(char *to, struct str key, const struct core_segment *s)
{
    put_segment(to + CORE_HEADER, s);
    return seal(to, key, SEGMENT_BYTES);
}

struct str core_put_image(char *to, struct str key, const struct core_segment *s, size_t *out_size)
{
    size_t used = CORE_IMAGE_AT + (size_t)s->bytes, size = used < CORE_OWN_PAGES ? (size_t)CORE_OWN_PAGES : used;
    put_segment(to + CORE_HEADER, s);
    core_value_head(to, key, VERSION_IMAGE, size - CORE_HEADER, SEGMENT_BYTES);
    *out_size = size;
    return (struct str){.ptr = to, .len = CORE_IMAGE_AT};
}

static bool is_of_image(struct str value)
{
    return is_of_version(value, VERSION_IMAGE);
}

/* A file's has nothing behind it. */
static int check_segment(struct str key, struct str value)
{
    struct str ignored;
    if (!is_of_image(value))
        return unseal_exactly(key, value, SEGMENT_BYTES, &ignored);
    int err = core_value_check_version(value, VERSION_IMAGE);
    return err ? err : core_value_check(key, value, SEGMENT_BYTES, SEGMENT_BYTES);
}

int core_check_value(struct str key, struct str value)
{
    struct str ignored;
    char kind = key.len ? key.ptr[0] : 0;
    if (kind == CORE_SEGMENT)
        return check_segment(key, value);
    if (kind == CORE_IDS)
        return core_ids_check(key, value);
    return kind == CORE_META ? check_meta(key, value) : unseal(key, value, 0, &ignored);
}

int core_get_segment(struct str key, struct str value, struct core_segment *out, struct str *out_image)
{
    int err = check_segment(key, value);
    if (err)
        return err;
    const char *p = value.ptr + CORE_HEADER;
    out->generation = load_u64(p);
    out->documents = load_u32(p + 8);
    out->deleted = load_u32(p + 12);
    out->live_length = load_u64(p + 16);
    out->bytes = load_u64(p + 24);
    out->first_stamp = load_u64(p + 32);
    out->last_stamp = load_u64(p + 40);
    size_t image = is_of_image(value) ? value.len - CORE_IMAGE_AT : 0;
    if (out->deleted > out->documents || (image && out->bytes > image))
        return ERR_CORRUPT;
    *out_image = (struct str){.ptr = value.ptr + CORE_IMAGE_AT, .len = image ? (size_t)out->bytes : 0};
    return 0;
}

static size_t put_list(char *to, const struct deletion_chunk *c)
{
    char *at = to;
    for (size_t word = 0; word < CHUNK_DOCUMENTS / 64; word++) {
        for (uint64_t left = c->bits[word]; left; left &= left - 1, at += 2)
            store_u16(at, (uint16_t)(word * 64 + (size_t)__builtin_ctzll(left)));
    }
    return (size_t)(at - to);
}

struct str core_put_chunk(char *to, struct str key, const struct deletion_chunk *c)
{
    char *p = to + CORE_HEADER;
    bool list = c->count <= LIST_MAX;
    store_u64(p, c->generation);
    store_u32(p + 8, c->count);
    store_u32(p + 12, list ? ENCODING_LIST : ENCODING_BITS);
    size_t size = CHUNK_BYTES;
    if (list)
        size = put_list(p + CHUNK_HEAD, c);
    else
        memcpy(p + CHUNK_HEAD, c->bits, CHUNK_BYTES);
    return seal(to, key, CHUNK_HEAD + size);
}

static int get_list(struct str list, struct deletion_chunk *out)
{
    if (list.len != (size_t)out->count * 2)
        return ERR_CORRUPT;
    memset(out->bits, 0, sizeof out->bits);
    int32_t previous = -1;
    for (size_t i = 0; i < list.len; i += 2) {
        uint16_t document = load_u16(list.ptr + i);
        if (document <= previous)
            return ERR_CORRUPT;
        out->bits[document / 64] |= UINT64_C(1) << document % 64;
        previous = document;
    }
    return 0;
}

static int get_bits(struct str bits, struct deletion_chunk *out)
{
    if (bits.len != CHUNK_BYTES)
        return ERR_CORRUPT;
    memcpy(out->bits, bits.ptr, CHUNK_BYTES);
    uint32_t count = 0;
    for (size_t word = 0; word < CHUNK_DOCUMENTS / 64; word++)
        count += (uint32_t)__builtin_popcountll(out->bits[word]);
    return count == out->count ? 0 : ERR_CORRUPT;
}

int core_get_chunk(struct str key, struct str value, struct deletion_chunk *out)
{
    struct str p;
    int err = unseal(key, value, CHUNK_HEAD, &p);
    if (err)
        return err;
    uint32_t encoding = load_u32(p.ptr + 12);
    struct str data = {.ptr = p.ptr + CHUNK_HEAD, .len = p.len - CHUNK_HEAD};
    out->generation = load_u64(p.ptr);
    out->count = load_u32(p.ptr + 8);
    if (encoding > ENCODING_BITS)
        return ERR_CORRUPT;
    return encoding == ENCODING_LIST ? get_list(data, out) : get_bits(data, out);
}

int core_get_chunk_generation(struct str value, uint64_t *out)
{
    int err = core_value_check_version(value, VERSION);
    if (err)
        return err;
    if (value.len < CORE_HEADER + CHUNK_HEAD)
        return ERR_CORRUPT;
    *out = load_u64(value.ptr + CORE_HEADER);
    return 0;
}

struct str core_put_u64(char *to, struct str key, uint64_t a)
{
    store_u64(to + CORE_HEADER, a);
    return seal(to, key, 8);
}

int core_get_u64(struct str key, struct str value, uint64_t *out)
{
    struct str p;
    int err = unseal_exactly(key, value, 8, &p);
    if (err)
        return err;
    *out = load_u64(p.ptr);
    return 0;
}

struct str core_put_tombstone(char *to, struct str key, uint64_t stamp, uint64_t sequence)
{
    store_u64(to + CORE_HEADER, stamp);
    store_u64(to + CORE_HEADER + 8, sequence);
    return seal(to, key, TOMBSTONE_BYTES);
}

int core_get_tombstone(struct str key, struct str value, uint64_t *out_stamp, uint64_t *out_sequence)
{
    struct str p;
    int err = unseal_exactly(key, value, TOMBSTONE_BYTES, &p);
    if (err)
        return err;
    *out_stamp = load_u64(p.ptr);
    *out_sequence = load_u64(p.ptr + 8);
    return 0;
}

struct str core_put_passing(char *to, struct str key, uint64_t hash, struct str id)
{
    store_u64(to + CORE_HEADER, hash);
    memcpy(to + CORE_HEADER + 8, id.ptr, id.len);
    return seal(to, key, 8 + id.len);
}

int core_get_passing(struct str key, struct str value, uint64_t *out_hash, struct str *out_id)
{
    struct str p;
    int err = unseal(key, value, 8, &p);
    if (err)
        return err;
    if (p.len > 8 + CORE_ID_MAX)
        return ERR_CORRUPT;
    *out_hash = load_u64(p.ptr);
    *out_id = (struct str){.ptr = p.ptr + 8, .len = p.len - 8};
    return 0;
}

size_t core_refusal_size(const struct core_refusal *r)
{
    return CORE_HEADER + REFUSAL_HEAD + r->id.len + r->code.len + r->message.len;
}

static char *put_str(char *to, struct str s)
{
    if (s.len)
        memcpy(to, s.ptr, s.len);
    return to + s.len;
}

struct str core_put_refusal(char *to, struct str key, const struct core_refusal *r)
{
    char *p = to + CORE_HEADER;
    store_u64(p, r->task);
    store_u64(p + 8, r->position);
    store_u32(p + 16, (uint32_t)r->id.len);
    store_u32(p + 20, (uint32_t)r->code.len);
    put_str(put_str(put_str(p + REFUSAL_HEAD, r->id), r->code), r->message);
    return seal(to, key, core_refusal_size(r) - CORE_HEADER);
}

int core_get_refusal(struct str key, struct str value, struct core_refusal *out)
{
    struct str p;
    struct core_refusal r;
    int err = unseal(key, value, REFUSAL_HEAD, &p);
    if (!err)
        err = core_key_read_pair(CORE_REFUSAL, key, &r.generation, &r.sequence);
    if (err)
        return err;
    r.task = load_u64(p.ptr);
    r.position = load_u64(p.ptr + 8);
    size_t id = load_u32(p.ptr + 16), code = load_u32(p.ptr + 20), left = p.len - REFUSAL_HEAD;
    if (id > left || code > left - id)
        return ERR_CORRUPT;
    r.id = (struct str){.ptr = p.ptr + REFUSAL_HEAD, .len = id};
    r.code = (struct str){.ptr = r.id.ptr + id, .len = code};
    r.message = (struct str){.ptr = r.code.ptr + code, .len = left - id - code};
    *out = r;
    return 0;
}
