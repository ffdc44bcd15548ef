#include "client/endpoint.h"

#include <errno.h>
#include <grp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "common/err.h"
#include "common/fd.h"

#define DEFAULT_SOCKET "/run/mayfly.sock"
#define DEFAULT_PORT   "6359"

int endpoint_fail(struct mayfly_failure *failure, int status, const char *code, const char *format, ...)
{
    va_list args;
    *failure = (struct mayfly_failure){0};
    snprintf(failure->code, sizeof failure->code, "%s", code);
    va_start(args, format);
    vsnprintf(failure->message, sizeof failure->message, format, args);
    va_end(args);
    return status;
}

static int cannot(struct mayfly_failure *failure, const char *where, const char *why)
{
    return endpoint_fail(failure, MAYFLY_LOST, MAYFLY_CODE_CANNOT_CONNECT, "cannot connect to %s: %s", where, why);
}

/* With what an administrator would ask first. */
static int cannot_unix(struct mayfly_failure *failure, const char *path, int err)
{
    char room[1024], advice[256] = "";
    struct stat st;
    struct group entry, *group = NULL;
    if (err == -EACCES && !stat(path, &st) && !getgrgid_r(st.st_gid, &entry, room, sizeof room, &group) && group)
        snprintf(advice, sizeof advice, ": it is for its owner and the group %.200s", group->gr_name);
    else if (err == -ENOENT || err == -ECONNREFUSED)
        snprintf(advice, sizeof advice, ": is mayflyd running?");
    return endpoint_fail(failure, MAYFLY_LOST, MAYFLY_CODE_CANNOT_CONNECT, "cannot connect to %s: %s%s", path, err_str(err),
                         advice);
}

static int connect_unix(const char *path, struct mayfly_failure *failure)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return cannot(failure, path, "the path is longer than 107 bytes");
    memcpy(address.sun_path, path, strlen(path) + 1);
    scoped(fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address))
        return cannot_unix(failure, path, -errno);
    return fd_take(&fd);
}

/* "host:port", "[::1]:port", "host": cuts a copy in two. */
static const char *split_port(char *host, char **out_host)
{
    char *colon = strrchr(host, ':');
    char *bracket = strrchr(host, ']');
    const char *port = DEFAULT_PORT;
    if (colon && (!bracket || colon > bracket) && (bracket || strchr(host, ':') == colon)) {
        *colon = 0;
        port = colon + 1;
    }
    if (host[0] == '[' && bracket) {
        *bracket = 0;
        host++;
    }
    *out_host = host;
    return port;
}

static int connect_first(const struct addrinfo *addresses)
{
    int err = -ENOENT;
    for (const struct addrinfo *a = addresses; a; a = a->ai_next) {
        int on = 1;
        scoped(fd) int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
        if (fd < 0 || connect(fd, a->ai_addr, a->ai_addrlen)) {
            err = -errno;
            continue;
        }
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* requests are small; slower if it fails */
        return fd_take(&fd);
    }
    return err;
}

static int connect_tcp(const char *where, struct mayfly_failure *failure)
{
    char copy[300], *host;
    if (strlen(where) >= sizeof copy)
        return cannot(failure, where, "the name is too long");
    memcpy(copy, where, strlen(where) + 1);
    const char *port = split_port(copy, &host);
    struct addrinfo wanted = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG}, *addresses;
    int problem = getaddrinfo(host, port, &wanted, &addresses);
    if (problem && strcmp(host, "localhost") == 0) /* loopback also where no file or resolver says so (RFC 6761) */
        problem = getaddrinfo("127.0.0.1", port, &wanted, &addresses);
    if (problem)
        return cannot(failure, where, gai_strerror(problem));
    int fd = connect_first(addresses);
    freeaddrinfo(addresses);
    return fd < 0 ? cannot(failure, where, err_str(fd)) : fd;
}

int endpoint_connect(const struct mayfly_options *options, struct mayfly_failure *failure)
{
    if (options->host)
        return connect_tcp(options->host, failure);
    const char *path = options->socket ? options->socket : getenv("MAYFLY_SOCKET");
    return connect_unix(path && *path ? path : DEFAULT_SOCKET, failure);
}
