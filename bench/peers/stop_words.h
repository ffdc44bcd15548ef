/* stop_words.h - what the English analysis of every peer leaves out that has no list of its own to be given it. */
#ifndef PEERS_STOP_WORDS_H
#define PEERS_STOP_WORDS_H

#include <stdio.h>
#include <string.h>

static inline int is_stop_word(const char *word, int length)
{
    static const char stop_words[] =
        " a an and are as at be but by for if in into is it no not of on or such that the their "
        "then there these they this to was will with ";
    char padded[16];
    if (length > 8)
        return 0;
    snprintf(padded, sizeof padded, " %.*s ", length, word);
    return strstr(stop_words, padded) != NULL;
}

#endif
