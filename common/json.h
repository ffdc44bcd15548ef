/* json.h - reading JSON. RFC 8259; UTF-8 is validated; \u0000 is allowed.
 *
 * Two ways: events for documents (nothing is kept), and a small tree in an arena for settings and configuration. */
#ifndef COMMON_JSON_H
#define COMMON_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/str.h"

enum json_type { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

/* Strings and keys stand in the text or, where they had escapes, in the arena. Each returns false to stop the parse
 * (json_parse then gives ERR_INVALID). A number is its text. NULL entries are skipped. */
struct json_events {
    bool (*scalar)(void *context, enum json_type type, struct str text);
    bool (*key)(void *context, struct str key);
    bool (*begin)(void *context, enum json_type type);
    bool (*end)(void *context, enum json_type type);
};

enum { JSON_MAX_DEPTH = 128 };

struct json_error {
    size_t offset;     /* byte at which it was found */
    char message[160]; /* one line, without the offset */
};

/* One JSON value and white space. 0, ERR_CORRUPT (not JSON; `error` says why), ERR_TOO_LARGE (deeper than
 * JSON_MAX_DEPTH), ERR_INVALID (an event said stop), ERR_FULL (the arena). What had escapes stays in `arena`, which the
 * caller rewinds: never more than the text has, and 16 bytes for each. `error` may be NULL. */
int json_parse(struct arena *arena, struct str text, const struct json_events *events, void *context,
               struct json_error *error);

struct json {
    enum json_type type;
    struct str text;           /* of a number or string */
    struct json *first, *next; /* children of an array or object, in order */
    struct str key;            /* in an object */
};

/* The tree in `arena`; the same codes. Of repeated keys the last one is kept. */
int json_tree(struct arena *arena, struct str text, struct json **out, struct json_error *error);

const struct json *json_member(const struct json *object, const char *key); /* NULL if there is none */
bool json_int(const struct json *number, int64_t *out); /* false if it is not a whole number in range */

/* The text of the value of the top-level member `key`, found without validating the rest: what a client needs to name a
 * document. `quoted` tells a string (still escaped) from a number. False if there is none or it is neither, or if the
 * object's end is not the text's. The second takes an object that was cut off. */
bool json_scan_member(struct str object, struct str key, struct str *out_raw, bool *out_quoted);
bool json_scan_beginning(struct str object, struct str key, struct str *out_raw, bool *out_quoted);

/* The top-level members of an object as they are written, one after the other: of text that a parse has accepted. */
struct json_written {
    struct str key; /* between its quotes, still escaped */
    struct str value;
};
struct json_members {
    const char *at, *end;
};
struct json_members json_members(struct str object);
bool json_members_next(struct json_members *m, struct json_written *out);

/* Undoes the escapes of a string's inside (as json_scan_member returns it). NULL ptr past the cap or if malformed. */
struct str json_unescape(struct arena *arena, struct str inside);

#endif
