#include "coordinator/stored_shards.h"

#include <limits.h>
#include <stdio.h>

#include "common/logger.h"
#include "coordinator/catalog.h"

enum { TEXT = 200 };

/* A number that nobody has written down is nobody's wish. */
static bool differs(const struct config *c, uint32_t stored, char text[TEXT])
{
    unsigned long long wanted = c->shards;
    snprintf(text, TEXT,
             "shards = %llu is not what the data has: that is %u and counts; write shards = %u, or give the data %llu by "
             "`mayfly reshard %llu`",
             wanted, stored, stored, wanted, wanted);
    return c->has_shards && wanted != stored;
}

static bool peek(const char *data, bool beside, uint32_t *out_shards, uint32_t *out_most)
{
    char path[PATH_MAX];
    return snprintf(path, sizeof path, "%s/catalog.mdb", data) < (int)sizeof path &&
           catalog_peek(path, beside, out_shards, out_most);
}

void stored_shards_take(struct config *config, const char *data)
{
    uint32_t shards, most;
    if (!peek(data, false, &shards, &most))
        return;
    stored_shards_warn(config, shards);
    config->shards = most;
}

void stored_shards_warn(const struct config *config, uint32_t stored)
{
    char text[TEXT];
    if (differs(config, stored, text))
        log_warn("%s", text);
}

void stored_shards_check(const struct config *config)
{
    char text[TEXT];
    uint32_t shards, most;
    if (peek(config->data, true, &shards, &most) && differs(config, shards, text))
        puts(text);
}
