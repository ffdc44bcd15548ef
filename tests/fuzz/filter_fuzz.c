/* A filter's text of any bytes, more often of pieces that mean something; what is understood is held against documents, and
 * its negation with it. */
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "index/filter.h"
#include "tests/fuzz/fuzz.h"

static const char *const documents[] = {
    "{}",
    "{\"a\":1,\"b\":\"x\",\"c\":[true,null,{\"d\":-2.5e3}],\"\\u00e9\":\"\"}",
    "{\"a\":[9007199254740993,\"1\",{}],\"b\":{\"a\":\"xyz\",\"b\":[[]]},\"c\":null}",
};
enum { DOCUMENTS = sizeof documents / sizeof *documents };

static struct arena arena, scratch;

static void require_that(bool claim)
{
    if (!claim)
        abort();
}

/* Whether it is understood, and what it says of each document. */
static bool run(struct str text, bool out[DOCUMENTS])
{
    struct filter *f;
    struct filter_error error;
    int err = filter_parse(&arena, text, &f, &error);
    require_that(err == 0 || err == ERR_FULL || err == ERR_INVALID);
    require_that(err != ERR_INVALID || (error.message[0] && error.offset <= text.len));
    for (size_t i = 0; !err && i < DOCUMENTS; i++)
        require_that(filter_matches(f, &scratch, str_of(documents[i]), &out[i]) == 0);
    arena_rewind(&arena, 0);
    return err == 0;
}

static void check(struct str text)
{
    bool matches[DOCUMENTS], others[DOCUMENTS];
    if (!run(text, matches))
        return;
    char *negation = malloc(text.len + 6);
    require_that(negation != NULL);
    memcpy(negation, "NOT(", 4);
    memcpy(negation + 4, text.ptr, text.len);
    negation[text.len + 4] = ')';
    if (run((struct str){negation, text.len + 5}, others)) /* it may be nested too deep now */
        for (size_t i = 0; i < DOCUMENTS; i++)
            require_that(matches[i] == !others[i]);
    free(negation);
}

static size_t spell(const uint8_t *data, size_t size, char *text)
{
    static const char *const pieces[] = {
        "(",    ")",   "a ",     "b ",     "c.d ", "= ",      "!= ",     "< ",     "<= ",    "> ",  ">= ", "1 ",
        "-2.5", "'x'", "\"",     "'",      "AND ", "OR ",     "NOT ",    "IN ",    "[",      "]",   ",",   "TO ",
        "IS ",  "NULL ", "EMPTY ", "EXISTS ", "CONTAINS ", "STARTS WITH ", "true ", "\xc3\xa9", "\\", "\xff", "a = 1 ", "b.a "};
    return fuzz_spell(pieces, sizeof pieces / sizeof *pieces, data, size, text);
}

static int filter_fuzz(const uint8_t *data, size_t size)
{
    if (!arena.cap && (arena_init(&arena, 1 << 20, 0) || arena_init(&scratch, 1 << 20, 0)))
        return 0;
    char *text = malloc(12 * size + 1);
    if (!text)
        return 0;
    if (size > 0)
        memcpy(text, data, size);
    check((struct str){text, size});
    check((struct str){text, spell(data, size, text)});
    free(text);
    return 0;
}

/* Random pieces seldom make a sentence: some that are, to be changed. */
static void seeds(fuzz_run *take)
{
    static const char *const texts[] = {
        "a = 1",
        "a != 'x' AND b < 2 OR NOT c >= \"\\\"\"",
        "(a 1 TO 5 OR b IN [1, 'x', true,]) AND c.d IS NOT NULL",
        "NOT (a EXISTS OR b NOT EXISTS) AND c IS EMPTY",
        "b STARTS WITH x OR b NOT CONTAINS 'y' OR \xc3\xa9 = ''",
        "_geoRadius(1, 2, 3)",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        take((const uint8_t *)texts[i], strlen(texts[i]));
}

static void finish(void)
{
    arena_finish(&arena);
    arena_finish(&scratch);
}

const struct fuzz_target fuzz_target = {
    .most = 600, .rounds = 20000, .mutations = 2000, .run = filter_fuzz, .seeds = seeds, .finish = finish};
