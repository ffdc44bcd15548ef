#include "common/hash.h"

#include <xxhash.h>

uint64_t hash64(struct str bytes)
{
    return XXH64(bytes.ptr, bytes.len, 0);
}
