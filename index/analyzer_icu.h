/* analyzer_icu.h - the words of any text by ICU's word breaks and dictionaries, in bounded memory.
 * Runs in: worker, shard.
 *
 * Text goes through a window. Where it must be cut inside a run without white space or punctuation, the next window
 * begins at a word some way before the cut, so that a dictionary sees what comes after it. */
#ifndef INDEX_ANALYZER_ICU_H
#define INDEX_ANALYZER_ICU_H

#include "index/analyzer_fast.h"
#include "index/analyzer_fold.h"
#include "index/analyzer_table.h"
#include "index/analyzer_word.h"

struct icu_words;                           /* break iterator and window */
int icu_words_open(struct icu_words **out); /* malloc; every dictionary has been used once */

struct icu_rules {
    const struct word_table *table;
    struct fold *fold;
    const struct fold_rules *folding;
};

void icu_words(struct icu_words *iw, const struct icu_rules *rules, struct span text, struct word *scratch,
               struct word_out *out);

const char *icu_version(void); /* "72.1": what breaks and foldings depend on */

#endif
