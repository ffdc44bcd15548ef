/* csv.h - a table as RFC 4180 has it: records, and each as a JSON object named by the first one. */
#ifndef CLIENT_CLI_CSV_H
#define CLIENT_CLI_CSV_H

#include <stdbool.h>

#include "common/buf.h"

enum csv_type { CSV_STRING, CSV_NUMBER, CSV_BOOLEAN };

struct csv_column {
    struct str name;
    enum csv_type type;
};

struct csv {
    enum { CSV_FIELD_START, CSV_PLAIN, CSV_QUOTED, CSV_QUOTE_SEEN } state; /* while records are looked for */
    struct csv_column *columns;
    size_t count;
    struct buf header; /* names point into it */
    struct buf json;   /* of the last record */
    struct buf field;
};

/* Whether the record ends with this byte, a line feed outside of quotes. */
bool csv_ends_record(struct csv *t, char c);

/* Whether the input may end here: not within quotes. */
bool csv_is_whole(const struct csv *t);

/* Takes the names from the first record: NULL, or what is wrong with it. */
const char *csv_begin(struct csv *t, struct str record);

/* A record as a JSON object in t->json: NULL, or what is wrong with it. An empty number or boolean is left out. */
const char *csv_to_json(struct csv *t, struct str record);

void csv_finish(struct csv *t);

#endif
