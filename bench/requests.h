/* requests.h - answer "MODE K PASSES" over a file of queries, with times. Shared by query_bench and the C and C++
 * drivers of peers, which have the C library and their engine but nothing of Mayfly: this takes nothing of it either.
 *
 * A query file has a query per line, behind its name and a tab where there is one. A request is a line on standard
 * input; the answer is a line "NAME<tab>MICROSECONDS<tab>HITS-OR-COUNT" per query, in order, then an empty line. Of
 * PASSES passes over the whole file the last one is told; those before it bring the caches back. */
#ifndef BENCH_REQUESTS_H
#define BENCH_REQUESTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum request_operator { REQUEST_OR, REQUEST_AND, REQUEST_PHRASE, REQUEST_LAST, REQUEST_FUZZY };

struct request_mode {
    const char *name;
    enum request_operator operation;
    bool is_count; /* of all matches, no hits */
};

extern const struct request_mode request_modes[]; /* ends with a NULL name */

const struct request_mode *request_mode_find(const char *name); /* NULL if there is none */

struct request_query {
    const char *name, *text; /* the name of a line without a tab is empty */
};

struct request_queries {
    struct request_query *queries;
    char **lines; /* what they point into */
    size_t count;
};

/* Dies where the file cannot be read. */
void request_queries_read(struct request_queries *q, const char *path);
void request_queries_free(struct request_queries *q);

/* One query; the hits it gives, or how many match. */
typedef uint64_t request_run(void *context, const struct request_mode *mode, uint32_t k, const char *text);

/* Times of one pass, in nanoseconds, and answers; each has room for q->count. */
void request_pass(const struct request_queries *q, const struct request_mode *mode, uint32_t k, request_run *run,
                  void *context, uint64_t *times_ns, uint64_t *answers);

void request_print(const struct request_queries *q, const uint64_t *times_ns, const uint64_t *answers);

/* Until the end of standard input; dies at a request that is none. */
void request_serve(const struct request_queries *q, request_run *run, void *context);

#ifdef __cplusplus
}
#endif

#endif
