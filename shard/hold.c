#include "shard/hold.h"

#include <errno.h>
#include <stdlib.h>

struct hold {
    uint64_t request;
    uint64_t until_us;
    struct snapshot *snapshot;
};

/* As many as queries are between their rounds: few, so a list will do. */
struct holds {
    struct hold *list;
    size_t count, room;
};

int holds_open(struct holds **out)
{
    *out = calloc(1, sizeof **out);
    return *out ? 0 : -ENOMEM;
}

static struct hold *find(const struct holds *h, uint64_t request)
{
    for (size_t i = 0; i < h->count; i++) {
        if (h->list[i].request == request)
            return &h->list[i];
    }
    return NULL;
}

static void drop(struct holds *h, struct hold *hold)
{
    snapshot_release(hold->snapshot);
    *hold = h->list[--h->count];
}

int holds_add(struct holds *h, uint64_t request, struct snapshot *s, uint64_t until_us)
{
    snapshot_hold(s);
    holds_drop(h, request);
    if (h->count == h->room) {
        size_t room = h->room ? 2 * h->room : 16;
        struct hold *list = realloc(h->list, room * sizeof *list);
        if (!list) {
            snapshot_release(s);
            return -ENOMEM;
        }
        h->list = list;
        h->room = room;
    }
    h->list[h->count++] = (struct hold){.request = request, .until_us = until_us, .snapshot = s};
    return 0;
}

struct snapshot *holds_find(const struct holds *h, uint64_t request)
{
    const struct hold *hold = find(h, request);
    return hold ? hold->snapshot : NULL;
}

void holds_drop(struct holds *h, uint64_t request)
{
    struct hold *hold = find(h, request);
    if (hold)
        drop(h, hold);
}

void holds_drop_expired(struct holds *h, uint64_t now_us)
{
    for (size_t i = h->count; i-- > 0;) {
        if (h->list[i].until_us <= now_us)
            drop(h, &h->list[i]);
    }
}
