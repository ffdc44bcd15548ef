/* table.h - columns on standard output, as wide as what is in them. */
#ifndef CLIENT_CLI_TABLE_H
#define CLIENT_CLI_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"

enum { TABLE_COLUMNS = 12 };

struct table {
    size_t columns;
    size_t widths[TABLE_COLUMNS];
    unsigned right;   /* bit per column that stands to the right: numbers */
    size_t cell;      /* where the next one goes */
    struct buf cells; /* zero-terminated, row by row */
};

/* The first row; `columns` ends with NULL, a name that begins with '>' is a column of numbers. */
void table_init(struct table *t, const char *const *columns);

/* One cell after the other, rows fill up by themselves. */
void table_text(struct table *t, const char *text);
void table_number(struct table *t, uint64_t value);
void table_bytes(struct table *t, uint64_t bytes); /* 12.3M */
void table_date(struct table *t, uint64_t wall_us);

void table_print(struct table *t);
void table_finish(struct table *t);

enum { BYTES_TEXT_SIZE = 16 };
const char *bytes_text(char to[BYTES_TEXT_SIZE], uint64_t bytes);

#endif
