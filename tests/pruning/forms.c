#include "forms.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { WORDS = 8, WORD_BYTES = 64 };

/* The first words of a query, those of the next one where it has too few, and what is behind the first two. */
struct parts {
    char words[WORDS][WORD_BYTES];
    size_t count;
    const char *rest;
};

static const char *next_word(const char *text, int *out_length)
{
    text += strspn(text, " ");
    *out_length = (int)strcspn(text, " ");
    return text;
}

static void take_words(struct parts *p, const char *text)
{
    for (int length; p->count < WORDS; text += length) {
        text = next_word(text, &length);
        if (p->count == 2)
            p->rest = text;
        if (length == 0)
            return;
        snprintf(p->words[p->count++], WORD_BYTES, "%.*s", length, text);
    }
}

static struct parts parts_of(const struct request_queries *queries, size_t number)
{
    struct parts p = {.rest = ""};
    take_words(&p, queries->queries[number].text);
    if (p.count <= 2)
        p.rest = "";
    const char *rest = p.rest;
    for (size_t i = 1; i <= WORDS && p.count < WORDS; i++)
        take_words(&p, queries->queries[(number + i) % queries->count].text);
    p.rest = rest;
    return p;
}

static void as_it_is(const struct request_queries *queries, size_t number, char out[FORM_TEXT])
{
    snprintf(out, FORM_TEXT, "%s", queries->queries[number].text);
}

static void quoted(const struct request_queries *queries, size_t number, char out[FORM_TEXT])
{
    snprintf(out, FORM_TEXT, "\"%s\"", queries->queries[number].text);
}

static void two_quoted(const struct request_queries *queries, size_t number, char out[FORM_TEXT])
{
    struct parts p = parts_of(queries, number);
    snprintf(out, FORM_TEXT, "\"%s %s\" %s", p.words[0], p.words[1], p.rest);
}

/* One of several patterns in turn: $0 to $7 is a word, $a to $h its first three letters, $r the rest. A blank at the
 * end says that the last word is no prefix. */
static void mixed(const struct request_queries *queries, size_t number, char out[FORM_TEXT])
{
    static const char *const patterns[] = {
        "$0 -$1 ",
        "+$0 $1 $r",
        "title:$0 $1",
        "\"$0 $1\" $r -$4 ",
        "+title:$0 $1 $2 ",
        "$0 $1 -\"$3 $4\"",
        "body:\"$0 $1\" $2 ",
        "+\"$0 $1\" $r",
        "$0 $3 -title:$1 ",
        "$1 $a",
        "+$2 $a",
        "$a",
        "$0 $1 $2 $3 $4 ",
        "+$0 -$1 $2 $c",
        "title:$0 body:$1 $0 ",
        "\"$0 $1\" $3",
    };
    struct parts p = parts_of(queries, number);
    size_t used = 0;
    for (const char *c = patterns[number % (sizeof patterns / sizeof *patterns)]; *c && used < FORM_TEXT - 1; c++) {
        const char *part = NULL;
        int most = FORM_TEXT;
        if (*c == '$') {
            c++;
            most = *c >= 'a' && *c <= 'h' ? 3 : most;
            part = *c == 'r' ? p.rest : p.words[(*c >= 'a' ? *c - 'a' : *c - '0') % WORDS];
        }
        int written = part ? snprintf(out + used, FORM_TEXT - used, "%.*s", most, part)
                           : snprintf(out + used, FORM_TEXT - used, "%c", *c);
        used += (size_t)written;
    }
}

/* Users' words with the server's defaults (the last is a prefix, misspelt ones are guessed), and just themselves. */
#define EXACTLY .no_prefix = true, .no_typos = true

const struct form forms[] = {
    {"any", {.match = MATCH_ANY, EXACTLY}, as_it_is},
    {"all", {.match = MATCH_ALL, EXACTLY}, as_it_is},
    {"last", {.match = MATCH_LAST, EXACTLY}, as_it_is},
    {"frequency", {.match = MATCH_FREQUENCY, EXACTLY}, as_it_is},
    {"any-prefix", {.match = MATCH_ANY}, as_it_is},
    {"all-prefix", {.match = MATCH_ALL}, as_it_is},
    {"last-prefix", {.match = MATCH_LAST}, as_it_is},
    {"frequency-prefix", {.match = MATCH_FREQUENCY}, as_it_is},
    {"phrase", {.match = MATCH_ALL, EXACTLY}, quoted},
    {"phrase-any-prefix", {.match = MATCH_ANY}, two_quoted},
    {"phrase-last", {.match = MATCH_LAST, EXACTLY}, two_quoted},
    {"mixed-any", {.match = MATCH_ANY}, mixed},
    {"mixed-all", {.match = MATCH_ALL}, mixed},
    {"mixed-last", {.match = MATCH_LAST}, mixed},
    {"mixed-frequency", {.match = MATCH_FREQUENCY}, mixed},
    {0},
};
