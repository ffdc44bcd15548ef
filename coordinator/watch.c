#include "coordinator/watch.h"

#include <stdlib.h>
#include <uv.h>

#include "common/check.h"
#include "common/fd.h"

struct watch {
    uv_poll_t poll;
    int fd;
    watch_readable *readable;
    void *context;
};

/* An error on the descriptor is for whoever reads it to find. */
static void on_poll(uv_poll_t *poll, int status, int events)
{
    (void)status, (void)events;
    struct watch *w = poll->data;
    w->readable(w->context);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

int watch_open(struct uv_loop_s *loop, int fd, watch_readable *readable, void *context, struct watch **out)
{
    struct watch *w = calloc(1, sizeof *w);
    require(w);
    *w = (struct watch){.fd = fd, .readable = readable, .context = context};
    int err = uv_poll_init(loop, &w->poll, fd);
    if (err) {
        free(w);
        return err;
    }
    w->poll.data = w;
    err = uv_poll_start(&w->poll, UV_READABLE, on_poll);
    if (err) {
        w->fd = -1;
        uv_close((uv_handle_t *)&w->poll, on_closed);
        return err;
    }
    *out = w;
    return 0;
}

int watch_fd(const struct watch *w)
{
    return w->fd;
}

void watch_pass_on(struct watch *w, void *context)
{
    w->context = context;
}

void watch_close(struct watch **at)
{
    struct watch *w = *at;
    *at = NULL;
    if (!w)
        return;
    uv_poll_stop(&w->poll);
    uv_close((uv_handle_t *)&w->poll, on_closed);
    fd_close(&w->fd);
}
