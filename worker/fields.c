#include "worker/fields.h"

#include <stdlib.h>
#include <string.h>

#include "common/hash.h"

enum { FIRST_TABLE = 256, FIRST_ROOM = 64 };

void fields_init(struct fields *f, const struct settings *settings)
{
    *f = (struct fields){.settings = settings, .room = FIRST_ROOM, .mask = FIRST_TABLE - 1};
    f->items = calloc(f->room, sizeof *f->items);
    f->table = calloc(FIRST_TABLE, sizeof *f->table);
}

static uint32_t *place(const struct fields *f, struct str path)
{
    uint32_t at = (uint32_t)hash64(path) & f->mask;
    while (f->table[at] && !str_equal(f->items[f->table[at] - 1].path, path))
        at = (at + 1) & f->mask;
    return &f->table[at];
}

static void grow_table(struct fields *f)
{
    free(f->table);
    f->mask = f->mask * 2 + 1;
    f->table = calloc((size_t)f->mask + 1, sizeof *f->table);
    for (uint32_t i = 0; i < f->count; i++)
        *place(f, f->items[i].path) = i + 1;
}

static struct str copy(struct str s)
{
    char *bytes = malloc(s.len + 1);
    if (s.len)
        memcpy(bytes, s.ptr, s.len);
    return (struct str){.ptr = bytes, .len = s.len};
}

int64_t fields_number(struct fields *f, struct str path)
{
    uint32_t *known = place(f, path);
    if (*known)
        return *known - 1;
    if (f->count == FIELDS_MAX)
        return -1;
    if (f->count == f->room) {
        f->room *= 2;
        f->items = reallocarray(f->items, f->room, sizeof *f->items);
    }
    f->items[f->count++] = (struct field){
        .path = copy(path),
        .weight = settings_weight(f->settings, path),
        .is_searchable = settings_is_searchable(f->settings, path),
    };
    *known = f->count;
    if (f->count > f->mask / 2)
        grow_table(f);
    return f->count - 1;
}
