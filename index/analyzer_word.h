/* analyzer_word.h - one folded word as it grows, and where words go.  Runs in: worker, shard. */
#ifndef INDEX_ANALYZER_WORD_H
#define INDEX_ANALYZER_WORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "index/analyzer.h"
#include "index/analyzer_utf.h"

struct word {
    size_t len;
    bool full; /* the next code point did not fit, nor does any after it */
    char bytes[ANALYZER_MAX_WORD];
};

/* `utf8` is well-formed; what does not fit is left out from a code point on. */
static inline void word_append(struct word *w, const char *utf8, size_t size)
{
    if (!w->full && w->len + size <= sizeof w->bytes) {
        memcpy(w->bytes + w->len, utf8, size);
        w->len += size;
        return;
    }
    for (size_t i = 0, next; i < size && !w->full; i = next) {
        for (next = i + 1; next < size && ((unsigned char)utf8[next] & 0xC0) == 0x80; next++)
            ;
        w->full = w->len + (next - i) > sizeof w->bytes;
        if (!w->full) {
            memcpy(w->bytes + w->len, utf8 + i, next - i);
            w->len += next - i;
        }
    }
}

static inline void word_append_code_point(struct word *w, uint32_t c)
{
    char utf8[4];
    word_append(w, utf8, utf8_put(utf8, c));
}

struct word_out {
    analyzer_sink *sink;
    void *context;
    uint32_t position;
    bool stopped; /* the sink wants no more */

    /* The possessive 's: which of the two stood just before. */
    bool after_word;
    bool after_apostrophe; /* that ended a word */
};

/* Between words. */
static inline void word_gap(struct word_out *out, bool is_apostrophe)
{
    out->after_apostrophe = out->after_word && is_apostrophe;
    out->after_word = false;
}

/* Hands the word over, unless folding left nothing of it, and empties it. */
static inline void word_emit(struct word *w, struct word_out *out)
{
    bool possessive = out->after_apostrophe && w->len == 1 && w->bytes[0] == 's';
    out->after_word = true;
    out->after_apostrophe = false;
    if (w->len && !possessive && !out->stopped)
        out->stopped = !out->sink(out->context, (struct str){w->bytes, w->len}, out->position++);
    w->len = 0;
    w->full = false;
}

#endif
