/* status.h - how the server is, in one line for people: what `systemctl status` shows. */
#ifndef COORDINATOR_STATUS_H
#define COORDINATOR_STATUS_H

#include <stddef.h>
#include <stdint.h>

struct server;

enum { STATUS_SIZE = 160 };

/* "indexing 3 of 12, 41 MB/s": of the batches that came since none was waiting; `rate` is bytes a second. */
void status_text(const struct server *s, uint64_t rate, char out[STATUS_SIZE]);

uint64_t status_applied_bytes(const struct server *s); /* since start: what a rate is made of */

/* Grows while the server starts or recovers; one that stands still is stuck. */
uint64_t status_progress(const struct server *s);

#endif
