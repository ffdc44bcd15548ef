/* settings_rules.h - each member of the settings object: its default, what it accepts, and whether documents must be
 * analyzed again when it changes.  Runs in: coordinator. */
#ifndef PROTO_SETTINGS_RULES_H
#define PROTO_SETTINGS_RULES_H

#include "common/json.h"
#include "proto/settings.h"

struct settings_rule {
    const char *name;
    const char *fallback; /* JSON */
    int (*check)(const struct json *value, struct settings_error *error);
    bool (*same)(const struct settings *a, const struct settings *b); /* for the analysis; NULL: it acts at once */
};

extern const struct settings_rule settings_rules[]; /* in the order of the complete object; ends with a NULL name */

/* Fills `error` and returns ERR_INVALID. */
int settings_refuse(struct settings_error *error, const char *field, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
