#include "index/candidates.h"

#include "common/bytes.h"
#include "common/rising.h"
#include "index/store.h"

/* Of several documents with one hash the first adds what there is. */
static void add_equal(struct candidates *c, uint64_t hash)
{
    for (size_t at = rising_place(c->hashes, c->count, hash); at < c->count && c->hashes[at] == hash; at++)
        if (!c->found || c->places[c->found - 1] < at)
            c->places[c->found++] = (uint32_t)at;
}

/* An image's documents are so few that their hashes are one part. */
static int find_in_store(struct candidates *c, struct store *store)
{
    struct extent hashes;
    int err = store_extent(store, SECTION_HASHES, 0, &hashes);
    if (!err)
        err = store_check(store, &hashes, 0, hashes.size);
    for (uint32_t at = 0; !err && at + sizeof(uint64_t) <= hashes.size; at += sizeof(uint64_t))
        add_equal(c, load_u64(hashes.payload + at));
    return err;
}

static int find_in_image(struct candidates *c, struct image *image)
{
    struct store *store;
    int err = store_open_image(image, &store);
    if (err)
        return err;
    err = find_in_store(c, store);
    store_close(store);
    return err;
}

static void take_all(struct candidates *c)
{
    for (c->found = 0; c->found < c->count; c->found++)
        c->places[c->found] = (uint32_t)c->found;
}

int candidates_find(struct candidates *c, const struct core_segment *s)
{
    c->found = 0;
    if (!s->image)
        return core_may_have(c->core, s->id, c->hashes, c->count, c->places, &c->found);
    if (find_in_image(c, s->image))
        take_all(c);
    return 0;
}
