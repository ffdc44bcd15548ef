/* store_writer.h - a new segment file, extent by extent.  Runs in: worker.
 *
 * It commits in bounded transactions and does not sync before the end; nobody sees the file until core.mdb names it. */
#ifndef INDEX_STORE_WRITER_H
#define INDEX_STORE_WRITER_H

#include <stddef.h>
#include <stdint.h>

#include "index/format.h"

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

#endif
