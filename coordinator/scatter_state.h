/* scatter_state.h - one search, over all shards of an index. Used by requests_search.c (its beginning), scatter.c (its
 * rounds), scatter_pack.c, scatter_send.c, scatter_take.c, scatter_weigh.c and scatter_words.c (what a round consists of), scatter_reply.c and
 * scatter_columns.c (its end). */
#ifndef COORDINATOR_SCATTER_STATE_H
#define COORDINATOR_SCATTER_STATE_H

#include "common/arena.h"
#include "coordinator/merge_hits.h"
#include "coordinator/server.h"
#include "coordinator/session.h"
#include "coordinator/weights_cache.h"
#include "coordinator/words_cache.h"
#include "coordinator/workspace.h"
#include "proto/message.h"

struct part { /* a shard's share of the search */
    struct search *search;
    uint32_t shard;
    struct shard_ticket prepared; /* round 1, as long as the shard holds a generation for it; request 0: not */
    struct shard_ticket ticket;   /* of what is in flight; request 0: nothing */
    uint32_t tries;               /* with another reader */
    struct shard_ticket wanting;  /* what a reader has answered by asking for the settings' text; request 0: nothing */
    bool failed;
    char code[40], message[200];                  /* why it failed */
    Mayfly__Internal__Prepared *statistics; /* NULL: none, or remembered */
    struct merged_hit *hits;
    size_t hit_count;
    uint64_t estimated;
    bool partial;
    struct str *documents; /* of the winners that it was asked for, in that order; in the arena or in `body` */
    size_t document_count;
    struct buf body;
};

enum search_round { ROUND_PREPARE, ROUND_GUESS, ROUND_EXECUTE, ROUND_FETCH };

struct search {
    struct pending pending;
    struct server *server;
    struct index *index; /* held */
    struct workspace *space;
    struct arena *arena;              /* of the workspace; the search itself lies in it */
    const Mayfly__Search *request;    /* in the arena */
    uint64_t started_us, deadline_us; /* on clock_us */
    enum search_round round;
    uint32_t edition; /* of the index, and how many shards that has: another one has other parts */
    struct part *parts;
    uint32_t count, waiting, restarts;
    bool moved;
    uint64_t settings_id;          /* by which the words were counted */
    const struct weighed *weighed; /* remembered: there is no first round; held */
    bool composed;                 /* nor where the weights are put together of words that are known */
    bool counts;                   /* anew, whatever is remembered */
    uint32_t merged_without;       /* as many parts as had failed before the merge */
    uint32_t *misspelt;            /* words to be guessed, rising */
    size_t misspelt_count;
    struct weighed weights; /* what the second round is sent with */
    struct str *keys;       /* of its words, where it is composed and none is repeated; NULL: else */
    bool last_is_prefix;    /* of the composed ones */
    Mayfly__Internal__Execute *packed; /* what it says of them to all shards */
    uint32_t threshold_tag;        /* of the second round; 0: it has no threshold to share */
    struct merged_hit *hits;
    size_t hit_count;
};

/* Also begins again. */
void search_begin(struct search *s);

/* The edition that the index has now, and a part for each of its shards. False: no memory. */
bool search_take_edition(struct search *s);

/* The round's message to one shard; the round ends when `waiting` is 0 again. */
void search_send(struct part *p);
shards_answer search_take;
void search_round_over(struct search *s);

/* The words that no shard has and that may stand for others, into `misspelt`. 0, ERR_FULL, or ERR_CORRUPT where the
 * shards do not agree on what the words are. */
int search_find_misspelt(struct search *s);

/* A shard's guesses take the place of the words that it has not; false if they do not fit. */
bool search_take_guesses(struct part *p, const Mayfly__Internal__Guessed *guessed);

/* Fills `weights`, and lets them be remembered. 0 or ERR_FULL. */
int search_weigh(struct search *s);

void search_part_fail(struct part *p, const char *code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* What the shard holds for the search is wanted no more. */
void search_let_go(struct part *p);

/* Whether its statistics are among those that terms are weighed by. */
static inline bool search_counts(const struct part *p)
{
    return p->statistics && !p->failed;
}

/* Whether all of its words are known, or another search's weights are still good, and there need be no first round; then
 * `weights` are those. */
bool search_remembers_weights(struct search *s);
void search_forget_weights(struct search *s); /* a shard says that they are good no more */
void search_release_weights(struct search *s);

/* The same of words alone. */
bool search_knows_words(struct search *s);
void search_forget_words(struct search *s);

/* What all shards counted, one for each word; false: not in words that stand alone. */
bool search_keep_words(struct search *s, const struct known_word *words);

/* `weights` and `keys` into `packed`, which has copies. 0 or ERR_FULL. */
int search_pack(struct search *s);

/* Whether a round for the documents follows. */
static inline bool search_fetches(const struct search *s)
{
    return s->count > 1 && !s->request->no_documents;
}

void search_reply(struct search *s);

/* The hits as columns of the answer. False past the arena's cap. */
bool search_fill_columns(struct search *s, Mayfly__Found *found, const struct str *documents);
void search_fail(struct search *s, const char *code, const char *message);
void search_free(struct search *s);

#endif
