#include "shard/outbox.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "common/err.h"

enum {
    COPIED_MOST = 16 << 10,  /* a larger frame is cheaper to send by itself than to copy */
    WAITING_MOST = 64 << 10, /* bytes: then they leave before the end of the turn */
    MAX_PIECES = 64,         /* of a frame in one system call */
};

static void wait_until_writable(struct outbox *o)
{
    struct pollfd wait = {.fd = o->sock, .events = POLLOUT};
    if (poll(&wait, 1, -1) < 0 && errno != EINTR)
        o->err = -errno;
}

/* Takes `size` sent bytes off the front. */
static void advance(struct iovec **pieces, size_t *count, size_t size)
{
    while (*count > 0 && size >= (*pieces)->iov_len) {
        size -= (*pieces)->iov_len;
        ++*pieces;
        --*count;
    }
    if (size > 0) {
        (*pieces)->iov_base = (char *)(*pieces)->iov_base + size;
        (*pieces)->iov_len -= size;
    }
}

static void send_pieces(struct outbox *o, struct iovec *pieces, size_t count)
{
    advance(&pieces, &count, 0);
    while (count > 0 && !o->err) {
        struct msghdr message = {.msg_iov = pieces, .msg_iovlen = count < MAX_PIECES ? count : MAX_PIECES};
        ssize_t sent = sendmsg(o->sock, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent >= 0)
            advance(&pieces, &count, (size_t)sent);
        else if (errno == EAGAIN)
            wait_until_writable(o);
        else if (errno != EINTR)
            o->err = errno == EPIPE || errno == ECONNRESET ? ERR_CLOSED : -errno;
    }
}

void outbox_put(struct outbox *o, struct iovec *pieces, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += pieces[i].iov_len;
    if (size > COPIED_MOST || o->waiting.len + size > WAITING_MOST)
        outbox_flush(o);
    if (size > COPIED_MOST) {
        send_pieces(o, pieces, count);
        return;
    }
    for (size_t i = 0; i < count; i++)
        buf_append(&o->waiting, pieces[i].iov_base, pieces[i].iov_len);
    if (o->waiting.err)
        o->err = o->waiting.err;
}

void outbox_flush(struct outbox *o)
{
    if (o->waiting.len == 0)
        return;
    send_pieces(o, &(struct iovec){o->waiting.data, o->waiting.len}, 1);
    o->waiting.len = 0;
}

void outbox_finish(struct outbox *o)
{
    buf_finish(&o->waiting);
}
