#include "index/analyzer_fast.h"

#include <string.h>

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

#ifdef __SSE2__
/* Windows of 64 bytes, each looked at once: where words begin and end is then the business of bit masks, not that of a
 * branch for each byte, which nobody can foresee. any_step has what they cannot tell. */
enum { BLOCK = 16, WINDOW = 64, LOADED = WINDOW + BLOCK /* a block from any byte on */ };

struct window {
    const unsigned char *text, *end;
    const unsigned char *bytes; /* LOADED of them: the text, or where it is nearly over `tail` */
    size_t size;                /* up to WINDOW; less: the text ends here */
    /* One bit for each byte: */
    uint64_t plain;  /* letters and digits */
    uint64_t inside; /* these and _ */
    uint64_t others; /* not ASCII */
    uint64_t marks;  /* of those that may join two words */
    unsigned char tail[LOADED];
};

/* One bit for each byte that is between first and last; those that are not ASCII are negative, and never. */
static inline __m128i between(__m128i bytes, char first, char last)
{
    return _mm_and_si128(_mm_cmpgt_epi8(bytes, _mm_set1_epi8((char)(first - 1))),
                         _mm_cmplt_epi8(bytes, _mm_set1_epi8((char)(last + 1))));
}

static inline __m128i equal(__m128i bytes, char c)
{
    return _mm_cmpeq_epi8(bytes, _mm_set1_epi8(c));
}

static inline uint64_t bits(__m128i bytes, size_t at)
{
    return (uint64_t)(uint32_t)_mm_movemask_epi8(bytes) << at;
}

static inline __m128i load_block(const unsigned char *from)
{
    return _mm_loadu_si128((const __m128i *)(const void *)from);
}

/* . , ; and ': no others are where a table is plain. The apostrophe only where it joins. */
static inline __m128i is_mark(__m128i bytes, __m128i joining_quote)
{
    __m128i comma_or_stop = equal(_mm_andnot_si128(_mm_set1_epi8('.' ^ ','), bytes), ',');
    __m128i quote = _mm_and_si128(equal(bytes, '\''), joining_quote);
    return _mm_or_si128(_mm_or_si128(comma_or_stop, equal(bytes, ';')), quote);
}

static inline void look_at_block(struct window *w, size_t at, __m128i joining_quote)
{
    __m128i bytes = load_block(w->bytes + at), lower = _mm_or_si128(bytes, _mm_set1_epi8(0x20));
    __m128i plain = _mm_or_si128(between(lower, 'a', 'z'), between(bytes, '0', '9'));
    w->plain |= bits(plain, at);
    w->inside |= bits(_mm_or_si128(plain, equal(bytes, '_')), at);
    w->others |= bits(bytes, at);
    w->marks |= bits(is_mark(bytes, joining_quote), at);
}

static inline void open_window(struct window *w, const struct word_table *t, const unsigned char *text,
                               const unsigned char *end)
{
    size_t left = (size_t)(end - text);
    __m128i joining_quote = _mm_set1_epi8(word_table_splits(t) ? 0 : -1);
    w->text = w->bytes = text;
    w->end = end;
    w->size = left < WINDOW ? left : WINDOW;
    if (left < LOADED) {
        memset(w->tail, ' ', sizeof w->tail);
        memcpy(w->tail, text, left);
        w->bytes = w->tail;
    }
    w->plain = w->inside = w->others = w->marks = 0;
    for (size_t at = 0; at < WINDOW; at += BLOCK)
        look_at_block(w, at, joining_quote);
}

static inline uint64_t bits_from(size_t at)
{
    return UINT64_MAX << at;
}

static inline size_t first_bit(uint64_t mask)
{
    return mask ? (size_t)__builtin_ctzll(mask) : WINDOW;
}

/* Whether one word of this table ends here, whatever comes: what is behind the window cannot tell. */
static inline bool surely_ends(const struct window *w, size_t at)
{
    uint64_t open = w->others | (w->marks & (w->inside | w->others) >> 1);
    return at + (w->size == WINDOW) < WINDOW && !(open >> at & 1);
}

static inline void window_gap(const struct window *w, const struct word_table *t, size_t from, size_t to,
                              struct word_out *out)
{
    if (from < to)
        word_gap(out, t->drops_possessive && to - from == 1 && w->bytes[from] == '\'');
}

/* Letters to lower case by a bit that digits have already, and _ must not get. */
static inline void window_word(const struct window *w, size_t from, size_t to, struct word *word, struct word_out *out)
{
    for (size_t at = from; at < to; at += BLOCK) {
        __m128i bytes = load_block(w->bytes + at);
        __m128i bit = _mm_andnot_si128(equal(bytes, '_'), _mm_set1_epi8(0x20));
        _mm_storeu_si128((__m128i *)(void *)(word->bytes + (at - from)), _mm_or_si128(bytes, bit));
    }
    word->len = to - from;
    word_emit(word, out);
}

/* The words of a window; where the next one begins: at a word or a gap that goes on behind this one. */
static const unsigned char *window_words(const struct window *w, const struct word_table *t, struct word *scratch,
                                         struct word_out *out)
{
    for (size_t at = 0; at < w->size && !out->stopped;) {
        size_t from = first_bit((w->inside | w->others) & bits_from(at));
        if (from == WINDOW && w->size == WINDOW && at > 0)
            return w->text + at;
        from = from < w->size ? from : w->size;
        window_gap(w, t, at, from, out);
        if (from == w->size)
            break;
        uint64_t run = bits_from(from);
        size_t to = first_bit(~w->inside & run);
        if (to > from && surely_ends(w, to) && (w->plain & run & ~bits_from(to))) {
            window_word(w, from, to, scratch, out);
            at = to;
        } else if (to + 1 >= WINDOW && w->size == WINDOW && from > 0) {
            return w->text + from;
        } else {
            at = (size_t)(any_step(t, w->text + from, w->end, scratch, out) - w->text);
            if (at >= w->size)
                return w->text + at;
        }
    }
    return w->text + w->size;
}

static const unsigned char *plain_words(const struct word_table *t, const unsigned char *p, const unsigned char *end,
                                        struct word *scratch, struct word_out *out)
{
    struct window w;
    while (p < end && !out->stopped) {
        open_window(&w, t, p, end);
        p = window_words(&w, t, scratch, out);
    }
    return p;
}
#else
static const unsigned char *plain_words(const struct word_table *t, const unsigned char *p, const unsigned char *end,
                                        struct word *scratch, struct word_out *out)
{
    (void)t, (void)end, (void)scratch, (void)out;
    return p;
}
#endif

void fast_words(const struct word_table *t, struct span easy, struct word *scratch, struct word_out *out)
{
    const unsigned char *p = t->is_plain ? plain_words(t, easy.begin, easy.end, scratch, out) : easy.begin;
    while (p < easy.end && !out->stopped)
        p = any_step(t, p, easy.end, scratch, out);
}
