#include "index/seal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/crc.h"
#include "common/err.h"
#include "common/fd.h"
#include "index/format.h"

enum { RUN = 8 };

static const uint32_t SEAL_MAGIC = 0x4553464d; /* "MFSE" */

struct footer {
    uint32_t pages, runs, page, crc_pages;
    uint32_t crc, version, not_version, magic;
};

static_assert(sizeof(struct footer) == 32, "the footer is as drawn");

static int crc_of_pages(int fd, uint32_t page, uint32_t first, uint32_t count, uint32_t *crc)
{
    uint8_t bytes[SEAL_PAGE_MAX];
    for (uint32_t i = 0; i < count; i++) {
        int err = fd_pread_all(fd, bytes, page, (off_t)(first + i) * page);
        if (err)
            return err == ERR_CLOSED ? ERR_CORRUPT : err;
        *crc = crc32c(*crc, bytes, page);
    }
    return 0;
}

static int crc_of_runs(int fd, uint32_t page, uint32_t pages, const uint8_t *runs, uint32_t count, uint32_t *out_crc)
{
    uint32_t crc = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t first = load_u32(runs + (size_t)i * RUN), length = load_u32(runs + (size_t)i * RUN + 4);
        if (first > pages || length > pages - first)
            return ERR_CORRUPT;
        int err = crc_of_pages(fd, page, first, length, &crc);
        if (err)
            return err;
    }
    *out_crc = crc;
    return 0;
}

/* ------------------------------------------------------------------------------------------------------------- writing
 */

static int is_value(const struct seal *s, uint32_t page)
{
    return s->values[page / 8] >> page % 8 & 1;
}

/* Runs of pages without a value; only counted if `out` is NULL. */
static uint32_t list_runs(const struct seal *s, uint8_t *out)
{
    uint32_t runs = 0, first;
    for (uint32_t page = 0; page < s->pages; page++) {
        if (is_value(s, page))
            continue;
        for (first = page; page < s->pages && !is_value(s, page); page++)
            ;
        if (out) {
            store_u32(out + (size_t)runs * RUN, first);
            store_u32(out + (size_t)runs * RUN + 4, page - first);
        }
        runs++;
    }
    return runs;
}

static int write_footer(int fd, const struct seal *s, uint8_t *bytes, size_t size, uint32_t runs)
{
    struct footer f = {
        .pages = s->pages,
        .runs = runs,
        .page = s->page,
        .version = FORMAT_VERSION,
        .not_version = ~(uint32_t)FORMAT_VERSION,
        .magic = SEAL_MAGIC,
    };
    int err = crc_of_runs(fd, s->page, s->pages, bytes, runs, &f.crc_pages);
    if (err)
        return err;
    f.crc = crc32c(crc32c(0, bytes, (size_t)runs * RUN), &f, 16);
    memcpy(bytes + size - sizeof f, &f, sizeof f);
    return fd_pwrite_all(fd, bytes, size, (off_t)s->pages * s->page);
}

int seal_write(int fd, const struct seal *s)
{
    /* LMDB leaves out what it never wrote at the end. */
    if (s->page > SEAL_PAGE_MAX || ftruncate(fd, (off_t)s->pages * s->page) < 0)
        return s->page > SEAL_PAGE_MAX ? ERR_TOO_LARGE : -errno;
    uint32_t runs = list_runs(s, NULL);
    size_t used = (size_t)runs * RUN + sizeof(struct footer), size = (used + s->page - 1) / s->page * s->page;
    uint8_t *bytes = calloc(1, size);
    if (!bytes)
        return -ENOMEM;
    list_runs(s, bytes);
    int err = write_footer(fd, s, bytes, size, runs);
    free(bytes);
    return err;
}

/* ------------------------------------------------------------------------------------------------------------ checking
 */

static int read_footer(int fd, uint64_t bytes, struct footer *out)
{
    struct footer f;
    if (bytes < sizeof f)
        return ERR_CORRUPT;
    int err = fd_pread_all(fd, &f, sizeof f, (off_t)(bytes - sizeof f));
    if (err)
        return err == ERR_CLOSED ? ERR_CORRUPT : err;
    if (f.magic != SEAL_MAGIC || f.version != ~f.not_version)
        return ERR_CORRUPT;
    if (f.version != FORMAT_VERSION)
        return ERR_VERSION;
    if (f.page < SEAL_PAGE_MIN || f.page > SEAL_PAGE_MAX || f.page % 512 || f.runs > f.pages)
        return ERR_CORRUPT;
    uint64_t seal = ((uint64_t)f.runs * RUN + sizeof f + f.page - 1) / f.page * f.page;
    if ((uint64_t)f.pages * f.page + seal != bytes)
        return ERR_CORRUPT;
    *out = f;
    return 0;
}

static int check_runs(int fd, const struct footer *f, uint8_t *runs)
{
    uint32_t crc = 0;
    int err = fd_pread_all(fd, runs, (size_t)f->runs * RUN, (off_t)f->pages * f->page);
    if (err)
        return err == ERR_CLOSED ? ERR_CORRUPT : err;
    if (crc32c(crc32c(0, runs, (size_t)f->runs * RUN), f, 16) != f->crc)
        return ERR_CORRUPT;
    err = crc_of_runs(fd, f->page, f->pages, runs, f->runs, &crc);
    return err ? err : crc == f->crc_pages ? 0 : ERR_CORRUPT;
}

int seal_check(int fd, uint64_t *out_bytes, uint32_t *out_pages)
{
    struct stat status;
    struct footer f;
    if (fstat(fd, &status) < 0)
        return -errno;
    int err = read_footer(fd, (uint64_t)status.st_size, &f);
    if (err)
        return err;
    uint8_t *runs = malloc((size_t)f.runs * RUN + 1);
    if (!runs)
        return -ENOMEM;
    err = check_runs(fd, &f, runs);
    free(runs);
    if (err)
        return err;
    *out_bytes = (uint64_t)status.st_size;
    *out_pages = f.pages;
    return 0;
}
