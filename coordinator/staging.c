#include "coordinator/staging.h"

#include <sys/mman.h>

char *staging_take(struct staging *s)
{
    if (s->count == 0) {
        void *fresh = mmap(NULL, s->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        return fresh == MAP_FAILED ? NULL : fresh;
    }
    char *spare = s->spare[--s->count];
    s->least = s->count < s->least ? s->count : s->least;
    return spare;
}

void staging_give(struct staging *s, char *buffer)
{
    if (s->count < STAGING_SPARE)
        s->spare[s->count++] = buffer;
    else
        munmap(buffer, s->size);
}

size_t staging_spare_bytes(const struct staging *s)
{
    return s->count * s->size;
}

static void give_back(struct staging *s, size_t count)
{
    while (count--)
        munmap(s->spare[--s->count], s->size);
}

void staging_tick(struct staging *s)
{
    give_back(s, s->least);
    s->least = s->count;
}

void staging_let_go(struct staging *s)
{
    give_back(s, s->count);
    s->least = 0;
}
