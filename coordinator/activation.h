/* activation.h - listening sockets that a service manager made for us: sd_listen_fds(3)'s protocol, by hand. */
#ifndef COORDINATOR_ACTIVATION_H
#define COORDINATOR_ACTIVATION_H

#include <stdbool.h>
#include <stddef.h>

enum { ACTIVATION_FIRST = 3, ACTIVATION_MOST = 8, ACTIVATION_MAX_NAME = 64 };

struct activated {
    int fd;                         /* the taker's to close */
    bool is_unix;                   /* else TCP */
    char name[ACTIVATION_MAX_NAME]; /* FileDescriptorName= of its unit */
};

struct activation {
    struct activated sockets[ACTIVATION_MOST];
    size_t count;
};

/* Takes the descriptors from `first` on that LISTEN_FDS says are ours, and the variables out of the environment, which
 * children inherit. Nothing is taken without LISTEN_FDS, or if LISTEN_PID is somebody else. A descriptor that is not a
 * listening Unix or TCP socket is an error: `why` tells which. */
int activation_take(int first, struct activation *out, char why[256]);

bool activation_has(const struct activation *a, bool is_unix);

#endif
