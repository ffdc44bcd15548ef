#include "client/mayfly.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "client/endpoint.h"
#include "common/buf.h"
#include "common/bytes.h"
#include "common/err.h"
#include "common/fd.h"
#include "proto/frame.h"
#include "proto/message.h"

enum {
    READ_SIZE = 64 << 10,
    INCOMING_KEEP = 1 << 20,
    ANSWER_MEMORY = 256 << 20, /* address space for one unpacked envelope, which has at most 1 MiB of bytes */
    ANSWER_KEEP = 1 << 20,
    QUEUE_MOST = 64 << 10,
};

struct mayfly {
    int fd;
    uint64_t last_request;
    struct buf incoming; /* received: frames from `taken` on */
    size_t taken;
    struct buf outgoing;        /* queued frames, header and envelope of the one being sent */
    struct arena arena;         /* the last answer, unpacked */
    struct mayfly_failure lost; /* code is empty while the connection is good */
    uint64_t max_document_size;
    char server[64];
};

void mayfly_failure_take(struct mayfly_failure *failure, const Mayfly__Error *error)
{
    snprintf(failure->code, sizeof failure->code, "%s", error->code);
    snprintf(failure->message, sizeof failure->message, "%s", error->message);
    snprintf(failure->field, sizeof failure->field, "%s", error->field);
}

/* Once lost, it stays so, with the first reason. */
static int lose(struct mayfly *m, const char *why, struct mayfly_failure *failure)
{
    if (!m->lost.code[0])
        endpoint_fail(&m->lost, MAYFLY_LOST, MAYFLY_CODE_CONNECTION_LOST, "the connection is lost: %s", why);
    *failure = m->lost;
    return MAYFLY_LOST;
}

/* ------------------------------------------------------------------------------------------------- bytes */

/* Whoever sleeps in recv is also woken whenever the server reads, since then there is room to write; poll waits for what it is
 * asked. */
static ssize_t receive_bytes(int fd, char *at, int flags)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    ssize_t got = recv(fd, at, READ_SIZE, MSG_DONTWAIT);
    while (got < 0 && (errno == EINTR || (errno == EAGAIN && !(flags & MSG_DONTWAIT)))) {
        if (errno == EAGAIN)
            (void)poll(&p, 1, -1);
        got = recv(fd, at, READ_SIZE, MSG_DONTWAIT);
    }
    return got;
}

/* One read of what is there; `flags` may say not to wait. 1 if something came, 0 if not yet, MAYFLY_LOST. */
static int read_some(struct mayfly *m, int flags, struct mayfly_failure *failure)
{
    if (m->taken == m->incoming.len) {
        m->taken = m->incoming.len = 0;
        buf_shrink(&m->incoming, INCOMING_KEEP);
    } else if (m->taken > INCOMING_KEEP) {
        buf_consume(&m->incoming, m->taken);
        m->taken = 0;
    }
    char *at = buf_extend(&m->incoming, READ_SIZE);
    if (!at)
        return lose(m, "out of memory", failure);
    ssize_t got = receive_bytes(m->fd, at, flags);
    m->incoming.len -= READ_SIZE - (got > 0 ? (size_t)got : 0);
    if (got > 0)
        return 1;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return 0;
    return lose(m, got ? err_str(-errno) : "the server closed it", failure);
}

/* The server has gone while we were sending. What it sent before is kept for mayfly_receive, and may say why. */
static int lose_sending(struct mayfly *m, int err, struct mayfly_failure *failure)
{
    while (read_some(m, MSG_DONTWAIT, failure) == 1)
        ;
    return lose(m, err_str(err), failure);
}

static int wait_for_room(struct mayfly *m, struct mayfly_failure *failure)
{
    struct pollfd p = {.fd = m->fd, .events = POLLIN | POLLOUT};
    if (poll(&p, 1, -1) < 0)
        return errno == EINTR ? 0 : lose(m, err_str(-errno), failure);
    if ((p.revents & POLLIN) && read_some(m, MSG_DONTWAIT, failure) < 0)
        return MAYFLY_LOST;
    return 0;
}

