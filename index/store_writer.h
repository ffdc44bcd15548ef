/* store_writer.h - a new segment, extent by extent: an image as long as it is small enough, else a file.  Runs in:
 * worker.
 *
 * A file is committed in bounded transactions and not synced before the end; nobody sees it until core.mdb names it. */
#ifndef INDEX_STORE_WRITER_H
#define INDEX_STORE_WRITER_H

#include <stddef.h>
#include <stdint.h>

#include "common/str.h"
#include "index/format.h"

struct image;
struct store_writer;

struct store_options {
    const char *path;   /* of the file, which must not exist */
    size_t transaction; /* bytes, in pages, between commits */
    size_t image;       /* extents are gathered in an image of at most so many bytes; 0: there is a file at once */
};

int store_create(const struct store_options *options, struct store_writer **out);

/* Room for an extent's payload, to be filled before store_end; NULL after a failure. Failures are sticky. */
void *store_begin(struct store_writer *w, enum section section, uint32_t part, size_t size);
void store_end(struct store_writer *w);

/* Both, and copies the payload. */
void store_put(struct store_writer *w, enum section section, uint32_t part, const void *payload, size_t size);

int store_error(const struct store_writer *w);

/* Closes, frees. Either there is an image, whose reference the caller has, or *out_image is NULL and there is a file, which
 * is synced, and its directory. The first failure of all, after which there is none. */
int store_finish(struct store_writer *w, uint64_t *out_bytes, struct image **out_image);
void store_abandon(struct store_writer *w);

/* What was put into a file so far is written, and can be found: in the mapping, header and all, as long as the writer is
 * there. -ENOENT also of an image. */
int store_write_out(struct store_writer *w);
int store_find_written(const struct store_writer *w, enum section section, uint32_t part, struct str *out);

/* The file that would have been written in place of an image. */
int store_write_file(const struct store_options *options, const struct image *image, uint64_t *out_bytes);

#endif
