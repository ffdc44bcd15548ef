/* staging.h - the memory in which operations are gathered before a region is made of them. It is used again and again: a region's
 * pages are new each time, and to have them faulted in one by one took a quarter of the loop's time in a bulk load. */
#ifndef COORDINATOR_STAGING_H
#define COORDINATOR_STAGING_H

#include <stdbool.h>
#include <stddef.h>

enum { STAGING_SPARE = 4 };

struct staging {
    size_t size; /* of each */
    char *spare[STAGING_SPARE];
    size_t count;
    size_t least; /* that were spare since the last tick: nobody has needed them */
};

/* `size` bytes with anything in them, or NULL. */
char *staging_take(struct staging *s);
void staging_give(struct staging *s, char *buffer);

size_t staging_spare_bytes(const struct staging *s);
void staging_tick(struct staging *s); /* gives back to the system what was not needed since the last one */
void staging_let_go(struct staging *s); /* gives all of it back: nobody writes any more */

#endif
