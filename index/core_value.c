#include "index/core_value.h"

#include "common/bytes.h"
#include "common/crc.h"
#include "common/err.h"

enum { MAGIC = 'M' | 'F' << 8 | 'C' << 16 | 'V' << 24 };

void core_value_head(char *to, struct str key, uint16_t version, size_t payload, size_t checked)
{
    store_u32(to, (uint32_t)MAGIC);
    store_u16(to + 4, version);
    store_u16(to + 6, (uint16_t)(unsigned char)key.ptr[0]);
    store_u32(to + 8, (uint32_t)payload);
    store_u32(to + 12, crc32c(crc32c(0, key.ptr, key.len), to + CORE_HEADER, checked));
}

int core_value_check_version(struct str value, uint16_t version)
{
    if (value.len < CORE_HEADER || load_u32(value.ptr) != (uint32_t)MAGIC)
        return ERR_CORRUPT;
    if (load_u16(value.ptr + 4) != version)
        return ERR_VERSION;
    return load_u32(value.ptr + 8) == value.len - CORE_HEADER ? 0 : ERR_CORRUPT;
}

int core_value_check(struct str key, struct str value, size_t at_least, size_t checked)
{
    struct str payload = {.ptr = value.ptr + CORE_HEADER, .len = value.len - CORE_HEADER};
    if (key.len == 0 || load_u16(value.ptr + 6) != (unsigned char)key.ptr[0] || payload.len < at_least)
        return ERR_CORRUPT;
    uint32_t crc = crc32c(crc32c(0, key.ptr, key.len), payload.ptr, checked);
    return load_u32(value.ptr + 12) == crc ? 0 : ERR_CORRUPT;
}
