/* analyzer_fast.h - the words of text whose code points are all in the table, without ICU.  Runs in: worker, shard. */
#ifndef INDEX_ANALYZER_FAST_H
#define INDEX_ANALYZER_FAST_H

#include "index/analyzer_table.h"
#include "index/analyzer_word.h"

struct span {
    const unsigned char *begin, *end;
};

/* How much of the text, from its begin, is whole runs between white space that are all in the table (easy), or that
 * each need ICU (hard). One of the two is not empty, unless the text is. */
const unsigned char *fast_easy_end(const struct word_table *t, struct span text);
const unsigned char *fast_hard_end(const struct word_table *t, struct span text);

/* UAX 29's rules WB5 to WB13b over an easy span; what they give equals what ICU gives. */
void fast_words(const struct word_table *t, struct span easy, struct word *scratch, struct word_out *out);

#endif
