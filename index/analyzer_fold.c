#include "index/analyzer_fold.h"

#include <errno.h>
#include <stdlib.h>

#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/uscript.h>

#include "common/err.h"

/* NFKC makes at most 18 units of one (U+FDFA). */
enum { EXPANSION = 18, DECOMPOSED = 32 };

struct fold {
    const UNormalizer2 *case_folding;
    const UNormalizer2 *composition;
    UChar input[FOLD_INPUT];
    UChar folded[FOLD_INPUT * EXPANSION];
};

/* Letters that Cyrillic alphabets count as such; a stemmer's endings depend on them. U+0451 is not among them: it is
 * written as U+0435 more often than not. */
static const char kept_everywhere[] = "йўїѓќ";

/* What no decomposition tells: strokes, ligatures, the forms of an apostrophe. */
static const struct {
    uint32_t from;
    const char *to;
} spelled[] = {
    {0x00E6, "ae"}, {0x00F8, "o"}, {0x0111, "d"}, {0x0131, "i"}, {0x0142, "l"},
    {0x0153, "oe"}, {0x02BC, "'"}, {0x2018, "'"}, {0x2019, "'"},
};

static void keep_letters(struct fold_rules *rules, const char *letters)
{
    const unsigned char *p = (const unsigned char *)letters, *end = letters ? p + strlen(letters) : p;
    uint32_t c;
    while (p < end) {
        p = utf8_next(p, end, &c);
        rules->kept[c / 64 % (FOLD_LOW / 64)] |= UINT64_C(1) << c % 64;
    }
}

static void name_pairs(struct fold_rules *rules, const char *pairs)
{
    const unsigned char *p = (const unsigned char *)pairs, *end = pairs ? p + strlen(pairs) : p;
    uint32_t from, to;
    for (size_t pair = 0; p < end && pair < FOLD_SAME; pair++) {
        p = utf8_next(p, end, &from);
        p = utf8_next(p, end, &to);
        rules->same[pair].from = (uint16_t)from;
        rules->same[pair].to = (uint16_t)to;
    }
}

void fold_rules_make(struct fold_rules *out, const struct language *language)
{
    *out = (struct fold_rules){0};
    keep_letters(out, kept_everywhere);
    if (!language)
        return;
    keep_letters(out, language->letters);
    keep_letters(out, language->accents);
    name_pairs(out, language->same);
    out->dotless_i = language->dotless_i;
}

int fold_open(struct fold **out)
{
    UErrorCode status = U_ZERO_ERROR;
    struct fold *f = calloc(1, sizeof *f);
    if (!f)
        return -ENOMEM;
    f->case_folding = unorm2_getNFKCCasefoldInstance(&status);
    f->composition = unorm2_getNFCInstance(&status);
    if (U_FAILURE(status)) {
        free(f);
        return ERR_INVALID;
    }
    *out = f;
    return 0;
}

static bool has_loose_marks(UChar32 base)
{
    UErrorCode status = U_ZERO_ERROR;
    UScriptCode script = uscript_getScript(base, &status);
    return script == USCRIPT_LATIN || script == USCRIPT_GREEK || script == USCRIPT_CYRILLIC;
}

/* Vowel points, cantillation and the stretching stroke of Hebrew and Arabic; hamza and madda above are not. */
static bool is_point(UChar32 c)
{
    if (c < 0x0591 || c > 0x08FF)
        return false;
    if (c == 0x0640)
        return true;
    bool hebrew = c <= 0x05C7, arabic = c >= 0x0610 && !(c >= 0x0653 && c <= 0x0655);
    return (hebrew || (arabic && (c <= 0x06ED || c >= 0x08CA))) && u_charType(c) == U_NON_SPACING_MARK;
}

static bool is_loose_mark(UChar32 c, UChar32 base)
{
    static const struct {
        UChar32 first, last;
    } blocks[] = {{0x0300, 0x036F}, {0x1AB0, 0x1AFF}, {0x1DC0, 0x1DFF}, {0x20D0, 0x20FF}, {0xFE20, 0xFE2F}};
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
        if (c >= blocks[i].first && c <= blocks[i].last)
            return base && has_loose_marks(base);
    return is_point(c);
}

static UChar32 same_letter(const struct fold_rules *rules, UChar32 c)
{
    for (size_t i = 0; i < FOLD_SAME && rules->same[i].from; i++)
        if (rules->same[i].from == c)
            return rules->same[i].to;
    return c;
}

/* The letter below the marks of a composed one, if marks come off it. */
static UChar32 bare_letter(const struct fold *f, UChar32 c)
{
    UErrorCode status = U_ZERO_ERROR;
    UChar parts[DECOMPOSED];
    int32_t i = 0, length = unorm2_getDecomposition(f->composition, c, parts, DECOMPOSED, &status);
    if (U_FAILURE(status) || length <= 0)
        return c;
    UChar32 base = (UChar32)utf16_next(parts, &i);
    return has_loose_marks(base) ? base : c;
}

static void append_letter(const struct fold_rules *rules, UChar32 c, struct word *out)
{
    if (!fold_keeps(rules, (uint32_t)c))
        for (size_t i = 0; i < sizeof spelled / sizeof spelled[0]; i++)
            if (spelled[i].from == (uint32_t)c) {
                word_append(out, spelled[i].to, strlen(spelled[i].to));
                return;
            }
    int32_t digit = u_charDigitValue(c);
    word_append_code_point(out, digit >= 0 ? '0' + (uint32_t)digit : (uint32_t)c);
}

static void append_bare(const struct fold *f, const struct fold_rules *rules, int32_t length, struct word *out)
{
    UChar32 c, base = 0;
    for (int32_t i = 0; i < length && !out->full;) {
        c = (UChar32)utf16_next(f->folded, &i);
        if (is_loose_mark(c, base))
            continue;
        c = same_letter(rules, c);
        if (!fold_keeps(rules, (uint32_t)c))
            c = bare_letter(f, c);
        append_letter(rules, c, out);
        base = c;
    }
}

/* Case folding makes a dotted i of both; done before it. A capital I with the dot as a mark is the dotted one too. */
static int32_t fold_dotless(struct fold *f, const uint16_t *text, int32_t length)
{
    int32_t size = 0;
    for (int32_t i = 0; i < length; i++) {
        bool dotted = text[i] == 0x0130 || (text[i] == 'I' && i + 1 < length && text[i + 1] == 0x0307);
        f->input[size++] = dotted ? 'i' : text[i] == 'I' ? 0x0131 : text[i];
        i += dotted && text[i] == 'I';
    }
    return size;
}

void fold_append(struct fold *f, const struct fold_rules *rules, const uint16_t *text, int32_t length, struct word *out)
{
    UErrorCode status = U_ZERO_ERROR;
    if (length > FOLD_INPUT)
        length = (text[FOLD_INPUT - 1] & 0xFC00) == 0xD800 ? FOLD_INPUT - 1 : FOLD_INPUT; /* no half pair */
    if (rules->dotless_i) {
        length = fold_dotless(f, text, length);
        text = f->input;
    }
    length = unorm2_normalize(f->case_folding, text, length, f->folded, FOLD_INPUT * EXPANSION, &status);
    if (U_SUCCESS(status))
        append_bare(f, rules, length, out);
}
