/* progress.h - one line on a terminal that says how far a stream has come; nothing where there is no terminal. */
#ifndef CLIENT_CLI_PROGRESS_H
#define CLIENT_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "client/writer.h"

struct progress {
    bool enabled;
    bool visible;
    uint64_t began_us, shown_us;
    uint64_t total;        /* bytes of input, 0: not known */
    bool until_searchable; /* what is waited for in the end; else until all is accepted */
};

void progress_init(struct progress *p, bool wanted);
void progress_show(struct progress *p, const struct mayfly_progress *now, uint64_t refused_here);
void progress_clear(struct progress *p); /* before anything else is written to the terminal */

#endif
