/* handover.h - another mayflyd takes this one's place, and searches go on meanwhile: from the side of who is followed.
 * heir.h is the other side, succession.h the order of what happens between them.
 *
 * On SIGUSR2 the program at the path that this one was started from, which may be another by now, is started with the same
 * arguments, the listening sockets (as a service manager passes them: activation.h), and one end of a SEQPACKET socketpair:
 *
 *   heir -> us   'h'               it is here, and its configuration can be used; it waits for LOCK
 *   heir -> us   'r'               it is ready: every shard answers
 *   us -> heir   'l'               we accept nobody any more: it is to listen
 *   us -> heir   'c' flags (u8)    a connection, a descriptor; with a second one, a sealed region of what the client has sent
 *                                  and nobody has answered. Flags: 1 a Unix socket, 2 Hello was answered
 *
 * The end of file says that the other one is gone. */
#ifndef COORDINATOR_HANDOVER_H
#define COORDINATOR_HANDOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/str.h"

enum { HANDOVER_SOCKETS = 10, HANDOVER_PATH = 4096 };

#define HANDOVER_VARIABLE "MAYFLY_HANDOVER" /* the number of the descriptor, in the heir's environment */
/* The name of a Unix socket that is not a service manager's: who has it last unlinks it. */
#define HANDOVER_OWN_SOCKET "mayfly-own"

enum handover_word { HANDOVER_HERE = 'h', HANDOVER_READY = 'r', HANDOVER_LISTEN = 'l', HANDOVER_CONNECTION = 'c' };
enum handover_flag { HANDOVER_IS_UNIX = 1, HANDOVER_GREETED = 2 };

struct uv_loop_s;
struct handover;

struct handover_sockets {
    int fds[HANDOVER_SOCKETS];
    const char *names[HANDOVER_SOCKETS];
    size_t count;
};

struct handover_events {
    void (*here)(void *context, pid_t heir);
    void (*ready)(void *context);
    /* The last event, and the handover is freed: the heir is gone, or was ended since it has nothing to say. */
    void (*lost)(void *context, bool was_here);
    void *context;
};

/* 0, or why nothing was started. */
int handover_begin(struct uv_loop_s *loop, const char *program, char *const *arguments,
                   const struct handover_sockets *sockets, const struct handover_events *events, struct handover **out);

/* 0; -EAGAIN: later; else it is gone. */
int handover_let_listen(struct handover *h);
int handover_pass(struct handover *h, int connection, unsigned flags, struct str unanswered);

/* The path of this program, as long as nobody has replaced it: at start. */
bool handover_program(char to[HANDOVER_PATH]);

#endif
