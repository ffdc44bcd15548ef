#include "index/stem_cache.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/hash.h"

enum { PLACES = 2048, WORDS = 2, TEXTS = 29 };

struct stem_entry {
    uint8_t language, word, stem; /* lengths of the two texts; no word: empty */
    char texts[TEXTS];
};

/* As large as a line of the processor's cache. */
struct stem_place {
    struct stem_entry entries[WORDS]; /* the newer one first */
};
static_assert(sizeof(struct stem_place) == 64, "no holes");

struct stem_cache {
    struct stem_place places[PLACES];
};

int stem_cache_open(struct stem_cache **out)
{
    *out = aligned_alloc(sizeof(struct stem_place), sizeof **out);
    if (!*out)
        return -ENOMEM;
    memset(*out, 0, sizeof **out);
    return 0;
}

struct stem_place *stem_cache_place(struct stem_cache *c, uint8_t language, struct str word)
{
    return &c->places[(hash64(word) + language) % PLACES];
}

static bool is_of(const struct stem_entry *e, uint8_t language, struct str word)
{
    return e->word == word.len && e->language == language && memcmp(e->texts, word.ptr, word.len) == 0;
}

struct str stem_cache_get(const struct stem_place *p, uint8_t language, struct str word)
{
    for (size_t i = 0; i < WORDS && word.len > 0; i++) {
        const struct stem_entry *e = &p->entries[i];
        if (is_of(e, language, word))
            return (struct str){e->texts + e->word, e->stem};
    }
    return (struct str){0};
}

void stem_cache_put(struct stem_place *p, uint8_t language, struct str word, struct str stem)
{
    struct stem_entry *e = &p->entries[0];
    if (word.len + stem.len > TEXTS)
        return;
    p->entries[1] = *e;
    *e = (struct stem_entry){.language = language, .word = (uint8_t)word.len, .stem = (uint8_t)stem.len};
    memcpy(e->texts, word.ptr, word.len);
    memcpy(e->texts + word.len, stem.ptr, stem.len);
}
