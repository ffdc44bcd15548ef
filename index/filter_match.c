#include "common/err.h"
#include "common/json.h"
#include "index/filter_tree.h"

/* A document against all conditions at once: its values come as a parse meets them, each is held against the conditions
 * on the field at whose path it stands. */

enum { NOT_LOOKED_UP = -2, NO_FIELD = -1 };
#define ELSEWHERE SIZE_MAX /* a path that is longer than any of the filter's */

struct matching {
    struct filter *filter;
    unsigned depth;
    size_t bases[JSON_MAX_DEPTH + 2]; /* by depth: length of the path that its members stand below */
    size_t length;                    /* of the path */
    int64_t field;                    /* of it */
    bool is_just_begun;               /* an array or object, nothing of it came */
    char path[FILTER_MAX_PATH];
};

/* ----------------------------------------------------------------------------------------------------------- values */

static bool is_one_of(const struct filter_condition *c, const struct filter_value *v)
{
    size_t low = 0, high = c->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (filter_compare(&c->values[middle], v) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < c->count && filter_compare(&c->values[low], v) == 0;
}

/* `sign` is 1 for the lower bound, -1 for the upper one. */
static bool is_within(const struct filter_bound *b, const struct filter_value *v, int sign)
{
    if (!b->is_set)
        return true;
    int order = b->value.type == v->type ? filter_compare(v, &b->value) * sign : -1;
    return order > 0 || (order == 0 && b->is_inclusive);
}

static bool starts_with(struct str text, struct str beginning)
{
    return text.len >= beginning.len && memcmp(text.ptr, beginning.ptr, beginning.len) == 0;
}

static bool contains(struct str text, struct str part)
{
    return part.len == 0 || memmem(text.ptr, text.len, part.ptr, part.len) != NULL;
}

static bool satisfies(const struct filter_condition *c, const struct filter_value *v)
{
    switch (c->test) {
    case FILTER_IS_ONE_OF:
        return is_one_of(c, v);
    case FILTER_IS_BETWEEN:
        return is_within(&c->low, v, 1) && is_within(&c->high, v, -1);
    case FILTER_STARTS_WITH:
        return v->type == FILTER_TYPE_STRING && starts_with(v->text, c->values->text);
    case FILTER_CONTAINS:
        return v->type == FILTER_TYPE_STRING && contains(v->text, c->values->text);
    case FILTER_IS_EMPTY:
        return v->type == FILTER_TYPE_STRING && v->text.len == 0;
    case FILTER_EXISTS: /* by its name alone */
    case FILTER_IS_NULL:
        return false;
    }
    return false;
}

/* ------------------------------------------------------------------------------------------------------------ paths */

static int64_t field_of(struct matching *m)
{
    struct str path = {m->path, m->length};
    if (m->field != NOT_LOOKED_UP)
        return m->field;
    m->field = NO_FIELD;
    for (uint32_t i = 0; m->length != ELSEWHERE && i < m->filter->field_count; i++)
        if (str_equal(m->filter->fields[i], path))
            m->field = i;
    return m->field;
}

static void note(struct matching *m, enum filter_test test)
{
    int64_t field = field_of(m);
    for (uint32_t i = 0; field >= 0 && i < m->filter->condition_count; i++) {
        struct filter_condition *c = &m->filter->conditions[i];
        c->holds |= c->field == field && c->test == test;
    }
}

static void note_value(struct matching *m, const struct filter_value *v)
{
    int64_t field = field_of(m);
    for (uint32_t i = 0; field >= 0 && i < m->filter->condition_count; i++) {
        struct filter_condition *c = &m->filter->conditions[i];
        if (c->field == field && !c->holds)
            c->holds = satisfies(c, v);
    }
}

/* ----------------------------------------------------------------------------------------------------------- events */

static bool on_scalar(void *context, enum json_type type, struct str text)
{
    struct matching *m = context;
    struct filter_value v;
    m->is_just_begun = false;
    if (m->depth == 0 || field_of(m) < 0)
        return true;
    if (type == JSON_NULL)
        note(m, FILTER_IS_NULL);
    else if (filter_value_of(type, text, &v))
        note_value(m, &v);
    return true;
}

static bool on_key(void *context, struct str key)
{
    struct matching *m = context;
    size_t base = m->bases[m->depth], dot = base > 0;
    m->is_just_begun = false;
    m->field = NOT_LOOKED_UP;
    if (base == ELSEWHERE || key.len > sizeof m->path || base + dot > sizeof m->path - key.len) {
        m->length = ELSEWHERE;
        return true;
    }
    if (dot)
        m->path[base] = '.';
    if (key.len)
        memcpy(m->path + base + dot, key.ptr, key.len);
    m->length = base + dot + key.len;
    note(m, FILTER_EXISTS);
    return true;
}

static bool on_begin(void *context, enum json_type type)
{
    struct matching *m = context;
    (void)type;
    m->bases[++m->depth] = m->length;
    m->is_just_begun = true;
    return true;
}

/* Elements of an array go on under the path of the array. */
static bool on_end(void *context, enum json_type type)
{
    struct matching *m = context;
    (void)type;
    m->length = m->bases[m->depth--];
    m->field = NOT_LOOKED_UP;
    if (m->is_just_begun && m->depth)
        note(m, FILTER_IS_EMPTY);
    m->is_just_begun = false;
    return true;
}

/* ------------------------------------------------------------------------------------------------------- a document */

static bool holds(const struct filter *f, const struct filter_node *n)
{
    const struct filter_node *operand = n->first;
    switch (n->kind) {
    case FILTER_NODE_CONDITION:
        return f->conditions[n->condition].holds;
    case FILTER_NODE_NOT:
        return !holds(f, operand);
    case FILTER_NODE_AND:
        while (operand && holds(f, operand))
            operand = operand->next;
        return operand == NULL;
    case FILTER_NODE_OR:
        while (operand && !holds(f, operand))
            operand = operand->next;
        return operand != NULL;
    }
    return false;
}

int filter_matches(struct filter *f, struct arena *scratch, struct str body, bool *out)
{
    static const struct json_events events = {.scalar = on_scalar, .key = on_key, .begin = on_begin, .end = on_end};
    struct matching m = {.filter = f, .field = NOT_LOOKED_UP};
    for (uint32_t i = 0; i < f->condition_count; i++)
        f->conditions[i].holds = false;
    size_t mark = arena_mark(scratch);
    int err = json_parse(scratch, body, &events, &m, NULL);
    arena_rewind(scratch, mark);
    if (err)
        return err == ERR_FULL ? err : ERR_CORRUPT;
    *out = holds(f, f->root);
    return 0;
}
