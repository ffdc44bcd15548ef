#include "common/json.h"

#include <setjmp.h>
#include <stdio.h>
#include <yajl/yajl_parse.h>

#include "common/err.h"
#include "common/json_text.h"

/* ----------------------------------------------------------------------------------------- yajl on an arena */

struct parse {
    struct arena *arena;
    const struct json_events *events;
    void *context;
    unsigned depth;
    int err; /* why an event stopped the parse */
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

/* ----------------------------------------------------------------------------------------- events */

static int stop_unless(struct parse *p, bool go_on)
{
    if (!go_on && !p->err)
        p->err = ERR_INVALID;
    return go_on;
}

/* yajl takes the beginning of a string or word behind the value for white space: where the value ended is looked at
 * when all is over. Of a number at the very end yajl knows only then, and gives no place. */
static void note_end(struct parse *p)
{
    if (p->depth == 0)
        p->ended = yajl_get_bytes_consumed(p->handle);
}

static int scalar(struct parse *p, enum json_type type, struct str text)
{
    note_end(p);
    return stop_unless(p, !p->events->scalar || p->events->scalar(p->context, type, text));
}

static int on_null(void *context)
{
    return scalar(context, JSON_NULL, STR("null"));
}

static int on_boolean(void *context, int value)
{
    return value ? scalar(context, JSON_TRUE, STR("true")) : scalar(context, JSON_FALSE, STR("false"));
}

static int on_number(void *context, const char *text, size_t length)
{
    return scalar(context, JSON_NUMBER, (struct str){.ptr = text, .len = length});
}

static int on_string(void *context, const unsigned char *text, size_t length)
{
    return scalar(context, JSON_STRING, (struct str){.ptr = (const char *)text, .len = length});
}

static int on_key(void *context, const unsigned char *text, size_t length)
{
    struct parse *p = context;
    struct str key = {.ptr = (const char *)text, .len = length};
    return stop_unless(p, !p->events->key || p->events->key(p->context, key));
}

static int begin(struct parse *p, enum json_type type)
{
    if (++p->depth > JSON_MAX_DEPTH) {
        p->err = ERR_TOO_LARGE;
        return 0;
    }
    return stop_unless(p, !p->events->begin || p->events->begin(p->context, type));
}

static int end(struct parse *p, enum json_type type)
{
    p->depth--;
    note_end(p);
    return stop_unless(p, !p->events->end || p->events->end(p->context, type));
}

static int on_begin_object(void *context)
{
    return begin(context, JSON_OBJECT);
}

static int on_end_object(void *context)
{
    return end(context, JSON_OBJECT);
}

static int on_begin_array(void *context)
{
    return begin(context, JSON_ARRAY);
}

static int on_end_array(void *context)
{
    return end(context, JSON_ARRAY);
}

static const yajl_callbacks callbacks = {
    .yajl_null = on_null,
    .yajl_boolean = on_boolean,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_start_map = on_begin_object,
    .yajl_map_key = on_key,
    .yajl_end_map = on_end_object,
    .yajl_start_array = on_begin_array,
    .yajl_end_array = on_end_array,
};

static void say(struct json_error *error, size_t offset, const char *message)
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
    if (p->err == ERR_TOO_LARGE) {
        say(error, offset, "nested deeper than 128 levels");
    } else if (p->err) {
        say(error, offset, "stopped");
    } else {
        unsigned char *why = yajl_get_error(p->handle, 0, NULL, 0);
        say(error, offset, why ? (const char *)why : "not JSON");
        if (why)
            yajl_free_error(p->handle, why);
    }
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
        say(error, p->ended, "something follows the value");
        return ERR_CORRUPT;
    }
    bool at_end = status == yajl_status_ok;
    if (at_end)
        status = yajl_complete_parse(p->handle);
    if (status == yajl_status_ok)
        return 0;
    say_why(p, at_end ? text.len : yajl_get_bytes_consumed(p->handle), error);
    return p->err ? p->err : ERR_CORRUPT;
}

