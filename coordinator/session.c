#include "coordinator/session.h"

#include <errno.h>
#include <stdlib.h>

#include "common/err.h"
#include "common/fd.h"
#include "common/logger.h"
#include "coordinator/handover.h"
#include "coordinator/requests.h"
#include "coordinator/session_state.h"

enum { REQUEST_KEPT = 256 << 10 };

struct server *session_server(struct session *s)
{
    return s->all->server;
}

/* ------------------------------------------------------------------------------------------------------------- pending
 */

void session_add_pending(struct session *s, struct pending *p, uint64_t request, void (*cancel)(struct pending *p))
{
    *p = (struct pending){.next = s->pending, .session = s, .request = request, .cancel = cancel};
    s->pending = p;
}

void session_remove_pending(struct pending *p)
{
    struct session *s = p->session;
    if (!s)
        return;
    for (struct pending **at = &s->pending; *at; at = &(*at)->next) {
        if (*at == p) {
            *at = p->next;
            break;
        }
    }
    p->session = NULL;
    session_drain_if_idle(s);
}

static void cancel_all(struct session *s)
{
    while (s->pending) {
        struct pending *p = s->pending;
        s->pending = p->next;
        p->session = NULL;
        p->cancel(p);
    }
}

/* ------------------------------------------------------------------------------------------------------------- closing
 */

static void on_closed(uv_handle_t *handle)
{
    struct session *s = handle->data;
    frame_reader_finish(&s->frames);
    buf_finish(&s->out);
    buf_finish(&s->kept);
    buf_finish(&s->again);
    free(s);
}

void session_close(struct session *s)
{
    if (s->closing)
        return;
    s->closing = true;
    cancel_all(s);
    *s->at = s->next;
    if (s->next)
        s->next->at = s->at;
    for (struct session **at = &s->all->dirty; *at; at = &(*at)->next_dirty) {
        if (*at == s) {
            *at = s->next_dirty;
            break;
        }
    }
    s->all->count--;
    if (s->awaits_turn)
        session_leave_turns(s);
    uv_close((uv_handle_t *)&s->handle.stream, on_closed);
}

/* ------------------------------------------------------------------------------------------------------------- writing
 */

struct outgoing {
    uv_write_t write;
    char *data;
    size_t size;
};

/* Between two writes it is the log alone that holds a client up. */
static bool must_wait(const struct session *s)
{
    const struct ingest *g = s->all->server->ingest;
    return s->holds || (s->body_of && (ingest_is_full(g) || intake_must_wait(s->body_of->intake))) ||
           (s->wrote && ingest_awaits_room(g));
}

static void on_written(uv_write_t *write, int status)
{
    struct outgoing *o = (struct outgoing *)write;
    struct session *s = write->handle->data;
    s->queued -= o->size;
    free(o->data);
    free(o);
    if (status < 0) {
        session_close(s);
        return;
    }
    if (s->paused && s->queued < RESUME_BELOW && !must_wait(s))
        session_start_reading(s);
    session_drain_if_idle(s);
}

/* What the socket takes at once goes at once; the rest is libuv's to keep, bounded by QUEUE_MOST. */
static void flush(struct session *s)
{
    struct buf out = s->out;
    s->out = (struct buf){0};
    uv_buf_t bytes = uv_buf_init(out.data, (unsigned)out.len);
    int done = s->queued ? UV_EAGAIN : uv_try_write(&s->handle.stream, &bytes, 1);
    size_t sent = done > 0 ? (size_t)done : 0;
    if (done < 0 && done != UV_EAGAIN) {
        buf_finish(&out);
        session_close(s);
        return;
    }
    struct outgoing *o = sent < out.len ? malloc(sizeof *o) : NULL;
    if (!o) {
        bool all = sent == out.len;
        buf_finish(&out);
        if (!all)
            session_close(s);
        else if (s->paused && !must_wait(s))
            session_start_reading(s); /* it was paused for what is gone now */
        return;
    }
    *o = (struct outgoing){.data = out.data, .size = out.len - sent};
    bytes = uv_buf_init(out.data + sent, (unsigned)o->size);
    s->queued += o->size;
    if (uv_write(&o->write, &s->handle.stream, &bytes, 1, on_written) < 0) {
        s->queued -= o->size;
        free(o->data);
        free(o);
        session_close(s);
    }
}

