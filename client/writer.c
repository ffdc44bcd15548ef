#include "client/writer.h"

#include "client/endpoint.h"
#include "common/bytes.h"
#include "proto/message.h"

enum {
    FRAME_TARGET = 512 << 10, /* operations are gathered until there is so much */
    FRAME_MOST = 4 << 20,     /* a larger document crosses frames */
    WINDOW = 8 << 20,         /* bytes sent but not known to be safe */
};

void mayfly_writer_init(struct mayfly_writer *w, struct mayfly *m, const struct mayfly_writer_options *options)
{
    *w = (struct mayfly_writer){.connection = m, .options = *options, .request = mayfly_next_request(m)};
}

void mayfly_writer_finish(struct mayfly_writer *w)
{
    buf_finish(&w->pending);
}

static void land_frames(struct mayfly_writer *w)
{
    while (w->flight_count && w->flight[w->flight_first].end <= w->progress.accepted) {
        w->flight_bytes -= w->flight[w->flight_first].bytes;
        w->flight_first = (w->flight_first + 1) % MAYFLY_WRITER_FRAMES;
        w->flight_count--;
    }
}

static void take_written(struct mayfly_writer *w, const Mayfly__Written *written)
{
    if (written->task)
        w->progress.task = written->task;
    w->progress.accepted = written->accepted;
    w->progress.searchable = written->searchable;
    w->progress.refused = written->refused;
    w->progress.deleted = written->deleted;
    w->progress.done = written->done;
    for (size_t i = 0; w->options.on_refusal && i < written->n_refusals; i++)
        w->options.on_refusal(w->options.context, written->refusals[i]);
    land_frames(w);
    if (w->options.on_progress)
        w->options.on_progress(w->options.context, &w->progress);
}

static int take_answer(struct mayfly_writer *w, struct mayfly_failure *failure)
{
    struct mayfly_answer answer;
    int rc = mayfly_receive(w->connection, &answer, failure);
    if (rc)
        return rc;
    const Mayfly__Envelope *e = answer.envelope;
    if (e->request != w->request)
        return 0;
    if (e->message_case == MAYFLY__ENVELOPE__MESSAGE_WRITTEN) {
        take_written(w, e->written);
        return 0;
    }
    if (e->message_case == MAYFLY__ENVELOPE__MESSAGE_ERROR) {
        mayfly_failure_take(failure, e->error);
        return MAYFLY_REFUSED;
    }
    return endpoint_fail(failure, MAYFLY_REFUSED, CODE_INTERNAL,
                         "the server's answer is not one to a stream of writes");
}

/* With NONE the server says nothing before the end, and only the socket's own buffers bound what is under way. */
static bool window_is_full(const struct mayfly_writer *w, size_t size)
{
    if (w->options.wait == MAYFLY__WRITE__WAIT__NONE || w->flight_count == 0)
        return false;
    return w->flight_count == MAYFLY_WRITER_FRAMES || w->flight_bytes + size > WINDOW;
}

static int make_room(struct mayfly_writer *w, size_t size, struct mayfly_failure *failure)
{
    int rc = 0;
    while (!rc && (window_is_full(w, size) || mayfly_has_answer(w->connection)))
        rc = take_answer(w, failure);
    return rc;
}

/* A frame in the middle of a document lands with the one before: the server cannot say that it is safe by itself. */
static void note_flight(struct mayfly_writer *w, size_t bytes, bool is_end)
{
    if (w->options.wait == MAYFLY__WRITE__WAIT__NONE)
        return;
    size_t at = (w->flight_first + w->flight_count++) % MAYFLY_WRITER_FRAMES;
    if (is_end)
        w->flushed = w->progress.sent;
    w->flight[at].end = w->flushed;
    w->flight[at].bytes = bytes;
    w->flight_bytes += bytes;
    land_frames(w); /* what ends no operation is not waited for */
}

/* The connection is gone: what was answered before still counts, and its last words are the reason. */
static int drain(struct mayfly_writer *w, struct mayfly_failure *failure)
{
    int rc;
    do
        rc = take_answer(w, failure);
    while (rc == 0);
    return rc;
}

static int send_frame(struct mayfly_writer *w, struct str body, bool is_end, bool last, struct mayfly_failure *failure)
{
    Mayfly__Write write;
    mayfly__write__init(&write);
    if (!w->opened) {
        write.index = message_string(w->options.index);
        write.kind = w->options.kind;
        write.wait = w->options.wait;
        write.create = w->options.create;
        if (w->options.primary_key)
            write.primary_key = message_string(w->options.primary_key);
        if (w->options.filter)
            write.filter = message_string(w->options.filter);
    }
    write.last = last;
    Mayfly__Envelope envelope = MAYFLY__ENVELOPE__INIT;
    envelope.request = w->request;
    envelope.message_case = MAYFLY__ENVELOPE__MESSAGE_WRITE;
    envelope.write = &write;
    int rc = make_room(w, body.len, failure);
    if (!rc)
        rc = mayfly_send_body(w->connection, &envelope, body, failure);
    if (rc)
        return rc == MAYFLY_LOST ? drain(w, failure) : rc;
    w->opened = true;
    note_flight(w, body.len, is_end);
    return 0;
}

static int flush(struct mayfly_writer *w, bool last, struct mayfly_failure *failure)
{
    struct str rest = {.ptr = w->pending.data, .len = w->pending.len};
    do {
        struct str part = {.ptr = rest.ptr, .len = rest.len < FRAME_MOST ? rest.len : FRAME_MOST};
        rest.ptr += part.len;
        rest.len -= part.len;
        int rc = send_frame(w, part, rest.len == 0, last && rest.len == 0, failure);
        if (rc)
            return rc;
    } while (rest.len);
    w->pending.len = 0;
    buf_shrink(&w->pending, FRAME_MOST);
    return 0;
}

int mayfly_writer_append(struct mayfly_writer *w, struct str id, struct str body, struct mayfly_failure *failure)
{
    uint8_t length[4];
    store_u32(length, (uint32_t)id.len);
    buf_append(&w->pending, length, sizeof length);
    buf_append_str(&w->pending, id);
    store_u32(length, (uint32_t)body.len);
    buf_append(&w->pending, length, sizeof length);
    buf_append_str(&w->pending, body);
    if (w->pending.err)
        return endpoint_fail(failure, MAYFLY_REFUSED, CODE_INTERNAL, "out of memory");
    w->progress.sent++;
    w->progress.bytes += body.len;
    return w->pending.len < FRAME_TARGET ? 0 : flush(w, false, failure);
}

int mayfly_writer_end(struct mayfly_writer *w, struct mayfly_failure *failure)
{
    int rc = flush(w, true, failure);
    while (!rc && !w->progress.done)
        rc = take_answer(w, failure);
    return rc;
}
