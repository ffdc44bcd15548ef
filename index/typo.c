/* What is near a word ends with its last letters, or has its last edit in them or near. The latter are found by a walk, which
 * gives up a key as soon as all edits are made and the end is far, and so sees little of the dictionary (typo_walk.c). The
 * former have one of a few lengths and end alike, which heads and last bytes of a block tell for all of its terms
 * together: of all the blocks that may have such a term those are opened, but hardly a key is read. What either finds is
 * compared as a whole. */
#include "index/typo.h"

#include <string.h>

#include "common/err.h"
#include "index/dictionary_terms.h"
#include "index/typo_walk.h"

struct scan {
    const struct typo_word *word;
    const struct segment *segment;
    uint32_t block;
    uint64_t next_prefix; /* of the block behind; all ones if there is none */
    struct typo_target target;
    struct typo_key key;
    struct typo_walk walk;
    typo_sink *sink;
    void *context;
};

/* ------------------------------------------------------------------------------------------------------------ letters
 */

uint32_t typo_edits(struct str folded)
{
    const uint8_t *at = (const uint8_t *)folded.ptr;
    uint32_t letters = 0, bytes;
    for (size_t i = 0; i < folded.len; i += bytes, letters++) {
        if (at[i] >= '0' && at[i] <= '9')
            return 0;
        typo_letter(at + i, folded.len - i, &bytes);
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

/* Of terms that are near enough, with their kind, as a set; bit 63 is for all lengths from there on. */
static uint64_t length_bit(uint32_t length)
{
    return (uint64_t)1 << (length < 63 ? length : 63);
}

static uint64_t lengths_of(const struct typo_word *w)
{
    uint32_t less = w->is_ascii ? w->edits : 4 * w->edits; /* bytes of the letters that may be missing */
    uint32_t least = 1 + (w->length > less ? w->length - less : 0);
    return -length_bit(least) & (length_bit(1 + w->length + 4 * w->edits) * 2 - 1);
}

static void find_tail(struct typo_word *w)
{
    uint32_t kept = w->letters < 6 ? 1 : w->letters / 3;
    uint32_t front = w->letters > kept + 1 ? w->letters - kept - 1 : 0;
    w->all = UINT64_MAX >> (63 - w->letters);
    w->tail = w->all & UINT64_MAX << front;
    w->kept = w->letters > kept ? w->length - w->ends[w->letters - kept] : w->length;
}

void typo_word_init(struct typo_word *w, struct str folded, uint32_t edits)
{
    const uint8_t *at = (const uint8_t *)folded.ptr;
    *w = (struct typo_word){.edits = edits < TYPO_EDITS ? edits : TYPO_EDITS, .least = UINT8_MAX};
    uint32_t bytes;
    for (size_t i = 0; i < folded.len && w->letters < TYPO_LETTERS; i += bytes) {
        w->first[++w->letters] = at[i];
        w->least = at[i] < w->least ? at[i] : w->least;
        *mask_of(w, typo_letter(at + i, folded.len - i, &bytes)) |= (uint64_t)1 << w->letters;
        memcpy(w->text + i, at + i, bytes);
        w->length = w->ends[w->letters] = (uint8_t)(i + bytes);
    }
    w->is_ascii = w->other_count == 0;
    find_tail(w);
    w->lengths = lengths_of(w);
}

uint64_t typo_other_mask(const struct typo_word *w, uint32_t letter)
{
    for (uint32_t i = 0; i < w->other_count; i++)
        if (w->other[i] == letter)
            return w->other_masks[i];
    return 0;
}


/* ---------------------------------------------------------------------------------------------------------------- keys
 */

/* levels[0] is before the beginning, where nothing is alive; levels[1] after no letters. */
void typo_key_init(struct typo_key *k, const struct typo_word *w)
{
    k->word = w;
    k->length = k->known = 0;
    k->levels[0] = (struct typo_level){0};
    for (uint32_t j = 0; j <= TYPO_EDITS; j++)
        k->levels[1].alive[j] = UINT64_MAX >> (63 - j);
    k->levels[1].letter = 0;
    memset(k->depth, 1, sizeof k->depth);
}

uint32_t typo_key_edits(const struct typo_key *k)
{
    const struct typo_level *last = typo_level(k, k->length);
    uint32_t edits = 0, most = k->word->edits;
    if (!(last->alive[most] >> k->word->letters & 1)) /* as most are, and the others are not told apart so quickly */
        return most + 1;
    while (!(last->alive[edits] >> k->word->letters & 1))
        edits++;
    return edits;
}

static const uint64_t high_bits = UINT64_C(0x8080808080808080);

/* How many of the first bytes of two prefixes are the same, up to `most`. */
static uint32_t common_bytes(uint64_t a, uint64_t b, uint32_t most)
{
    uint32_t same = a == b ? 8 : (uint32_t)__builtin_clzll(a ^ b) / 8;
    return same < most ? same : most;
}

/* How many of the first bytes of a prefix are ASCII. */
static uint32_t ascii_bytes(uint64_t prefix)
{
    return prefix & high_bits ? (uint32_t)__builtin_clzll(prefix & high_bits) / 8 : 8;
}

/* Bytes of the letters that all keys of a block begin with, the kind included: at most 7, so that the byte behind them in
 * the next block's prefix is known. */
static uint32_t common_letters(uint64_t prefix, uint64_t next)
{
    static const uint8_t sizes[16] = {1, 1, 1, 1, 1, 1, 1, 1, 8, 8, 8, 8, 2, 2, 3, 4}; /* by a letter's first byte */
    uint32_t most = common_bytes(prefix, next, 7), bytes = ascii_bytes(prefix);
    for (; bytes < most; bytes += sizes[prefix >> (60 - 8 * bytes) & 15])
        if (bytes + sizes[prefix >> (60 - 8 * bytes) & 15] > most)
            return bytes;
    return most > 0 ? most : 1;
}

/* The levels of the letters that all keys of the block begin with. Those of ASCII are kept where they are the same. */
static bool enter_block(struct scan *s, uint64_t prefix, uint32_t bytes, uint32_t edits, uint32_t *out_at,
                        uint32_t *out_bytes)
{
    struct typo_key *k = &s->key;
    uint32_t known = k->known < bytes ? k->known : bytes, ascii = ascii_bytes(prefix);
    uint32_t same = common_bytes(load_be64(k->bytes), prefix, known < ascii ? known : ascii);
    store_be64(k->bytes, prefix);
    return typo_key_read(k, same > 0 ? same : 1, bytes, edits, typo_is_alive, out_at, out_bytes);
}

/* --------------------------------------------------------------------------------------------- keys that end as the word
 */

/* What keys that end as the word look like, behind the letters that a block's have in common. */
struct endings {
    uint32_t bytes;   /* of the letters in common */
    uint64_t lengths; /* of whole keys */
    bool is_exact;    /* nothing but what is left of the word may follow */
};

/* Behind a level where no edit is left. */
static uint64_t lengths_without_edits(const struct typo_word *w, const struct typo_level *l, uint32_t bytes,
                                      uint64_t swapped)
{
    uint64_t lengths = 0;
    for (uint64_t left = l->alive[w->edits] & w->all; left; left &= left - 1)
        lengths |= length_bit(bytes + w->length - w->ends[__builtin_ctzll(left)]);
    for (uint64_t left = swapped; left; left &= left - 1) {
        uint32_t i = (uint32_t)__builtin_ctzll(left); /* is next, and i + 1 was the last */
        lengths |= length_bit(bytes + w->ends[i] - w->ends[i - 1] + w->length - w->ends[i + 1]);
    }
    return lengths;
}

static struct endings endings_of(const struct scan *s, uint32_t bytes)
{
    const struct typo_word *w = s->word;
    const struct typo_level *l = typo_level(&s->key, bytes);
    uint64_t swapped = typo_swapped(l, w->edits) & w->all >> 1;
    if (l->alive[w->edits - 1] & w->all)
        return (struct endings){.bytes = bytes, .lengths = w->lengths};
    return (struct endings){.bytes = bytes,
                            .lengths = lengths_without_edits(w, l, bytes, swapped),
                            .is_exact = swapped == 0};
}

/* Whether a term, which ends with the word's last byte, may be near, by its length and as far as its text shows. */
static bool may_be_near(const struct typo_word *w, const struct dictionary_block *b, uint32_t term,
                        const struct endings *e)
{
    struct dictionary_text t;
    uint8_t head = b->heads[term];
    if (!dictionary_is_long(head) && !(e->lengths >> dictionary_length(head) & 1))
        return false;
    if (!dictionary_text_of(b, term, &t)) /* as will be found when its key is read */
        return true;
    uint32_t length = t.shared + t.rest, same = e->is_exact ? length - e->bytes : w->kept;
    if (length < e->bytes || !(e->lengths & length_bit(length)) || same > w->length)
        return false;
    same = same < t.rest ? same : t.rest;
    return same == 0 || memcmp(t.bytes + t.rest - same, w->text + w->length - same, same - 1) == 0;
}

static uint64_t find_endings(const struct scan *s, const struct dictionary_block *b, uint32_t bytes)
{
    const struct typo_word *w = s->word;
    struct endings e = endings_of(s, bytes);
    uint64_t near = 0, ending = dictionary_texts_ending(b, s->segment->kernels, e.lengths,
                                                        w->text + w->length - w->kept, w->kept);
    for (; ending; ending &= ending - 1) {
        if (may_be_near(w, b, (uint32_t)__builtin_ctzll(ending), &e))
            near |= ending & -ending;
    }
    return near;
}

/* --------------------------------------------------------------------------------------------------------------- blocks
 */

static int compare_term(struct scan *s, const struct dictionary_block *b, uint32_t term, uint32_t bytes)
{
    struct typo_key *k = &s->key;
    struct dictionary_entry entry;
    uint8_t before[8];
    uint32_t at, one, most = s->word->edits;
    memcpy(before, k->bytes, sizeof before);
    size_t length = dictionary_key(b, term, k->bytes);
    if (length < bytes || memcmp(before, k->bytes, bytes) != 0)
        return ERR_CORRUPT;
    if (!typo_key_read(k, bytes, (uint32_t)length, most, typo_is_alive, &at, &one))
        return 0;
    uint32_t edits = typo_key_edits(k);
    if (edits < 1 || edits > most)
        return 0;
    if (!dictionary_entry(b, term, &entry))
        return ERR_CORRUPT;
    struct term t = term_of((struct str){(const char *)k->bytes, length}, &entry);
    return s->sink(s->context, &t, edits);
}

static int compare_terms(struct scan *s, const struct dictionary_block *b, uint64_t terms, uint32_t bytes)
{
    int err = 0;
    for (; terms && !err; terms &= terms - 1)
        err = compare_term(s, b, (uint32_t)__builtin_ctzll(terms), bytes);
    s->key.known = bytes;
    return err;
}

/* Behind a block whose keys begin with the first `bytes` bytes of the key, and go on without an edit. The next block's first
 * key begins so, too. */
static void set_target(struct scan *s, uint32_t bytes)
{
    const struct typo_word *w = s->word;
    struct typo_branches branches = typo_alive_branches(typo_level(&s->key, bytes), w, w->edits);
    uint32_t next = typo_next_byte(w, branches, s->next_prefix >> (56 - 8 * bytes) & 0xff), size = 1;
    while (typo_is_continuation(s->key.bytes[bytes - size]))
        size++;
    if (next == TYPO_NO_BYTE)
        typo_target_behind(&s->target, &s->key, bytes - size, size, w->edits, typo_alive_branches);
    else
        typo_target_put(&s->target, &s->key, bytes, next);
}

static int scan_block(struct scan *s, uint32_t bytes)
{
    struct dictionary_block b;
    uint64_t found;
    int err = segment_block_glance(s->segment, s->block, &b);
    if (err)
        return err;
    found = find_endings(s, &b, bytes);
    if (s->walk.block <= s->block)
        err = typo_walk_block(&s->walk, s->block, &b, &found);
    return err || !found ? err : compare_terms(s, &b, found, bytes);
}

static uint32_t block_behind(const struct scan *s)
{
    return s->target.prefix <= s->next_prefix ? s->block + 1 : typo_target_block(&s->target, s->segment, s->block);
}

static int scan_blocks(struct scan *s, uint32_t edits)
{
    uint32_t blocks = s->segment->toc.blocks, at, size;
    for (s->block = 0; s->block < blocks; s->block = block_behind(s)) {
        uint64_t prefix = segment_block_prefix(s->segment, s->block);
        s->next_prefix = s->block + 1 < blocks ? segment_block_prefix(s->segment, s->block + 1) : UINT64_MAX;
        uint32_t bytes = common_letters(prefix, s->next_prefix);
        s->target = (struct typo_target){0};
        if (!enter_block(s, prefix, bytes, edits, &at, &size)) {
            typo_target_behind(&s->target, &s->key, at, size, edits, typo_alive_branches);
            continue;
        }
        int err = scan_block(s, bytes);
        if (err)
            return err;
        if (bytes > 1 && !(typo_level(&s->key, bytes)->alive[edits - 1] & s->word->all))
            set_target(s, bytes);
    }
    return 0;
}

int typo_scan(const struct typo_word *w, const struct segment *s, typo_sink *sink, void *context)
{
    struct scan scan = {.word = w, .segment = s, .sink = sink, .context = context};
    if (w->length == 0)
        return 0;
    typo_key_init(&scan.key, w);
    typo_walk_init(&scan.walk, w, s);
    return w->edits == 1 ? scan_blocks(&scan, 1) : scan_blocks(&scan, 2);
}
