/* fetch.h - stored documents: of hits (Fetch), by id (Lookup), and behind the hits of an Execute. */
#ifndef SHARD_FETCH_H
#define SHARD_FETCH_H

#include "index/snapshot.h"
#include "shard/request.h"
#include "shard/rules.h"

request_handler fetch_documents;
request_handler fetch_lookup;

/* The members of a document to return. */
struct wanted_fields {
    bool all;
    const struct str *names;
    size_t count;
};

/* What a request asks for, of what the settings let be shown; either may be everything, which an empty list means.
 * ERR_FULL past the arena's cap. */
int wanted_fields_of(struct arena *a, char *const *fields, size_t count, const struct rules *rules,
                     struct wanted_fields *out);

/* What the settings mean, by their number or text. If they are not found the answer says why; it is to be given before
 * anything is let go of that was held for the request, for it may come again. */
enum fetch_rules { FETCH_RULES_FOUND = 0, FETCH_RULES_WANTED, FETCH_RULES_BAD };
enum fetch_rules fetch_find_rules(struct shard *s, const Mayfly__Internal__Place *place, uint64_t id,
                                  struct str settings, struct reply *out, const struct rules **out_rules);

/* Keeps the newest generation of a place for the answer; false if it cannot be had, then the answer says why. */
bool fetch_newest(struct shard *s, const Mayfly__Internal__Place *place, struct reply *out);

/* Adds one document of a snapshot to the answer; *out_length is what it takes there. On failure the answer is the
 * failure and false is returned. */
bool fetch_into(struct shard *s, const struct snapshot *from, size_t segment, uint32_t document,
                const struct wanted_fields *wanted, struct reply *out, uint32_t *out_length);

/* The answer to a query that met a damaged file of that snapshot. */
void fetch_fail_damaged(struct reply *out, const struct snapshot *from, size_t segment, const char *part, int err);

#endif
