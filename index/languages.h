/* languages.h - what differs between languages: stemmer, stop words, letters that are more than a base with a mark.
 *
 * Word breaks do not: UAX 29 goes by characters, and so does the choice of a dictionary. */
#ifndef INDEX_LANGUAGES_H
#define INDEX_LANGUAGES_H

#include <stdbool.h>
#include <stddef.h>

#include "common/str.h"

enum language_apostrophe {
    APOSTROPHE_JOINS,      /* as UAX 29 has it */
    APOSTROPHE_SPLITS,     /* l'avion and Ankara'da are two words */
    APOSTROPHE_POSSESSIVE, /* so are don't and O'Reilly, but what is left of a possessive 's is no word */
};

struct language {
    const char *code;     /* ISO 639-1, or "none" */
    const char *snowball; /* the algorithm; NULL: stems are the words themselves */
    const char *kept;    /* last bytes of words that the stemmer keeps as they are, and need not be asked; NULL: none */
    const char *letters; /* keep their marks: Swedish a with ring is not an a */
    const char *accents; /* keep them in words, for the stemmer's rules, but lose them in stems: French e with acute */
    const char *same;    /* pairs: the first is written for the second */
    const char *stop_words; /* with spaces between; NULL: none */
    enum language_apostrophe apostrophe;
    bool dotless_i; /* capital I is dotless when small */
};

extern const struct language languages[];
extern const size_t language_count;

const struct language *language_find(struct str code); /* NULL if it is not known */

#endif
