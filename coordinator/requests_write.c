/* Write: frames of a stream to its intake, its progress to the client. */
#include "coordinator/requests.h"

#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "coordinator/session_state.h"

/* -------------------------------------------------------------------------------------------------------------
 * progress */

static void send_written(struct session *s, uint64_t request, const struct intake_progress *p)
{
    Mayfly__Written written = MAYFLY__WRITTEN__INIT;
    Mayfly__Envelope answer = MAYFLY__ENVELOPE__INIT;
    Mayfly__Refusal *refusals = calloc(p->refusal_count + 1, sizeof *refusals);
    Mayfly__Refusal **list = calloc(p->refusal_count + 1, sizeof(*list));
    require(refusals != NULL && list != NULL);
    for (size_t i = 0; i < p->refusal_count; i++) {
        const struct intake_refusal *from = &p->refusals[i];
        mayfly__refusal__init(&refusals[i]);
        refusals[i].id = from->text;
        refusals[i].code = from->text + from->code;
        refusals[i].message = from->text + from->message;
        refusals[i].position = from->position;
        list[i] = &refusals[i];
    }
    written.task = p->task;
    written.accepted = p->accepted;
    written.searchable = p->searchable;
    written.refused = p->refused;
    written.deleted = p->deleted;
    written.done = p->done;
    written.n_refusals = p->refusal_count;
    written.refusals = list;
    answer.message_case = MAYFLY__ENVELOPE__MESSAGE_WRITTEN;
    answer.written = &written;
    session_send(s, request, &answer, (struct str){0});
    free(refusals);
    free(list);
}

static void free_stream(struct write_stream *w)
{
    buf_finish(&w->held);
    free(w);
}

static void forget(struct write_stream *w)
{
    struct session *s = w->pending.session;
    if (s && s->body_of == w)
        s->body_of = NULL;
    session_remove_pending(&w->pending);
    free_stream(w);
}

static void tell(void *context, const struct intake_progress *p)
{
    struct write_stream *w = context;
    struct session *s = w->pending.session;
    if (s)
        send_written(s, w->pending.request, p);
    if (p->done)
        forget(w);
}

/* The client is gone or has cancelled: the stream ends where it is. */
static void cancel(struct pending *pending)
{
    struct write_stream *w = (struct write_stream *)pending;
    intake_hang_up(w->intake);
    free_stream(w);
}

/* The log has what was received. Of a stream that has not come to its end nobody could tell where another server is to go on. */
static void stop(struct pending *pending)
{
    struct write_stream *w = (struct write_stream *)pending;
    struct session *s = pending->session;
    bool whole = intake_is_received(w->intake);
    session_error(s, pending->request, CODE_STOPPING, NULL, "%s",
                  whole ? "the server is stopping: all is accepted and safe, and will be searchable when it is back"
                        : "the server is stopping: what was accepted is safe, the rest is to be sent again");
    intake_hang_up(w->intake);
    if (!whole)
        session_end(s);
    forget(w);
}

bool write_cut_streams(struct pending *list)
{
    bool any = false;
    for (struct pending *p = list; p; p = p->next) {
        struct write_stream *w = (struct write_stream *)p;
        if (p->cancel != cancel || intake_is_received(w->intake))
            continue;
        intake_cut(w->intake);
        any = true;
    }
    return any;
}

static void fail(struct session *s, struct write_stream *w, const char *message)
{
    uint64_t request = w->pending.request;
    if (s->body_of == w)
        s->body_of = NULL;
    intake_hang_up(w->intake);
    forget(w);
    session_error(s, request, CODE_BAD_REQUEST, NULL, "%s", message);
}

/* ------------------------------------------------------------------------------------------------------------- frames
 */

static const enum operation_kind kinds[] = {[MAYFLY__WRITE__KIND__PUT] = OPERATION_PUT,
                                            [MAYFLY__WRITE__KIND__DELETE] = OPERATION_DELETE,
                                            [MAYFLY__WRITE__KIND__PATCH] = OPERATION_PATCH};

static bool is_supported(struct session *s, const Mayfly__Envelope *e)
{
    if ((unsigned)e->write->kind < sizeof kinds / sizeof kinds[0])
        return true;
    session_error(s, e->request, CODE_NOT_SUPPORTED, "kind", "this version does not know such operations");
    return false;
}

/* A new index is usable at once; nothing in it is acknowledged before the catalog has it. */
static struct index *index_for(struct session *s, const Mayfly__Envelope *e)
{
    const Mayfly__Write *w = e->write;
    struct server *server = session_server(s);
    struct index *index = indexes_find(&server->indexes, str_of(w->index));
    if (index || !w->create)
        return index ? index : requests_index(s, e->request, w->index);
    return requests_create(s, e->request, w->index, w->primary_key, 0);
}

