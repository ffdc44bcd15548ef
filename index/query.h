/* query.h - a query from text to hits over one snapshot, in one process: parse, count, execute.  Runs in: shard, bench.
 *
 * Everything is allocated from the query's arena; ERR_FULL past its cap. The same text, settings and analyzer give the
 * same words in the same order on every shard.
 *
 * Query text, from what binds most:  "a phrase"  ( a group )  field:word  -word +word  NOT x  x AND y  x OR y  x y
 *
 *   - Operators are in capitals. What is not balanced, or lacks an operand, is plain text; never an error.
 *   - At the top, words that stand by themselves may be dropped (enum query_match); everything else is required, or,
 *     behind NOT or -, excludes. In a group everything is required.
 *   - Text that is several words ("foo-bar", Chinese) is a phrase where it is one operand, else plain words.
 *   - The last word is a prefix, too, if nothing follows it, not even white space, and it is in no field.
 *   - A word that no live document has (nor, if it is a prefix, one that begins with it) stands for what is one edit away
 *     from 5 letters on, two from 9 on (index/typo.h): not between quotes, in a field or behind NOT or -.
 *   - Stop words are left out unless they stand in a phrase, behind + or -, or nothing else is there.
 *   - Blank text, and text of nothing but exclusions, means all documents.
 *
 * The score of a document is the sum over the words of the query that it has, in whichever branch they stand; the words
 * of a phrase count where the phrase is. A plain word that stands n times (after stemming) is one word with count n;
 * words of each phrase, and of each field, are counted apart. */
#ifndef INDEX_QUERY_H
#define INDEX_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/str.h"
#include "common/tagged_max.h"
#include "index/analyzer.h"
#include "index/snapshot.h"

enum query_match { MATCH_LAST, MATCH_ALL, MATCH_FREQUENCY, MATCH_ANY };

struct query_options {
    enum query_match match;
    bool no_prefix;
    bool no_typos;
    bool plain_words; /* no operators */
};

enum { QUERY_MAX_WORDS = 1024, QUERY_CANDIDATES = 1000, QUERY_MEMBERS = 50 };

struct query; /* the parsed one: words, and an expression over them */

int query_parse(struct arena *a, struct analyzer *analyzer, struct str text, const struct query_options *options,
                struct query **out);

/* The same for round 2 alone, of a text that is known to be nothing but plain words, none of them twice. */
struct query_known_words {
    const struct str *keys; /* as in query_word, in the order of the text */
    size_t count;
    bool last_is_prefix;
};

int query_of_words(struct arena *a, const struct query_known_words *known, enum query_match match, struct query **out);

size_t query_words(const struct query *q);

/* How many words each token adds to the query, tokens being what white space separates; one behind the other they add all of
 * them. NULL where that would not be true of the same tokens in another query: some stand for something else than plain
 * words, a word is repeated, nothing but stop words is there, or the prefix is none of the last token's. */
const uint32_t *query_token_words(const struct query *q, size_t *out_count);

struct query_candidate {
    struct str key;     /* of the dictionary */
    uint32_t distance;  /* 0: the word itself, through its stem; 1: another stem or word that begins with it */
    uint32_t edits;     /* above 0: neither, but so many edits away from it */
    uint64_t frequency; /* live documents in this snapshot */
};

struct query_word {
    struct str key; /* of the word itself, through its stem */
    uint32_t count; /* qtf */
    struct query_candidate *candidates;
    size_t candidate_count;
    bool misspelt; /* no candidate, and it may stand for others */
};

/* Where a file was found damaged, when one of the functions below gives ERR_CORRUPT. */
struct query_fault {
    size_t segment;   /* index into the snapshot */
    const char *part; /* of its file */
};

/* Round 1: for each word its candidates by (distance, length, key), the first QUERY_CANDIDATES with a live document. */
int query_prepare(struct arena *a, const struct query *q, struct snapshot *s, struct query_word *out_words,
                  struct query_fault *fault);

/* Between the rounds, of a word that is misspelt for all who answer the query: the candidates, by (edits, length, key), the
 * first QUERY_CANDIDATES with a live document, take their place in `words`. A scan of all dictionaries. */
int query_guess(struct arena *a, const struct query *q, struct snapshot *s, struct query_word *words, size_t which,
                struct query_fault *fault);

/* Both, where there is nobody else. */
int query_prepare_alone(struct arena *a, const struct query *q, struct snapshot *s, struct query_word *out_words,
                        struct query_fault *fault);

/* Round 2 gets what was made of the candidates of all shards (proto/select.h). */
struct query_term {
    struct str key;
    uint32_t weight;
};

struct query_weights {
    struct query_term *terms;
    size_t term_count;
    uint64_t frequency; /* of the word: the largest of its members; MATCH_FREQUENCY drops the highest first */
};

struct query_hit {
    uint32_t dropped;
    uint64_t score;
    uint64_t stamp;
    uint32_t segment; /* index into the snapshot */
    uint32_t document;
};

struct query_field {
    struct str name;
    uint32_t weight;
};

struct query_run {
    const struct query_weights *weights; /* one per word */
    const struct query_field *fields;    /* those whose weight is not 1 */
    size_t field_count;
    const float *norms;   /* 256: weight_norms of the whole index */
    uint32_t limit;       /* hits wanted */
    uint64_t deadline_us; /* on clock_us; 0: none */
    tagged_max *shared;   /* the score that is known to be needed, raised by all who run the query; NULL: alone */
    uint32_t shared_tag;
    bool exhaustive;      /* look at every document that matches: for tests, the hits are the same */
};

struct query_result {
    struct query_hit *hits; /* by (dropped, score descending, stamp) */
    size_t hit_count;
    uint64_t estimated_total; /* documents that match with no more words dropped than the last hit */
    bool partial;             /* the deadline came first */
};

int query_execute(struct arena *a, const struct query *q, struct snapshot *s, const struct query_run *run,
                  struct query_result *out, struct query_fault *fault);

#endif
