/* session.h - client connections: frames in, answers out, bounded both ways. */
#ifndef COORDINATOR_SESSION_H
#define COORDINATOR_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "common/str.h"
#include "proto/message.h"

struct server;
struct session;
struct sessions;

int sessions_open(struct server *s, struct sessions **out);

/* Listens as configured; a sentence in `why`. */
int sessions_listen(struct sessions *all, char why[256]);
struct handover_sockets;
void sessions_share_sockets(const struct sessions *all, struct handover_sockets *out); /* as listen_share */
void sessions_give_away_sockets(struct sessions *all);
void sessions_stop_listening(struct sessions *all);

/* Nothing more is read of write streams that are under way: what was received of them is told when it is safe. Then, once
 * nothing can end any more that waits for jobs: whoever waits is told so. */
void sessions_stop_streams(struct sessions *all);
void sessions_stop_waiting(struct sessions *all);

/* Ends every connection once it has nothing in flight; at once with `now`. Where there is an heir they go to it, with what was
 * sent by then and is not answered, and nothing more is read here. */
struct handover;
void sessions_leave_to(struct sessions *all, struct handover *heir); /* NULL: there is none */
void sessions_drain(struct sessions *all, bool now);

/* A connection that another mayflyd has let go of. Takes over `fd`. */
void sessions_adopt(struct sessions *all, int fd, unsigned flags, struct str unanswered);
bool sessions_are_gone(const struct sessions *all);
uint32_t sessions_count(const struct sessions *all);
uint32_t sessions_waiting(const struct sessions *all); /* for regions or log to have room */

void sessions_resume_writers(struct sessions *all);
void sessions_open_index(struct sessions *all); /* one that was closed: what was held for it is given, in order */

/* Answers to one request; they travel at the end of the loop turn. */
void session_send(struct session *s, uint64_t request, Mayfly__Envelope *answer, struct str body);
void session_send_pieces(struct session *s, uint64_t request, Mayfly__Envelope *answer, const struct str *pieces,
                         size_t count); /* the body, in pieces */
void session_error(struct session *s, uint64_t request, const char *code, const char *field, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
void session_done(struct session *s, uint64_t request, uint64_t task);

struct server *session_server(struct session *s);

/* Something that goes on for a request after its handler: freed or forgotten when the client hangs up or cancels. */
struct pending {
    struct pending *next;
    struct session *session; /* NULL once the client is gone */
    uint64_t request;
    void (*cancel)(struct pending *p); /* the client is gone or has cancelled; it is out of the list already */
    void (*stop)(struct pending *p);   /* what it waits for will not come in this life: it tells the client, and is gone. NULL: it ends by itself */
};

/* A request that waits for what only the heir sees: asked of it when the connection is there. False: there is no heir. */
bool session_ask_again(struct session *s, Mayfly__Envelope *request);

void session_add_pending(struct session *s, struct pending *p, uint64_t request, void (*cancel)(struct pending *p));
void session_remove_pending(struct pending *p); /* accepts one whose session is gone */

#endif
