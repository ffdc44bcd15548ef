/* fit.h - settings that fit into the memory that a control group allows. Pure.
 *
 * What the budget (budget.h) may come to is cut to the limit in this order, each setting no further than needed: first
 * all of them down to what is comfortable, then all down to their least.
 *
 *                     comfortable   least
 *   heap of a shard      128M        64M     a bound that nothing legitimate comes near
 *   max-connections      200         32
 *   region-memory         64M        16M     these three, and query-memory: at least twice max-document-size
 *   workers                2          2
 *   worker-memory        128M        32M
 *   query-memory          32M        16M
 *   readers             as set        1
 *
 * A server that runs keeps its heaps and readers. */
#ifndef COORDINATOR_FIT_H
#define COORDINATOR_FIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "coordinator/cap.h"
#include "coordinator/config.h"

enum { FIT_CUTS = 7 };

struct fit_cut {
    const char *key;
    bool is_size; /* bytes, not a number */
    uint64_t wanted, given;
};

struct fit {
    uint64_t limit; /* UINT64_MAX: there is none */
    uint64_t total; /* of the budget then */
    struct fit_cut cuts[FIT_CUTS];
    size_t count;
};

/* Changes the settings. ERR_FULL: they are at their least and it is not enough. */
int fit_config(struct config *c, const struct cap *cap, uint64_t limit, bool is_start, struct fit *out);

bool fit_is_of_start(const struct fit_cut *cut); /* a server that runs keeps it */
bool fit_has_cut(const struct fit *f, const char *key);

/* "256M", or a number. */
enum { FIT_VALUE = 24 };
void fit_format(const struct fit_cut *cut, uint64_t value, char to[FIT_VALUE]);

void fit_log(const struct fit *f); /* what was cut */

#endif
