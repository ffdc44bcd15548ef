/* analyzer_table.h - word-break class and folded form of the code points that most text of Europe and the Middle East
 * is made of, from ICU's properties: those below U+0800, and general punctuation.  Runs in: worker, shard. */
#ifndef INDEX_ANALYZER_TABLE_H
#define INDEX_ANALYZER_TABLE_H

#include <stdint.h>

#include "index/analyzer_fold.h"

/* UAX 29's, as far as the fast path goes. HARD is for ICU: marks, Hebrew quotes, and whatever folds by its neighbours.
 */
enum word_class {
    CLASS_OTHER,
    CLASS_LETTER,
    CLASS_NUMERIC,
    CLASS_EXTEND_NUM_LET,
    CLASS_MID_LETTER,
    CLASS_MID_NUM,
    CLASS_MID_NUM_LET,
    CLASS_HARD,
};

struct table_entry {
    uint8_t class;
    uint8_t len;
    char folded[6]; /* UTF-8 */
};

enum { PUNCTUATION_FIRST = 0x2000, PUNCTUATION_LAST = 0x206F, TABLE_SIZE = FOLD_LOW + 0x70 };

struct word_table {
    struct table_entry entries[TABLE_SIZE];
    bool is_plain; /* ASCII letters fold to lower case and digits to themselves; nothing else but _ is in words, and
                      only . , ; ' join them */
    bool drops_possessive; /* APOSTROPHE_POSSESSIVE */
};

/* A word's own language or none of the above: which of ICU's case foldings are one letter below U+0800. */
struct word_table_base {
    struct word_table table;
    uint16_t case_folded[FOLD_LOW]; /* 0: not one letter */
};

/* Through fold_append for every entry: 0.5 ms, once in a process. */
void word_table_load(struct word_table_base *out, struct fold *f);

/* The base with a language's exceptions; microseconds. */
void word_table_make(struct word_table *out, const struct word_table_base *base, struct fold *f,
                     const struct fold_rules *rules, const struct language *language);

/* NULL: not in the table. */
static inline const struct table_entry *word_table_at(const struct word_table *t, uint32_t c)
{
    if (c < FOLD_LOW)
        return &t->entries[c];
    return c - PUNCTUATION_FIRST <= PUNCTUATION_LAST - PUNCTUATION_FIRST ? &t->entries[FOLD_LOW + c - PUNCTUATION_FIRST]
                                                                         : NULL;
}

static inline bool is_apostrophe(uint32_t c)
{
    return c == '\'' || c == 0x2018 || c == 0x2019;
}

/* Whether an apostrophe ends words. */
static inline bool word_table_splits(const struct word_table *t)
{
    return t->entries['\''].class == CLASS_OTHER;
}

#endif
