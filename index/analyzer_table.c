#include "index/analyzer_table.h"

#include <string.h>

#include <unicode/uchar.h>
#include <unicode/unorm2.h>

static enum word_class class_of(UChar32 c)
{
    static const uint8_t classes[] = {
        [U_WB_ALETTER] = CLASS_LETTER,
        [U_WB_NUMERIC] = CLASS_NUMERIC,
        [U_WB_EXTENDNUMLET] = CLASS_EXTEND_NUM_LET,
        [U_WB_MIDLETTER] = CLASS_MID_LETTER,
        [U_WB_MIDNUM] = CLASS_MID_NUM,
        [U_WB_MIDNUMLET] = CLASS_MID_NUM_LET,
        [U_WB_SINGLE_QUOTE] = CLASS_MID_NUM_LET,
        [U_WB_EXTEND] = CLASS_HARD,
        [U_WB_FORMAT] = CLASS_HARD,
        [U_WB_ZWJ] = CLASS_HARD,
        [U_WB_HEBREW_LETTER] = CLASS_HARD,
        [U_WB_KATAKANA] = CLASS_HARD,
    };
    int32_t property = u_getIntPropertyValue(c, UCHAR_WORD_BREAK);
    if (c == ':' || property < 0 || (size_t)property >= sizeof classes)
        return CLASS_OTHER;
    return (enum word_class)classes[property];
}

static bool is_in_words(enum word_class class)
{
    return class != CLASS_OTHER && class != CLASS_HARD;
}

static void fill(struct table_entry *entry, struct fold *f, const struct fold_rules *rules, UChar32 c)
{
    struct word w = {0};
    uint16_t unit = (uint16_t)c;
    *entry = (struct table_entry){.class = (uint8_t)class_of(c)};
    if (!is_in_words((enum word_class)entry->class))
        return;
    fold_append(f, rules, &unit, 1, &w);
    if (w.len == 0 || w.len > sizeof entry->folded) {
        entry->class = CLASS_HARD;
        return;
    }
    memcpy(entry->folded, w.bytes, w.len);
    entry->len = (uint8_t)w.len;
}

static uint16_t case_folded(const UNormalizer2 *folding, UChar32 c)
{
    UErrorCode status = U_ZERO_ERROR;
    UChar in = (UChar)c, out[8];
    int32_t length = unorm2_normalize(folding, &in, 1, out, 8, &status);
    return U_SUCCESS(status) && length == 1 && out[0] < FOLD_LOW ? out[0] : 0;
}

void word_table_load(struct word_table_base *out, struct fold *f)
{
    struct fold_rules rules;
    UErrorCode status = U_ZERO_ERROR;
    const UNormalizer2 *folding = unorm2_getNFKCCasefoldInstance(&status);
    fold_rules_make(&rules, NULL);
    for (UChar32 c = 0; c < FOLD_LOW; c++) {
        fill(&out->table.entries[c], f, &rules, c);
        out->case_folded[c] = case_folded(folding, c);
    }
    for (UChar32 c = PUNCTUATION_FIRST; c <= PUNCTUATION_LAST; c++)
        fill(&out->table.entries[FOLD_LOW + c - PUNCTUATION_FIRST], f, &rules, c);
}

static bool is_excepted(const struct fold_rules *rules, uint32_t c)
{
    for (size_t i = 0; i < FOLD_SAME && rules->same[i].from; i++)
        if (rules->same[i].from == c)
            return true;
    return fold_keeps(rules, c);
}

/* The ASCII bytes that may join words, as the fast path has them. */
static const char plain_marks[] = ".,;'";

static bool is_plain(const struct word_table *t)
{
    for (uint32_t c = 0; c < 0x80; c++) {
        const struct table_entry *entry = &t->entries[c];
        bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z', digit = c >= '0' && c <= '9';
        bool inside = entry->class == CLASS_LETTER || entry->class == CLASS_NUMERIC;
        if (inside != (letter || digit) || (entry->class == CLASS_EXTEND_NUM_LET) != (c == '_'))
            return false;
        if (!inside && c != '_' && entry->class != CLASS_OTHER && !strchr(plain_marks, (int)c))
            return false;
        if (inside && (entry->len != 1 || entry->folded[0] != (char)(c | 0x20)))
            return false;
    }
    return true;
}

void word_table_make(struct word_table *out, const struct word_table_base *base, struct fold *f,
                     const struct fold_rules *rules, const struct language *language)
{
    *out = base->table;
    for (UChar32 c = 0x80; c < FOLD_LOW; c++)
        if (base->case_folded[c] && is_excepted(rules, base->case_folded[c]))
            fill(&out->entries[c], f, rules, c);
    if (rules->dotless_i) {
        fill(&out->entries['I'], f, rules, 'I');
        fill(&out->entries[0x0130], f, rules, 0x0130);
        fill(&out->entries[0x0131], f, rules, 0x0131);
    }
    out->drops_possessive = language->apostrophe == APOSTROPHE_POSSESSIVE;
    if (language->apostrophe != APOSTROPHE_JOINS) {
        out->entries['\''].class = CLASS_OTHER;
        out->entries[FOLD_LOW + 0x2018 - PUNCTUATION_FIRST].class = CLASS_OTHER;
        out->entries[FOLD_LOW + 0x2019 - PUNCTUATION_FIRST].class = CLASS_OTHER;
    }
    out->is_plain = is_plain(out);
}
