#include "index/analyzer_icu.h"

#include <errno.h>
#include <stdlib.h>

#include <unicode/ubrk.h>
#include <unicode/uchar.h>
#include <unicode/uvernum.h>

#include "common/err.h"

/* In UTF-16 units. MARGIN: what a dictionary may want to see behind a word. OVERLAP: of a word longer than a window,
 * what the rules want to see of it in the next one. */
enum { WINDOW = 4096, MARGIN = 128, OVERLAP = 16 };

/* A half pair, which no text has: stands for an apostrophe that ends words. */
enum { APOSTROPHE = 0xDFFF };

struct icu_words {
    UBreakIterator *breaks;
    uint16_t text[WINDOW + 2];
};

struct window {
    int32_t length;  /* units filled */
    int32_t trusted; /* words that end behind it are looked at again in the next window */
    bool is_last;
};

static const char *const samples[] = {
    "全文検索エンジンを作る。ゲームです。",
    "古代战争实时策略游戏",
    "ภาษาไทยเป็นภาษาที่สวยงาม",
    "ភាសាខ្មែរជាភាសាផ្លូវការ",
    "ພາສາລາວເປັນພາສາ",
    "မြန်မာဘာသာစကား",
    "Привет, мир don't 3.14",
    "한국어 검색",
};

/* A dictionary is read at the first character that needs it: 1.4 ms that each worker would pay. */
static void warm(struct icu_words *iw)
{
    UErrorCode status = U_ZERO_ERROR;
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        const unsigned char *p = (const unsigned char *)samples[i], *end = p + strlen(samples[i]);
        int32_t length = 0;
        uint32_t c;
        while (p < end) {
            p = utf8_next(p, end, &c);
            length += utf16_put(iw->text + length, c);
        }
        ubrk_setText(iw->breaks, iw->text, length, &status);
        while (ubrk_next(iw->breaks) != UBRK_DONE)
            ;
    }
}

int icu_words_open(struct icu_words **out)
{
    UErrorCode status = U_ZERO_ERROR;
    struct icu_words *iw = calloc(1, sizeof *iw);
    if (!iw)
        return -ENOMEM;
    iw->breaks = ubrk_open(UBRK_WORD, "", NULL, 0, &status);
    if (U_FAILURE(status)) {
        free(iw);
        return ERR_INVALID;
    }
    warm(iw);
    *out = iw;
    return 0;
}

const char *icu_version(void)
{
    return U_ICU_VERSION;
}

/* Punctuation between the sentences of scripts without spaces, and white space: words never reach across. */
static bool is_surely_a_break(uint16_t unit)
{
    return unit == ' ' || unit == '\n' || unit == '\t' || unit == '\r' || (unit >= 0x3000 && unit <= 0x3002) ||
           (unit >= 0x3008 && unit <= 0x3011) || unit == 0xFF0C || unit == 0xFF01 || unit == 0xFF1B || unit == 0xFF1F;
}

/* What ICU sees. At an at sign ICU 72 joins words, at a colon some of its relatives. */
static uint32_t shown(bool splits, uint32_t c)
{
    if (c == '@' || c == ':')
        return ' ';
    return splits && is_apostrophe(c) ? APOSTROPHE : c;
}

/* Fills the window from p; returns behind the last byte taken. */
static const unsigned char *fill(struct icu_words *iw, const struct word_table *table, struct span text,
                                 struct window *out)
{
    const unsigned char *p = text.begin;
    bool splits = word_table_splits(table);
    int32_t length = 0;
    uint32_t c;
    while (p < text.end && length < WINDOW) {
        p = utf8_next(p, text.end, &c);
        length += utf16_put(iw->text + length, shown(splits, c));
    }
    *out = (struct window){.length = length, .trusted = length, .is_last = p == text.end};
    if (out->is_last)
        return p;
    for (int32_t cut = length; cut > length / 2; cut--)
        if (is_surely_a_break(iw->text[cut - 1])) {
            out->length = out->trusted = cut;
            return p; /* the caller goes by units */
        }
    out->trusted = length - MARGIN;
    return p;
}

/* The byte at which the units from `from` on begin. */
static const unsigned char *byte_of_unit(struct span text, int32_t unit)
{
    const unsigned char *p = text.begin;
    uint32_t c;
    for (int32_t i = 0; i < unit && p < text.end; i += c < 0x10000 ? 1 : 2)
        p = utf8_next(p, text.end, &c);
    return p;
}

