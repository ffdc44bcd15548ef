/* json_read.h - reads what is JSON, sixteen bytes at once where it can; of what is not, json_why.h says why. Used by: json.c. */
#ifndef COMMON_JSON_READ_H
#define COMMON_JSON_READ_H

#include "common/json.h"

/* As json_parse. *out_at: where it came to. */
int json_read(struct arena *arena, struct str text, const struct json_events *events, void *context, size_t *out_at);

#endif
