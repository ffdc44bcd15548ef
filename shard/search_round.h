/* search_round.h - what the rounds of a search have in common: search_prepare.c (Prepare and Guess) and search_execute.c.
 *
 * Functions that give false have set the answer, which says why. */
#ifndef SHARD_SEARCH_ROUND_H
#define SHARD_SEARCH_ROUND_H

#include "index/query.h"
#include "shard/fetch.h"
#include "shard/request.h"
#include "shard/rules.h"

/* A query of any round. Its answer keeps the snapshot. */
struct search {
    struct shard *shard;
    struct reply *out;
    struct snapshot *snapshot;
    const struct rules *rules;
    struct query *query;
    uint64_t deadline_us; /* on clock_us; 0: none */
};

bool search_fail(struct search *s, int err);
bool search_fail_at(struct search *s, int err, const struct query_fault *fault);

bool search_check_text(struct search *s, const Mayfly__Internal__QueryText *text);
bool search_set_deadline(struct search *s, const struct request *r, uint64_t remaining_us);
enum fetch_rules search_find_rules(struct search *s, const Mayfly__Internal__QueryText *text);

/* The newest generation. */
bool search_find_newest(struct search *s, const Mayfly__Internal__Place *place);

/* The generation that round 1 named, this search's or one that the coordinator remembers: held, or still the newest. The
 * answer is Moved if this reader has it not. */
bool search_find_generation(struct search *s, const Mayfly__Internal__Place *place, uint64_t prepared_by,
                            uint64_t generation);

/* With the snapshot and the rules set: the query. */
bool search_parse(struct search *s, const Mayfly__Internal__QueryText *text);

/* The same of round 2, whose words may be given. */
bool search_take_words(struct search *s, const Mayfly__Internal__Execute *m);

/* For the rounds that follow. `holder`: the request they will name. */
bool search_keep(struct search *s, uint64_t holder);

#endif
