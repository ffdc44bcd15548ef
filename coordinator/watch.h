/* watch.h - one descriptor that is told of when it can be read; closed at once, whatever the loop is doing. */
#ifndef COORDINATOR_WATCH_H
#define COORDINATOR_WATCH_H

struct uv_loop_s;
struct watch;

typedef void watch_readable(void *context);

/* Takes over `fd` on success. Level-triggered: a reader that does not read to the end is called again. */
int watch_open(struct uv_loop_s *loop, int fd, watch_readable *readable, void *context, struct watch **out);
int watch_fd(const struct watch *w);
void watch_pass_on(struct watch *w, void *context); /* from now on it is told of */

/* Closes the descriptor, sets *w to NULL; accepts NULL. No call comes after it, not even within `readable`. */
void watch_close(struct watch **w);

#endif
