/* frame.h - how messages lie on a stream socket, between client and coordinator and between coordinator and shard.
 *
 *   0        4          8               8+n        4+total
 *   | total  | envelope | Envelope      | raw body |
 *   | u32 le | length n | (protobuf)    |          |
 *
 * `total` counts everything after itself: 4 + n + body. To the server a frame has at most FRAME_MAX_TOTAL, since what is
 * long is a stream there; an answer carries a document whole, whatever size the server accepted it with, and has at most
 * FRAME_MAX_ANSWER. A reader feeds bytes as they arrive and gets back whole
 * envelopes, then the pieces of their bodies, without copying a body. */
#ifndef PROTO_FRAME_H
#define PROTO_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/str.h"

enum {
    FRAME_HEADER = 8,
    FRAME_MAX_ENVELOPE = 1 << 20,
    FRAME_MAX_TOTAL = 16 << 20,
    FRAME_MAX_DOCUMENT = 1 << 30, /* the most that max-document-size can be */
    FRAME_MAX_ANSWER = 4 + FRAME_MAX_ENVELOPE + FRAME_MAX_DOCUMENT,
};

/* Writes the 8 bytes that precede an envelope of that length with a body of that length after it. */
void frame_header(uint8_t to[FRAME_HEADER], size_t envelope, size_t body);

enum frame_event {
    FRAME_MORE,     /* everything given was consumed; feed more */
    FRAME_ENVELOPE, /* `piece` is a whole envelope, `body_left` bytes of body follow */
    FRAME_BODY,     /* `piece` is the next part of the body, `body_left` what follows it */
    FRAME_BAD,      /* ERR_CORRUPT or ERR_TOO_LARGE in `err`; the stream cannot be read further */
};

struct frame_reader {
    uint8_t header[FRAME_HEADER];
    size_t have;         /* bytes of header or envelope so far */
    size_t envelope;     /* length */
    size_t body_left;
    struct buf partial;  /* an envelope that came in several reads; empty otherwise, so an idle connection holds nothing */
    int stage;
    int err;
    size_t max_envelope; /* 0: FRAME_MAX_ENVELOPE */
    size_t max_total;    /* 0: FRAME_MAX_TOTAL; shards' frames may be larger */
};

/* Takes from the front of *input and advances it. `piece` points into input or into the reader, valid until the next
 * call. Call again while the event is not FRAME_MORE or FRAME_BAD. A body of length 0 gives no FRAME_BODY. */
enum frame_event frame_next(struct frame_reader *r, struct str *input, struct str *piece);

/* Appends what was taken of a frame whose envelope is not whole yet. False, in the middle of a body: that is gone. */
bool frame_unfinished(const struct frame_reader *r, struct buf *out);

void frame_reader_finish(struct frame_reader *r);

#endif