static void flush_all(struct sessions *all)
{
    while (all->dirty) {
        struct session *s = all->dirty;
        all->dirty = s->next_dirty;
        s->dirty = false;
        if (s->overflown)
            session_close(s);
        else
            flush(s);
        if (!s->closing)
            session_drain_if_idle(s);
    }
}

static void end_turn(uv_prepare_t *prepare)
{
    flush_all(prepare->data);
    sessions_give_turns(prepare->data);
}

void session_mark_dirty(struct session *s)
{
    if (s->dirty)
        return;
    s->dirty = true;
    s->next_dirty = s->all->dirty;
    s->all->dirty = s;
}

void session_end(struct session *s)
{
    s->draining = s->failed = true;
    uv_read_stop(&s->handle.stream);
}

void session_fatal(struct session *s, const char *code, const char *message)
{
    session_error(s, 0, code, NULL, "%s", message);
    if (s->closing)
        return;
    cancel_all(s);
    session_end(s);
}

/* ------------------------------------------------------------------------------------------------------------- reading
 */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    struct session *s = handle->data;
    (void)suggested;
    /* One for all: it is consumed before the next read. Without one there is no read, but on_read is called. */
    *out = session_has_turn(s) ? uv_buf_init(s->all->buffer, READ_BUFFER) : uv_buf_init(NULL, 0);
}

void session_hold(struct session *s)
{
    s->held = true;
    uv_read_stop(&s->handle.stream);
}

/* The frame of a request that is held, as it came, and all that was read behind it. */
static void keep(struct session *s, struct str envelope, struct str rest)
{
    uint8_t header[FRAME_HEADER];
    frame_header(header, envelope.len, s->frames.body_left);
    buf_append_str(&s->kept, (struct str){(const char *)header, sizeof header});
    buf_append_str(&s->kept, envelope);
    buf_append_str(&s->kept, rest);
}

static bool take(struct session *s, struct str input)
{
    struct str piece;
    for (;;) {
        enum frame_event event = frame_next(&s->frames, &input, &piece);
        if (event == FRAME_MORE)
            return true;
        if (event == FRAME_BAD) {
            session_fatal(s, CODE_BAD_FRAME,
                          s->frames.err == ERR_TOO_LARGE ? "the frame or its envelope is larger than is allowed"
                                                         : "the frame's lengths make no sense");
            return false;
        }
        bool fine = event == FRAME_ENVELOPE ? dispatch_envelope(s, piece) : dispatch_body(s, piece);
        if (s->held)
            keep(s, piece, input);
        arena_reset(&s->all->arena, REQUEST_KEPT);
        if (fine && s->frames.body_left == 0)
            fine = dispatch_frame_end(s);
        if (!fine || s->closing)
            return false;
    }
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buffer)
{
    struct session *s = stream->data;
    if (got == UV_ENOBUFS) {
        session_await_turn(s);
        return;
    }
    s->wrote = false;
    if (got < 0)
        session_close(s);
    else if (got > 0 && !s->draining && take(s, (struct str){buffer->base, (size_t)got}))
        session_pause_if_full(s); /* also in the middle of a frame */
    if (got > 0)
        session_took(s, (size_t)got);
}

void session_start_reading(struct session *s)
{
    s->paused = false;
    if (!s->closing && !s->held && !s->awaits_turn && !(s->draining && !s->pending))
        uv_read_start(&s->handle.stream, on_alloc, on_read);
}

void session_pause_if_full(struct session *s)
{
    if (s->paused || s->closing || (s->queued + s->out.len < PAUSE_ABOVE && !must_wait(s)))
        return;
    s->paused = true;
    uv_read_stop(&s->handle.stream);
}

