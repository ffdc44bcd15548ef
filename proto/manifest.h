/* manifest.h - MANIFEST, the list of a backup's files: what makes a directory a backup. Written last, by a worker; read by
 * `mayfly restore` and `mayfly check`.
 *
 * Text, so that a person can read it when nothing else can:
 *
 *   mayfly-backup 2                     the format's version; 1 had no `damaged`
 *   1a2b3c4d 8192 catalog.mdb           CRC-32C (8 hexadecimal digits), bytes, path
 *   ...
 *   damaged indexes/1/1/0 films: ...    a shard that was damaged before: its files are copied as they are. Index, file, reason
 *   end 5e6f7a8b                        CRC-32C of all that stands before this line
 *
 * A path is relative, of letters, digits, dots, dashes and slashes, and has no part that begins with a dot. */
#ifndef PROTO_MANIFEST_H
#define PROTO_MANIFEST_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"

#define MANIFEST_NAME "MANIFEST"
#define RESTORING_NAME "RESTORING" /* stands in a data directory as long as `mayfly restore` fills it */
enum { MANIFEST_VERSION = 2, MANIFEST_PATH = 256, MANIFEST_WHAT = 512 };

struct manifest_file { /* or what was damaged before: then `what` says how, and it has a path alone */
    uint64_t bytes;
    uint32_t crc;
    char path[MANIFEST_PATH];
    char what[MANIFEST_WHAT];
};

void manifest_begin(struct buf *b);
void manifest_add(struct buf *b, const struct manifest_file *f);
void manifest_end(struct buf *b);

/* Looks at the whole; *lines is then what manifest_next goes through. ERR_VERSION for another version, whose number is in
 * *out_version; ERR_CORRUPT. */
int manifest_open(struct str text, struct str *out_lines, uint32_t *out_version);
int manifest_next(struct str *lines, struct manifest_file *out); /* 1; 0 at the end; ERR_CORRUPT */

/* The file is as it was, damaged or not. */
static inline bool manifest_is_damage(const struct manifest_file *f)
{
    return f->what[0] != '\0';
}

/* The whole text of a directory's manifest; -ENOENT where it has none. */
int manifest_read(const char *directory, struct buf *out);

#endif
