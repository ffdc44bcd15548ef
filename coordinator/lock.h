/* lock.h - LOCK in the data directory: held by coordinator, nursery and workers together, through one open file
 * description that they inherit. Who gets it knows that nothing of a former life is still writing. */
#ifndef COORDINATOR_LOCK_H
#define COORDINATOR_LOCK_H

/* Waits for a former life up to `limit_ms` (said in the log); the descriptor, or a negative errno (-EWOULDBLOCK). */
int lock_take(const char *path, unsigned limit_ms);

#endif
