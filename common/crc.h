/* crc.h - CRC-32C (Castagnoli, reflected 0x82F63B78, as iSCSI RFC 3720), by SSE 4.2 where the machine has it. */
#ifndef COMMON_CRC_H
#define COMMON_CRC_H

#include <stddef.h>
#include <stdint.h>

/* `crc` is 0 to begin with, or what came before. crc32c(0, "123456789", 9) == 0xE3069283. */
uint32_t crc32c(uint32_t crc, const void *data, size_t size);

/* The table-driven one, for machines without the instruction and for tests that compare. */
uint32_t crc32c_portable(uint32_t crc, const void *data, size_t size);

#endif