/* Code points that fold to themselves whatever stands beside them here: ideographs, kana without loose voicing marks,
 * Hangul syllables, Thai but for SARA AM. */
static bool is_inert(uint16_t c)
{
    return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3041 && c <= 0x3096) || (c >= 0x30A1 && c <= 0x30FC) ||
           (c >= 0xAC00 && c <= 0xD7A3) || (c >= 0x0E01 && c <= 0x0E3A && c != 0x0E33) || (c >= 0x0E40 && c <= 0x0E4E);
}

static bool append_simple(const struct word_table *table, const uint16_t *text, int32_t length, struct word *w)
{
    for (int32_t i = 0; i < length && !w->full; i++) {
        const struct table_entry *entry = word_table_at(table, text[i]);
        if (entry && entry->len)
            word_append(w, entry->folded, entry->len);
        else if (is_inert(text[i]))
            word_append_code_point(w, text[i]);
        else
            return false;
    }
    return true;
}

static bool is_only_underscores(const uint16_t *text, int32_t length)
{
    for (int32_t i = 0; i < length;) {
        int32_t property = u_getIntPropertyValue((UChar32)utf16_next(text, &i), UCHAR_WORD_BREAK);
        if (property != U_WB_EXTENDNUMLET && property != U_WB_EXTEND && property != U_WB_FORMAT && property != U_WB_ZWJ)
            return false;
    }
    return true;
}

static void emit(const struct icu_rules *rules, const uint16_t *text, int32_t length, struct word *w,
                 struct word_out *out)
{
    if (is_only_underscores(text, length)) {
        word_gap(out, false);
        return;
    }
    if (!append_simple(rules->table, text, length, w)) {
        w->len = 0;
        w->full = false;
        fold_append(rules->fold, rules->folding, text, length, w);
    }
    word_emit(w, out);
}

/* Where the next window begins inside a word that fills this one: at a letter or digit, for the rules' sake. */
static int32_t inside_long_word(const struct icu_words *iw, int32_t length)
{
    int32_t at = length - OVERLAP;
    while (at > length / 2 && ((iw->text[at] & 0xF800) == 0xD800 || !u_isalnum(iw->text[at])))
        at--;
    return (iw->text[at] & 0xFC00) == 0xDC00 ? at - 1 : at;
}

/* A word that a joiner ties to an emoji: ICU's status speaks of the emoji. */
static bool is_tied_word(const uint16_t *text, int32_t length)
{
    for (int32_t i = 1; i < length; i++)
        if (text[i] == 0x200D)
            return u_isalnum(text[0]);
    return false;
}

/* The words of one window; returns the unit at which the next begins. *inside: the window begins inside a word that has
 * been given out already. */
static int32_t window_words(struct icu_words *iw, const struct icu_rules *rules, const struct window *window,
                            bool *inside, struct word *scratch, struct word_out *out)
{
    UErrorCode status = U_ZERO_ERROR;
    ubrk_setText(iw->breaks, iw->text, window->length, &status);
    if (U_FAILURE(status))
        return window->length;
    int32_t begin = ubrk_first(iw->breaks), end;
    for (; (end = ubrk_next(iw->breaks)) != UBRK_DONE && !out->stopped; begin = end) {
        bool is_word =
            ubrk_getRuleStatus(iw->breaks) >= UBRK_WORD_NONE_LIMIT || is_tied_word(iw->text + begin, end - begin);
        bool cut = end > window->trusted;
        if (cut && begin > 0)
            return begin;
        if (!is_word)
            word_gap(out, rules->table->drops_possessive && end - begin == 1 && iw->text[begin] == APOSTROPHE);
        else if (!*inside)
            emit(rules, iw->text + begin, end - begin, scratch, out);
        *inside = cut && is_word;
        if (cut)
            return is_word ? inside_long_word(iw, window->length) : end;
    }
    return window->length;
}

void icu_words(struct icu_words *iw, const struct icu_rules *rules, struct span text, struct word *scratch,
               struct word_out *out)
{
    bool inside = false;
    while (text.begin < text.end && !out->stopped) {
        struct window window;
        const unsigned char *behind = fill(iw, rules->table, text, &window);
        int32_t next = window_words(iw, rules, &window, &inside, scratch, out);
        text.begin = window.is_last ? behind : byte_of_unit(text, next);
    }
}
