/* Answers to a client: put behind each other, and sent at the end of the loop's turn (session.c). */
#include "coordinator/session_state.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/logger.h"

/* An envelope that is too large is answered with an Error instead. */
static bool open_answer(struct session *s, const Mayfly__Envelope *answer, size_t body)
{
    size_t before = s->out.len;
    message_frame_open(&s->out, &answer->base, body);
    if (s->out.err || s->out.len - before <= FRAME_HEADER + FRAME_MAX_ENVELOPE)
        return true;
    s->out.len = before;
    session_error(s, answer->request, CODE_QUERY_TOO_LARGE, "limit",
                  "the answer does not fit one envelope; ask for fewer");
    return false;
}

/* What is queued already counts, not the answer itself, which may be one large document. */
void session_send_pieces(struct session *s, uint64_t request, Mayfly__Envelope *answer, const struct str *pieces,
                         size_t count)
{
    size_t body = 0, queued = s->out.len + s->queued;
    if (s->closing || s->overflown)
        return;
    for (size_t i = 0; i < count; i++)
        body += pieces[i].len;
    answer->request = request;
    if (!open_answer(s, answer, body))
        return;
    for (size_t i = 0; i < count; i++)
        buf_append_str(&s->out, pieces[i]);
    if (s->out.err || queued > QUEUE_MOST) {
        log_warn("a client does not read its answers: closing its connection");
        buf_finish(&s->out);
        s->overflown = true; /* closed at the end of the turn: the sender still uses what closing frees */
    }
    session_mark_dirty(s);
    session_pause_if_full(s);
}

void session_send(struct session *s, uint64_t request, Mayfly__Envelope *answer, struct str body)
{
    session_send_pieces(s, request, answer, &body, 1);
}

void session_error(struct session *s, uint64_t request, const char *code, const char *field, const char *format, ...)
{
    char text[600];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    message_make_valid(text);
    Mayfly__Error error;
    mayfly__error__init(&error);
    Mayfly__Envelope answer = MAYFLY__ENVELOPE__INIT;
    error.code = message_string(code);
    error.message = text;
    error.field = message_string(field ? field : "");
    answer.message_case = MAYFLY__ENVELOPE__MESSAGE_ERROR;
    answer.error = &error;
    session_send(s, request, &answer, (struct str){0});
}

void session_done(struct session *s, uint64_t request, uint64_t task)
{
    Mayfly__Done done = MAYFLY__DONE__INIT;
    Mayfly__Envelope answer = MAYFLY__ENVELOPE__INIT;
    done.task = task;
    answer.message_case = MAYFLY__ENVELOPE__MESSAGE_DONE;
    answer.done = &done;
    session_send(s, request, &answer, (struct str){0});
}
