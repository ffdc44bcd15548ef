/* kernels_tables.h - where packed values begin, for the vector kernels: by bits, of each of N values the four bytes that
 * hold it and how far it is shifted in them. Up to PACKED_IN_FOUR bits any value lies within four bytes. */
#ifndef INDEX_KERNELS_TABLES_H
#define INDEX_KERNELS_TABLES_H

#include <stdint.h>

enum { PACKED_IN_FOUR = 25 };

// clang-format off
#define BYTES(bit) (uint8_t)((bit) / 8), (uint8_t)((bit) / 8 + 1), (uint8_t)((bit) / 8 + 2), (uint8_t)((bit) / 8 + 3)
#define BYTES_OF_4(b, from) { BYTES(from), BYTES((from) + (b)), BYTES((from) + 2 * (b)), BYTES((from) + 3 * (b)) }
#define BYTES_OF_16(b) { \
    BYTES(0), BYTES(b), BYTES(2 * (b)), BYTES(3 * (b)), BYTES(4 * (b)), BYTES(5 * (b)), BYTES(6 * (b)), BYTES(7 * (b)), \
    BYTES(8 * (b)), BYTES(9 * (b)), BYTES(10 * (b)), BYTES(11 * (b)), BYTES(12 * (b)), BYTES(13 * (b)), \
    BYTES(14 * (b)), BYTES(15 * (b)) }
#define SHIFTS_OF_8(b) { 0, (b) % 8, 2 * (b) % 8, 3 * (b) % 8, 4 * (b) % 8, 5 * (b) % 8, 6 * (b) % 8, 7 * (b) % 8 }

/* For each width from 0 to PACKED_IN_FOUR. */
#define FOR_EACH_WIDTH(X) \
    X(0), X(1), X(2), X(3), X(4), X(5), X(6), X(7), X(8), X(9), X(10), X(11), X(12), X(13), X(14), X(15), X(16), X(17), \
    X(18), X(19), X(20), X(21), X(22), X(23), X(24), X(25)
// clang-format on

#endif
