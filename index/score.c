#include "index/score.h"

/* The code of a length above 40, whose highest bit is the e-th:  8 (e - 5) + the 3 bits behind it + 38. */
enum { EXACT = 40, MANTISSA_BITS = 3, LARGEST = 255 };

uint8_t length_encode(uint64_t length)
{
    if (length <= EXACT)
        return (uint8_t)length;
    if (length >= UINT32_MAX)
        return LARGEST; /* 254 is not used: its value would need a 33rd bit */
    unsigned shift = 63U - (unsigned)__builtin_clzll(length) - MANTISSA_BITS;
    unsigned mantissa = (unsigned)(length >> shift) & 7U;
    return (uint8_t)(8U * (shift - 2U) + mantissa + EXACT - 2U);
}

// clang-format off
#define TEN(n) (n), (n) + 1, (n) + 2, (n) + 3, (n) + 4, (n) + 5, (n) + 6, (n) + 7, (n) + 8, (n) + 9
#define OCTAVE(s) 8U << (s), 9U << (s), 10U << (s), 11U << (s), 12U << (s), 13U << (s), 14U << (s), 15U << (s)

const uint32_t length_decoded[256] = {
    TEN(0), TEN(10), TEN(20), TEN(30), 40, 44, 48, 52, 56, 60,
    OCTAVE(3), OCTAVE(4), OCTAVE(5), OCTAVE(6), OCTAVE(7), OCTAVE(8), OCTAVE(9), OCTAVE(10), OCTAVE(11),
    OCTAVE(12), OCTAVE(13), OCTAVE(14), OCTAVE(15), OCTAVE(16), OCTAVE(17), OCTAVE(18), OCTAVE(19), OCTAVE(20),
    OCTAVE(21), OCTAVE(22), OCTAVE(23), OCTAVE(24), OCTAVE(25), OCTAVE(26), OCTAVE(27), OCTAVE(28),
    UINT32_MAX, UINT32_MAX,
};
// clang-format on
