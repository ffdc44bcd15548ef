/* The end of sessions: each answers what it was asked and is closed, or goes to an heir with what it was not. */
#include "coordinator/session_state.h"

#include <sys/ioctl.h>

#include "coordinator/handover.h"
#include "coordinator/requests.h"

enum { DRAIN_GRACE_MS = 1000 };

bool session_ask_again(struct session *s, Mayfly__Envelope *request)
{
    if (!s->all->heir)
        return false;
    message_frame(&s->again, &request->base, (struct str){0});
    return !s->again.err;
}

void sessions_stop_streams(struct sessions *all)
{
    all->stop_streams = true;
    for (struct session *s = all->first; s; s = s->next)
        if (write_cut_streams(s->pending))
            uv_read_stop(&s->handle.stream);
}

void sessions_stop_waiting(struct sessions *all)
{
    struct session *next;
    for (struct session *s = all->first; s; s = next) {
        next = s->next;
        for (struct pending *p = s->pending, *after; p; p = after) {
            after = p->next;
            if (p->stop)
                p->stop(p);
        }
    }
}

void sessions_leave_to(struct sessions *all, struct handover *heir)
{
    all->heir = heir;
}

/* What was read and not dispatched; false: that is the middle of a body, which nobody can go on with. */
static bool put_unanswered(struct session *s, struct buf *out)
{
    buf_append_str(out, (struct str){s->again.data, s->again.len});
    if (s->held)
        buf_append_str(out, (struct str){s->kept.data, s->kept.len});
    else if (!frame_unfinished(&s->frames, out))
        return false;
    return !out->err;
}

/* To the heir; true: it has it, or cannot have it. */
static bool pass_on(struct session *s)
{
    struct buf bytes = {0};
    uv_os_fd_t fd;
    unsigned flags = (s->is_unix ? HANDOVER_IS_UNIX : 0) | (s->greeted ? HANDOVER_GREETED : 0);
    int err = uv_fileno((const uv_handle_t *)&s->handle.stream, &fd);
    if (!err && put_unanswered(s, &bytes))
        err = handover_pass(s->all->heir, fd, flags, (struct str){bytes.data, bytes.len});
    buf_finish(&bytes);
    return err != -EAGAIN;
}

void session_drain_if_idle(struct session *s)
{
    if (!s->draining || s->closing || s->pending || s->queued || s->out.len)
        return;
    if (!s->all->heir || s->failed || pass_on(s))
        session_close(s);
}

static bool has_input(const struct session *s)
{
    uv_os_fd_t fd;
    int bytes = 0;
    return uv_fileno((const uv_handle_t *)&s->handle.stream, &fd) == 0 && ioctl(fd, FIONREAD, &bytes) == 0 && bytes > 0;
}

/* Who has just come is let ask once, and what was sent already is read: a restart loses no query that way. An heir reads it. */
static bool may_ask(const struct session *s)
{
    bool in_time = uv_now(s->all->server->loop) < s->all->drain_from + DRAIN_GRACE_MS;
    return !s->all->heir && !s->held && in_time && (!s->asked || has_input(s));
}

void sessions_drain(struct sessions *all, bool now)
{
    struct session *next;
    if (!all->drain_from)
        all->drain_from = uv_now(all->server->loop);
    for (struct session *s = all->first; s; s = next) {
        next = s->next;
        if (!s->draining && (now || !may_ask(s))) {
            s->draining = true;
            if (all->heir)
                uv_read_stop(&s->handle.stream);
        }
        if (now)
            session_close(s);
        else
            session_drain_if_idle(s);
    }
}

bool sessions_are_gone(const struct sessions *all)
{
    return all->first == NULL;
}
