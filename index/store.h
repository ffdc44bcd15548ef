/* store.h - the extents of a segment by section and part, from its file, mapped, or from its image in core.mdb.
 *
 * Every extent is resolved once, when the segment is opened, so that no lookup is on a query's path. */
#ifndef INDEX_STORE_H
#define INDEX_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "index/format.h"
#include "index/page_ranges.h"

/* For main.c: err_str then knows LMDB's codes. */
void store_name_errors(void);

/* A code of LMDB's that says that a file is not as it should be, whoever made it so. */
bool store_is_damage(int err);

struct image;
struct store;
struct store_writer;

/* Kernels may read KERNEL_OVERREAD bytes behind a payload: checksums and the rest of its page follow, or the next page,
 * and behind LMDB's last page there is the seal's, which is mapped with them. */
struct extent {
    const uint8_t *payload;
    uint32_t size;
    uint32_t first_piece; /* number of its first piece in the map of checked ones */
    enum section section;
};

int store_open(const char *path, struct store **out);
int store_open_image(struct image *image, struct store **out); /* takes a reference of its own */
int store_open_written(struct store_writer *w, struct store **out); /* what it has written so far; it must live longer */
void store_close(struct store *s); /* accepts NULL */
uint64_t store_bytes(const struct store *s);
struct image *store_image(const struct store *s); /* NULL: it is a file */

/* Bytes that it takes of malloc, without the image; LMDB's own are reckoned. */
size_t store_heap(const struct store *s);

/* This process has none of its pages any more; the kernel keeps them in its cache. */
void store_trim(const struct store *s);

/* The section in which one of the two below found damage last; 0: none did. */
enum section store_damaged(const struct store *s);

/* Header checked, payload not yet. -ENOENT if there is none. */
int store_extent(struct store *s, enum section section, uint32_t part, struct extent *out);

/* Checks the pieces of an extent that hold [offset, offset + size), those that were not checked before. */
int store_check(struct store *s, const struct extent *e, uint32_t offset, uint32_t size);

/* Every piece of every extent that there is; store_damaged() names the section of the first that is not whole. */
int store_verify(struct store *s);

/* Adds what will be read of a file when those bytes are: whole pieces where they were not checked yet. What lies outside
 * of the extent is left out. */
void store_need(const struct store *s, const struct extent *e, uint64_t offset, uint64_t size, struct page_ranges *out);

#endif
