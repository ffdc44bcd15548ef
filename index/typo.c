/* The automaton is the bit-parallel one of Wu and Manber ("Fast text searching allowing errors", 1992), held at both
 * ends and with transpositions: after each letter of a term, bit i of alive[j] says that what was read is at most j
 * edits away from the first i letters of the word. Terms rise, so that the letters that a term shares with the one
 * before have their states on a stack already. Where no bit is left, the states before tell which letters would have
 * kept one: what stands in front of the next of them is passed, in a block by the heads, else by the block index. */
#include "index/typo.h"

#include <string.h>

#include "common/err.h"
#include "index/segment_parts.h"

enum { LEVELS = 1 + 1 + TYPO_LETTERS + TYPO_EDITS + 1, NO_BYTE = 256 };

struct level { /* after so many letters */
    uint64_t alive[TYPO_EDITS + 1];
    uint64_t letter; /* mask of the last one */
};

struct scan {
    const struct typo_word *word;
    const struct segment *segment;
    uint64_t all; /* bits of the word's prefixes */
    uint32_t block;
    uint64_t next_prefix; /* of the block behind; all ones if there is none */
    uint32_t key_length;
    /* Nothing is alive below the target: the first `shared` bytes of the key, then the byte `next`. As the block index
     * has it, 0 if it begins like a whole prefix there. */
    bool has_target;
    uint32_t shared, next;
    uint64_t target;
    struct level levels[LEVELS];
    uint8_t depth[4 * LEVELS]; /* level after so many bytes of the key, where a letter ends */
    uint8_t key[MAX_KEY];
};

/* ------------------------------------------------------------------------------------------------------------ letters
 */

