/* rules.h - what an index's settings mean for its queries: the analyzer and the field weights; the last few are kept,
 * one for an index. */
#ifndef SHARD_RULES_H
#define SHARD_RULES_H

#include "common/arena.h"
#include "common/str.h"
#include "index/analyzer.h"
#include "index/query.h"
#include "proto/settings.h"

struct rules {
    struct analyzer *analyzer;
    struct query_field *fields; /* those with a weight of their own */
    size_t field_count;
    struct settings settings;
};

struct rules_cache;

/* Loads the analysis data, once in a process. */
int rules_cache_open(struct rules_cache **out);

/* Of the index's settings with that number; their text may be empty. Valid until the next call. RULES_WANTED: they are not
 * known (any more), and there is no text. ERR_INVALID for settings that nothing can be searched with. */
enum { RULES_WANTED = 1 };
int rules_find(struct rules_cache *c, uint32_t index, uint64_t id, struct str settings_json, const struct rules **out);

#endif
