#include "coordinator/listen.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/logger.h"

enum { BACKLOG = 1024 };

static int add(struct listeners *l, const struct listen_options *o, struct listener *made)
{
    l->count++;
    made->handle.stream.data = o->context;
    return uv_listen(&made->handle.stream, BACKLOG, o->on_connection);
}

/* The path that it is bound to. */
static void note_own(struct listeners *l, int fd)
{
    struct sockaddr_un address = {0};
    socklen_t size = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &size) == 0)
        snprintf(l->own, sizeof l->own, "%.*s", (int)sizeof address.sun_path, address.sun_path);
}

static int listen_passed(struct listeners *l, const struct listen_options *o, const struct activated *a, char why[256])
{
    struct listener *made = &l->at[l->count];
    int err = a->is_unix ? uv_pipe_init(o->loop, &made->handle.pipe, 0) : uv_tcp_init(o->loop, &made->handle.tcp);
    if (!err)
        err = a->is_unix ? uv_pipe_open(&made->handle.pipe, a->fd) : uv_tcp_open(&made->handle.tcp, a->fd);
    if (!err)
        err = add(l, o, made);
    if (!err && a->is_unix && strcmp(a->name, HANDOVER_OWN_SOCKET) == 0)
        note_own(l, a->fd);
    if (err)
        snprintf(why, 256, "cannot listen on the socket %s that was passed: %s", a->name, uv_strerror(err));
    else
        log_info("listening on a socket that the service manager passed name=%s kind=%s", a->name,
                 a->is_unix ? "unix" : "tcp");
    return err;
}

static bool unix_address(const char *path, struct sockaddr_un *out)
{
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof out->sun_path)
        return false;
    memcpy(out->sun_path, path, strlen(path));
    return true;
}

/* Of other data: with ours LOCK would be held, and we would not be here. EAGAIN: more wait there than it lets in. */
static bool somebody_listens(const char *path)
{
    struct sockaddr_un address;
    scoped(fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || !unix_address(path, &address))
        return false;
    return connect(fd, (const struct sockaddr *)&address, sizeof address) == 0 || errno == EAGAIN;
}

/* A socket that a former life left. */
static void remove_leftover(const char *path)
{
    struct stat status;
    if (lstat(path, &status) == 0 && S_ISSOCK(status.st_mode))
        unlink(path);
}

/* By hand, for libuv would unlink the path when it closes the socket, whoever else has it by then. */
static int bind_unix(const char *path, mode_t mode, int *out_fd)
{
    struct sockaddr_un address;
    if (!unix_address(path, &address))
        return -ENAMETOOLONG;
    scoped(fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) < 0 || chmod(path, mode) < 0)
        return -errno;
    *out_fd = fd_take(&fd);
    return 0;
}

static int listen_unix(struct listeners *l, const struct listen_options *o, char why[256])
{
    const struct config *c = o->config;
    struct listener *made = &l->at[l->count];
    if (somebody_listens(c->socket)) {
        snprintf(why, 256, "cannot listen on %.150s: another server does", c->socket);
        return -EADDRINUSE;
    }
    remove_leftover(c->socket);
    int fd = -1, err = bind_unix(c->socket, (mode_t)c->socket_mode, &fd);
    if (!err)
        note_own(l, fd);
    if (!err)
        err = uv_pipe_init(o->loop, &made->handle.pipe, 0);
    if (!err)
        err = uv_pipe_open(&made->handle.pipe, fd);
    if (!err)
        err = add(l, o, made);
    if (err)
        snprintf(why, 256, "cannot listen on %.150s: %s", c->socket, uv_strerror(err));
    return err;
}

static int parse_address(const char *text, struct sockaddr_storage *out)
{
    char host[128];
    const char *colon = strrchr(text, ':');
    if (!colon || (size_t)(colon - text) >= sizeof host)
        return UV_EINVAL;
    snprintf(host, sizeof host, "%.*s", (int)(colon - text), text);
    int port = atoi(colon + 1);
    size_t length = strlen(host);
    if (host[0] == '[' && host[length - 1] == ']') {
        host[length - 1] = 0;
        return uv_ip6_addr(host + 1, port, (struct sockaddr_in6 *)out);
    }
    return uv_ip4_addr(strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, port, (struct sockaddr_in *)out);
}

static int listen_tcp(struct listeners *l, const struct listen_options *o, char why[256])
{
    struct listener *made = &l->at[l->count];
    struct sockaddr_storage to = {0};
    int err = parse_address(o->config->listen, &to);
    if (!err)
        err = uv_tcp_init(o->loop, &made->handle.tcp);
    if (!err)
        err = uv_tcp_bind(&made->handle.tcp, (const struct sockaddr *)&to, 0);
    if (!err)
        err = add(l, o, made);
    if (err)
        snprintf(why, 256, "cannot listen on %.150s: %s", o->config->listen, uv_strerror(err));
    return err;
}

int listen_begin(struct listeners *l, const struct listen_options *o, char why[256])
{
    const struct activation *a = o->activation;
    int err = 0;
    for (size_t i = 0; i < a->count && !err; i++)
        err = listen_passed(l, o, &a->sockets[i], why);
    if (!err && o->config->socket[0] && !activation_has(a, true))
        err = listen_unix(l, o, why);
    if (!err && o->config->listen[0] && !activation_has(a, false))
        err = listen_tcp(l, o, why);
    return err;
}

void listen_share(const struct listeners *l, struct handover_sockets *out)
{
    *out = (struct handover_sockets){.count = 0};
    for (size_t i = 0; i < l->count; i++) {
        const uv_handle_t *handle = (const uv_handle_t *)&l->at[i].handle.stream;
        uv_os_fd_t fd;
        if (uv_fileno(handle, &fd))
            continue;
        out->fds[out->count] = fd;
        out->names[out->count++] = l->own[0] && handle->type == UV_NAMED_PIPE ? HANDOVER_OWN_SOCKET : "passed";
    }
}

void listen_give_away(struct listeners *l)
{
    l->own[0] = '\0';
}

void listen_end(struct listeners *l)
{
    if (l->own[0])
        unlink(l->own);
    l->own[0] = '\0';
    for (size_t i = 0; i < l->count; i++)
        uv_close((uv_handle_t *)&l->at[i].handle.stream, NULL);
    l->count = 0;
}
