/* core_file.h - core.mdb as an LMDB environment that several processes share.  Used by core*.c only.
 *
 * One process opens a file once. A reader's transaction is begun, looked at for microseconds, and ended: a long one
 * pins pages and the file grows for ever. Views are valid until the transaction ends, or the next write in it. */
#ifndef INDEX_CORE_FILE_H
#define INDEX_CORE_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/str.h"

struct core_file;

/* Alone: no process writes it, and none begins to; it is read without a lock file. */
enum core_access { CORE_READS, CORE_WRITES, CORE_ALONE };

/* -ENOENT for who reads where there is no file, or nothing in it yet. A writer makes the file, not its directory. */
int core_file_open(const char *path, enum core_access access, struct core_file **out);
void core_file_close(struct core_file *f); /* accepts NULL */

int core_file_sweep(struct core_file *f); /* clears the reader slots of dead processes */

int core_file_copy(struct core_file *f, int fd); /* one generation; writers wait for a moment only */

/* Within a look: every key and value that there is, and as many as LMDB says. ERR_CORRUPT, ERR_VERSION */
int core_file_verify(struct core_file *f);

/* Reading: one slot of the reader table for as long as the file is open. */
int core_file_look(struct core_file *f);
void core_file_done(struct core_file *f);

/* Writing: lock, transaction; a writer that was killed in the middle leaves no trace. ERR_BUSY: the lock table speaks of a
 * transaction that is not the file's newest. */
int core_file_begin(struct core_file *f);
int core_file_commit(struct core_file *f); /* durable when it returns 0; the first failure of the whole transaction */
void core_file_abort(struct core_file *f); /* accepts one that is not begun */
bool core_file_is_writing(const struct core_file *f);

/* In the transaction that is open: the writing one if there is one. */
int core_file_get(struct core_file *f, struct str key, struct str *out); /* -ENOENT */

/* Failures are sticky until commit. Deleting what is not there is one (ERR_CORRUPT). */
void core_file_put(struct core_file *f, struct str key, struct str value);
/* A value of `size` bytes: the parts one behind the other, then zero bytes. They may be views into the one before. */
void core_file_put_parts(struct core_file *f, struct str key, struct str head, struct str rest, size_t size);
void core_file_delete(struct core_file *f, struct str key);

/* Keys in order. */
struct core_cursor {
    void *cursor;
};
int core_cursor_open(struct core_file *f, struct core_cursor *out);
void core_cursor_close(struct core_cursor *c); /* before the transaction ends; accepts a zeroed one */
int core_cursor_seek(struct core_cursor *c, struct str from, struct str *out_key, struct str *out_value); /* -ENOENT */
int core_cursor_next(struct core_cursor *c, struct str *out_key, struct str *out_value);                  /* -ENOENT */
int core_cursor_previous(struct core_cursor *c, struct str *out_key, struct str *out_value);
int core_cursor_last(struct core_cursor *c, struct str *out_key, struct str *out_value);

#endif
