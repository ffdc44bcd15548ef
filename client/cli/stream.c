#include "client/cli/stream.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/cli/emit.h"
#include "common/clock.h"

static const char *const waits[] = {"none", "accepted", "searchable", NULL};
static const Mayfly__Write__Wait wait_values[] = {MAYFLY__WRITE__WAIT__NONE, MAYFLY__WRITE__WAIT__ACCEPTED,
                                                  MAYFLY__WRITE__WAIT__SEARCHABLE};

static bool has_room_for_one(struct stream *s)
{
    return s->kept++ < STREAM_ERRORS;
}

/* Only the first ones, so that a file of another kind does not fill the screen. */
static bool is_shown(struct stream *s)
{
    if (s->shown++ == STREAM_SHOWN)
        fputs("mayfly: more were refused; further ones are counted only\n", stderr);
    return s->shown <= STREAM_SHOWN;
}

/* An id as JSON has it: whatever bytes it is of, they do nothing to a terminal. */
static void say_refused(const char *place, struct str id, uint64_t position, const char *message, const char *code)
{
    struct buf line = {0};
    buf_printf(&line, "mayfly: %s%srefused", place, *place ? ": " : "");
    if (id.len) {
        buf_append_str(&line, STR(" "));
        buf_append_json(&line, (struct str){.ptr = id.ptr, .len = id.len < 256 ? id.len : 256});
    }
    if (!*place && position != UINT64_MAX) /* a lost operation's is not known */
        buf_printf(&line, " (operation %" PRIu64 ")", position);
    buf_printf(&line, ": %s (%s)\n", message, code);
    fwrite(line.data, 1, line.len, stderr);
    buf_finish(&line);
}

/* FILE:LINE, to be freed; NULL where it is not known. */
static char *place_text(const struct stream *s, uint64_t position)
{
    struct place place;
    char *text = NULL;
    if (!places_find(&s->places, position, &place) || asprintf(&text, "%s:%" PRIu64, place.path, place.line) < 0)
        return NULL;
    return text;
}

static void keep_refusal(struct stream *s, const Mayfly__Refusal *r, const char *place)
{
    emit_begin(&s->errors, '{');
    emit_member_string(&s->errors, "id", r->id);
    emit_member_number(&s->errors, "position", r->position);
    if (place)
        emit_member_string(&s->errors, "place", place);
    emit_member_string(&s->errors, "code", r->code);
    emit_member_string(&s->errors, "message", r->message);
    emit_end(&s->errors, '}');
}

static void on_refusal(void *context, const Mayfly__Refusal *r)
{
    struct stream *s = context;
    char *place = place_text(s, r->position);
    progress_clear(&s->progress);
    if (is_shown(s))
        say_refused(place ? place : "", str_of(r->id), r->position, r->message, r->code);
    if (has_room_for_one(s))
        keep_refusal(s, r, place);
    free(place);
}

void stream_refuse(struct stream *s, const char *place, struct str id, const char *code, const char *format, ...)
{
    char message[300];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    s->refused_here++;
    progress_clear(&s->progress);
    if (is_shown(s))
        say_refused(place, id, 0, message, code);
    if (!has_room_for_one(s))
        return;
    emit_begin(&s->errors, '{');
    emit_key(&s->errors, "id");
    emit_str(&s->errors, id);
    emit_member_string(&s->errors, "place", place);
    emit_member_string(&s->errors, "code", code);
    emit_member_string(&s->errors, "message", message);
    emit_end(&s->errors, '}');
}

static void on_progress(void *context, const struct mayfly_progress *progress)
{
    struct stream *s = context;
    progress_show(&s->progress, progress, s->refused_here);
}

int stream_open(struct stream *s, struct cli *c, struct mayfly_writer_options *options)
{
    int wait;
    *s = (struct stream){.cli = c, .began_us = clock_us()};
    int status = args_choice(c, "wait", waits, 1, &wait);
    if (!status)
        status = report_connect(c);
    if (status)
        return status;
    options->wait = wait_values[wait];
    options->on_refusal = on_refusal;
    options->on_progress = on_progress;
    options->context = s;
    mayfly_writer_init(&s->writer, c->connection, options);
    progress_init(&s->progress, !c->json);
    s->progress.until_searchable = options->wait == MAYFLY__WRITE__WAIT__SEARCHABLE;
    return STATUS_DONE;
}

