#include "index/stem_cache.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/hash.h"

enum { PLACES = 1024, TEXTS = 61 };

struct stem_entry { /* as large as a line of the processor's cache */
    uint8_t language, word, stem; /* lengths of the two texts; no word: empty */
    char texts[TEXTS];
};
static_assert(sizeof(struct stem_entry) == 64, "no holes");

struct stem_cache {
    struct stem_entry entries[PLACES];
};

int stem_cache_open(struct stem_cache **out)
{
    *out = aligned_alloc(sizeof(struct stem_entry), sizeof **out);
    if (!*out)
        return -ENOMEM;
    memset(*out, 0, sizeof **out);
    return 0;
}

struct stem_entry *stem_cache_place(struct stem_cache *c, uint8_t language, struct str word)
{
    return &c->entries[(hash64(word) + language) % PLACES];
}

struct str stem_cache_get(const struct stem_entry *e, uint8_t language, struct str word)
{
    if (e->word == 0 || e->word != word.len || e->language != language || memcmp(e->texts, word.ptr, word.len) != 0)
        return (struct str){0};
    return (struct str){e->texts + e->word, e->stem};
}

void stem_cache_put(struct stem_entry *e, uint8_t language, struct str word, struct str stem)
{
    if (word.len + stem.len > TEXTS)
        return;
    e->language = language;
    e->word = (uint8_t)word.len;
    e->stem = (uint8_t)stem.len;
    memcpy(e->texts, word.ptr, word.len);
    memcpy(e->texts + word.len, stem.ptr, stem.len);
}
