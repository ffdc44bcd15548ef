/* core_keys.h - keys and values of core.mdb as bytes.  Used by core*.c only. */
#ifndef INDEX_CORE_KEYS_H
#define INDEX_CORE_KEYS_H

#include <stddef.h>
#include <stdint.h>

#include "common/str.h"
#include "index/core.h"
#include "index/core_recent.h"
#include "index/core_value.h"

enum core_kind {
    CORE_META = 'M',
    CORE_SEGMENT = 'S',
    CORE_DELETIONS = 'D',
    CORE_IDS = 'I',
    CORE_RANGE = 'R',
    CORE_TOMBSTONE = 'T',
    CORE_PASSING = 'U', /* the same tombstones by sequence number: which ones the watermark passes */
    CORE_REFUSAL = 'F',
};

enum {
    CORE_ID_MAX = 256,
    CORE_TOMBSTONE_ID = 1 + 8, /* where the id begins in a tombstone's key, which is at least so long */
    CORE_KEY_MAX = 1 + 8 + CORE_ID_MAX,
    CORE_MESSAGE_MAX = 1 << 16,
    CORE_IMAGE_AT = CORE_HEADER + 48,
    CORE_VALUE_MAX = CORE_HEADER + 16 + CHUNK_BYTES, /* of all but refusals and images */
};

struct core_key {
    size_t len;
    char bytes[CORE_KEY_MAX];
};

struct core_meta {
    uint64_t generation, epoch, watermark;
    struct core_recents recent;
};

/* Keys. `b` is used by kinds with two numbers. */
struct core_key core_key(enum core_kind kind);
struct core_key core_key_u64(enum core_kind kind, uint64_t a);
struct core_key core_key_part(enum core_kind kind, uint64_t segment, uint32_t part); /* D and I */
struct core_key core_key_refusal(uint64_t generation, uint64_t sequence);
struct core_key core_key_tombstone(uint64_t hash, struct str id); /* id.len <= CORE_ID_MAX */

static inline struct str core_key_str(const struct core_key *k)
{
    return (struct str){.ptr = k->bytes, .len = k->len};
}

/* The numbers in a key that a cursor found: ERR_CORRUPT if it is not one of that kind. */
int core_key_read_u64(enum core_kind kind, struct str key, uint64_t *out);
int core_key_read_pair(enum core_kind kind, struct str key, uint64_t *out_a, uint64_t *out_b);
int core_key_read_tombstone(struct str key, uint64_t *out_hash); /* -ENOENT: a key of another kind */
int core_key_read_part(enum core_kind kind, struct str key, uint64_t *out_segment, uint32_t *out_part);

/* Values. Encoders write to a caller's buffer of CORE_VALUE_MAX bytes (refusals: core_refusal_size) and return the
 * value in it. Decoders check all of it; ERR_CORRUPT, ERR_VERSION. Keys are covered by the checksum. */
int core_check_value(struct str key, struct str value); /* of any kind: its header and checksum; images have their own */

struct str core_put_meta(char *to, struct str key, const struct core_meta *meta);
int core_get_meta(struct str key, struct str value, struct core_meta *out);

/* Of a segment that has a file; id and chunks are left out. */
struct str core_put_segment(char *to, struct str key, const struct core_segment *s);
/* Of one with an image: the CORE_IMAGE_AT bytes in front of it, and what the value's length is to be. The image follows,
 * of s->bytes, then zero bytes. */
struct str core_put_image(char *to, struct str key, const struct core_segment *s, size_t *out_size);
/* Of both; the image is not looked at, and empty where there is a file. */
int core_get_segment(struct str key, struct str value, struct core_segment *out, struct str *out_image);

struct str core_put_chunk(char *to, struct str key, const struct deletion_chunk *c);
int core_get_chunk(struct str key, struct str value, struct deletion_chunk *out); /* references are left alone */
int core_get_chunk_generation(struct str value, uint64_t *out);                   /* without looking at the rest */

struct str core_put_u64(char *to, struct str key, uint64_t a);
int core_get_u64(struct str key, struct str value, uint64_t *out);

struct str core_put_tombstone(char *to, struct str key, uint64_t stamp, uint64_t sequence);
int core_get_tombstone(struct str key, struct str value, uint64_t *out_stamp, uint64_t *out_sequence);

struct str core_put_passing(char *to, struct str key, uint64_t hash, struct str id);
int core_get_passing(struct str key, struct str value, uint64_t *out_hash, struct str *out_id);

size_t core_refusal_size(const struct core_refusal *r);
struct str core_put_refusal(char *to, struct str key, const struct core_refusal *r);
int core_get_refusal(struct str key, struct str value, struct core_refusal *out); /* views into `value` */

#endif
