#include "client/cli/commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "client/cli/emit.h"
#include "client/cli/search.h"
#include "common/arena.h"
#include "common/json.h"
#include "proto/message.h"

enum { SCRATCH = 256 << 20, WIDTH = 100, WIDTH_LEAST = 40 };

/* The documents of the hits lie one after the other in the body. */
static struct str next_document(struct str *rest, const Mayfly__Found__Hit *hit)
{
    size_t length = hit->document_length < rest->len ? hit->document_length : rest->len;
    struct str document = {.ptr = rest->ptr, .len = length};
    rest->ptr += length;
    rest->len -= length;
    return document;
}

/* --------------------------------------------------------------------------------------------------- JSON */

static void emit_hit(struct buf *b, const Mayfly__Found__Hit *hit, struct str document)
{
    emit_begin(b, '{');
    emit_member_string(b, "id", hit->id);
    emit_key(b, "score");
    emit_score(b, hit->score);
    emit_key(b, "document");
    emit_raw(b, document.len ? document : STR("null"));
    if (hit->formatted.len) {
        emit_key(b, "formatted");
        emit_raw(b, message_bytes(hit->formatted));
    }
    emit_member_number(b, "dropped", hit->dropped);
    if (*hit->explanation)
        emit_member_string(b, "explanation", hit->explanation);
    emit_end(b, '}');
}

static void emit_reason(struct buf *b, const Mayfly__Error *why)
{
    emit_key(b, "partial_reason");
    emit_begin(b, '{');
    emit_member_string(b, "code", why->code);
    emit_member_string(b, "message", why->message);
    emit_end(b, '}');
}

static void print_json(const Mayfly__Found *found, struct str body)
{
    struct buf b = {0};
    emit_begin(&b, '{');
    emit_key(&b, "hits");
    emit_begin(&b, '[');
    for (size_t i = 0; i < found->n_hits; i++)
        emit_hit(&b, found->hits[i], next_document(&body, found->hits[i]));
    emit_end(&b, ']');
    emit_member_number(&b, "estimated_total", found->estimated_total);
    emit_key(&b, "facets");
    emit_raw(&b, STR("{}"));
    emit_key(&b, "partial");
    emit_bool(&b, found->partial);
    if (found->partial_reason)
        emit_reason(&b, found->partial_reason);
    emit_member_number(&b, "took_us", found->took_us);
    emit_end(&b, '}');
    report_json(&b);
    buf_finish(&b);
}

/* --------------------------------------------------------------------------------------------------- text */

static unsigned terminal_width(void)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || size.ws_col == 0)
        return WIDTH;
    return size.ws_col < WIDTH_LEAST ? WIDTH_LEAST : size.ws_col;
}

/* The strings of a document on one line, as far as there is room. */
struct line {
    struct buf text;
    unsigned columns, room;
    unsigned depth;
    bool skip; /* the value of the member that names the document */
    struct str id;
};

static bool put_character(struct line *l, const char *at, size_t length)
{
    if (l->columns == l->room)
        return false;
    if ((unsigned char)*at < 0x20 || *at == 0x7f)
        at = " ";
    buf_append(&l->text, at, length);
    l->columns++;
    return true;
}

static size_t character_length(struct str s)
{
    size_t length = 1;
    while (length < s.len && ((unsigned char)s.ptr[length] & 0xc0) == 0x80)
        length++;
    return length;
}

static bool line_scalar(void *context, enum json_type type, struct str text)
{
    struct line *l = context;
    if (type != JSON_STRING || text.len == 0 || (l->depth == 1 && str_equal(text, l->id)))
        return true;
    if (l->columns)
        for (const char *c = " | "; *c; c++)
            put_character(l, c, 1);
    while (text.len) {
        size_t length = character_length(text);
        if (!put_character(l, text.ptr, length))
            return false;
        text.ptr += length;
        text.len -= length;
    }
    return true;
}

static bool line_begin(void *context, enum json_type type)
{
    (void)type;
    ((struct line *)context)->depth++;
    return true;
}

static bool line_end(void *context, enum json_type type)
{
    (void)type;
    ((struct line *)context)->depth--;
    return true;
}

static void print_line(struct arena *scratch, struct str document, const char *id, unsigned width)
{
    static const struct json_events events = {.scalar = line_scalar, .begin = line_begin, .end = line_end};
    struct line l = {.room = width - 6, .id = str_of(id)};
    size_t mark = arena_mark(scratch);
    json_parse(scratch, document, &events, &l, NULL); /* ends early when the line is full */
    arena_rewind(scratch, mark);
    if (l.text.len)
        printf("      %.*s\n", (int)l.text.len, l.text.data);
    buf_finish(&l.text);
}

static void print_hit(struct arena *scratch, const Mayfly__Found__Hit *hit, uint32_t rank, struct str document,
                      unsigned width)
{
    printf("%4u  %-9.4f %s", rank, (double)hit->score / 65536.0, hit->id);
    if (hit->dropped)
        printf("  (%u word%s dropped)", hit->dropped, hit->dropped == 1 ? "" : "s");
    putchar('\n');
    print_line(scratch, document, hit->id, width);
    if (*hit->explanation)
        printf("      %s\n", hit->explanation);
}

static void print_text(const Mayfly__Found *found, struct str body, uint32_t offset)
{
    struct arena scratch;
    if (arena_init(&scratch, SCRATCH, 0))
        return;
    for (size_t i = 0; i < found->n_hits; i++)
        print_hit(&scratch, found->hits[i], offset + (uint32_t)i + 1, next_document(&body, found->hits[i]),
                  terminal_width());
    printf("%s%zu of about %" PRIu64 " in %.1f ms%s%s\n", found->n_hits ? "" : "no hits: ", found->n_hits,
           found->estimated_total, (double)found->took_us / 1000.0, found->partial ? ", partial: " : "",
           search_partial_reason(found));
    arena_finish(&scratch);
}

static int search_once(struct cli *c, struct search *s)
{
    struct mayfly_answer answer;
    s->message.query = message_string(c->words[1]);
    REQUEST(request, search, SEARCH, s->message);
    int status = report_call(c, &request, MAYFLY__ENVELOPE__MESSAGE_FOUND, &answer);
    if (status)
        return status;
    if (c->json)
        print_json(answer.envelope->found, answer.body);
    else
        print_text(answer.envelope->found, answer.body, s->message.offset);
    return STATUS_DONE;
}

int command_search(struct cli *c)
{
    const char *batch = args_option(c, "batch");
    struct search s;
    uint32_t depth;
    if ((c->count == 2) == (batch != NULL))
        return args_usage(c, batch ? "--batch takes its queries from the file" : "it is: mayfly search NAME QUERY");
    int status = args_number(c, "depth", 16, 1, 1024, &depth);
    if (!status)
        status = search_init(&s, c);
    if (status)
        return status;
    status = batch ? batch_run(c, &s, batch, depth) : search_once(c, &s);
    search_finish(&s);
    return status;
}
