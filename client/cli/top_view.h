/* top_view.h - what `mayfly top` shows, as lines of text: from one reading of Stats and what changed since the last.
 *
 * Lines end in a newline and are laid out for 80 columns. Between them stand marks of one byte, below a space, that say
 * how what follows is to look; whoever prints leaves them out or makes colours of them (top_screen.h). */
#ifndef CLIENT_CLI_TOP_VIEW_H
#define CLIENT_CLI_TOP_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/mayfly.h"
#include "common/buf.h"
#include "proto/latency.h"

enum top_mark { TOP_PLAIN = 1, TOP_STRONG, TOP_FAINT, TOP_GOOD, TOP_WARN, TOP_BAD, TOP_MARKS };

struct top_sample { /* what rates are made of */
    uint64_t at_us; /* on clock_us; 0: there is none yet */
    uint64_t searches, operations;
    uint64_t latency[LATENCY_BUCKETS];
    size_t latency_length;
};
void top_sample_take(struct top_sample *s, const Mayfly__Stats *stats);

struct top_rates { /* over an interval */
    bool known;
    double searches, operations; /* a second */
    uint64_t p50_us, p99_us;     /* 0: there was no search */
};
struct top_rates top_rates_between(const struct top_sample *before, const struct top_sample *now);

/* The first lines, which always fit, are the header, regions and log; then phases, jobs, workers, indexes. */
void top_view(struct buf *out, const Mayfly__Stats *stats, const struct top_rates *rates, uint64_t wall_us);

#endif
