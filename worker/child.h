/* child.h - what a worker does about itself before it looks at its job: enters its control group, dies with its
 * nursery, and steps back behind everything else of the service. */
#ifndef WORKER_CHILD_H
#define WORKER_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

#include "worker/idling.h"

/* Where things stand among a ticket's descriptors. */
enum { TICKET_JOB, TICKET_WORDS, TICKET_LIFELINE, TICKET_REGIONS };

/* Before anything else; closes the descriptor. -1 is no group. 0, or a negative errno. */
int child_enter_group(int *entrance);

/* One that is urgent does not step back: it has a few milliseconds of work, and somebody waits for it. `idling` lasts as
 * long as the process. */
void child_begin(pid_t nursery, bool urgent, struct idling *idling);

#endif
