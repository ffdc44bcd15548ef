/* jobs.h - what workers do at the moment, from the server's statistics. */
#ifndef CLIENT_CLI_JOBS_H
#define CLIENT_CLI_JOBS_H

#include "client/cli/args.h"
#include "common/buf.h"

/* Both ask the server; what was answered before is gone then. `index`: of that one only, NULL: all. */
int jobs_print(struct cli *c, const char *index);               /* a table, or nothing where nobody works */
int jobs_emit(struct cli *c, const char *index, struct buf *b); /* a member "jobs" */

/* "57%"; "-" where it is not known of how much. */
enum { PERCENT_TEXT_SIZE = 8 };
const char *percent_text(char to[PERCENT_TEXT_SIZE], uint64_t done, uint64_t of);

#endif
