#include "index/pairs_scan.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "index/score.h"
#include "index/segment_parts.h"
#include "index/sort.h"

enum {
    LEAST_TEXT = 1 << 14, /* words */
    MOST_TEXT = 1 << 20,  /* what caches have room for: four times as much is slower */
    FAR_SHARE = 8,        /* of the memory, for words behind their documents' rooms */
    LEAST_FAR = 256,
    MOST_FAR = 1 << 16,
    WINDOW_DOCUMENTS = 1 << 14, /* at most; at most 2^16 */
    LEAST_ROOM = 160,           /* of a document: a gap between fields is 100 */
};

#define NOTHING_BEYOND UINT32_MAX

/* In a word's place in the text: here it stands for the first time in the document. */
enum { FIRST_HERE = 1 << 15, NUMBER = FIRST_HERE - 1 };
static_assert((int)PAIRED_MOST <= (int)NUMBER, "numbers leave a bit");

/* A word behind its document's room: document in the window << 48 | position << 16 | number and bit. */
static inline uint32_t far_position(uint64_t far)
{
    return (uint32_t)(far >> 16);
}

struct cursor {
    struct posting_list list;
    uint32_t block; /* where the window begins, or before it */
};

/* Documents [from, end), of which positions from `first` on count: from 0, but of a document that is too long for a window.
 */
struct window {
    uint32_t from, end, first;
    uint32_t beyond;                       /* of a document by itself, the lowest position that there is no room for */
    uint32_t begins[WINDOW_DOCUMENTS + 1]; /* of each document's room in the text; its last place stays empty */
};

struct pairs_scan {
    struct cursor *cursors;
    size_t word_count;
    uint32_t documents;
    const struct column_out *lengths;
    struct window window;
    uint32_t span;  /* documents of the next window, if there are so many and the text has room for them */
    uint16_t *text; /* of a window: numbers of words by positions, 0 where none is that is frequent */
    size_t text_room;
    uint64_t *far;
    size_t far_count, far_room;
    uint32_t *gaps;
    size_t gap_room;
    uint32_t *postings; /* of each word: up to the document in hand */
    uint16_t hidden;    /* not 0: two words stand in one place */
    struct posting_block block;
};

/* ------------------------------------------------------------------------------------------------------------- opening
 */

static int open_lists(struct pairs_scan *s, const struct segment *segment, const struct paired_word *words)
{
    int err = 0;
    for (size_t i = 0; i < s->word_count && !err; i++)
        err = list_open(&s->cursors[i].list, segment, &words[i].term, segment->kernels);
    return err;
}

static void share_memory(struct pairs_scan *s, size_t memory)
{
    size_t text = (memory - memory / FAR_SHARE) / sizeof *s->text, far = memory / FAR_SHARE / sizeof *s->far;
    s->far_room = far < LEAST_FAR ? LEAST_FAR : far > MOST_FAR ? MOST_FAR : far;
    s->text_room = text < LEAST_TEXT ? LEAST_TEXT : text > MOST_TEXT ? MOST_TEXT : text;
}

int pairs_scan_open(const struct segment *segment, const struct pairs_out *pairs, size_t memory,
                    struct pairs_scan **out)
{
    struct pairs_scan *s = calloc(1, sizeof *s);
    if (!s)
        return -ENOMEM;
    share_memory(s, memory);
    s->word_count = pairs->count;
    s->documents = segment->toc.documents;
    s->lengths = pairs->lengths;
    s->cursors = calloc(pairs->count + 1, sizeof *s->cursors);
    s->text = malloc(s->text_room * sizeof *s->text);
    s->far = malloc(s->far_room * sizeof *s->far);
    s->postings = malloc((pairs->count + 1) * sizeof *s->postings);
    int err = s->cursors && s->text && s->far && s->postings ? open_lists(s, segment, pairs->words) : -ENOMEM;
    if (err)
        pairs_scan_close(s);
    else
        *out = s;
    return err;
}

void pairs_scan_close(struct pairs_scan *s)
{
    if (!s)
        return;
    free(s->cursors);
    free(s->text);
    free(s->far);
    free(s->gaps);
    free(s->postings);
    free(s);
}

/* ------------------------------------------------------------------------------------------------------------- reading
 */

static int make_room(struct pairs_scan *s, size_t count)
{
    if (count + GAPS_SLACK <= s->gap_room)
        return 0;
    free(s->gaps);
    s->gap_room = count + count / 2 + GAPS_SLACK;
    s->gaps = malloc(s->gap_room * sizeof *s->gaps);
    if (!s->gaps)
        s->gap_room = 0;
    return s->gaps ? 0 : -ENOMEM;
}

static bool is_alone(const struct window *w)
{
    return w->end - w->from == 1;
}

