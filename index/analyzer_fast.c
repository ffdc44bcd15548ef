#include "index/analyzer_fast.h"

#include "common/bytes.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

static bool is_space(unsigned char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* Past the ASCII bytes at p, eight at a time. */
static const unsigned char *skip_ascii(const unsigned char *p, const unsigned char *end)
{
    while (end - p >= 8 && (load_u64(p) & UINT64_C(0x8080808080808080)) == 0)
        p += 8;
    while (p < end && *p < 0x80)
        p++;
    return p;
}

static bool is_hard(const struct word_table *t, uint32_t c)
{
    const struct table_entry *entry = word_table_at(t, c);
    return !entry || entry->class == CLASS_HARD;
}

/* At the first code point that needs ICU; `end` if none does. */
static const unsigned char *find_hard(const struct word_table *t, const unsigned char *p, const unsigned char *end)
{
    uint32_t c;
    while ((p = skip_ascii(p, end)) < end) {
        const unsigned char *next = utf8_next(p, end, &c);
        if (is_hard(t, c))
            return p;
        p = next;
    }
    return end;
}

const unsigned char *fast_easy_end(const struct word_table *t, struct span text)
{
    const unsigned char *p = find_hard(t, text.begin, text.end);
    if (p < text.end)
        while (p > text.begin && !is_space(p[-1]))
            p--;
    return p;
}

const unsigned char *fast_hard_end(const struct word_table *t, struct span text)
{
    const unsigned char *run = text.begin, *p = text.begin;
    while (p < text.end) {
        while (p < text.end && is_space(*p))
            p++;
        const unsigned char *end = p;
        while (end < text.end && !is_space(*end))
            end++;
        if (find_hard(t, p, end) == end)
            break;
        run = p = end;
    }
    return p == text.end ? p : run;
}

/* One code point of an easy span; at its end, or at white space, class OTHER. */
struct at {
    const struct table_entry *entry;
    const unsigned char *next;
    enum word_class class;
    bool is_apostrophe;
};

static inline struct at look(const struct word_table *t, const unsigned char *p, const unsigned char *end)
{
    if (p == end)
        return (struct at){.next = end, .class = CLASS_OTHER};
    uint32_t c = *p;
    const unsigned char *next = c < 0x80 ? p + 1 : utf8_next(p, end, &c);
    const struct table_entry *entry = word_table_at(t, c);
    if (!entry) /* never in an easy span */
        return (struct at){.next = next, .class = CLASS_OTHER};
    return (struct at){
        .entry = entry, .next = next, .class = (enum word_class)entry->class, .is_apostrophe = is_apostrophe(c)};
}

static bool is_inside(enum word_class class)
{
    return class == CLASS_LETTER || class == CLASS_NUMERIC || class == CLASS_EXTEND_NUM_LET;
}

/* WB6, 7, 11, 12: one mark between two letters, or between two digits, joins them. */
static bool joins(enum word_class before, enum word_class middle, enum word_class after)
{
    if (before != after)
        return false;
    if (before == CLASS_LETTER)
        return middle == CLASS_MID_LETTER || middle == CLASS_MID_NUM_LET;
    return before == CLASS_NUMERIC && (middle == CLASS_MID_NUM || middle == CLASS_MID_NUM_LET);
}

static inline void append(struct word *w, const struct table_entry *entry)
{
    if (entry->len == 1 && w->len < sizeof w->bytes && !w->full)
        w->bytes[w->len++] = entry->folded[0];
    else
        word_append(w, entry->folded, entry->len);
}

/* From a code point that begins a word to behind its last. */
static const unsigned char *one_word(const struct word_table *t, struct at at, const unsigned char *end, struct word *w,
                                     struct word_out *out)
{
    bool only_underscores = true;
    for (;;) {
        append(w, at.entry);
        only_underscores = only_underscores && at.class == CLASS_EXTEND_NUM_LET;
        struct at next = look(t, at.next, end);
        if (!is_inside(next.class)) {
            struct at after = next.class == CLASS_OTHER ? next : look(t, next.next, end);
            if (!joins(at.class, next.class, after.class))
                break;
            append(w, next.entry);
            next = after;
        }
        at = next;
    }
    if (only_underscores) {
        w->len = 0;
        w->full = false;
        word_gap(out, false);
    } else {
        word_emit(w, out);
    }
    return at.next;
}

#ifdef __SSE2__
/* Sixteen bytes at once, as most words and gaps are shorter: where words end is a bit mask's business, not that of a
 * branch for each byte, which nobody can foresee. */
enum { BLOCK = 16 };

/* One bit for each byte that is between first and last; those that are not ASCII are negative, and never. */
static inline __m128i between(__m128i bytes, char first, char last)
{
    return _mm_and_si128(_mm_cmpgt_epi8(bytes, _mm_set1_epi8((char)(first - 1))),
                         _mm_cmplt_epi8(bytes, _mm_set1_epi8((char)(last + 1))));
}

struct block {
    uint32_t plain;  /* one bit for each letter and digit */
    uint32_t others; /* for each byte that is neither, but may be in a word: _ and what is not ASCII */
};

static inline struct block look_at_block(__m128i bytes, __m128i folded)
{
    __m128i plain = _mm_or_si128(between(folded, 'a', 'z'), between(bytes, '0', '9'));
    __m128i underscore = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('_'));
    return (struct block){(uint32_t)_mm_movemask_epi8(plain),
                          (uint32_t)_mm_movemask_epi8(_mm_or_si128(underscore, bytes))};
}

