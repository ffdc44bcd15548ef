/* handover.h - another mayflyd takes this one's place: its sockets go over to it, so that nobody is refused meanwhile.
 *
 * On SIGUSR2 the program at the path that this one was started from, which may be another by now, is started with the same
 * arguments, the listening sockets (as a service manager passes them: activation.h), and a pipe. It looks at its
 * configuration, says a byte on the pipe, and waits for LOCK; with that byte this one begins its orderly stop. Who connects
 * in between waits at the sockets. Without the byte this one goes on. */
#ifndef COORDINATOR_HANDOVER_H
#define COORDINATOR_HANDOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { HANDOVER_SOCKETS = 10, HANDOVER_PATH = 4096 };

/* The name of a Unix socket that is not a service manager's: who has it last unlinks it. */
#define HANDOVER_OWN_SOCKET "mayfly-own"

struct uv_loop_s;
struct handover;

struct handover_sockets {
    int fds[HANDOVER_SOCKETS];
    const char *names[HANDOVER_SOCKETS];
    size_t count;
};

/* Called once: with the pid of who is there to take over, or 0, having been ended or never started. */
typedef void handover_done(void *context, pid_t successor);

/* 0, or why nothing was started. */
int handover_begin(struct uv_loop_s *loop, const char *program, char *const *arguments,
                   const struct handover_sockets *sockets, handover_done *done, void *context);

/* In the successor, before it waits for LOCK; nothing where there is nobody to tell. */
void handover_tell(void);

/* The path of this program, as long as nobody has replaced it: at start. */
bool handover_program(char to[HANDOVER_PATH]);

#endif
