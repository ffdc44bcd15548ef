#include "worker/earlier.h"

#include <stdlib.h>

#include "common/hash.h"
#include "common/rising.h"
#include "index/sort.h"

struct left {
    struct left *next;
    struct str id, body;
    char *copy; /* of the body; NULL: it stands in a region */
};

/* --------------------------------------------------------------------------------------------------------- beforehand
 */

static bool has_partial_updates(struct regions r)
{
    struct operation o;
    uint64_t task;
    while (regions_next(&r, &o, &task))
        if (o.kind == OPERATION_PATCH)
            return true;
    return false;
}

static int by_value(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static size_t keep_repeated(uint64_t *sorted, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i + 1 < count; i++)
        if (sorted[i] == sorted[i + 1] && (kept == 0 || sorted[kept - 1] != sorted[i]))
            sorted[kept++] = sorted[i];
    return kept;
}

void earlier_open(struct earlier *e, const struct regions *r)
{
    *e = (struct earlier){0};
    if (!has_partial_updates(*r))
        return;
    struct regions rest = *r;
    struct operation o;
    uint64_t task;
    size_t count = 0;
    uint64_t *hashes = reallocarray(NULL, (size_t)(r->end - r->first), sizeof *hashes);
    while (regions_next(&rest, &o, &task))
        hashes[count++] = o.hash;
    sort_in_place(hashes, count, sizeof *hashes, by_value);
    e->count = keep_repeated(hashes, count);
    e->hashes = reallocarray(hashes, e->count + 1, sizeof *hashes);
    e->left = calloc(e->count + 1, sizeof(*e->left));
}

/* ----------------------------------------------------------------------------------------------------------- meanwhile
 */

static struct left **list_of(const struct earlier *e, uint64_t hash)
{
    size_t at = rising_place(e->hashes, e->count, hash);
    return at < e->count && e->hashes[at] == hash ? &e->left[at] : NULL;
}

static struct left *find(struct left *list, struct str id)
{
    while (list && !str_equal(list->id, id))
        list = list->next;
    return list;
}

static bool is_in(struct str body, const struct operation *o)
{
    return body.ptr == NULL || (body.ptr == o->body.ptr && body.len == o->body.len);
}

void earlier_note(struct earlier *e, const struct operation *o, struct str body)
{
    struct left **list = list_of(e, o->hash);
    if (!list)
        return;
    struct left *left = find(*list, o->id);
    if (!left) {
        left = calloc(1, sizeof *left);
        *left = (struct left){.next = *list, .id = o->id};
        *list = left;
    }
    free(left->copy);
    left->copy = is_in(body, o) ? NULL : malloc(body.len);
    left->body = body;
    if (left->copy)
        left->body.ptr = memcpy(left->copy, body.ptr, body.len);
}

bool earlier_find(const struct earlier *e, const struct operation *o, struct str *out)
{
    struct left **list = list_of(e, o->hash), *left = list ? find(*list, o->id) : NULL;
    if (left)
        *out = left->body;
    return left != NULL;
}