int stream_failed(struct stream *s, int rc, const struct mayfly_failure *failure)
{
    const struct mayfly_progress *p = &s->writer.progress;
    progress_clear(&s->progress);
    if (rc == MAYFLY_LOST)
        fprintf(stderr,
                "mayfly: %" PRIu64 " of %" PRIu64 " operations are accepted and safe (task %" PRIu64
                "); what came after is not known to be\n",
                p->accepted, p->sent, p->task);
    return report_failure(s->cli, rc, failure);
}

static void print_json(const struct stream *s)
{
    const struct mayfly_progress *p = &s->writer.progress;
    struct buf b = {0};
    emit_begin(&b, '{');
    emit_member_number(&b, "task", p->task);
    emit_member_string(&b, "index", s->writer.options.index);
    emit_member_number(&b, "received", p->sent + s->refused_here);
    emit_member_number(&b, "accepted", p->accepted);
    emit_member_number(&b, "searchable", p->searchable);
    emit_member_number(&b, "refused", p->refused + s->refused_here);
    if (s->writer.options.filter)
        emit_member_number(&b, "deleted", p->deleted);
    emit_key(&b, "errors");
    emit_begin(&b, '[');
    if (s->errors.len)
        emit_raw(&b, (struct str){.ptr = s->errors.data, .len = s->errors.len});
    emit_end(&b, ']');
    emit_member_number(&b, "bytes", p->bytes);
    emit_member_number(&b, "took_us", clock_us() - s->began_us);
    emit_end(&b, '}');
    report_json(&b);
    buf_finish(&b);
}

static const char *state_name(const struct stream *s)
{
    return s->writer.options.wait == MAYFLY__WRITE__WAIT__SEARCHABLE ? "searchable"
           : s->writer.options.wait == MAYFLY__WRITE__WAIT__NONE     ? "received"
                                                                     : "accepted";
}

/* How many it deletes is known when it is applied. */
static void print_filter_summary(const struct stream *s)
{
    const struct mayfly_progress *p = &s->writer.progress;
    if (p->refused)
        printf("refused, task %" PRIu64 "\n", p->task);
    else if (s->writer.options.wait == MAYFLY__WRITE__WAIT__SEARCHABLE)
        printf("%" PRIu64 " deleted, task %" PRIu64 "\n", p->deleted, p->task);
    else
        printf("%s, task %" PRIu64 "\n", state_name(s), p->task);
}

static void print_summary(const struct stream *s)
{
    const struct mayfly_progress *p = &s->writer.progress;
    double seconds = (double)(clock_us() - s->began_us) / 1e6;
    const char *state = state_name(s);
    printf("%" PRIu64 " %s, %" PRIu64 " refused, task %" PRIu64, p->sent - p->refused, state,
           p->refused + s->refused_here, p->task);
    if (p->bytes)
        printf(", %.1f MB in %.2f s (%.1f MB/s)", (double)p->bytes / 1e6, seconds, (double)p->bytes / 1e6 / seconds);
    putchar('\n');
}

static int print_result(struct stream *s)
{
    if (s->cli->json)
        print_json(s);
    else if (s->writer.options.filter)
        print_filter_summary(s);
    else
        print_summary(s);
    return s->writer.progress.refused + s->refused_here ? STATUS_REFUSED : STATUS_DONE;
}

int stream_close(struct stream *s, int status)
{
    struct mayfly_failure failure;
    int rc = status ? 0 : mayfly_writer_end(&s->writer, &failure);
    progress_clear(&s->progress);
    if (rc)
        status = stream_failed(s, rc, &failure);
    else if (!status)
        status = print_result(s);
    mayfly_writer_finish(&s->writer);
    buf_finish(&s->errors);
    places_finish(&s->places);
    return status;
}
