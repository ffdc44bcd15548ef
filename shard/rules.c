#include "shard/rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"

enum { KEPT = 16, ROOM_PER_BYTE = 32, LEAST_ROOM = 256 << 10 };

struct entry {
    struct arena arena; /* holds the rest; cap 0: empty */
    uint32_t index;
    uint64_t id;
    struct str json;
    struct rules rules;
    uint64_t used; /* when, in calls */
};

struct rules_cache {
    struct analysis *analysis;
    struct entry entries[KEPT];
    uint64_t calls;
};

int rules_cache_open(struct rules_cache **out)
{
    struct rules_cache *c = calloc(1, sizeof *c);
    if (!c)
        return -ENOMEM;
    int err = analysis_load(&c->analysis);
    if (!err)
        err = analysis_remember_stems(c->analysis);
    if (err) {
        free(c);
        return err;
    }
    *out = c;
    return 0;
}

static void clear(struct entry *e)
{
    analyzer_close(e->rules.analyzer);
    arena_finish(&e->arena);
    *e = (struct entry){0};
}

/* What the index had before, which is not asked for again; else the least used. */
static struct entry *place_for(struct rules_cache *c, uint32_t index)
{
    struct entry *least = &c->entries[0];
    for (size_t i = 0; i < KEPT; i++) {
        if (c->entries[i].arena.cap > 0 && c->entries[i].index == index)
            return &c->entries[i];
        if (c->entries[i].used < least->used)
            least = &c->entries[i];
    }
    return least;
}

static int set_fields(struct entry *e)
{
    const struct settings *s = &e->rules.settings;
    e->rules.fields = arena_new_array(&e->arena, s->field_count, struct query_field);
    if (!e->rules.fields)
        return ERR_FULL;
    e->rules.field_count = s->field_count;
    for (size_t i = 0; i < s->field_count; i++)
        e->rules.fields[i] = (struct query_field){.name = s->fields[i].name, .weight = s->fields[i].weight};
    return 0;
}

static int fill(struct rules_cache *c, struct entry *e, struct str json)
{
    int err = arena_init(&e->arena, ROOM_PER_BYTE * json.len + LEAST_ROOM, 0);
    if (err)
        return err;
    e->json = arena_copy(&e->arena, json);
    if (!e->json.ptr)
        return ERR_FULL;
    struct settings *s = &e->rules.settings;
    err = settings_decode(&e->arena, e->json, s);
    if (!err)
        err = set_fields(e);
    if (err)
        return err;
    return analyzer_open(c->analysis, s->language, s->own_stop_words ? s->stop_words : NULL, s->stop_word_count,
                         &e->rules.analyzer);
}

int rules_find(struct rules_cache *c, uint32_t index, uint64_t id, struct str settings_json, const struct rules **out)
{
    c->calls++;
    for (size_t i = 0; i < KEPT; i++) {
        struct entry *e = &c->entries[i];
        if (e->arena.cap > 0 && e->id == id) {
            e->used = c->calls;
            *out = &e->rules;
            return 0;
        }
    }
    if (settings_json.len == 0)
        return RULES_WANTED;
    struct entry *e = place_for(c, index);
    clear(e);
    int err = fill(c, e, settings_json);
    if (err) {
        clear(e);
        return err;
    }
    e->index = index;
    e->id = id;
    e->used = c->calls;
    *out = &e->rules;
    return 0;
}
