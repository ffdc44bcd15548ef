/* buf.h - a growing byte buffer on malloc, for long-lived processes and the client. Not for worker/ (but a backup's
 * manifest) or queries. */
#ifndef COMMON_BUF_H
#define COMMON_BUF_H

#include <stddef.h>
#include <stdint.h>

#include "common/str.h"

struct buf {
    char *data;
    size_t len;
    size_t room;
    int err; /* sticky: -ENOMEM once an append failed; later appends do nothing */
};

void buf_append(struct buf *b, const void *data, size_t size);
void buf_append_str(struct buf *b, struct str s);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void *buf_extend(struct buf *b, size_t size); /* uninitialised bytes at the end, or NULL */
void buf_consume(struct buf *b, size_t size);  /* drops them from the front */
void buf_shrink(struct buf *b, size_t keep);   /* frees what was allocated beyond `keep`, if it is empty */
void buf_finish(struct buf *b);                /* accepts a zeroed one */

/* s as a JSON string with its quotes; invalid UTF-8 becomes U+FFFD. */
void buf_append_json(struct buf *b, struct str s);

#endif
