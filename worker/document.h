/* document.h - one document's JSON to the texts that are to be indexed, and whether it is the document it says it is.
 */
#ifndef WORKER_DOCUMENT_H
#define WORKER_DOCUMENT_H

#include "common/arena.h"
#include "common/json.h"
#include "worker/fields.h"

/* A string value of a searchable field; `text` is in the body, or in the reader's `texts` where it had escapes. */
struct value {
    const char *text;
    uint32_t length;
    uint32_t field;
};

struct refused {
    const char *code; /* proto/message.h */
    char message[256];
};

struct document_reader {
    struct fields *fields;
    struct str primary_key;
    struct arena *texts;   /* rewound for each document */
    struct value *values;  /* of the document read last, in their order */
    size_t count, room;

    /* the document in hand */
    struct str id, body;
    struct refused *refused;
    unsigned depth;
    size_t bases[JSON_MAX_DEPTH + 2]; /* by depth: length of the path that its members stand below */
    size_t path_length;
    bool at_primary_key; /* the member whose value comes is the primary key */
    bool has_id;
    int64_t field; /* of the current path; -1: not looked up yet */
    char path[FIELD_PATH_MAX];
};

void document_reader_init(struct document_reader *r, struct fields *fields, struct str primary_key, struct arena *texts);

/* 0; ERR_INVALID if the document is refused, with the reason; ERR_FULL past an arena's cap. */
int document_read(struct document_reader *r, struct str id, struct str body, struct refused *out_refused);

#endif
