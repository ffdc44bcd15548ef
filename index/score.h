/* score.h - what one posting adds to a score, to the last bit, and the one-byte code of a document's length.
 *
 *   contribution(W, T, L) = to_nearest_even( (float)W * ( (float)T / ( (float)T + K(L) ) ) )
 *
 * in IEEE single precision, each operation rounded once and none fused, as an int32; scores are sums of contributions
 * in 64 bits, so that any order of adding gives the same. W and K come from proto/weight.h. */
#ifndef INDEX_SCORE_H
#define INDEX_SCORE_H

#include <math.h>
#include <stdint.h>

/* Here because it is the innermost of every scoring loop. */
static inline int32_t score_contribution(uint32_t weight, uint32_t t, float norm)
{
    float frequency = (float)t;
    float saturation = frequency / (frequency + norm);
    float contribution = (float)weight * saturation;
    if (contribution >= 2147483648.0F)
        return INT32_MAX;
    return (int32_t)lrintf(contribution); /* the rounding mode is never changed: to nearest, ties to even */
}

/* Lengths up to 40 are exact, above that 3 bits of mantissa behind the leading one (a value's code decodes to at most
 * the value, by less than 1/8); monotone; what is above the largest takes code 255. */
uint8_t length_encode(uint64_t length);
extern const uint32_t length_decoded[256];

#endif
