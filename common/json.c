#include "common/json.h"

#include "common/err.h"
#include "common/json_read.h"
#include "common/json_why.h"

/* What is not JSON is looked at once more by somebody who can say why. Where there is no memory left for that, the place has to
 * do. */
static void say_why(struct arena *arena, struct str text, int err, size_t at, struct json_error *error)
{
    if (err == ERR_FULL)
        json_error_say(error, 0, "needs more memory than there is");
    else if (err == ERR_TOO_LARGE)
        json_error_say(error, at, "nested deeper than 128 levels");
    else if (err == ERR_INVALID)
        json_error_say(error, at, "stopped");
    else if (json_why(arena, text, error) != ERR_CORRUPT)
        json_error_say(error, at, "not JSON");
}

int json_parse(struct arena *arena, struct str text, const struct json_events *events, void *context,
               struct json_error *error)
{
    size_t at;
    int err = json_read(arena, text, events, context, &at);
    if (err && error)
        say_why(arena, text, err, at, error);
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
    int err = json_parse(arena, text, &events, &t, error);
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