static int send_bytes(struct mayfly *m, struct str bytes, int flags, struct mayfly_failure *failure)
{
    while (bytes.len) {
        ssize_t sent = send(m->fd, bytes.ptr, bytes.len, flags | MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent >= 0) {
            bytes.ptr += sent;
            bytes.len -= (size_t)sent;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            int rc = wait_for_room(m, failure);
            if (rc)
                return rc;
        } else if (errno != EINTR) {
            return lose_sending(m, -errno, failure);
        }
    }
    return 0;
}

/* ------------------------------------------------------------------------------------------------ frames */

uint64_t mayfly_next_request(struct mayfly *m)
{
    return ++m->last_request;
}

/* Behind what is queued. */
static int open_frame(struct mayfly *m, const Mayfly__Envelope *envelope, size_t body, struct mayfly_failure *failure)
{
    if (m->lost.code[0])
        return lose(m, "", failure);
    size_t before = m->outgoing.len;
    message_frame_open(&m->outgoing, &envelope->base, body);
    if (!m->outgoing.err)
        return 0;
    m->outgoing.err = 0;
    m->outgoing.len = before;
    return endpoint_fail(failure, MAYFLY_REFUSED, CODE_BAD_REQUEST, "the request does not fit a frame");
}

static int send_queued(struct mayfly *m, int flags, struct mayfly_failure *failure)
{
    struct str queued = {.ptr = m->outgoing.data, .len = m->outgoing.len};
    m->outgoing.len = 0;
    return send_bytes(m, queued, flags, failure);
}

int mayfly_send_body(struct mayfly *m, const Mayfly__Envelope *envelope, struct str body,
                     struct mayfly_failure *failure)
{
    int rc = open_frame(m, envelope, body.len, failure);
    if (!rc)
        rc = send_queued(m, body.len ? MSG_MORE : 0, failure);
    return rc ? rc : send_bytes(m, body, 0, failure);
}

int mayfly_queue(struct mayfly *m, Mayfly__Envelope *envelope, struct mayfly_failure *failure)
{
    envelope->request = mayfly_next_request(m);
    int rc = open_frame(m, envelope, 0, failure);
    return rc || m->outgoing.len < QUEUE_MOST ? rc : send_queued(m, 0, failure);
}

int mayfly_send(struct mayfly *m, Mayfly__Envelope *envelope, struct mayfly_failure *failure)
{
    envelope->request = mayfly_next_request(m);
    return mayfly_send_body(m, envelope, (struct str){0}, failure);
}

/* The frame at the front of what came: true if it is whole. *bad is set if it cannot become one. */
static bool front_frame(const struct mayfly *m, struct str *envelope, struct str *body, bool *bad)
{
    const char *at = m->incoming.data + m->taken;
    size_t have = m->incoming.len - m->taken;
    if (have < FRAME_HEADER)
        return false;
    size_t total = load_u32(at), length = load_u32(at + 4);
    *bad = total < 4 || total > FRAME_MAX_ANSWER || length > total - 4 || length > FRAME_MAX_ENVELOPE;
    if (*bad || have < 4 + total)
        return false;
    *envelope = (struct str){.ptr = at + FRAME_HEADER, .len = length};
    *body = (struct str){.ptr = at + FRAME_HEADER + length, .len = total - 4 - length};
    return true;
}

bool mayfly_has_answer(struct mayfly *m)
{
    struct str envelope, body;
    struct mayfly_failure ignored;
    bool bad = false;
    if (front_frame(m, &envelope, &body, &bad) || bad || m->lost.code[0])
        return true;
    while (read_some(m, MSG_DONTWAIT, &ignored) == 1)
        if (front_frame(m, &envelope, &body, &bad) || bad)
            return true;
    return m->lost.code[0] != 0;
}

/* 1: *out is a whole answer. 0: not there yet. */
static int take_front(struct mayfly *m, struct mayfly_answer *out, struct mayfly_failure *failure)
{
    struct str envelope, body;
    bool bad = false;
    if (!front_frame(m, &envelope, &body, &bad))
        return bad ? lose(m, "what the server sends is not a frame", failure) : 0;
    arena_reset(&m->arena, ANSWER_KEEP);
    Mayfly__Envelope *e = message_unpack(&m->arena, envelope);
    if (!e)
        return lose(m, "an answer of the server does not decode", failure);
    m->taken += FRAME_HEADER + envelope.len + body.len;
    *out = (struct mayfly_answer){.envelope = e, .body = body};
    return 1;
}

