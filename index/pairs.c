#include "index/pairs.h"

#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/hash.h"
#include "index/segment_parts.h"

uint32_t segment_pairs_least(const struct segment *s)
{
    return s->toc.pair_least;
}

/* --------------------------------------------------------------------------------------------------------------- words
 */

enum { NO_NUMBER = PAIRED_MOST };

static uint64_t hash_at(const uint8_t *words, uint32_t number)
{
    return load_u64(words + (size_t)number * PAIR_WORD);
}

/* In as many steps whatever they are, and without a branch in them. */
static uint32_t find_number(const uint8_t *words, uint32_t count, uint64_t hash)
{
    uint32_t low = 0, left = count;
    for (; left > 1; left -= left / 2)
        low += hash_at(words, low + left / 2 - 1) < hash ? left / 2 : 0;
    low += left == 1 && hash_at(words, low) < hash;
    return low < count && hash_at(words, low) == hash ? low : NO_NUMBER;
}

/* NO_ROW if it has none; the words are given, too. */
static int find_row(const struct segment *s, struct str first, const uint8_t **out_words, uint64_t *out)
{
    const uint32_t count = s->toc.pair_words;
    *out = NO_ROW;
    int err = count > 0 ? segment_view(s, &s->pair_words.parts, 0, count * PAIR_WORD, out_words) : 0;
    uint32_t number = err || count == 0 ? (uint32_t)NO_NUMBER : find_number(*out_words, count, hash64(first));
    if (number != NO_NUMBER)
        *out = load_u64(*out_words + (size_t)number * PAIR_WORD + 8);
    return err;
}

/* ---------------------------------------------------------------------------------------------------------------- rows
 */

static uint32_t group_count(const struct segment *s)
{
    return (s->toc.pair_words + PAIR_GROUP - 1) / PAIR_GROUP;
}

static bool is_set(const uint8_t *group, uint32_t bit)
{
    return group[bit / 8] >> bit % 8 & 1;
}

/* How many entries of the group are in front of that word's. */
static uint32_t entries_before(const uint8_t *group, uint32_t bit)
{
    return (uint32_t)__builtin_popcountll(load_u64(group) & ((UINT64_C(1) << bit) - 1));
}

/* Of a row that begins at `place` the group, and where its entries are. */
static int find_group(const struct segment *s, uint64_t row, uint32_t group, const uint8_t **out, struct pair_place *out_entries)
{
    const uint32_t head = group_count(s) * PAIR_GROUP_SIZE;
    const uint8_t *groups;
    int err = segment_view(s, &s->pairs, row, head, &groups);
    if (err)
        return err;
    *out = groups + (size_t)group * PAIR_GROUP_SIZE;
    uint64_t from = group > 0 ? load_u32(*out - 4) : 0, end = load_u32(*out + 8);
    uint64_t offset = (uint32_t)row + (uint64_t)head + from;
    if (from > end || offset > UINT32_MAX)
        return ERR_CORRUPT;
    *out_entries = (struct pair_place){place_of((uint32_t)(row >> 32), (uint32_t)offset), (uint32_t)(end - from)};
    return 0;
}

/* ------------------------------------------------------------------------------------------------------------- entries
 */

static const uint8_t *get_size(const uint8_t *at, const uint8_t *end, uint32_t *out)
{
    uint64_t value;
    at = varint_get(at, end, &value);
    *out = at ? (uint32_t)value : 0;
    return at && value <= UINT32_MAX ? at : NULL;
}

/* The byte behind it, or NULL if it is damaged. */
static const uint8_t *read_entry(const uint8_t *at, const uint8_t *end, struct pair_list *out)
{
    if (at == end)
        return NULL;
    out->form = *at >> 4;
    out->bits = *at++ & 15;
    out->count = out->form;
    uint32_t bytes = 0;
    if (out->form > PAIR_FEW) {
        at = get_size(at, end, &out->count);
        at = at ? get_size(at, end, &bytes) : NULL;
    }
    uint64_t packed = ((uint64_t)out->count * out->bits + 7) / 8;
    if (!at || out->count == 0 || packed + bytes > (uint64_t)(end - at))
        return NULL;
    out->at = at;
    out->rest = at + packed;
    out->end = out->rest + bytes;
    return out->end;
}

/* The same without a look at it, if it has few postings. */
static const uint8_t *pass_entry(const uint8_t *at, const uint8_t *end, struct pair_list *out)
{
    if (at == end || (uint8_t)(*at - (1 << 4)) >= PAIR_FEW << 4)
        return read_entry(at, end, out);
    size_t size = 1 + ((*at >> 4) * (*at & 15u) + 7) / 8;
    return size <= (size_t)(end - at) ? at + size : NULL;
}

