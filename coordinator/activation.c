#include "coordinator/activation.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/err.h"

static int socket_option(int fd, int option)
{
    int value = -1;
    socklen_t size = sizeof value;
    return getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

static bool is_listening(int fd)
{
    return socket_option(fd, SO_ACCEPTCONN) == 1 && socket_option(fd, SO_TYPE) == SOCK_STREAM;
}

/* The next of the names between colons; a socket unit without a name of its own calls them after itself. */
static void take_name(const char **names, char to[ACTIVATION_MAX_NAME])
{
    size_t length = strcspn(*names, ":");
    snprintf(to, ACTIVATION_MAX_NAME, "%.*s", length ? (int)length : INT_MAX, length ? *names : "unknown");
    *names += length + ((*names)[length] == ':');
}

static int take_one(int fd, struct activated *out, char why[256])
{
    int family = socket_option(fd, SO_DOMAIN);
    bool is_tcp = family == AF_INET || family == AF_INET6;
    if (!is_listening(fd) || (family != AF_UNIX && !is_tcp)) {
        snprintf(why, 256, "descriptor %d (%s) that was passed is not a listening Unix or TCP socket", fd, out->name);
        return ERR_INVALID;
    }
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return -errno;
    out->fd = fd;
    out->is_unix = family == AF_UNIX;
    return 0;
}

static unsigned long number_of(const char *variable)
{
    const char *text = getenv(variable);
    return text ? strtoul(text, NULL, 10) : 0;
}

static int take_all(int first, struct activation *out, char why[256])
{
    unsigned long count = number_of("LISTEN_PID") == (unsigned long)getpid() ? number_of("LISTEN_FDS") : 0;
    const char *names = getenv("LISTEN_FDNAMES");
    if (!names)
        names = "";
    if (count > ACTIVATION_MOST) {
        snprintf(why, 256, "%lu sockets were passed, which is more than %d", count, ACTIVATION_MOST);
        return ERR_INVALID;
    }
    for (size_t i = 0; i < count; i++) {
        take_name(&names, out->sockets[i].name);
        int err = take_one(first + (int)i, &out->sockets[i], why);
        if (err)
            return err;
    }
    out->count = count;
    return 0;
}

int activation_take(int first, struct activation *out, char why[256])
{
    struct activation a = {.count = 0};
    snprintf(why, 256, "the sockets that were passed cannot be used");
    int err = take_all(first, &a, why);
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    if (!err)
        *out = a;
    return err;
}

bool activation_has(const struct activation *a, bool is_unix)
{
    for (size_t i = 0; i < a->count; i++)
        if (a->sockets[i].is_unix == is_unix)
            return true;
    return false;
}
