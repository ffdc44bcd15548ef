/* The end of a segment file, of any bytes: as they are, and with a footer that fits the file and a checksum of the runs
 * that is right. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/check.h"
#include "common/crc.h"
#include "common/fd.h"
#include "index/format.h"
#include "index/seal.h"
#include "tests/fuzz/fuzz.h"

enum { FOOTER = 32, PAGE = SEAL_PAGE_MIN, MOST = 6 * PAGE };

static int check(const uint8_t *bytes, size_t size)
{
    uint64_t found = 0;
    uint32_t pages = 0;
    scoped(fd) int fd = memfd_create("seal_fuzz", MFD_CLOEXEC);
    require(fd >= 0 && fd_pwrite_all(fd, bytes, size, 0) == 0);
    int err = seal_check(fd, &found, &pages);
    require(err || (found == size && pages <= size / SEAL_PAGE_MIN));
    return err;
}

/* | pages | one page: runs ... footer | */
static void mend(uint8_t *bytes, size_t size)
{
    uint8_t *footer = bytes + size - FOOTER, *seal = bytes + size - PAGE;
    uint32_t runs = load_u32(footer + 4) % ((PAGE - FOOTER) / 8 + 1), pages = (uint32_t)(size / PAGE - 1);
    store_u32(footer, pages);
    store_u32(footer + 4, runs < pages ? runs : pages);
    store_u32(footer + 8, PAGE);
    store_u32(footer + 16, crc32c(crc32c(0, seal, (size_t)load_u32(footer + 4) * 8), footer, 16));
    store_u32(footer + 20, FORMAT_VERSION);
    store_u32(footer + 24, ~(uint32_t)FORMAT_VERSION);
    store_u32(footer + 28, 0x4553464d);
}

static int seal_fuzz(const uint8_t *data, size_t size)
{
    uint8_t *copy = calloc(1, size + 1);
    require(copy);
    if (size)
        memcpy(copy, data, size);
    check(copy, size);
    size -= size % PAGE;
    if (size >= 2 * PAGE) {
        mend(copy, size);
        check(copy, size);
    }
    free(copy);
    return 0;
}

/* Two pages of LMDB's own, of which the second is a value, and the seal. */
static void seeds(fuzz_run *take)
{
    uint8_t bytes[MOST] = {0};
    const uint8_t values = 2;
    scoped(fd) int fd = memfd_create("seal_fuzz", MFD_CLOEXEC);
    const struct seal s = {.page = PAGE, .pages = 2, .values = &values};
    require(fd >= 0 && fd_pwrite_all(fd, bytes, 2 * PAGE, 0) == 0 && seal_write(fd, &s) == 0);
    require(fd_pread_all(fd, bytes, 3 * PAGE, 0) == 0 && check(bytes, 3 * PAGE) == 0);
    take(bytes, 3 * PAGE);
}

const struct fuzz_target fuzz_target = {
    .most = MOST, .rounds = 500, .mutations = 3000, .run = seal_fuzz, .seeds = seeds};
