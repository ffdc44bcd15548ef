/* Terms are read one after the other. Where nothing is left of the word, the states before tell which letters would have
 * kept something: what stands in front of the next of them is passed, in a block by the heads, else by the block index. */
#include "index/typo_walk.h"

#include "common/err.h"

void typo_walk_init(struct typo_walk *w, const struct typo_word *word, const struct segment *s)
{
    w->segment = s;
    w->block = 0;
    w->target = (struct typo_target){0};
    typo_key_init(&w->key, word);
}

static bool is_below(const struct typo_target *t, const struct segment *s, uint32_t block)
{
    return block < s->toc.blocks && segment_block_prefix(s, block) < t->prefix;
}

/* By doubling steps: it is near as a rule. */
uint32_t typo_target_block(const struct typo_target *t, const struct segment *s, uint32_t block)
{
    uint32_t low = block + 1, width = 1;
    if (!is_below(t, s, low))
        return low;
    for (; is_below(t, s, low + width); width *= 2)
        low += width;
    for (; width > 0; width /= 2)
        if (is_below(t, s, low + width))
            low += width;
    return low;
}

static bool is_passed(const struct typo_target *target, const struct dictionary_text *t)
{
    return target->is_set && (t->shared > target->shared ||
                              (t->shared == target->shared && dictionary_first(t) < target->next));
}

/* A key whose first letter has several bytes and is none of the word's, which takes one of two edits: one of the word's first
 * two letters must come then. Nearly always none does where such letters are, so all that begins with it is passed: there
 * are thousands of them, and their levels are not needed. */
static inline bool begins_foreign(const struct typo_key *k, uint32_t length, uint32_t *out_size)
{
    const struct typo_word *w = k->word;
    const uint8_t *letter = k->bytes + 1;
    if (length < 3 || letter[0] < 0xc0 || !w->is_ascii || w->tail & 31)
        return false;
    uint32_t size = 1;
    while (size < 4 && 1 + size < length && typo_is_continuation(letter[size]))
        size++;
    *out_size = size;
    return 1 + size < length && letter[size] > w->first[1] && letter[size] > w->first[2];
}

/* Reads on from the byte at `at`, as typo_key_read. The kind, the first byte, is no letter. */
static inline bool read_on(struct typo_key *k, uint32_t at, uint32_t length, uint32_t edits, uint32_t *out_at,
                           uint32_t *out_bytes)
{
    at += at == 0;
    while (at > 1 && at < length && typo_is_continuation(k->bytes[at])) /* a letter that begins alike */
        at--;
    return typo_key_read(k, at, length, edits, typo_is_walked, out_at, out_bytes);
}

/* False if the key is of no use; then the target is behind it. */
static inline bool take_key(struct typo_walk *w, const struct dictionary_text *t, uint32_t edits)
{
    struct typo_key *k = &w->key;
    uint32_t length = t->shared + t->rest, at, bytes;
    w->target = (struct typo_target){0};
    dictionary_copy(k->bytes + t->shared, t);
    if (edits == 2 && begins_foreign(k, length, &bytes)) {
        typo_target_put(&w->target, k, bytes, k->bytes[bytes] + 1u);
        return false;
    }
    if (read_on(k, t->shared, length, edits, &at, &bytes))
        return true;
    typo_target_behind(&w->target, k, at, bytes, edits, typo_walked_branches);
    return false;
}

/* Ends early when all that are left stand below the target, or in a block behind. */
static inline int walk(struct typo_walk *w, struct dictionary_block *b, uint64_t next_prefix, uint32_t edits,
                       uint64_t *found)
{
    struct dictionary_text t;
    while (b->at < b->terms) {
        if (!dictionary_text(b, &t))
            return ERR_CORRUPT;
        if (!is_passed(&w->target, &t)) {
            if (t.shared > (w->target.is_set ? w->target.shared : w->key.length))
                return ERR_CORRUPT;
            if (take_key(w, &t, edits)) {
                if (typo_key_edits(&w->key) <= edits)
                    *found |= (uint64_t)1 << (b->at - 1);
                continue;
            }
        }
        if (next_prefix < w->target.prefix)
            return 0;
        dictionary_skip(b, w->target.shared, w->target.next);
    }
    return 0;
}

/* Whether a block whose keys begin with letters of several bytes has fewer letters of ASCII than any key must have that is
 * near an ASCII word: all of the word's but those that are edited. */
static bool is_foreign_block(const struct typo_walk *w, uint32_t block, const struct dictionary_block *b)
{
    const struct typo_word *word = w->key.word;
    const struct kernels *k = w->segment->kernels;
    if (!word->is_ascii || word->letters <= word->edits || (segment_block_prefix(w->segment, block) >> 48 & 0xff) < 0x80)
        return false;
    size_t least = word->letters - word->edits, lasts = k->count_ascii(b->lasts, b->terms, word->least);
    return lasts < least && lasts + k->count_ascii(b->texts, (size_t)(b->text_end - b->texts), word->least) < least;
}

int typo_walk_block(struct typo_walk *w, uint32_t block, struct dictionary_block *b, uint64_t *found)
{
    const struct segment *s = w->segment;
    if (is_foreign_block(w, block, b)) {
        w->target = (struct typo_target){0};
        w->block = block + 1;
        return 0;
    }
    struct dictionary_text t;
    uint64_t next_prefix = block + 1 < s->toc.blocks ? segment_block_prefix(s, block + 1) : UINT64_MAX;
    if (block == w->block && is_below(&w->target, s, block)) {
        /* It begins with the bytes of the key that the target has, as do the target and what was before. */
        if (!dictionary_text(b, &t))
            return ERR_CORRUPT;
        dictionary_skip(b, w->target.shared, w->target.next);
    } else {
        w->target = (struct typo_target){0};
    }
    bool one = w->key.word->edits == 1;
    int err = one ? walk(w, b, next_prefix, 1, found) : walk(w, b, next_prefix, 2, found);
    w->block = typo_target_block(&w->target, s, block);
    return err;
}
