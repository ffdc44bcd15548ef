/* json_why.h - why a text is not JSON, by yajl, the only place that knows it: it has the words and the place for each way to go
 * wrong, and looks at the text in its own way.  Used by: json.c, and by json_fuzz.c to hold the two against each other. */
#ifndef COMMON_JSON_WHY_H
#define COMMON_JSON_WHY_H

#include "common/json.h"

/* 0 if it is JSON; ERR_CORRUPT and why; ERR_FULL. Memory from `arena` is rewound; `error` may be NULL. */
int json_why(struct arena *arena, struct str text, struct json_error *error);

void json_error_say(struct json_error *error, size_t offset, const char *message);

#endif
