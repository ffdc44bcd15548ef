#include "worker/merge_fields.h"

#include "common/err.h"
#include "common/json.h"
#include "index/sort.h"

/* A member of the change. */
struct given {
    struct json_written written;
    struct str key;  /* without escapes */
    bool is_settled; /* it is in the text, or another of that name comes after it */
};

struct merging {
    struct arena *arena;
    struct given *given;   /* as they come */
    struct given **by_key; /* one for each name */
    size_t count, key_count;
    char *text, *to;
};

static bool without_escapes(struct arena *arena, struct str written, struct str *out)
{
    bool has_escapes = written.len && memchr(written.ptr, '\\', written.len);
    *out = has_escapes ? json_unescape(arena, written) : written;
    return out->ptr != NULL;
}

/* ---------------------------------------------------------------------------------------------------- what is given */

static size_t count_members(struct str object)
{
    struct json_members members = json_members(object);
    struct json_written ignored;
    size_t count = 0;
    while (json_members_next(&members, &ignored))
        count++;
    return count;
}

/* By key, and of one key as they come: an array's order is that of its addresses. */
static int by_key_and_place(const void *a, const void *b)
{
    const struct given *x = *(struct given *const *)a, *y = *(struct given *const *)b;
    int order = str_compare(x->key, y->key);
    return order ? order : (x > y) - (x < y);
}

static void sort_given(struct merging *m)
{
    sort_in_place(m->by_key, m->count, sizeof(*m->by_key), by_key_and_place);
    for (size_t i = 0; i < m->count; i++) {
        bool is_last = i + 1 == m->count || !str_equal(m->by_key[i]->key, m->by_key[i + 1]->key);
        m->by_key[i]->is_settled = !is_last;
        if (is_last)
            m->by_key[m->key_count++] = m->by_key[i];
    }
}

static int read_given(struct merging *m, struct str change)
{
    struct json_members members = json_members(change);
    m->count = count_members(change);
    m->given = arena_new_array(m->arena, m->count, struct given);
    m->by_key = arena_new_array(m->arena, m->count, struct given *);
    if (!m->given || !m->by_key)
        return ERR_FULL;
    for (size_t i = 0; i < m->count && json_members_next(&members, &m->given[i].written); i++) {
        if (!without_escapes(m->arena, m->given[i].written.key, &m->given[i].key))
            return ERR_FULL;
        m->by_key[i] = &m->given[i];
    }
    sort_given(m);
    return 0;
}

static struct given *find_given(const struct merging *m, struct str key)
{
    size_t low = 0, high = m->key_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (str_compare(m->by_key[middle]->key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < m->key_count && str_equal(m->by_key[low]->key, key) ? m->by_key[low] : NULL;
}

/* ----------------------------------------------------------------------------------------------------------- the text
 */

static void put(struct merging *m, struct str s)
{
    memcpy(m->to, s.ptr, s.len);
    m->to += s.len;
}

static void put_member(struct merging *m, const struct json_written *w)
{
    put(m, m->to == m->text + 1 ? STR("\"") : STR(",\""));
    put(m, w->key);
    put(m, STR("\":"));
    put(m, w->value);
}

static int put_old(struct merging *m, struct str object)
{
    struct json_members members = json_members(object);
    struct json_written old;
    while (json_members_next(&members, &old)) {
        struct str key;
        size_t mark = arena_mark(m->arena);
        if (!without_escapes(m->arena, old.key, &key))
            return ERR_FULL;
        struct given *given = find_given(m, key);
        arena_rewind(m->arena, mark);
        if (!given)
            put_member(m, &old);
        else if (!given->is_settled)
            put_member(m, &given->written);
        if (given)
            given->is_settled = true;
    }
    return 0;
}

static void put_new(struct merging *m)
{
    for (size_t i = 0; i < m->count; i++)
        if (!m->given[i].is_settled)
            put_member(m, &m->given[i].written);
}

int merge_fields(struct arena *arena, struct str object, struct str change, struct str *out)
{
    struct merging m = {.arena = arena};
    /* No member takes more than it took, and the comma between the two is one of the four brackets. */
    m.text = m.to = arena_alloc_unset(arena, object.len + change.len);
    int err = m.text ? read_given(&m, change) : ERR_FULL;
    if (err)
        return err;
    put(&m, STR("{"));
    err = put_old(&m, object);
    put_new(&m);
    put(&m, STR("}"));
    *out = (struct str){.ptr = m.text, .len = (size_t)(m.to - m.text)};
    return err;
}
