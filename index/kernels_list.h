/* kernels_list.h - the kernels that there are.  Used by kernels.c and by what falls back to the portable ones. */
#ifndef INDEX_KERNELS_LIST_H
#define INDEX_KERNELS_LIST_H

#include "index/kernels.h"

extern const struct kernels kernels_portable;
#if defined(__x86_64__)
extern const struct kernels kernels_avx2, kernels_avx512;

/* Eight pairs are one vector of the smaller kind: both have it. */
int32_t kernels_bound_avx2(uint32_t weight, const float norms[256], const uint8_t pairs[2 * KERNEL_PAIRS]);
#endif

#endif
