#include "client/cli/places.h"

#include <stdlib.h>

static bool goes_on(struct place_run *r, uint64_t count, const char *path, uint64_t line)
{
    if (r->first.path != path || line < r->first.line)
        return false;
    if (count == 1)
        r->step = line - r->first.line;
    return line - r->first.line == count * r->step;
}

static bool begin_run(struct places *p, const char *path, uint64_t line)
{
    if (p->count == p->room) {
        size_t room = p->room ? p->room * 2 : 8;
        struct place_run *runs = room <= PLACES_RUNS ? realloc(p->runs, room * sizeof *runs) : NULL;
        if (!runs)
            return false;
        p->runs = runs;
        p->room = room;
    }
    p->runs[p->count++] = (struct place_run){.first = {path, line}, .position = p->end};
    return true;
}

void places_note(struct places *p, const char *path, uint64_t line)
{
    struct place_run *last = p->count ? &p->runs[p->count - 1] : NULL;
    if (p->is_full)
        return;
    if (last && goes_on(last, p->end - last->position, path, line))
        p->end++;
    else if (begin_run(p, path, line))
        p->end++;
    else
        p->is_full = true;
}

bool places_find(const struct places *p, uint64_t position, struct place *out)
{
    size_t low = 0, high = p->count;
    if (position >= p->end)
        return false;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (p->runs[middle].position <= position)
            low = middle;
        else
            high = middle;
    }
    const struct place_run *r = &p->runs[low];
    *out = (struct place){r->first.path, r->first.line + (position - r->position) * r->step};
    return true;
}

void places_finish(struct places *p)
{
    free(p->runs);
    *p = (struct places){0};
}
