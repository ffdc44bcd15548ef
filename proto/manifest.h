/* manifest.h - MANIFEST, the list of a backup's files: what makes a directory a backup. Written last, by a worker; read by
 * `mayfly restore` and `mayfly check`.
 *
 * Text, so that a person can read it when nothing else can:
 *
 *   mayfly-backup 1                     the format's version
 *   1a2b3c4d 8192 catalog.mdb           CRC-32C (8 hexadecimal digits), bytes, path
 *   ...
 *   end 5e6f7a8b                        CRC-32C of all that stands before this line
 *
 * A path is relative, of letters, digits, dots, dashes and slashes, and has no part that begins with a dot. */
#ifndef PROTO_MANIFEST_H
#define PROTO_MANIFEST_H

#include <stdint.h>

#include "common/buf.h"

#define MANIFEST_NAME "MANIFEST"
#define RESTORING_NAME "RESTORING" /* stands in a data directory as long as `mayfly restore` fills it */
enum { MANIFEST_VERSION = 1, MANIFEST_PATH = 256 };

struct manifest_file {
    uint64_t bytes;
    uint32_t crc;
    char path[MANIFEST_PATH];
};

void manifest_begin(struct buf *b);
void manifest_add(struct buf *b, const struct manifest_file *f);
void manifest_end(struct buf *b);

/* Looks at the whole; *lines is then what manifest_next goes through. ERR_VERSION for another version, whose number is in
 * *out_version; ERR_CORRUPT. */
int manifest_open(struct str text, struct str *out_lines, uint32_t *out_version);
int manifest_next(struct str *lines, struct manifest_file *out); /* 1; 0 at the end; ERR_CORRUPT */

/* The whole text of a directory's manifest; -ENOENT where it has none. */
int manifest_read(const char *directory, struct buf *out);

#endif