static bool is_continuation(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

/* The letter at `at`, as its bytes: one that is no continuation, and those that are. What is not UTF-8 is not like any
 * letter of a folded word either. */
static inline uint32_t letter_at(const uint8_t *at, size_t left, uint32_t *out_bytes)
{
    uint32_t letter = at[0], bytes = 1;
    while (bytes < 4 && bytes < left && is_continuation(at[bytes]))
        letter = letter << 8 | at[bytes++];
    *out_bytes = bytes;
    return letter;
}

uint32_t typo_edits(struct str folded)
{
    const uint8_t *at = (const uint8_t *)folded.ptr;
    uint32_t letters = 0, bytes;
    for (size_t i = 0; i < folded.len; i += bytes, letters++) {
        if (at[i] >= '0' && at[i] <= '9')
            return 0;
        letter_at(at + i, folded.len - i, &bytes);
    }
    return letters > TYPO_LETTERS ? 0 : letters >= 9 ? 2 : letters >= 5 ? 1 : 0;
}

static uint64_t *mask_of(struct typo_word *w, uint32_t letter)
{
    if (letter < 128)
        return &w->ascii[letter];
    uint32_t i = 0;
    while (i < w->other_count && w->other[i] != letter)
        i++;
    if (i == w->other_count)
        w->other[w->other_count++] = letter;
    return &w->other_masks[i];
}

void typo_word_init(struct typo_word *w, struct str folded, uint32_t edits)
{
    const uint8_t *at = (const uint8_t *)folded.ptr;
    *w = (struct typo_word){.edits = edits < TYPO_EDITS ? edits : TYPO_EDITS};
    uint32_t bytes;
    for (size_t i = 0; i < folded.len && w->letters < TYPO_LETTERS; i += bytes) {
        w->first[++w->letters] = at[i];
        *mask_of(w, letter_at(at + i, folded.len - i, &bytes)) |= (uint64_t)1 << w->letters;
    }
}

static uint64_t other_mask(const struct typo_word *w, uint32_t letter)
{
    for (uint32_t i = 0; i < w->other_count; i++)
        if (w->other[i] == letter)
            return w->other_masks[i];
    return 0;
}

/* ---------------------------------------------------------------------------------------------------------- automaton
 */

/* The level after one more letter, from those before it (l[-1], l[-2]); whether any prefix of the word is left. */
static inline bool step(struct level *l, uint64_t letter, uint32_t edits, uint64_t all)
{
    const struct level *before = l - 1, *earlier = l - 2;
    l->letter = letter;
    l->alive[0] = before->alive[0] << 1 & letter;
    for (uint32_t j = 1; j <= edits; j++) {
        uint64_t kept = before->alive[j] << 1 & letter;
        uint64_t inserted = before->alive[j - 1], replaced = before->alive[j - 1] << 1;
        uint64_t deleted = l->alive[j - 1] << 1;
        uint64_t swapped = earlier->alive[j - 1] << 2 & before->letter & letter << 1;
        l->alive[j] = kept | inserted | replaced | deleted | swapped;
    }
    return (l->alive[edits] & all) != 0;
}

static void clear_target(struct scan *s)
{
    s->has_target = false;
    s->target = 0;
}

/* levels[0] is before the beginning, where nothing is alive; levels[1] after no letters. */
static void scan_init(struct scan *s, const struct typo_word *w, const struct segment *segment)
{
    s->word = w;
    s->segment = segment;
    s->all = UINT64_MAX >> (63 - w->letters);
    s->levels[0] = (struct level){0};
    for (uint32_t j = 0; j <= TYPO_EDITS; j++)
        s->levels[1].alive[j] = UINT64_MAX >> (63 - j);
    s->levels[1].letter = 0;
    memset(s->depth, 1, sizeof s->depth);
    clear_target(s);
}

/* The edits of a key that is alive; more than the word may have if it is too far away. */
static uint32_t edits_of(const struct scan *s)
{
    const struct level *last = &s->levels[s->depth[s->key_length]];
    uint32_t edits = 0;
    if (!(last->alive[s->word->edits] >> s->word->letters & 1)) /* as most are, and the others are not told apart so quickly */
        return s->word->edits + 1;
    while (edits <= s->word->edits && !(last->alive[edits] >> s->word->letters & 1))
        edits++;
    return edits;
}

/* Reads on from the byte at s->shared: false if the key is dead, then the letter is at *at. Its kind, the first byte, is
 * no letter. */
static inline bool read_key(struct scan *s, const struct dictionary_text *t, uint32_t edits, uint32_t *out_at,
                            uint32_t *out_bytes)
{
    uint32_t at = t->shared, length = t->shared + t->rest, bytes;
    const uint8_t *from = t->bytes;
    if (at == 0)
        s->key[at++] = *from++;
    if (at < length && is_continuation(*from)) { /* a letter that begins alike */
        memcpy(s->key + at, from, length - at);
        while (at > 1 && is_continuation(s->key[at]))
            at--;
        from = s->key + at;
    }
    struct level *level = &s->levels[s->depth[at]];
    for (; at < length; at += bytes, from += bytes) {
        uint64_t letter;
        if (*from < 0x80) {
            bytes = 1;
            s->key[at] = *from;
            letter = s->word->ascii[*from];
        } else {
            letter = other_mask(s->word, letter_at(from, length - at, &bytes));
            memmove(s->key + at, from, bytes);
        }
        if (!step(++level, letter, edits, s->all)) {
            *out_at = at;
            *out_bytes = bytes;
            return false;
        }
        s->depth[at + bytes] = (uint8_t)(level - s->levels);
    }
    s->key_length = length;
    return true;
}

/* The lowest first byte, not below `least`, of a letter that keeps something alive behind a level that has no edit left;
 * NO_BYTE if none does. */
static uint32_t next_byte(const struct scan *s, const struct level *l, uint32_t least, uint32_t edits)
{
    const struct level *before = l - 1;
    uint32_t lowest = NO_BYTE;
    uint64_t swapped = before->alive[edits - 1] << 1 & l->letter >> 1;
    for (uint64_t left = (l->alive[edits] << 1 | swapped) & s->all; left; left &= left - 1) {
        uint32_t byte = s->word->first[__builtin_ctzll(left)];
        if (byte >= least && byte < lowest)
            lowest = byte;
    }
    return lowest;
}

static inline void put_target(struct scan *s, uint32_t shared, uint32_t next)
{
    s->has_target = true;
    s->shared = shared;
    s->next = next;
    if (shared >= 8) {
        s->target = 0;
        return;
    }
    uint64_t before = shared ? load_be64(s->key) >> (64 - 8 * shared) : 0;
    s->target = ((before << 8) + next) << (56 - 8 * shared);
}

/* Behind the letter of `bytes` bytes at `at`, with which the key is dead. */
static inline void set_target(struct scan *s, uint32_t at, uint32_t bytes, uint32_t edits)
{
    for (; at > 0; at -= bytes) {
        const struct level *l = &s->levels[s->depth[at]];
        uint8_t byte = s->key[at];
        bool takes_any = (l->alive[edits - 1] & s->all) != 0;
        uint32_t next = takes_any ? byte : next_byte(s, l, byte < 0x80 ? byte + 1u : byte, edits);
        if (next == byte) { /* the very next letter */
            uint32_t last = at + bytes - 1;
            put_target(s, last, s->key[last] + 1u);
            return;
        }
        if (next != NO_BYTE) {
            put_target(s, at, next);
            return;
        }
        bytes = 1;
        while (at > bytes && is_continuation(s->key[at - bytes]))
            bytes++;
    }
    put_target(s, 0, s->key[0] + 1u);
}

/* --------------------------------------------------------------------------------------------------------- dictionary
 */

static bool is_block_below(const struct scan *s, uint32_t block)
{
    return block < s->segment->toc.blocks && segment_block_prefix(s->segment, block) < s->target;
}

/* The last block that begins below the target, since the target may stand in it. By doubling steps: it is near as a
 * rule. The block behind the current one is known to begin so. */
static uint32_t last_block_below(const struct scan *s)
{
    uint32_t low = s->block + 1, width = 1;
    for (; is_block_below(s, low + width); width *= 2)
        low += width;
    for (; width > 0; width /= 2)
        if (is_block_below(s, low + width))
            low += width;
    return low;
}

static int give(const struct scan *s, const struct dictionary_block *b, uint32_t edits, typo_sink *sink, void *context)
{
    struct dictionary_entry e;
    if (!dictionary_entry(b, b->at - 1, &e))
        return ERR_CORRUPT;
    struct term t = term_of((struct str){(const char *)s->key, s->key_length}, &e);
    return sink(context, &t, edits);
}

static bool is_passed(const struct scan *s, const struct dictionary_text *t)
{
    return s->has_target && (t->shared > s->shared || (t->shared == s->shared && t->bytes[0] < s->next));
}

/* The terms of a block; ends early when all that are left stand below the target. */
static inline int scan_block(struct scan *s, struct dictionary_block *b, uint32_t edits, typo_sink *sink, void *context)
{
    struct dictionary_text t;
    if (is_block_below(s, s->block)) {
        if (!dictionary_text(b, &t)) /* begins with s->shared bytes of the key, as the target and what was before do */
            return ERR_CORRUPT;
        dictionary_skip(b, s->shared, s->next);
    } else {
        clear_target(s);
    }
    while (b->at < b->terms) {
        uint32_t at, bytes;
        if (!dictionary_text(b, &t))
            return ERR_CORRUPT;
        if (!is_passed(s, &t)) {
            if (t.shared > (s->has_target ? s->shared : s->key_length))
                return ERR_CORRUPT;
            clear_target(s);
            if (read_key(s, &t, edits, &at, &bytes)) {
                uint32_t found = edits_of(s);
                int err = found >= 1 && found <= edits ? give(s, b, found, sink, context) : 0;
                if (err)
                    return err;
                continue;
            }
            set_target(s, at, bytes, edits);
        }
        if (s->next_prefix < s->target)
            return 0;
        dictionary_skip(b, s->shared, s->next);
    }
    return 0;
}

static int scan_blocks(struct scan *s, uint32_t edits, typo_sink *sink, void *context)
{
    uint32_t blocks = s->segment->toc.blocks;
    for (s->block = 0; s->block < blocks;) {
        struct dictionary_block b;
        s->next_prefix = s->block + 1 < blocks ? segment_block_prefix(s->segment, s->block + 1) : UINT64_MAX;
        int err = segment_block(s->segment, s->block, &b);
        if (!err)
            err = edits == 1 ? scan_block(s, &b, 1, sink, context) : scan_block(s, &b, 2, sink, context);
        if (err)
            return err;
        s->block = is_block_below(s, s->block + 1) ? last_block_below(s) : s->block + 1;
    }
    return 0;
}

int typo_scan(const struct typo_word *w, const struct segment *s, typo_sink *sink, void *context)
{
    struct scan scan;
    scan_init(&scan, w, s);
    return scan_blocks(&scan, w->edits, sink, context);
}
