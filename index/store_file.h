/* store_file.h - a segment file as LMDB keeps it, mapped.  Used by store.c only.
 *
 * One transaction is held for the life of the mapping. */
#ifndef INDEX_STORE_FILE_H
#define INDEX_STORE_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "common/str.h"
#include "index/format.h"

struct store_file;

int store_file_open(const char *path, struct store_file **out);
void store_file_close(struct store_file *f); /* accepts NULL */
uint64_t store_file_bytes(const struct store_file *f);
size_t store_file_heap(const struct store_file *f); /* LMDB's own are reckoned */

/* The value of a section's part: in the mapping, header and all. -ENOENT */
int store_file_find(const struct store_file *f, enum section section, uint32_t part, struct str *out);

/* Every value that there is; and what LMDB's pages say in front of it, which nobody reads, is looked at. A visitor's value
 * other than 0 ends it and is returned. */
typedef int store_file_visitor(void *context, enum section section, uint32_t part, struct str value);
int store_file_visit(const struct store_file *f, store_file_visitor *visit, void *context);

#endif
