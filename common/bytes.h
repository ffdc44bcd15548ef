/* bytes.h - integers in little-endian bytes, at any alignment, and variable-length ones (LEB128, at most 10 bytes). */
#ifndef COMMON_BYTES_H
#define COMMON_BYTES_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files and messages are little-endian, and so must the host be");

static inline uint16_t load_u16(const void *from) { uint16_t v; memcpy(&v, from, sizeof v); return v; }
static inline uint32_t load_u32(const void *from) { uint32_t v; memcpy(&v, from, sizeof v); return v; }
static inline uint64_t load_u64(const void *from) { uint64_t v; memcpy(&v, from, sizeof v); return v; }
static inline void store_u16(void *to, uint16_t v) { memcpy(to, &v, sizeof v); }
static inline void store_u32(void *to, uint32_t v) { memcpy(to, &v, sizeof v); }
static inline void store_u64(void *to, uint64_t v) { memcpy(to, &v, sizeof v); }

/* Big-endian, for keys that must sort as numbers. */
static inline void store_be32(void *to, uint32_t v) { v = __builtin_bswap32(v); memcpy(to, &v, sizeof v); }
static inline void store_be64(void *to, uint64_t v) { v = __builtin_bswap64(v); memcpy(to, &v, sizeof v); }
static inline uint32_t load_be32(const void *from) { return __builtin_bswap32(load_u32(from)); }
static inline uint64_t load_be64(const void *from) { return __builtin_bswap64(load_u64(from)); }

enum { VARINT_MAX = 10 };

/* The byte after what was written; `to` has room for VARINT_MAX. */
static inline uint8_t *varint_put(uint8_t *to, uint64_t v)
{
    while (v >= 0x80) {
        *to++ = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    *to++ = (uint8_t)v;
    return to;
}

/* The byte after what was read, or NULL if it does not end before `end` or exceeds 64 bits. */
static inline const uint8_t *varint_get(const uint8_t *from, const uint8_t *end, uint64_t *out)
{
    uint64_t v = 0;
    for (unsigned shift = 0; from < end && shift < 64; shift += 7) {
        uint8_t byte = *from++;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = v;
            return shift == 63 && byte > 1 ? NULL : from;
        }
    }
    return NULL;
}

#endif