static struct write_stream *begin_stream(struct session *s, uint64_t request, struct index *index,
                                         enum operation_kind kind, Mayfly__Write__Wait how)
{
    static const enum intake_wait waits[] = {[MAYFLY__WRITE__WAIT__ACCEPTED] = WAIT_ACCEPTED,
                                             [MAYFLY__WRITE__WAIT__SEARCHABLE] = WAIT_SEARCHABLE,
                                             [MAYFLY__WRITE__WAIT__NONE] = WAIT_NONE};
    unsigned wait = (unsigned)how;
    struct write_stream *w = calloc(1, sizeof *w);
    require(w != NULL);
    w->intake = intake_begin(session_server(s)->ingest, index, kind,
                             wait < sizeof waits / sizeof waits[0] ? waits[wait] : WAIT_ACCEPTED, tell, w);
    if (!w->intake) {
        free(w);
        requests_refuse_unwritten(s, request);
        return NULL;
    }
    session_add_pending(s, &w->pending, request, cancel);
    w->pending.stop = stop;
    return w;
}


void handle_write(struct session *s, const Mayfly__Envelope *e)
{
    const Mayfly__Write *m = e->write;
    if (m->filter[0]) {
        filter_begin(s, e);
        return;
    }
    struct index *index = is_supported(s, e) ? index_for(s, e) : NULL;
    struct write_stream *w = index ? begin_stream(s, e->request, index, kinds[m->kind], m->wait) : NULL;
    s->body_of = w;
    s->frame_is_last = m->last;
}

static struct write_stream *find_stream(struct session *s, uint64_t request)
{
    for (struct pending *p = s->pending; p; p = p->next)
        if (p->request == request && p->cancel == cancel)
            return (struct write_stream *)p;
    return NULL;
}

bool write_continue(struct session *s, const Mayfly__Envelope *e)
{
    struct write_stream *w = find_stream(s, e->request);
    if (!w)
        return false;
    s->body_of = w;
    s->frame_is_last = e->write->last;
    return true;
}

/* -------------------------------------------------------------------------------------------------- bytes, or later
 */

static void give_bytes(struct session *s, struct write_stream *w, struct str bytes)
{
    if (intake_bytes(w->intake, bytes))
        fail(s, w, "the stream of operations cannot be read; what was accepted before stays");
}

static void give_end(struct session *s, struct write_stream *w, bool last)
{
    if (intake_frame_end(w->intake, last))
        fail(s, w, "the stream ended in the middle of an operation; what was accepted before stays");
}

static bool must_hold(struct session *s, const struct write_stream *w)
{
    s->holds |= intake_is_closed(w->intake);
    return intake_is_closed(w->intake);
}

static void hold(struct write_stream *w, struct str bytes)
{
    buf_append_str(&w->held, bytes);
    require(!w->held.err);
}

void write_body(struct session *s, struct str piece)
{
    s->wrote = true;
    if (must_hold(s, s->body_of))
        hold(s->body_of, piece);
    else
        give_bytes(s, s->body_of, piece);
}

void write_frame_end(struct session *s)
{
    struct write_stream *w = s->body_of;
    if (must_hold(s, w)) {
        w->held_end = true;
        w->held_last = s->frame_is_last;
    } else {
        give_end(s, w, s->frame_is_last);
    }
}

void write_filter(struct session *s, uint64_t request, struct index *index, Mayfly__Write__Wait wait, struct str filter)
{
    struct write_stream *w = begin_stream(s, request, index, OPERATION_FILTER, wait);
    if (!w)
        return;
    if (must_hold(s, w)) {
        hold(w, filter);
        w->held_filter = true;
        session_pause_if_full(s);
    } else {
        intake_filter(w->intake, filter);
    }
}

/* The session's oldest comes first: streams of one client that write the same document keep their order. */
static struct write_stream *next_held(struct session *s)
{
    struct write_stream *found = NULL;
    for (struct pending *p = s->pending; p; p = p->next) {
        struct write_stream *w = p->cancel == cancel ? (struct write_stream *)p : NULL;
        if (w && (w->held.len || w->held_end) && !intake_is_closed(w->intake))
            found = w; /* new ones stand in front */
    }
    return found;
}

static void give_held(struct session *s, struct write_stream *w)
{
    struct buf held = w->held;
    struct str bytes = {held.data, held.len};
    uint64_t request = w->pending.request;
    bool is_filter = w->held_filter, ends = w->held_end, last = w->held_last;
    w->held = (struct buf){0};
    w->held_filter = w->held_end = false;
    if (is_filter)
        intake_filter(w->intake, bytes);
    else
        give_bytes(s, w, bytes);
    if (ends && find_stream(s, request) == w)
        give_end(s, w, last);
    buf_finish(&held);
}

void write_give_held(struct session *s)
{
    s->holds = false;
    for (struct write_stream *w; (w = next_held(s)) != NULL;)
        give_held(s, w);
    for (const struct pending *p = s->pending; p; p = p->next)
        if (p->cancel == cancel)
            s->holds |= ((const struct write_stream *)p)->held.len || ((const struct write_stream *)p)->held_end;
}
