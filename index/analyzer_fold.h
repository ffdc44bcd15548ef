/* analyzer_fold.h - folding by ICU: NFKC case folding, then marks off, but for a language's own letters.
 * Runs in: worker, shard.
 *
 * Marks come off Latin, Greek and Cyrillic letters; vowel points off Hebrew and Arabic ones. Elsewhere a mark can be
 * half of the word (Thai, Hindi) or another letter (Japanese voicing), and stays. */
#ifndef INDEX_ANALYZER_FOLD_H
#define INDEX_ANALYZER_FOLD_H

#include <stdbool.h>
#include <stdint.h>

#include "index/analyzer_word.h"
#include "index/languages.h"

enum { FOLD_LOW = 0x800, FOLD_SAME = 4 };

/* A language's exceptions, which are all below U+0800. */
struct fold_rules {
    uint64_t kept[FOLD_LOW / 64]; /* folded letters that keep their marks */
    struct {
        uint16_t from, to;
    } same[FOLD_SAME];
    bool dotless_i;
};

/* `language` may be NULL: the rules that all have. */
void fold_rules_make(struct fold_rules *out, const struct language *language);

static inline bool fold_keeps(const struct fold_rules *rules, uint32_t c)
{
    return c < FOLD_LOW && (rules->kept[c / 64] >> c % 64 & 1);
}

struct fold;                      /* ICU's data and scratch */
int fold_open(struct fold **out); /* malloc */

/* Appends the folded form of `length` UTF-16 units, which are well-formed; only the first FOLD_INPUT are looked at:
 * as many letters as a word can hold, but for those that come with two marks each. */
enum { FOLD_INPUT = 1024 };
void fold_append(struct fold *f, const struct fold_rules *rules, const uint16_t *text, int32_t length,
                 struct word *out);

#endif