static int put_far(struct pairs_scan *s, uint32_t document, uint64_t position, uint16_t ordinal)
{
    struct window *w = &s->window;
    if (position < w->first)
        return 0;
    if (position > UINT32_MAX)
        return ERR_CORRUPT;
    if (is_alone(w)) {
        w->beyond = position < w->beyond ? (uint32_t)position : w->beyond;
        return 0;
    }
    if (s->far_count == s->far_room)
        return ERR_FULL;
    s->far[s->far_count++] = (uint64_t)document << 48 | position << 16 | ordinal;
    return 0;
}

/* Of one document of the window, of its first position on, which is its gap: the word's number has a bit for that. What is in
 * front of the window is a very large place. */
static int take_positions(struct pairs_scan *s, uint32_t document, const uint32_t *gaps, uint32_t count, uint16_t ordinal)
{
    const struct window *w = &s->window;
    uint16_t *text = s->text + w->begins[document];
    uint64_t room = w->begins[document + 1] - w->begins[document] - 1, place = (uint64_t)gaps[0] - w->first;
    int err = 0;
    for (uint32_t k = 0;;) {
        if (place < room) {
            s->hidden |= text[place];
            text[place] = ordinal;
        } else {
            err = put_far(s, document, place + w->first, ordinal);
        }
        ordinal &= NUMBER;
        if (++k == count || err)
            return err;
        place += gaps[k] + UINT64_C(1);
    }
}

/* Postings of the block in hand. ERR_FULL if the window has no room for them. */
static int take_postings(struct pairs_scan *s, const struct posting_list *l, uint32_t from, uint32_t end, uint16_t ordinal)
{
    const uint32_t *starts = s->block.starts;
    int err = make_room(s, starts[end] - starts[from]);
    const uint32_t *gaps = err ? NULL : block_gaps(l, &s->block, from, end, s->gaps);
    if (!gaps)
        return err ? err : ERR_CORRUPT;
    for (uint32_t i = from; i < end && !err; i++) {
        uint32_t count = starts[i + 1] - starts[i];
        if (count > 0)
            err = take_positions(s, s->block.documents[i] - s->window.from, gaps, count, ordinal);
        gaps += count;
    }
    return err;
}

static int enter(struct pairs_scan *s, const struct posting_list *l, uint32_t block)
{
    int err = block_enter(l, block, &s->block);
    if (err)
        return err;
    block_documents(l, &s->block);
    return block_starts(l, &s->block);
}

static int take_word(struct pairs_scan *s, struct cursor *c, uint16_t ordinal)
{
    struct window *w = &s->window;
    const struct posting_list *l = &c->list;
    int err = 0;
    c->block = list_find(l, c->block, w->from);
    for (uint32_t block = c->block; block < l->blocks && !err; block++) {
        if (block > 0 && list_last(l, block - 1) >= w->end - 1)
            break;
        err = enter(s, l, block);
        size_t from = err ? 0 : kernel_below(s->block.documents, s->block.count, w->from);
        size_t end = err ? 0 : kernel_below(s->block.documents, s->block.count, w->end);
        if (from < end)
            err = take_postings(s, l, (uint32_t)from, (uint32_t)end, ordinal);
    }
    return err;
}

/* Words that are not searched for are not in the length, and gaps between fields neither: about as many places again. */
static size_t room_of(const struct pairs_scan *s, uint32_t document)
{
    return LEAST_ROOM + 2 * (size_t)length_decoded[column_out_byte(s->lengths, document)];
}

/* From window.from on as many documents as there is room for: one by itself has all of it. */
static void lay_out(struct pairs_scan *s)
{
    struct window *w = &s->window;
    uint32_t left = s->documents - w->from, most = left < s->span ? left : s->span, count = 0;
    size_t used = 0, room;
    w->begins[0] = 0;
    while (count < most && w->first == 0 && (room = room_of(s, w->from + count)) <= s->text_room - used)
        w->begins[++count] = (uint32_t)(used += room);
    if (count <= 1) {
        count = 1;
        w->begins[1] = (uint32_t)s->text_room;
    }
    w->end = w->from + count;
    w->beyond = NOTHING_BEYOND;
    s->far_count = 0;
    memset(s->text, 0, w->begins[count] * sizeof *s->text);
}

static int fill_window(struct pairs_scan *s)
{
    int err = ERR_FULL;
    while (err == ERR_FULL) {
        lay_out(s);
        err = 0;
        for (size_t i = 0; i < s->word_count && !err; i++)
            err = take_word(s, &s->cursors[i], (uint16_t)((i + 1) | FIRST_HERE));
        if (err == ERR_FULL)
            s->span = (s->window.end - s->window.from) / 2;
    }
    if (s->far_count < s->far_room / 4)
        s->span = s->span < WINDOW_DOCUMENTS / 2 ? 2 * s->span : (uint32_t)WINDOW_DOCUMENTS;
    return err;
}

/* Behind the one before, or from a document's last position but those beyond on. */
static void next_window(struct pairs_scan *s)
{
    struct window *w = &s->window;
    if (w->beyond != NOTHING_BEYOND) {
        w->first = w->beyond - 1;
        return;
    }
    w->from = w->end;
    w->first = 0;
}

