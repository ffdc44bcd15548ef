/* image.h - a small segment as one run of bytes: a value in core.mdb, in place of a file.  Runs in: worker, shard.
 *
 * It has the extents that a file would have (format.h), one behind the other, and a table of them at the end:
 *
 *   0            4             8          12             16
 *   | magic u32  | version u32 | size u32 | extents u32  | extents ... | table | crc u32 |
 *   | "MFIM"     | of format.h | of all   | how many     |             |       |         |
 *
 * The first extent begins at 16, each further one at the next 16 + a multiple of 32 behind the one before, with zero
 * bytes between: so a payload is aligned to 32 where the image is. An entry of the table, in the order of the extents:
 *
 *   | section u8 | 3 zero bytes | part u32 | bytes of the extent, header and checksums with it, u32 |          12 bytes
 *
 * crc = CRC-32C of the header and the table. All integers are little-endian. */
#ifndef INDEX_IMAGE_H
#define INDEX_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/str.h"
#include "index/format.h"

enum { IMAGE_MOST = 64 << 10 /* bytes */ };

/* Bytes in memory of malloc, aligned to 32, with KERNEL_OVERREAD zero bytes behind; reference-counted, never changed
 * once made. */
struct image {
    uint32_t references;
    uint32_t size;
    uint8_t *bytes;
};

/* Of bytes from outside, which are not looked at, but for their number. */
int image_copy(struct str bytes, struct image **out);
struct image *image_hold(struct image *i);
void image_release(struct image *i); /* accepts NULL */
size_t image_heap(const struct image *i);

/* Header and table are sound, and every extent lies inside; what is in them is not looked at. ERR_CORRUPT,
 * ERR_VERSION. */
int image_check(const struct image *i);

/* Of an image that was checked, or written here. */
uint32_t image_extents(const struct image *i);
struct image_extent {
    enum section section;
    uint32_t part;
    struct str value;
};
void image_extent(const struct image *i, uint32_t number, struct image_extent *out);
int image_find(const struct image *i, enum section section, uint32_t part, struct str *out); /* -ENOENT */

/* ------------------------------------------------------------------------------------------------------------- writing
 */

struct image_writer;

/* For at most `most` bytes, which is at most IMAGE_MOST. */
int image_writer_open(size_t most, struct image_writer **out);
void image_writer_close(struct image_writer *w); /* accepts NULL */

/* Room for an extent of so many bytes, to be filled; NULL if the image would be too large. */
uint8_t *image_writer_add(struct image_writer *w, enum section section, uint32_t part, size_t size);
bool image_writer_has(const struct image_writer *w, enum section section, uint32_t part);

/* What was added so far: image_extent in the order of adding. */
uint32_t image_writer_extents(const struct image_writer *w);
void image_writer_extent(const struct image_writer *w, uint32_t number, struct image_extent *out);

/* The image, whose reference the caller has; the writer is empty then. */
struct image *image_writer_finish(struct image_writer *w);

#endif
