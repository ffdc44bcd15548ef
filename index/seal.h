/* seal.h - the end of a segment file: which of its pages are LMDB's own, and what they must be.  Used by store.c and
 * store_writer.c.
 *
 * Values carry checksums of their own, LMDB's tree does not, and LMDB believes what it reads. So the tree is checked
 * before LMDB sees the file: a file that was cut or damaged is refused, not walked.
 *
 *   | LMDB's pages, values among them ... | runs: first page u32, pages u32 ... | zero bytes | footer |
 *
 * The runs are the pages that hold no value: headers, branches, leaves, free ones. Runs, zero bytes and footer fill
 * whole pages. Footer, the last 32 bytes of the file:
 *
 *   | pages of LMDB u32 | runs u32 | page size u32 | crc of the pages in the runs u32 |
 *   | crc of the runs and of the 16 bytes before u32 | version u32 | ~version u32 | magic u32 "MFSE" | */
#ifndef INDEX_SEAL_H
#define INDEX_SEAL_H

#include <stddef.h>
#include <stdint.h>

enum { SEAL_PAGE_MIN = 512, SEAL_PAGE_MAX = 64 << 10 };

struct seal {
    uint32_t page; /* bytes */
    uint32_t pages;
    const uint8_t *values; /* one bit per page: it holds a value */
};

/* Appends it to the file, whose length is `pages` pages or less. */
int seal_write(int fd, const struct seal *s);

/* ERR_VERSION for a file of another version, ERR_CORRUPT, or an errno. */
int seal_check(int fd, uint64_t *out_bytes, uint32_t *out_pages);

#endif