/* ------------------------------------------------------------------------------------------------------------- finding
 */

/* The words that stand in the document have one posting more; most places are empty, four at a time. */
static void count_postings(struct pairs_scan *s, const uint16_t *text, const uint16_t *end)
{
    static const uint16_t bits[] = {FIRST_HERE, FIRST_HERE, FIRST_HERE, FIRST_HERE};
    uint64_t four, mask;
    memcpy(&mask, bits, sizeof mask);
    for (; end - text >= 4; text += 4) {
        memcpy(&four, text, sizeof four);
        for (unsigned i = 0; four & mask && i < 4; i++) {
            if (text[i] & FIRST_HERE)
                s->postings[text[i] & NUMBER]++;
        }
    }
    for (; text < end; text++) {
        if (*text & FIRST_HERE)
            s->postings[*text & NUMBER]++;
    }
}

static void find_in_text(const uint16_t *text, const uint16_t *end, struct pairs_found *found)
{
    uint32_t pairs[PAIRS_AT_ONCE], count = 0, first = *text & NUMBER;
    while (++text < end) {
        uint32_t second = *text & NUMBER;
        pairs[count] = found_words(first, second);
        count += (first != 0) & (second != 0);
        first = second;
        if (count == PAIRS_AT_ONCE) {
            pairs_found_add(found, pairs, count);
            count = 0;
        }
    }
    pairs_found_add(found, pairs, count);
}

static int compare(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* The word in front of one that is far from its document's beginning; 0: none that is frequent. */
static uint32_t before_far(const struct pairs_scan *s, size_t i)
{
    const uint32_t *begins = s->window.begins;
    uint64_t far = s->far[i], document = far >> 48;
    if (i > 0 && s->far[i - 1] >> 16 == (far >> 16) - 1)
        return (uint32_t)s->far[i - 1] & NUMBER;
    uint32_t end = begins[document + 1] - 1; /* of the document's room */
    return far_position(far) == end - begins[document] ? s->text[end - 1] & NUMBER : 0;
}

/* Where those of the next document begin. */
static size_t far_end(const struct pairs_scan *s, size_t i, uint32_t document)
{
    while (i < s->far_count && s->far[i] >> 48 == document)
        i++;
    return i;
}

static void count_far_postings(struct pairs_scan *s, size_t from, size_t end)
{
    for (size_t i = from; i < end; i++) {
        s->postings[s->far[i] & NUMBER] += s->far[i] >> 15 & 1;
        s->hidden |= i > from && s->far[i] >> 16 == s->far[i - 1] >> 16;
    }
}

static void find_far(const struct pairs_scan *s, size_t from, size_t end, struct pairs_found *found)
{
    for (size_t i = from; i < end; i++) {
        uint32_t first = before_far(s, i), pair = found_words(first, (uint32_t)s->far[i] & NUMBER);
        pairs_found_add(found, &pair, first != 0);
    }
}

static void find_pairs(struct pairs_scan *s, struct pairs_found *found)
{
    struct window *w = &s->window;
    size_t far = 0, end;
    sort_in_place(s->far, s->far_count, sizeof *s->far, compare);
    if (w->first > 0)
        s->text[0] &= NUMBER; /* of a document that goes on: it was there in the window before */
    for (uint32_t i = 0; i < w->end - w->from; i++, far = end) {
        const uint16_t *text = s->text + w->begins[i], *text_end = s->text + w->begins[i + 1];
        end = far_end(s, far, i);
        count_postings(s, text, text_end);
        count_far_postings(s, far, end);
        find_in_text(text, text_end, found);
        find_far(s, far, end, found);
    }
}

static bool are_all_met(const struct pairs_scan *s, const struct pairs_found *found)
{
    bool are_met = true;
    for (size_t i = 0; i < s->word_count; i++)
        are_met &= s->postings[i + 1] == found->pairs->words[i].term.documents;
    return are_met;
}

/* Postings' numbers are right if each was met: if no word hid another one in its place. */
int pairs_scan_run(struct pairs_scan *s, struct pairs_found *found)
{
    int err = 0;
    s->window = (struct window){.beyond = NOTHING_BEYOND};
    s->span = WINDOW_DOCUMENTS;
    s->hidden = 0;
    for (size_t i = 0; i < s->word_count; i++)
        s->cursors[i].block = 0;
    memset(s->postings, 0, (s->word_count + 1) * sizeof *s->postings);
    while (!err && !found->is_full && (s->window.end < s->documents || s->window.beyond != NOTHING_BEYOND)) {
        next_window(s);
        err = fill_window(s);
        if (!err)
            find_pairs(s, found);
    }
    if (err || found->is_full)
        return err;
    return s->hidden || !are_all_met(s, found) ? ERR_INVALID : 0;
}

double pairs_scan_done(const struct pairs_scan *s)
{
    return s->documents ? ((double)s->window.end + 0.5) / (double)s->documents : 1;
}

const uint32_t *pairs_scan_postings(const struct pairs_scan *s)
{
    return s->postings;
}
