#include "index/query_scored.h"

#include "common/bytes.h"

/* ------------------------------------------------------------------------------------------------------------- opening
 */

/* Not zeroed: most of a list is room for a block. */
struct scored_list *scored_array(struct arena *a, size_t count)
{
    return count <= SIZE_MAX / sizeof(struct scored_list) ? arena_alloc_unset(a, count * sizeof(struct scored_list))
                                                          : NULL;
}

/* A word's own stem was looked up in round 1, if that was in this process: its key is the same one. */
static const struct term *known_term(const struct scope *s, struct str key)
{
    for (size_t i = 0; i < s->query->word_count; i++) {
        const struct tree_word *word = &s->query->words[i];
        if (word->key.ptr == key.ptr && word->stems)
            return &word->stems[s->number];
    }
    return NULL;
}

static bool find_term(struct scope *s, struct str key, struct term *out)
{
    const struct term *known = known_term(s, key);
    int err = 0;
    if (known) {
        *out = *known;
        return known->documents > 0;
    }
    bool found = segment_find_term(s->segment, key, out, &err);
    if (err)
        scope_fail(s, err, "dictionary");
    return found;
}

uint32_t scored_documents(struct scope *s, struct str key)
{
    struct term term;
    return find_term(s, key, &term) ? term.documents : 0;
}

bool scored_open(struct scope *s, struct str key, uint32_t weight, struct scored_list *out)
{
    struct term term;
    if (!find_term(s, key, &term))
        return false;
    out->scope = s;
    out->key = key;
    out->weight = weight;
    out->bound_from = out->next = out->place_base = 0;
    out->bounds = out->group_bounds = NULL;
    out->groups_known = NULL;
    out->is_block_scored = false;
    out->block.number = NO_BLOCK;
    int err = list_open(&out->list, s->segment, &term, s->kernels);
    if (err) {
        scope_fail(s, err, "postings");
        return false;
    }
    if (s->unscored) {
        out->bound = 0;
        return true;
    }
    if (out->list.blocks == 1 && scored_enter(out, 0))
        scored_score_block(out);
    return !s->err && scored_open_bounds(out);
}

/* -------------------------------------------------------------------------------------------------------------- blocks
 */

bool scored_enter_as_it_is(struct scored_list *l, uint32_t block)
{
    if (l->block.number == block)
        return true;
    int err = l->scope->err ? l->scope->err : block_enter_documents(&l->list, block, &l->block);
    l->next = 0;
    l->is_block_scored = false;
    if (err) {
        scope_fail(l->scope, err, "postings");
        l->block.number = NO_BLOCK;
    }
    return !err;
}

bool scored_enter(struct scored_list *l, uint32_t block)
{
    if (!scored_enter_as_it_is(l, block))
        return false;
    if (!l->block.has_documents)
        block_documents(&l->list, &l->block);
    return true;
}

void scored_score_block(struct scored_list *l)
{
    if (l->is_block_scored)
        return;
    int err = l->block.has_t ? 0 : block_frequencies(&l->list, &l->block);
    if (err) {
        scope_fail(l->scope, err, "postings");
        l->block.count = 0;
    }
    const struct scope *s = l->scope;
    s->kernels->score(l->weight, s->run->norms, s->length_codes, l->block.documents, l->block.t, l->block.count,
                      l->scores);
    l->is_block_scored = true;
}

void scored_rewind(struct scored_list *l)
{
    l->bound_from = l->next = 0;
    if (l->list.blocks > 1)
        l->block.number = NO_BLOCK;
}

uint32_t scored_seek(struct scored_list *l, uint32_t document)
{
    uint32_t from = l->block.number == NO_BLOCK ? 0 : l->block.number;
    uint32_t block = list_find(&l->list, from, document);
    if (block == l->list.blocks || !scored_enter(l, block))
        return POSTINGS_END;
    l->next += (uint32_t)kernel_below(l->block.documents + l->next, l->block.count - l->next, document);
    return l->next < l->block.count ? l->block.documents[l->next] : POSTINGS_END; /* the latter: its only block is over */
}

/* The words of a bitset that lie in the window are whole words of it. */
static void mark_bits(const struct posting_block *b, uint32_t base, uint32_t end, uint64_t *seen)
{
    uint32_t from = b->base < base ? (base - b->base) / 64 : 0;
    for (uint32_t word = from; word < b->words && b->base + 64 * word < end; word++)
        seen[(b->base + 64 * word - base) / 64] |= load_u64(b->bits + 8 * (size_t)word);
}

/* The documents of the block in hand that lie in the window, from the first that was not taken. */
static size_t take_documents(struct scored_list *l, uint32_t base, uint32_t end, const uint32_t **out)
{
    const struct posting_block *b = &l->block;
    uint32_t from = l->next + (uint32_t)kernel_below(b->documents + l->next, b->count - l->next, base);
    l->next = from + (uint32_t)kernel_below(b->documents + from, b->count - from, end);
    *out = b->documents + from;
    return l->next - from;
}

