#include "common/json_why.h"

#include <setjmp.h>
#include <stdio.h>
#include <yajl/yajl_parse.h>

#include "common/err.h"
#include "common/json_text.h"

struct parse {
    struct arena *arena;
    unsigned depth;
    yajl_handle handle;
    size_t ended; /* where the outermost value did */
    jmp_buf full;
};

/* yajl does not look whether it got memory: a full arena leaves it by longjmp, which loses nothing, since all it has is
 * in the arena. Blocks carry their size, as realloc needs it. */
static void *take(void *context, size_t size)
{
    struct parse *p = context;
    size_t *block = size > SIZE_MAX - 16 ? NULL : arena_alloc(p->arena, size + 16);
    if (!block)
        longjmp(p->full, 1);
    *block = size;
    return block + 2;
}

static void give(void *context, void *block)
{
    (void)context, (void)block; /* all of it goes when the parse is over */
}

static void *resize(void *context, void *block, size_t size)
{
    struct parse *p = context;
    if (!block)
        return take(context, size);
    size_t *old = (size_t *)block - 2;
    size_t *grown = size > SIZE_MAX - 16 ? NULL : arena_grow(p->arena, old, *old + 16, size + 16);
    if (!grown)
        longjmp(p->full, 1);
    *grown = size;
    return grown + 2;
}

/* yajl takes the beginning of a string or word behind the value for white space: where the value ended is looked at
 * when all is over. Of a number at the very end yajl knows only then, and gives no place. */
static int note_end(void *context)
{
    struct parse *p = context;
    if (p->depth == 0)
        p->ended = yajl_get_bytes_consumed(p->handle);
    return 1;
}

static int on_boolean(void *context, int value)
{
    (void)value;
    return note_end(context);
}

static int on_number(void *context, const char *text, size_t length)
{
    (void)text, (void)length;
    return note_end(context);
}

static int on_string(void *context, const unsigned char *text, size_t length)
{
    (void)text, (void)length;
    return note_end(context);
}

static int on_begin(void *context)
{
    ((struct parse *)context)->depth++;
    return 1;
}

static int on_end(void *context)
{
    ((struct parse *)context)->depth--;
    return note_end(context);
}

static const yajl_callbacks callbacks = {
    .yajl_null = note_end,
    .yajl_boolean = on_boolean,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_start_map = on_begin,
    .yajl_end_map = on_end,
    .yajl_start_array = on_begin,
    .yajl_end_array = on_end,
};

void json_error_say(struct json_error *error, size_t offset, const char *message)
{
    if (!error)
        return;
    error->offset = offset;
    snprintf(error->message, sizeof error->message, "%s", message);
    for (char *c = error->message; *c; c++)
        if (*c == '\n')
            *c = c[1] ? ' ' : 0;
}

static void say_why(struct parse *p, size_t offset, struct json_error *error)
{
    unsigned char *why = yajl_get_error(p->handle, 0, NULL, 0);
    json_error_say(error, offset, why ? (const char *)why : "not JSON");
    if (why)
        yajl_free_error(p->handle, why);
}

static struct str without_space_at_end(struct str text)
{
    while (text.len && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t' ||
                        text.ptr[text.len - 1] == '\n' || text.ptr[text.len - 1] == '\r'))
        text.len--;
    return text;
}

static int run_yajl(struct parse *p, struct str text, struct json_error *error)
{
    yajl_alloc_funcs functions = {.malloc = take, .realloc = resize, .free = give, .ctx = p};
    p->handle = yajl_alloc(&callbacks, &functions, p);
    yajl_config(p->handle, yajl_dont_validate_strings, 1); /* json_text_problem has seen that it is UTF-8 */
    yajl_status status = yajl_parse(p->handle, (const unsigned char *)text.ptr, text.len);
    if (status == yajl_status_ok && p->ended && p->ended < text.len) {
        json_error_say(error, p->ended, "something follows the value");
        return ERR_CORRUPT;
    }
    bool at_end = status == yajl_status_ok;
    if (at_end)
        status = yajl_complete_parse(p->handle);
    if (status == yajl_status_ok)
        return 0;
    say_why(p, at_end ? text.len : yajl_get_bytes_consumed(p->handle), error);
    return ERR_CORRUPT;
}

/* Leaves what yajl allocated in the arena. */
static int look(struct parse *p, struct str text, struct json_error *error)
{
    size_t offset;
    const char *problem = json_text_problem(text, &offset);
    if (problem) {
        json_error_say(error, offset, problem);
        return ERR_CORRUPT;
    }
    return setjmp(p->full) ? ERR_FULL : run_yajl(p, without_space_at_end(text), error);
}

int json_why(struct arena *arena, struct str text, struct json_error *error)
{
    struct parse p = {.arena = arena};
    size_t mark = arena_mark(arena);
    int err = look(&p, text, error);
    arena_rewind(arena, mark);
    return err;
}
