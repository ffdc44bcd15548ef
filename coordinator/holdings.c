#include "coordinator/holdings.h"

#include <stdlib.h>

/* Where there is no memory for the new ones, none are known. */
void holdings_take(struct holdings *h, const Mayfly__Internal__Holdings *told)
{
    size_t count = told ? told->n_holdings : 0;
    free(h->list);
    h->list = count ? calloc(count, sizeof *h->list) : NULL;
    h->count = h->list ? count : 0;
    for (size_t i = 0; i < h->count; i++) {
        const Mayfly__Internal__Holdings__Holding *from = told->holdings[i];
        h->list[i] = (struct holding){from->index, from->edition, from->mapped, from->heap};
    }
}

static int compare(const void *key, const void *element)
{
    const struct holding *a = key, *b = element;
    if (a->index != b->index)
        return a->index < b->index ? -1 : 1;
    return a->edition < b->edition ? -1 : a->edition > b->edition;
}

/* They come in that order: shard/places.c. */
const struct holding *holdings_find(const struct holdings *h, uint32_t index, uint32_t edition)
{
    const struct holding key = {.index = index, .edition = edition};
    return h->count ? bsearch(&key, h->list, h->count, sizeof key, compare) : NULL;
}