static int find_entry(const struct segment *s, const struct pair_place *entries, uint32_t before, struct pair_list *out)
{
    const uint8_t *at;
    int err = segment_view(s, &s->pairs, entries->place, entries->size, &at);
    if (err)
        return err;
    const uint8_t *end = at + entries->size;
    for (; before > 0 && at; before--)
        at = pass_entry(at, end, out);
    if (!at || !read_entry(at, end, out))
        return ERR_CORRUPT;
    return out->count <= out->postings ? 0 : ERR_CORRUPT;
}

int segment_pair(const struct segment *s, const struct pair_word *first, const struct pair_word *second,
                 struct pair_list *out)
{
    const uint8_t *words = NULL, *group;
    struct pair_place entries;
    uint64_t row;
    int err = find_row(s, first->key, &words, &row);
    if (err || row == NO_ROW)
        return err;
    uint32_t number = find_number(words, s->toc.pair_words, hash64(second->key)), bit = number % PAIR_GROUP;
    if (number == NO_NUMBER)
        return 0;
    err = find_group(s, row, number / PAIR_GROUP, &group, &entries);
    bool of_first = pair_is_of_first(first, second);
    *out = (struct pair_list){.of_first = of_first, .postings = of_first ? first->documents : second->documents};
    if (!err && is_set(group, bit))
        err = find_entry(s, &entries, entries_before(group, bit), out);
    return err ? err : 1;
}

bool segment_pair_row(const struct segment *s, struct str first, struct pair_place *out)
{
    const uint8_t *words;
    out->size = group_count(s) * PAIR_GROUP_SIZE;
    return find_row(s, first, &words, &out->place) == 0 && out->place != NO_ROW;
}

bool segment_pair_entries(const struct segment *s, struct str first, struct str second, struct pair_place *out)
{
    const uint8_t *words = NULL, *group;
    uint64_t row;
    if (find_row(s, first, &words, &row) || row == NO_ROW)
        return false;
    uint32_t number = find_number(words, s->toc.pair_words, hash64(second));
    return number != NO_NUMBER && find_group(s, row, number / PAIR_GROUP, &group, out) == 0 &&
           is_set(group, number % PAIR_GROUP);
}

/* ------------------------------------------------------------------------------------------------------------- numbers
 */

enum { SOME_WORDS = 4, SOME_BITS = 64 * SOME_WORDS };

/* The numbers of the bits that are set in the next bytes; where the bytes go on. */
static const uint8_t *some_bits(const struct segment *s, const uint8_t *at, const uint8_t *end, uint32_t base,
                                uint32_t *out, size_t *out_count)
{
    uint8_t words[8 * SOME_WORDS] = {0};
    size_t size = (size_t)(end - at) < sizeof words ? (size_t)(end - at) : sizeof words;
    memcpy(words, at, size);
    *out_count = s->kernels->expand_bits(words, SOME_WORDS, base, out);
    return at + size;
}

/* The lower bits were added up as if they were the gaps: to each the other bits of all gaps up to it are added. */
static bool add_other_bits(const struct segment *s, const struct pair_list *l, uint32_t *out)
{
    uint32_t some[SOME_BITS + KERNEL_OVERWRITE], done = 0, base = 0;
    size_t count;
    for (const uint8_t *at = l->rest; at < l->end; base += SOME_BITS) {
        at = some_bits(s, at, l->end, base, some, &count);
        if (count > l->count - done)
            return false;
        for (uint32_t i = 0; i < count; i++, done++)
            out[done] += (some[i] - done) << l->bits;
    }
    return done == l->count;
}

/* So that no sum is too large for 32 bits. */
static bool are_sums_small(const struct pair_list *l)
{
    uint64_t ones = 8 * (uint64_t)(l->end - l->rest);
    return (((uint64_t)l->count + ones) << l->bits) + l->count <= UINT32_MAX;
}

int segment_pair_postings(const struct segment *s, const struct pair_list *l, uint32_t *out)
{
    bool is_right = are_sums_small(l);
    if (is_right)
        s->kernels->unpack_rising(l->at, l->bits, l->count, UINT32_MAX, out);
    if (is_right && l->form > PAIR_FEW)
        is_right = add_other_bits(s, l, out);
    return is_right && out[l->count - 1] < l->postings ? 0 : ERR_CORRUPT;
}