/* An Error without a request is the last thing a server says. */
static int end_if_for_all(struct mayfly *m, const Mayfly__Envelope *e, struct mayfly_failure *failure)
{
    if (e->request || e->message_case != MAYFLY__ENVELOPE__MESSAGE_ERROR)
        return 0;
    mayfly_failure_take(&m->lost, e->error);
    if (!m->lost.code[0])
        snprintf(m->lost.code, sizeof m->lost.code, "%s", MAYFLY_CODE_CONNECTION_LOST);
    *failure = m->lost;
    return MAYFLY_LOST;
}

int mayfly_receive(struct mayfly *m, struct mayfly_answer *out, struct mayfly_failure *failure)
{
    for (;;) {
        int rc = take_front(m, out, failure);
        if (rc == 1)
            return end_if_for_all(m, out->envelope, failure);
        if (rc == 0 && m->lost.code[0])
            return lose(m, "", failure);
        if (rc == 0 && m->outgoing.len)
            (void)send_queued(m, 0, failure); /* what came before a failure is still received */
        else if (rc == 0)
            rc = read_some(m, 0, failure);
        if (rc < 0)
            return rc;
    }
}

int mayfly_call(struct mayfly *m, Mayfly__Envelope *envelope, Mayfly__Envelope__MessageCase wanted,
                struct mayfly_answer *out, struct mayfly_failure *failure)
{
    int rc = mayfly_send(m, envelope, failure);
    if (!rc || rc == MAYFLY_LOST) /* then what was received says why */
        rc = mayfly_receive(m, out, failure);
    if (rc)
        return rc;
    if (out->envelope->message_case == MAYFLY__ENVELOPE__MESSAGE_ERROR) {
        mayfly_failure_take(failure, out->envelope->error);
        return MAYFLY_REFUSED;
    }
    if (out->envelope->request != envelope->request || out->envelope->message_case != wanted)
        return lose(m, "the server's answer is not one to the request", failure);
    return 0;
}

/* -------------------------------------------------------------------------------------------- connection */

static int say_hello(struct mayfly *m, const struct mayfly_options *options, struct mayfly_failure *failure)
{
    Mayfly__Hello hello;
    mayfly__hello__init(&hello);
    hello.version = PROTOCOL_VERSION;
    hello.client = message_string(options->client ? options->client : "libmayfly " MAYFLY_VERSION);
    if (options->key)
        hello.key = message_string(options->key);
    Mayfly__Envelope envelope = MAYFLY__ENVELOPE__INIT;
    envelope.message_case = MAYFLY__ENVELOPE__MESSAGE_HELLO;
    envelope.hello = &hello;
    struct mayfly_answer answer;
    int rc = mayfly_call(m, &envelope, MAYFLY__ENVELOPE__MESSAGE_WELCOME, &answer, failure);
    if (rc)
        return rc;
    m->max_document_size = answer.envelope->welcome->max_document_size;
    snprintf(m->server, sizeof m->server, "%s", answer.envelope->welcome->server);
    return 0;
}

int mayfly_connect(struct mayfly **out, const struct mayfly_options *options, struct mayfly_failure *failure)
{
    scoped(fd) int fd = endpoint_connect(options, failure);
    if (fd < 0)
        return MAYFLY_LOST;
    struct mayfly *m = calloc(1, sizeof *m);
    if (!m || arena_init(&m->arena, ANSWER_MEMORY, 0)) {
        free(m);
        return endpoint_fail(failure, MAYFLY_LOST, MAYFLY_CODE_CANNOT_CONNECT, "out of memory");
    }
    m->fd = fd_take(&fd);
    int rc = say_hello(m, options, failure);
    if (rc) {
        mayfly_close(m);
        return rc;
    }
    *out = m;
    return 0;
}

void mayfly_close(struct mayfly *m)
{
    if (!m)
        return;
    fd_close(&m->fd);
    buf_finish(&m->incoming);
    buf_finish(&m->outgoing);
    arena_finish(&m->arena);
    free(m);
}

const char *mayfly_server(const struct mayfly *m)
{
    return m->server;
}

uint64_t mayfly_max_document_size(const struct mayfly *m)
{
    return m->max_document_size;
}