/* By bytes: neighbours seldom share one, as they do words, each of which would wait for the one before. */
static void mark_documents(struct scored_list *l, uint32_t base, uint32_t end, uint64_t *seen)
{
    uint8_t *bytes = (uint8_t *)seen;
    const uint32_t *documents;
    size_t count = take_documents(l, base, end, &documents);
    for (size_t i = 0; i < count; i++) {
        uint32_t at = documents[i] - base;
        bytes[at / 8] |= (uint8_t)(1U << at % 8);
    }
}

void scored_mark(struct scored_list *l, uint32_t base, uint32_t end, uint64_t *seen)
{
    uint32_t block = list_find(&l->list, l->block.number == NO_BLOCK ? 0 : l->block.number, base);
    for (; block < l->list.blocks && scored_enter_as_it_is(l, block); block++) {
        if (l->block.words > 0)
            mark_bits(&l->block, base, end, seen);
        else
            mark_documents(l, base, end, seen);
        if (block + 1 == l->list.blocks || list_last(&l->list, block) >= end - 1)
            return;
    }
}

static bool is_any_marked(const uint64_t *seen, uint32_t first, uint32_t last)
{
    uint32_t word = first / 64;
    while (word < last / 64 && seen[word] == 0)
        word++;
    return seen[word] != 0;
}

static uint64_t count_marked_bits(const struct scored_list *l, uint32_t base, uint32_t end, const uint64_t *seen)
{
    const struct posting_block *b = &l->block;
    uint32_t from = b->base < base ? (base - b->base) / 64 : 0, until = (end - b->base + 63) / 64;
    until = until < b->words ? until : b->words;
    if (from >= until)
        return 0;
    const uint8_t *marks = (const uint8_t *)(seen + (b->base + 64 * from - base) / 64);
    return l->scope->kernels->count_both(b->bits + 8 * (size_t)from, marks, until - from);
}

static uint64_t count_marked_documents(struct scored_list *l, uint32_t base, uint32_t end, const uint64_t *seen)
{
    const uint32_t *documents;
    size_t count = take_documents(l, base, end, &documents);
    uint64_t n = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t at = documents[i] - base;
        n += seen[at / 64] >> at % 64 & 1;
    }
    return n;
}

/* Blocks with nothing marked are not read. */
uint64_t scored_count_marked(struct scored_list *l, uint32_t base, uint32_t end, const uint64_t *seen)
{
    uint64_t n = 0;
    uint32_t block = list_find(&l->list, l->block.number == NO_BLOCK ? 0 : l->block.number, base);
    for (uint32_t from = base; block < l->list.blocks && from < end; block++) {
        uint32_t last = block + 1 < l->list.blocks ? list_last(&l->list, block) : end - 1;
        last = last < end ? last : end - 1;
        if (is_any_marked(seen, from - base, last - base)) {
            if (!scored_enter_as_it_is(l, block))
                break;
            n += l->block.words > 0 ? count_marked_bits(l, base, end, seen) : count_marked_documents(l, base, end, seen);
        }
        from = last + 1;
    }
    return n;
}

/* Of the entered block what lies in [from, end). */
static size_t keep_in_block(struct scored_list *l, uint32_t from, uint32_t end, int32_t least, uint32_t *out_documents,
                            int32_t *out_scores, uint64_t *out_seen)
{
    const struct posting_block *b = &l->block;
    size_t first = kernel_below(b->documents, b->count, from), last = kernel_below(b->documents, b->count, end);
    last = last > first ? last : first;
    scored_score_block(l);
    *out_seen += last - first;
    return l->scope->kernels->keep_scores(b->documents + first, l->scores + first, last - first, least, out_documents,
                                          out_scores);
}

/* Documents rise from block to block, so that there is room for them, whatever the blocks say that are passed over. */
size_t scored_keep(struct scored_list *l, uint32_t from, uint32_t end, int32_t least, uint32_t *out_documents,
                   int32_t *out_scores, uint64_t *out_seen)
{
    size_t n = 0;
    uint32_t block = list_find(&l->list, l->block.number == NO_BLOCK ? 0 : l->block.number, from);
    for (; block < l->list.blocks; block++) {
        if (scored_block_bound(l, block) >= least) {
            if (!scored_enter(l, block))
                break;
            n += keep_in_block(l, from, end, least, out_documents + n, out_scores + n, out_seen);
            from = list_last(&l->list, block) + 1;
        }
        if (block + 1 == l->list.blocks || list_last(&l->list, block) >= end - 1)
            break;
    }
    return n;
}
