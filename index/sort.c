#include "index/sort.h"

#include <assert.h>
#include <string.h>

struct heap {
    char *base;
    size_t size;
    int (*compare)(const void *a, const void *b);
};

static char *at(const struct heap *h, size_t i)
{
    return h->base + i * h->size;
}

/* Puts `value` where it belongs below the hole at `i`. */
static void sift(const struct heap *h, size_t i, size_t count, const char *value)
{
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= count)
            break;
        if (child + 1 < count && h->compare(at(h, child), at(h, child + 1)) < 0)
            child++;
        if (h->compare(value, at(h, child)) >= 0)
            break;
        memcpy(at(h, i), at(h, child), h->size);
        i = child;
    }
    memcpy(at(h, i), value, h->size);
}

void sort_in_place(void *base, size_t count, size_t size, int (*compare)(const void *a, const void *b))
{
    assert(size <= SORT_MAX_SIZE);
    struct heap h = {.base = base, .size = size, .compare = compare};
    _Alignas(16) char value[SORT_MAX_SIZE];
    for (size_t i = count / 2; i-- > 0;) {
        memcpy(value, at(&h, i), size);
        sift(&h, i, count, value);
    }
    for (size_t end = count; end-- > 1;) {
        memcpy(value, at(&h, end), size);
        memcpy(at(&h, end), at(&h, 0), size);
        sift(&h, 0, end, value);
    }
}
