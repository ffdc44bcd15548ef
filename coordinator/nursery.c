#include "coordinator/nursery.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/err.h"
#include "common/fd.h"
#include "common/logger.h"
#include "coordinator/pulse.h"
#include "proto/message.h"

static void free_poll(uv_handle_t *poll)
{
    free(poll);
}

static void on_event(struct nursery *n, const Mayfly__Internal__NurseryEvent *event, int *pidfd)
{
    const struct nursery_events *e = &n->events;
    switch (event->kind) {
    case MAYFLY__INTERNAL__NURSERY_EVENT__KIND__READY:
        child_is_ready(&n->child);
        e->on_ready(e->context);
        break;
    case MAYFLY__INTERNAL__NURSERY_EVENT__KIND__FORKED:
        e->on_forked(e->context, event->job, event->pid, fd_take(pidfd));
        break;
    case MAYFLY__INTERNAL__NURSERY_EVENT__KIND__REAPED:
        e->on_reaped(e->context, event->job, event->status);
        break;
    case MAYFLY__INTERNAL__NURSERY_EVENT__KIND__REFUSED:
        e->on_refused(e->context, event->job, event->status);
        break;
    case MAYFLY__INTERNAL__NURSERY_EVENT__KIND__ALIVE:
        pulse_answered(&n->child);
        break;
    case _MAYFLY__INTERNAL__NURSERY_EVENT__KIND_IS_INT_SIZE:
        break;
    }
}

/* False when there is nothing more to read. */
static bool read_event(struct nursery *n)
{
    char bytes[256];
    int fds[1];
    size_t count = 1;
    ssize_t got = fd_receive(n->child.socket, bytes, sizeof bytes, fds, &count, MSG_DONTWAIT);
    if (got <= 0)
        return false; /* death itself is seen through the pidfd */
    scoped(fd) int pidfd = count ? fds[0] : -1;
    Mayfly__Internal__NurseryEvent *event =
        mayfly__internal__nursery_event__unpack(NULL, (size_t)got, (const uint8_t *)bytes);
    if (!event) {
        log_error("the nursery said something that cannot be read");
        return true;
    }
    on_event(n, event, &pidfd);
    mayfly__internal__nursery_event__free_unpacked(event, NULL);
    return true;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct nursery *n = poll->data;
    (void)events;
    while (status >= 0 && n->poll == poll && read_event(n)) {
    }
    if (n->poll == poll && (status < 0 || events & UV_DISCONNECT))
        uv_poll_stop(poll);
}

static void on_start(struct child *c)
{
    struct nursery *n = c->owner;
    n->poll = calloc(1, sizeof *n->poll);
    if (!n->poll || uv_poll_init(c->loop, n->poll, c->socket) != 0) {
        log_error("the nursery cannot be listened to");
        free(n->poll);
        n->poll = NULL;
        return;
    }
    n->poll->data = n;
    uv_poll_start(n->poll, UV_READABLE, on_readable);
}

static void on_death(struct child *c)
{
    struct nursery *n = c->owner;
    while (read_event(n)) {
    }
    if (n->poll)
        uv_close((uv_handle_t *)n->poll, free_poll);
    n->poll = NULL;
    n->events.on_lost(n->events.context);
}

static void on_failed(struct child *c)
{
    struct nursery *n = c->owner;
    n->events.on_failed(n->events.context);
}

int nursery_init(struct nursery *n, uv_loop_t *loop, const char *libexec, const char *directory, int lock,
                 const struct nursery_events *events)
{
    *n = (struct nursery){.events = *events};
    n->child = (struct child){.name = "nursery",
                              .directory = directory,
                              .socket_type = SOCK_SEQPACKET,
                              .inherited = lock,
                              .on_start = on_start,
                              .on_death = on_death,
                              .on_failed = on_failed,
                              .owner = n};
    snprintf(n->child.path, sizeof n->child.path, "%s/mayfly-worker", libexec);
    setenv("LD_BIND_NOW", "1", 0); /* else each worker binds what it calls of LMDB and others anew */
    return child_init(&n->child, loop);
}

void nursery_start(struct nursery *n)
{
    child_start(&n->child);
}

void nursery_stop(struct nursery *n, uint64_t limit_ms)
{
    child_stop(&n->child, limit_ms);
}

int nursery_send(struct nursery *n, const struct nursery_ticket *t)
{
    Mayfly__Internal__JobTicket ticket = MAYFLY__INTERNAL__JOB_TICKET__INIT;
    uint8_t bytes[48];
    if (n->child.state != CHILD_READY)
        return ERR_CLOSED;
    ticket.job = t->job;
    ticket.has_group = t->has_group;
    ticket.urgent = t->urgent;
    ticket.ahead_memory = t->ahead_memory;
    size_t size = mayfly__internal__job_ticket__pack(&ticket, bytes);
    return fd_send(n->child.socket, bytes, size, t->fds, t->count);
}

/* What cannot be sent is not answered, which is what it is about. It is urgent, for a ticket without anything would be a
 * datagram without bytes, and that is the end. */
void nursery_beat(struct nursery *n, uint64_t limit_s)
{
    if (pulse_beat(&n->child, limit_s, false))
        (void)nursery_send(n, &(struct nursery_ticket){.urgent = true});
}
