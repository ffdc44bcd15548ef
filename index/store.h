/* store.h - a segment file as LMDB keeps it: extents by section and part.  The only file of segments that knows LMDB.
 *
 * The writer commits in bounded transactions and does not sync before the end; nobody sees the file until core.mdb
 * names it. The reader holds one transaction for the life of the mapping and resolves every extent once, so that no
 * lookup is on a query's path. */
#ifndef INDEX_STORE_H
#define INDEX_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "common/str.h"
#include "index/format.h"

/* For main.c: err_str then knows LMDB's codes. */
void store_name_errors(void);

/* ------------------------------------------------------------------------------------------------------------- writing
 */

struct store_writer;

/* The file must not exist. `transaction` is bytes, in pages, between commits. */
int store_create(const char *path, size_t transaction, struct store_writer **out);

/* Room for an extent's payload, to be filled before store_end; NULL after a failure. Failures are sticky. */
void *store_begin(struct store_writer *w, enum section section, uint32_t part, size_t size);
void store_end(struct store_writer *w);

/* Both, and copies the payload. */
void store_put(struct store_writer *w, enum section section, uint32_t part, const void *payload, size_t size);

int store_error(const struct store_writer *w);

/* Syncs file and directory, closes, frees; the first failure of all, after which the file is gone. */
int store_finish(struct store_writer *w, uint64_t *out_bytes);
void store_abandon(struct store_writer *w);
size_t store_memory(const struct store_writer *w); /* what the open transaction may hold at most */

/* ------------------------------------------------------------------------------------------------------------- reading
 */

struct store;

struct extent {
    const uint8_t *payload;
    uint32_t size;
    uint32_t first_piece; /* number of its first piece in the map of checked ones */
};

int store_open(const char *path, struct store **out);
void store_close(struct store *s); /* accepts NULL */
uint64_t store_bytes(const struct store *s);

/* Header checked, payload not yet. -ENOENT if there is none. */
int store_extent(struct store *s, enum section section, uint32_t part, struct extent *out);

/* Checks the pieces of an extent that hold [offset, offset + size), those that were not checked before. */
int store_check(struct store *s, const struct extent *e, uint32_t offset, uint32_t size);

#endif