/* -------------------------------------------------------------------------------------------------------------
 * accepting */

static void refuse_connection(struct session *s)
{
    session_fatal(s, CODE_BUSY, "there are as many connections as max-connections allows");
}

/* In the list, without a connection yet; NULL: no memory. */
static struct session *new_session(struct sessions *all, bool is_unix)
{
    struct session *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    int err =
        is_unix ? uv_pipe_init(all->server->loop, &s->handle.pipe, 0) : uv_tcp_init(all->server->loop, &s->handle.tcp);
    if (err) {
        free(s);
        return NULL;
    }
    s->handle.stream.data = s;
    s->is_unix = is_unix;
    s->all = all;
    s->next = all->first;
    s->at = &all->first;
    if (s->next)
        s->next->at = &s->next;
    all->first = s;
    all->count++;
    return s;
}

static void begin(struct session *s)
{
    if (!s->is_unix)
        uv_tcp_nodelay(&s->handle.tcp, 1);
    if (s->all->count > s->all->server->config.max_connections)
        refuse_connection(s);
    else
        session_start_reading(s);
}

static void on_connection(uv_stream_t *listener, int status)
{
    bool is_unix = uv_handle_get_type((const uv_handle_t *)listener) == UV_NAMED_PIPE;
    struct session *s = status < 0 ? NULL : new_session(listener->data, is_unix);
    if (!s)
        return;
    if (uv_accept(listener, &s->handle.stream) < 0)
        session_close(s);
    else
        begin(s);
}

void sessions_adopt(struct sessions *all, int fd, unsigned flags, struct str unanswered)
{
    bool is_unix = flags & HANDOVER_IS_UNIX;
    struct session *s = new_session(all, is_unix);
    int err = !s ? -ENOMEM : is_unix ? uv_pipe_open(&s->handle.pipe, fd) : uv_tcp_open(&s->handle.tcp, fd);
    if (err) {
        log_warn("a connection that was passed cannot be taken over: %s", err_str(err));
        fd_close(&fd);
        if (s)
            session_close(s);
        return;
    }
    s->greeted = flags & HANDOVER_GREETED;
    begin(s);
    if (!s->closing && !s->draining && unanswered.len && take(s, unanswered))
        session_pause_if_full(s);
}

int sessions_listen(struct sessions *all, char why[256])
{
    const struct listen_options o = {.loop = all->server->loop,
                                     .config = &all->server->config,
                                     .activation = &all->server->activation,
                                     .on_connection = on_connection,
                                     .context = all};
    return listen_begin(&all->listeners, &o, why);
}

void sessions_share_sockets(const struct sessions *all, struct handover_sockets *out)
{
    listen_share(&all->listeners, out);
}

void sessions_give_away_sockets(struct sessions *all)
{
    listen_give_away(&all->listeners);
}

void sessions_stop_listening(struct sessions *all)
{
    listen_end(&all->listeners);
}

/* ------------------------------------------------------------------------------------------------------------- life */

int sessions_open(struct server *s, struct sessions **out)
{
    struct sessions *all = calloc(1, sizeof *all);
    if (!all)
        return -ENOMEM;
    all->server = s;
    all->buffer = malloc(READ_BUFFER);
    int err = all->buffer ? arena_init(&all->arena, WORKSPACE_MEMORY, 0) : -ENOMEM;
    if (!err)
        err = uv_prepare_init(s->loop, &all->prepare);
    if (!err)
        err = uv_timer_init(s->loop, &all->turn_timer);
    all->prepare.data = all;
    if (!err)
        err = uv_prepare_start(&all->prepare, end_turn);
    if (!err)
        *out = all;
    return err;
}

uint32_t sessions_count(const struct sessions *all)
{
    return all->count;
}

uint32_t sessions_waiting(const struct sessions *all)
{
    uint32_t waiting = 0;
    for (const struct session *s = all->first; s; s = s->next)
        waiting += s->paused && must_wait(s);
    return waiting;
}
