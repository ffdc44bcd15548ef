/* From an envelope to the handler of its message. */
#include "coordinator/requests.h"

#include <string.h>

#include "coordinator/session_state.h"

enum { REQUEST_MEMORY = 32 << 20 };

struct handler {
    void (*handle)(struct session *s, const Mayfly__Envelope *e);
    bool while_starting; /* also before everything is ready */
    bool while_stopping; /* also of clients that are not let go yet, and while another takes over: what only reads */
};

#define ON(name) MAYFLY__ENVELOPE__MESSAGE_##name
static const struct handler handlers[] = {
    [ON(PING)] = {handle_ping, true, true},
    [ON(INDEX_CREATE)] = {handle_index_create, false, false},
    [ON(INDEX_LIST)] = {handle_index_list, false, true},
    [ON(INDEX_DROP)] = {handle_index_drop, false, false},
    [ON(INDEX_SWAP)] = {handle_index_swap, false, false},
    [ON(INDEX_OPTIMIZE)] = {handle_index_optimize, false, false},
    [ON(SETTINGS_GET)] = {handle_settings_get, false, true},
    [ON(SETTINGS_SET)] = {handle_settings_set, false, false},
    [ON(WRITE)] = {handle_write, false, false},
    [ON(GET)] = {handle_get, false, true},
    [ON(SEARCH)] = {handle_search, false, true},
    [ON(TASK_LIST)] = {handle_task_list, true, true},
    [ON(TASK_WAIT)] = {handle_task_wait, false, false},
    [ON(STATS_GET)] = {handle_stats, true, true},
    [ON(BUDGET_GET)] = {handle_budget, true, true},
    [ON(TRIM)] = {handle_trim, false, false},
    [ON(BACKUP)] = {handle_backup, false, false},
    [ON(RESHARD)] = {handle_reshard, false, false},
    [ON(CANCEL)] = {handle_cancel, true, true},
};
enum { HANDLERS = sizeof handlers / sizeof handlers[0] };

/* Every byte is looked at, whatever matches: a key is not to be guessed by time. */
static bool keys_match(const char *wanted, const char *given)
{
    size_t length = strlen(wanted), other = strlen(given);
    unsigned char difference = length != other;
    for (size_t i = 0; i < length; i++)
        difference |= (unsigned char)(wanted[i] ^ (i < other ? given[i] : 0));
    return difference == 0;
}

static bool greet(struct session *s, const Mayfly__Envelope *e)
{
    struct server *server = session_server(s);
    if (e->message_case != ON(HELLO)) {
        session_fatal(s, CODE_BAD_REQUEST, "the first message of a connection is Hello");
        return false;
    }
    if (e->hello->version != PROTOCOL_VERSION) {
        session_fatal(s, CODE_BAD_VERSION, "this server speaks version 1 of the protocol");
        return false;
    }
    if (server->config.key[0] && !keys_match(server->config.key, e->hello->key)) {
        session_fatal(s, CODE_UNAUTHORIZED,
                      e->hello->key[0] ? "the key is not right" : "this server asks for a key, and none was given");
        return false;
    }
    Mayfly__Welcome welcome;
    mayfly__welcome__init(&welcome);
    Mayfly__Envelope answer = MAYFLY__ENVELOPE__INIT;
    welcome.version = PROTOCOL_VERSION;
    welcome.server = message_string("mayflyd " MAYFLY_VERSION);
    welcome.max_document_size = server->config.max_document_size;
    welcome.shards = server->indexes.shards;
    answer.message_case = ON(WELCOME);
    answer.welcome = &welcome;
    session_send(s, e->request, &answer, (struct str){0});
    s->greeted = true;
    return true;
}

static bool is_in_flight(const struct session *s, uint64_t request)
{
    for (const struct pending *p = s->pending; p; p = p->next)
        if (p->request == request)
            return true;
    return false;
}

/* A frame of a write stream that is under way continues it. */
static bool continues(struct session *s, const Mayfly__Envelope *e)
{
    return e->message_case == ON(WRITE) && write_continue(s, e);
}

static bool handle(struct session *s, const Mayfly__Envelope *e)
{
    const struct server *server = session_server(s);
    size_t which = (size_t)e->message_case;
    const struct handler *h = which < HANDLERS ? &handlers[which] : NULL;
    if (!h || !h->handle) {
        session_error(s, e->request, CODE_BAD_REQUEST, NULL, "the envelope has no message that this server knows");
        return true;
    }
    if (e->request == 0) {
        session_error(s, 0, CODE_BAD_REQUEST, "request", "a request has a number other than 0");
        return true;
    }
    if (e->message_case != ON(CANCEL) && is_in_flight(s, e->request)) {
        session_error(s, e->request, CODE_BAD_REQUEST, "request", "a request with this number is in flight");
        return true;
    }
    if (server->state == SERVER_YIELDING && !h->while_stopping) {
        session_hold(s);
        return false;
    }
    if (server->state == SERVER_STOPPING && !h->while_stopping) {
        session_error(s, e->request, CODE_STOPPING, NULL, "the server is stopping");
        return true;
    }
    if (server->state == SERVER_STARTING && !h->while_starting) {
        session_error(s, e->request, CODE_UNAVAILABLE, NULL, "the server is starting; try again in a moment");
        return true;
    }
    h->handle(s, e);
    return true;
}

/* An envelope of a mebibyte may be many small messages; the arena has room for more than these may take. */
static const Mayfly__Envelope *unpack(struct arena *a, struct str envelope)
{
    size_t cap = a->cap;
    a->cap = REQUEST_MEMORY;
    const Mayfly__Envelope *e = message_unpack(a, envelope);
    a->cap = cap;
    return e;
}

bool dispatch_envelope(struct session *s, struct str envelope)
{
    const Mayfly__Envelope *e = unpack(&s->all->arena, envelope);
    s->body_of = NULL;
    s->frame_is_write = s->frame_is_last = false;
    if (!e) {
        session_fatal(s, CODE_BAD_FRAME, "the envelope cannot be read");
        return false;
    }
    if (!s->greeted)
        return greet(s, e);
    s->asked = true;
    if (!continues(s, e) && !handle(s, e))
        return false;
    return !s->draining || s->pending;
}

bool dispatch_body(struct session *s, struct str piece)
{
    if (s->body_of)
        write_body(s, piece);
    return !s->closing;
}

bool dispatch_frame_end(struct session *s)
{
    if (s->body_of)
        write_frame_end(s);
    session_pause_if_full(s);
    s->body_of = NULL;
    return !s->closing;
}
