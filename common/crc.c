#include "common/crc.h"

#include <stdbool.h>
#include <string.h>

/* One nibble at a time: the table is 64 bytes and needs no initialisation. */
static const uint32_t nibbles[16] = {
    0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
    0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

uint32_t crc32c_portable(uint32_t crc, const void *data, size_t size)
{
    const uint8_t *at = data;
    crc = ~crc;
    while (size--) {
        crc ^= *at++;
        crc = crc >> 4 ^ nibbles[crc & 15];
        crc = crc >> 4 ^ nibbles[crc & 15];
    }
    return ~crc;
}

#if defined(__x86_64__)
#include <nmmintrin.h>
#include <wmmintrin.h>

/* The instruction waits three cycles for the one before: so three strips go through it together, and are put together by
 * what a strip, or two, of zeros behind a checksum makes of it. That is a product modulo the polynomial: by x to the
 * power of 8 * STRIP and of 16 * STRIP, less the 33 that the two instructions below add. */
enum { STRIP = 1024 };
static const uint32_t behind_one = 0x170076fa, behind_two = 0xa51b6135;

__attribute__((target("sse4.2"))) static uint32_t crc32c_one_strip(uint64_t wide, const uint8_t *at, size_t size)
{
    for (; size >= 8; size -= 8, at += 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        wide = _mm_crc32_u64(wide, word);
    }
    uint32_t crc = (uint32_t)wide;
    while (size--)
        crc = _mm_crc32_u8(crc, *at++);
    return crc;
}

__attribute__((target("sse4.2,pclmul"))) static uint64_t moved(uint64_t crc, uint32_t by)
{
    __m128i a = _mm_cvtsi64_si128((long long)crc), b = _mm_cvtsi64_si128((long long)by);
    return (uint64_t)_mm_cvtsi128_si64(_mm_clmulepi64_si128(a, b, 0));
}

__attribute__((target("sse4.2,pclmul"))) static uint64_t crc32c_three_strips(uint64_t first, const uint8_t *at)
{
    uint64_t second = 0, third = 0;
    for (size_t i = 0; i < STRIP; i += 8) {
        uint64_t words[3];
        memcpy(&words[0], at + i, 8);
        memcpy(&words[1], at + i + STRIP, 8);
        memcpy(&words[2], at + i + 2 * STRIP, 8);
        first = _mm_crc32_u64(first, words[0]);
        second = _mm_crc32_u64(second, words[1]);
        third = _mm_crc32_u64(third, words[2]);
    }
    return _mm_crc32_u64(0, moved(first, behind_two) ^ moved(second, behind_one)) ^ third;
}

__attribute__((target("sse4.2,pclmul"))) static uint32_t crc32c_strips(uint32_t crc, const void *data, size_t size)
{
    const uint8_t *at = data;
    uint64_t wide = ~crc;
    for (; size >= (size_t)3 * STRIP; size -= (size_t)3 * STRIP, at += (size_t)3 * STRIP)
        wide = crc32c_three_strips(wide, at);
    return ~crc32c_one_strip(wide, at, size);
}

uint32_t crc32c(uint32_t crc, const void *data, size_t size)
{
    bool has_both = __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul");
    return has_both ? crc32c_strips(crc, data, size) : crc32c_portable(crc, data, size);
}
#elif defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>

uint32_t crc32c(uint32_t crc, const void *data, size_t size)
{
    const uint8_t *at = data;
    crc = ~crc;
    for (; size >= 8; size -= 8, at += 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        crc = __crc32cd(crc, word);
    }
    while (size--)
        crc = __crc32cb(crc, *at++);
    return ~crc;
}
#else
uint32_t crc32c(uint32_t crc, const void *data, size_t size)
{
    return crc32c_portable(crc, data, size);
}
#endif
