/* analyzer.h - text to words: Unicode word breaks (UAX 29) with dictionaries for Chinese, Japanese, Thai..., folding
 * (NFKC case folding, diacritics off), Snowball stems, stop words.  Runs in: worker, shard.
 *
 * ICU does it; ASCII and other code points below U+0800 go by tables made from ICU's properties, with the same result.
 * Words are folded, then stemmed by whoever needs the stem: once per distinct word, not once per token. */
#ifndef INDEX_ANALYZER_H
#define INDEX_ANALYZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/str.h"

enum { ANALYZER_MAX_WORD = 512 }; /* bytes of a folded word; a longer one is cut at a code point */

/* ICU's data, tables and dictionaries, warmed; loaded once, in the nursery before it forks or in a shard at start. */
struct analysis;
int analysis_load(struct analysis **out); /* malloc; lives with the process */

/* From now on stems of words are kept for the next time (64 KiB): for who is asked the same words again and again. */
int analysis_remember_stems(struct analysis *shared);

/* One language's rules. Single-threaded. */
struct analyzer;

/* `language` is "none" or ISO 639-1 ("en", "de", "zh", ...); ERR_INVALID if it is not known. `stop_words` replaces the
 * language's own unless it is NULL. */
int analyzer_open(struct analysis *shared, struct str language, const struct str *stop_words, size_t stop_word_count,
                  struct analyzer **out);
void analyzer_close(struct analyzer *a); /* accepts NULL */

/* What an index must have been built with to be searched with this: "1 icu 72.1 snowball 2.2 en". */
const char *analyzer_identity(const struct analyzer *a);

/* Each word of `text` in order. `word` is folded, stands in a buffer of ANALYZER_MAX_WORD bytes and is valid during the
 * call; `position` counts words from 0. Returning false stops. Invalid UTF-8 is replaced, never refused. A sink analyzes
 * nothing itself: scratch is shared by all analyzers of a process. */
typedef bool analyzer_sink(void *context, struct str word, uint32_t position);
void analyzer_words(struct analyzer *a, struct str text, analyzer_sink *sink, void *context);

/* The stem of a folded word, valid until the next call; the word itself where the language has no stemmer. */
struct str analyzer_stem(struct analyzer *a, struct str word);

bool analyzer_is_stop_word(const struct analyzer *a, struct str folded_word);

#endif
