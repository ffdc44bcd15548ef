#include "bench/lab/searches.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/check.h"
#include "common/clock.h"

enum { SCRATCH = 25, SCRATCH_MOST = 2048, PERIOD_US = 4000 };

struct cached {
    char *key, *value;
    size_t key_size, value_size;
};

/* xorshift64*: the same numbers in every run. */
uint64_t random_below(uint64_t *state, uint64_t limit)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (*state * UINT64_C(0x2545f4914f6cdd1d) >> 32) % limit;
}

static char *make(size_t size)
{
    char *block = malloc(size);
    require(block);
    memset(block, 1, size);
    return block;
}

static void replace(struct searches *s, struct cached *c)
{
    free(c->key);
    free(c->value);
    s->live -= c->key_size + c->value_size;
    c->key_size = 24 + random_below(&s->random, 41);
    c->value_size = 128 + random_below(&s->random, 897);
    c->key = make(c->key_size);
    c->value = make(c->value_size);
    s->live += c->key_size + c->value_size;
}

void searches_open(struct searches *s, size_t entries)
{
    *s = (struct searches){.count = entries, .live = entries * sizeof *s->entries, .random = 88172645463325252};
    s->entries = calloc(entries, sizeof *s->entries);
    require(s->entries);
    for (size_t i = 0; i < entries; i++)
        replace(s, &s->entries[i]);
}

void searches_close(struct searches *s)
{
    for (size_t i = 0; i < s->count; i++) {
        free(s->entries[i].key);
        free(s->entries[i].value);
    }
    free(s->entries);
    *s = (struct searches){0};
}

static void run_one(struct searches *s)
{
    char *scratch[SCRATCH];
    for (size_t i = 0; i < SCRATCH; i++)
        scratch[i] = make(16 + random_below(&s->random, SCRATCH_MOST));
    replace(s, &s->entries[random_below(&s->random, s->count)]);
    for (size_t i = 0; i < SCRATCH; i++)
        free(scratch[i]);
    s->done++;
}

void searches_run(struct searches *s, size_t count)
{
    while (count-- > 0)
        run_one(s);
}

void searches_light(struct searches *s, uint64_t milliseconds)
{
    uint64_t end = clock_ns() + milliseconds * 1000000;
    while (clock_ns() < end) {
        run_one(s);
        usleep(PERIOD_US);
    }
}
