/* config_keys.h - the table of settings, and the text of one setting to its value and back. Used by config.c. */
#ifndef COORDINATOR_CONFIG_KEYS_H
#define COORDINATOR_CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "coordinator/config.h"

enum config_type { CONFIG_TEXT, CONFIG_NUMBER, CONFIG_SIZE, CONFIG_MODE, CONFIG_CHOICE };

struct config_key {
    const char *name;
    enum config_type type;
    size_t offset; /* of its member in struct config: a uint64_t, of a text a char * */
    const char *initial;
    uint64_t min, max; /* of a text: its least length */
    bool reloadable;
    const char *const *choices; /* their numbers are the values; ends with NULL */
    const char *doc;
};

enum { CONFIG_KEYS = 24, CONFIG_MAX_VALUE = 4096 };

extern const struct config_key config_keys[CONFIG_KEYS];

const struct config_key *config_find_key(const char *name, size_t length); /* NULL: no such key */
char **config_text(struct config *c, const struct config_key *k);
uint64_t *config_number(struct config *c, const struct config_key *k);
void config_set_text(char **to, const char *from);

/* Checks and sets. ERR_INVALID fills `why` (CONFIG_MAX_WHY). */
int config_set(struct config *c, const struct config_key *k, const char *value, char *why);

/* A number as the same kind of text that config_set reads. */
void config_format(const struct config_key *k, uint64_t v, char *to, size_t room);

#endif
