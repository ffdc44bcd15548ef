/* pulse.h - whether a child answers. Each is asked once a second, and answers when it hears it: a shard between two
 * queries, the nursery between two forks. One that is silent for too long is killed, and started again as any that died.
 *
 * What counts are questions, not time: a coordinator that itself stood still holds it against nobody. */
#ifndef COORDINATOR_PULSE_H
#define COORDINATOR_PULSE_H

#include <stdbool.h>
#include <stdint.h>

#include "coordinator/child.h"

enum { PULSE_SILENT = 3 /* seconds, about: whoever has others gives it nothing new */ };

/* Once a second. True: it is to be asked now. After `limit_s` seconds of silence it is killed; 0: never. While it is
 * excused, by work that it was given the time for, none of them counts. */
bool pulse_beat(struct child *c, uint64_t limit_s, bool is_excused);
void pulse_answered(struct child *c);

bool pulse_is_silent(const struct child *c);

/* It was killed for its silence, and has not ended. */
bool pulse_is_stuck(const struct child *c);

#endif
