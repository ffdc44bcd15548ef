#include "coordinator/heir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "common/check.h"
#include "common/err.h"
#include "common/fd.h"
#include "common/logger.h"
#include "common/region.h"
#include "coordinator/activation.h"
#include "coordinator/handover.h"
#include "coordinator/watch.h"

enum { PATIENCE_MS = 5000, PASSED = 2 };

struct heir {
    struct uv_loop_s *loop;
    int fd;              /* until it is ready nothing that comes is taken */
    struct watch *watch; /* NULL: not yet, or who is followed is gone */
    uv_timer_t timer;
    bool listens;
    struct heir_events events;
};

int heir_say_here(void)
{
    const char *text = getenv(HANDOVER_VARIABLE), word = HANDOVER_HERE;
    int fd = text ? atoi(text) : -1;
    unsetenv(HANDOVER_VARIABLE);
    if (fd < ACTIVATION_FIRST || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return -1;
    int err = fd_send(fd, &word, 1, NULL, 0);
    if (err) {
        log_warn("who is to be followed could not be told: %s", err_str(err));
        fd_close(&fd);
    }
    return fd;
}

static void listen_now(struct heir *h)
{
    if (h->listens)
        return;
    h->listens = true;
    uv_timer_stop(&h->timer);
    h->events.listen(h->events.context);
}

static void on_late(uv_timer_t *timer)
{
    log_warn("who is followed does not say that it accepts nobody any more: not waiting for it");
    listen_now(timer->data);
}

static void take_connection(struct heir *h, unsigned flags, int *fds, size_t count)
{
    struct region bytes = REGION_NONE;
    if (count == PASSED && region_map_sealed(&bytes, fds[1], 1) == 0)
        fd_take(&fds[1]);
    if (count == 1 || bytes.base)
        h->events.connection(h->events.context, fd_take(&fds[0]), flags, (struct str){bytes.base, bytes.used});
    region_close(&bytes);
}

/* One word; false: there is none. */
static bool take_word(struct heir *h)
{
    char word[2];
    int fds[PASSED] = {-1, -1};
    size_t count = PASSED;
    ssize_t got = fd_receive(watch_fd(h->watch), word, sizeof word, fds, &count, MSG_DONTWAIT);
    if (got == -EAGAIN)
        return false;
    if (got == 1 && word[0] == HANDOVER_LISTEN)
        listen_now(h);
    else if (got == 2 && word[0] == HANDOVER_CONNECTION && count > 0)
        take_connection(h, (unsigned char)word[1], fds, count);
    else
        watch_close(&h->watch);
    fd_close(&fds[0]);
    fd_close(&fds[1]);
    return h->watch != NULL;
}

static void on_word(void *context)
{
    struct heir *h = context;
    while (take_word(h))
        ;
    if (!h->watch)
        listen_now(h);
}

int heir_open(struct uv_loop_s *loop, int fd, const struct heir_events *events, struct heir **out)
{
    struct heir *h = calloc(1, sizeof *h);
    require(h);
    *h = (struct heir){.loop = loop, .fd = fd, .events = *events};
    h->timer.data = h;
    int err = uv_timer_init(loop, &h->timer);
    if (!err)
        err = fd_set_nonblocking(fd);
    if (!err)
        *out = h;
    return err;
}

static int say_ready(struct heir *h)
{
    const char word = HANDOVER_READY;
    int err = watch_open(h->loop, h->fd, on_word, h, &h->watch);
    return err ? err : fd_send(h->fd, &word, 1, NULL, 0);
}

void heir_is_ready(struct heir *h)
{
    if (say_ready(h)) /* it is gone; what it had passed before is read all the same */
        listen_now(h);
    else
        uv_timer_start(&h->timer, on_late, PATIENCE_MS, 0);
}