/* Leaves what yajl allocated in the arena. */
static int parse_text(struct parse *p, struct str text, struct json_error *error)
{
    size_t offset;
    const char *problem = json_text_problem(text, &offset);
    if (problem) {
        say(error, offset, problem);
        return ERR_CORRUPT;
    }
    if (setjmp(p->full)) {
        say(error, 0, "needs more memory than there is");
        return ERR_FULL;
    }
    return run_yajl(p, without_space_at_end(text), error);
}

int json_parse(struct arena *arena, struct str text, const struct json_events *events, void *context,
               struct json_error *error)
{
    struct parse p = {.arena = arena, .events = events, .context = context};
    size_t mark = arena_mark(arena);
    int err = parse_text(&p, text, error);
    arena_rewind(arena, mark);
    return err;
}

/* ----------------------------------------------------------------------------------------- a tree */

struct tree {
    struct arena *arena;
    struct json *open[JSON_MAX_DEPTH + 1]; /* arrays and objects that have not ended */
    struct json *last[JSON_MAX_DEPTH + 1]; /* their newest child */
    size_t depth;
    struct json *root;
    struct str key;
    bool full;
};

static struct json *add(struct tree *t, enum json_type type)
{
    struct json *node = arena_new(t->arena, struct json);
    if (!node) {
        t->full = true;
        return NULL;
    }
    node->type = type;
    node->key = t->key;
    t->key = (struct str){0};
    if (t->depth == 0)
        t->root = node;
    else if (t->last[t->depth])
        t->last[t->depth]->next = node;
    else
        t->open[t->depth]->first = node;
    t->last[t->depth] = node;
    return node;
}

static bool copy_text(struct tree *t, struct str text, struct str *out)
{
    *out = arena_copy(t->arena, text);
    t->full |= out->ptr == NULL;
    return !t->full;
}

static bool tree_scalar(void *context, enum json_type type, struct str text)
{
    struct tree *t = context;
    struct json *node = add(t, type);
    return node && copy_text(t, text, &node->text);
}

static bool tree_key(void *context, struct str key)
{
    struct tree *t = context;
    return copy_text(t, key, &t->key);
}

static bool tree_begin(void *context, enum json_type type)
{
    struct tree *t = context;
    struct json *node = add(t, type);
    if (!node)
        return false;
    t->depth++;
    t->open[t->depth] = node;
    t->last[t->depth] = NULL;
    return true;
}

static bool tree_end(void *context, enum json_type type)
{
    (void)type;
    ((struct tree *)context)->depth--;
    return true;
}

int json_tree(struct arena *arena, struct str text, struct json **out, struct json_error *error)
{
    static const struct json_events events = {
        .scalar = tree_scalar, .key = tree_key, .begin = tree_begin, .end = tree_end};
    struct tree t = {.arena = arena};
    struct parse p = {.arena = arena, .events = &events, .context = &t};
    int err = parse_text(&p, text, error);
    if (err)
        return t.full ? ERR_FULL : err;
    *out = t.root;
    return 0;
}

const struct json *json_member(const struct json *object, const char *key)
{
    const struct json *found = NULL;
    if (!object || object->type != JSON_OBJECT)
        return NULL;
    for (const struct json *member = object->first; member; member = member->next)
        if (str_equal(member->key, str_of(key)))
            found = member;
    return found;
}

bool json_int(const struct json *number, int64_t *out)
{
    if (!number || number->type != JSON_NUMBER || number->text.len == 0)
        return false;
    const char *at = number->text.ptr, *end = at + number->text.len;
    bool negative = *at == '-';
    int64_t value = 0;
    for (at += negative; at < end; at++) {
        if (*at < '0' || *at > '9' || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, *at - '0', &value)) /* counted downwards: INT64_MIN has no positive */
            return false;
    }
    if (!negative && __builtin_mul_overflow(value, -1, &value))
        return false;
    *out = value;
    return true;
}
