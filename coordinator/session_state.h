/* session_state.h - a connection from the inside.  Used by session.c (bytes), session_answer.c (those of
 * answers), session_turns.c (who sends many), session_leave.c (its end) and dispatch.c (requests). */
#ifndef COORDINATOR_SESSION_STATE_H
#define COORDINATOR_SESSION_STATE_H

#include <uv.h>

#include "common/arena.h"
#include "common/buf.h"
#include "coordinator/ingest.h"
#include "coordinator/listen.h"
#include "coordinator/server.h"
#include "coordinator/session.h"
#include "coordinator/turns.h"
#include "proto/frame.h"

enum {
    READ_BUFFER = 64 << 10,
    PAUSE_ABOVE = 256 << 10, /* bytes queued for a client: not read from until it has taken them */
    RESUME_BELOW = 64 << 10,
    QUEUE_MOST = 64 << 20, /* beyond it the connection is closed: nobody reads there */
};

struct write_stream { /* of a session: an intake under way */
    struct pending pending;
    struct intake *intake;
    /* What came while its index was closed, at most of one read. */
    struct buf held;
    bool held_filter; /* it is one */
    bool held_end, held_last; /* of a frame */
};

struct session {
    struct session *next, **at;
    struct sessions *all;
    union {
        uv_stream_t stream;
        uv_pipe_t pipe;
        uv_tcp_t tcp;
    } handle;
    struct frame_reader frames;
    struct buf out;
    bool dirty; /* has something to flush */
    struct session *next_dirty;
    struct pending *pending;
    struct write_stream *body_of; /* whose body the frame's body is; NULL: nobody's */
    bool wrote;       /* in what was read last */
    bool greedy;      /* that was documents, and as much as is read at once */
    bool awaits_turn; /* to be read from again */
    struct session *next_waiting;
    bool holds; /* one of its streams holds something: nothing is read until it has been given on */
    bool greeted, asked, paused, closing, draining, overflown, frame_is_last, frame_is_write;
    bool is_unix;
    bool failed;     /* told why it is closed: for nobody else */
    bool held;       /* its last request is the heir's to answer: nothing more is read */
    struct buf kept; /* that request and what came behind it */
    struct buf again; /* requests that were to wait here, for the heir: whole frames */
    size_t queued;
};

struct sessions {
    struct server *server;
    struct session *first, *dirty;
    uint32_t count;
    struct listeners listeners;
    uint64_t drain_from; /* loop time; 0: not yet */
    struct handover *heir; /* NULL: connections are closed when they are let go of */
    bool stop_streams;     /* no more is read of a write stream under way */
    uv_prepare_t prepare;
    struct turns turns;
    struct session *waiting; /* for a turn */
    uv_timer_t turn_timer;
    struct arena arena; /* of one request; a search takes it along and leaves that of its workspace, which is as large */
    char *buffer;        /* one for all reads */
};

/* A whole envelope. False: the connection is to be closed, an Error was sent. */
bool dispatch_envelope(struct session *s, struct str envelope);
bool dispatch_body(struct session *s, struct str piece);
bool dispatch_frame_end(struct session *s);

/* The frame of the envelope that is being dispatched is for the heir. */
void session_hold(struct session *s);

void session_close(struct session *s); /* at once */
void session_mark_dirty(struct session *s); /* it has something to flush */
void session_fatal(struct session *s, const char *code, const char *message);
void session_end(struct session *s); /* nothing more is read; closed when everything is out */
void session_pause_if_full(struct session *s);
void session_start_reading(struct session *s);

/* session_leave.c: closed, or given to the heir, if it is draining and owes nothing. */
void session_drain_if_idle(struct session *s);

/* session_turns.c */
bool session_has_turn(const struct session *s);
void session_took(struct session *s, size_t bytes);
void session_await_turn(struct session *s);
void session_leave_turns(struct session *s);
void sessions_give_turns(struct sessions *all); /* before the loop waits */

#endif