/* From p on, which has BLOCK bytes: past a gap, or past a word of letters and digits that is surely one; p where
 * neither can be told. A word that a mark may join with the next is left to others. */
static const unsigned char *plain_step(const struct word_table *t, const unsigned char *p, struct word *w,
                                       struct word_out *out)
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i folded = _mm_or_si128(bytes, _mm_set1_epi8(0x20));
    struct block b = look_at_block(bytes, folded);
    uint32_t before = (uint32_t)__builtin_ctz(b.plain | b.others | 1U << BLOCK);
    if (before) {
        bool is_mark = before == 1 && t->drops_possessive && *p == '\'';
        word_gap(out, is_mark);
        return p + before;
    }
    uint32_t length = (uint32_t)__builtin_ctz(~b.plain);
    if (length == 0 || length == BLOCK || p[length] >= 0x80 || t->entries[p[length]].class != CLASS_OTHER)
        return p;
    _mm_storeu_si128((__m128i *)(void *)w->bytes, folded);
    w->len = length;
    word_emit(w, out);
    return p + length;
}

/* As far as it goes: to where less than a block is left, or to what needs a closer look. */
static const unsigned char *plain_words(const struct word_table *t, const unsigned char *p, const unsigned char *end,
                                        struct word *w, struct word_out *out)
{
    const unsigned char *before = NULL;
    while (end - p > BLOCK && p != before && !out->stopped) {
        before = p;
        p = plain_step(t, p, w, out);
    }
    return p;
}
#else
static const unsigned char *plain_words(const struct word_table *t, const unsigned char *p, const unsigned char *end,
                                        struct word *w, struct word_out *out)
{
    (void)t, (void)end, (void)w, (void)out;
    return p;
}
#endif

/* One word, or one code point between words. */
static const unsigned char *any_step(const struct word_table *t, const unsigned char *p, const unsigned char *end,
                                     struct word *scratch, struct word_out *out)
{
    struct at at = look(t, p, end);
    if (is_inside(at.class))
        return one_word(t, at, end, scratch, out);
    word_gap(out, t->drops_possessive && at.is_apostrophe);
    return at.next;
}

void fast_words(const struct word_table *t, struct span easy, struct word *scratch, struct word_out *out)
{
    for (const unsigned char *p = easy.begin; p < easy.end && !out->stopped;) {
        if (t->is_plain)
            p = plain_words(t, p, easy.end, scratch, out);
        if (p < easy.end && !out->stopped)
            p = any_step(t, p, easy.end, scratch, out);
    }
}
