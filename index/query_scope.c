#include "index/query_scope.h"

#include "common/clock.h"
#include "common/err.h"
#include "index/segment.h"

enum { TICKS = 1024 };

bool scope_is_over_now(struct scope *s)
{
    s->ticks = 0;
    s->late |= s->run->deadline_us > 0 && clock_us() >= s->run->deadline_us;
    return s->late || s->err;
}

bool scope_is_over(struct scope *s)
{
    return ++s->ticks >= TICKS ? scope_is_over_now(s) : s->late || s->err;
}

void scope_fail(struct scope *s, int err, const char *part)
{
    if (s->err)
        return;
    s->err = err;
    s->part = part;
}

void *scope_take(struct scope *s, void *allocated)
{
    if (!allocated)
        scope_fail(s, ERR_FULL, NULL);
    return allocated;
}

uint32_t scope_element_weight(const struct scope *s, const struct tree_element *e)
{
    if (e->word == NO_WORD)
        return 0;
    const struct query_weights *w = &s->run->weights[e->word];
    for (size_t i = 0; i < w->term_count; i++) {
        if (str_equal(w->terms[i].key, e->key))
            return w->terms[i].weight;
    }
    return 0;
}

bool scope_find_field(const struct scope *s, struct str name, uint32_t *out_field, uint32_t *out_weight)
{
    int64_t field = segment_field_find(s->segment, name);
    if (field < 0)
        return false;
    *out_field = (uint32_t)field;
    *out_weight = 1;
    for (size_t i = 0; i < s->run->field_count; i++) {
        if (str_equal(s->run->fields[i].name, name))
            *out_weight = s->run->fields[i].weight;
    }
    return true;
}
