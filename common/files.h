/* files.h - whole files and directories: copies, checksums, walks. Everything here blocks. */
#ifndef COMMON_FILES_H
#define COMMON_FILES_H

#include <stdbool.h>
#include <stdint.h>

/* CRC-32C and length of what is in it. */
int file_checksum(const char *path, uint64_t *out_bytes, uint32_t *out_crc);

/* To a new file, synced; its name is not yet. */
int file_copy(const char *from, const char *to, uint64_t *out_bytes, uint32_t *out_crc);

/* A second name of the same file where there can be one (the same file system, and it has them), else a copy. */
int file_link(const char *from, const char *to);

/* Makes the directory, not its parent, or finds it there with nothing in it. -ENOTEMPTY, -ENOTDIR */
int directory_make_empty(const char *path, unsigned mode);

/* Makes what is missing of `path` below `root`, which is there; -ENAMETOOLONG. */
int directory_make_below(const char *root, const char *path, unsigned mode);

/* Everything below a directory by rising name, directories after what is in them, with its path relative to `root`. What
 * is neither file nor directory is -EINVAL. A visitor's value other than 0 ends the walk and is returned. */
typedef int directory_visitor(void *context, const char *path, bool is_directory);
int directory_walk(const char *root, directory_visitor *visit, void *context);

#endif
