#include "worker/terms_sort.h"

#include "worker/terms.h"

enum { FEW = 12, MANY = 1024, PART = 8, FETCH = 12 };

/* Zeros behind the end: a shorter text comes first, and one that differs only in zeros behind it is told by length. */
static uint64_t part_of(const struct term_record *r, size_t depth)
{
    uint64_t part = 0;
    size_t left = r->length > depth ? r->length - depth : 0;
    if (left >= PART)
        return load_be64(r->text + depth);
    for (size_t i = 0; i < left; i++)
        part |= (uint64_t)(unsigned char)r->text[depth + i] << (56 - 8 * i);
    return part;
}

static void load_parts(struct term_key *keys, size_t count, size_t depth)
{
    for (size_t i = 0; i < count; i++) {
        if (i + FETCH < count)
            __builtin_prefetch(keys[i + FETCH].record->text + depth);
        keys[i].part = part_of(keys[i].record, depth);
    }
}

static void swap(struct term_key *a, struct term_key *b)
{
    struct term_key t = *a;
    *a = *b;
    *b = t;
}

static bool comes_before(const struct term_key *a, const struct term_key *b, size_t depth)
{
    if (a->part != b->part)
        return a->part < b->part;
    struct str x = {.ptr = a->record->text + depth, .len = a->record->length > depth ? a->record->length - depth : 0};
    struct str y = {.ptr = b->record->text + depth, .len = b->record->length > depth ? b->record->length - depth : 0};
    return str_compare(x, y) < 0;
}

static void sort_few(struct term_key *keys, size_t count, size_t depth)
{
    for (size_t i = 1; i < count; i++)
        for (size_t j = i; j > 0 && comes_before(&keys[j], &keys[j - 1], depth); j--)
            swap(&keys[j], &keys[j - 1]);
}

static uint64_t median(uint64_t a, uint64_t b, uint64_t c)
{
    if (a < b)
        return b < c ? b : a < c ? c : a;
    return a < c ? a : b < c ? c : b;
}

static uint64_t pivot_of(const struct term_key *keys, size_t count)
{
    size_t step = count / 8;
    return median(median(keys[0].part, keys[step].part, keys[2 * step].part),
                  median(keys[3 * step].part, keys[4 * step].part, keys[5 * step].part),
                  median(keys[6 * step].part, keys[7 * step].part, keys[count - 1].part));
}

/* Three ways: below, at and above the pivot. */
static void partition(struct term_key *keys, size_t count, uint64_t pivot, size_t *out_equal, size_t *out_above)
{
    size_t equal = 0, above = count;
    for (size_t i = 0; i < above;) {
        if (keys[i].part < pivot)
            swap(&keys[i++], &keys[equal++]);
        else if (keys[i].part > pivot)
            swap(&keys[i], &keys[--above]);
        else
            i++;
    }
    *out_equal = equal;
    *out_above = above;
}

static void sort_parts(struct term_key *keys, size_t count, size_t depth);

/* Texts with the same eight bytes here: those that end within them are few and are told by length. */
static void sort_equal(struct term_key *keys, size_t count, size_t depth)
{
    size_t ended = 0;
    for (size_t i = 0; i < count; i++)
        if (keys[i].record->length <= depth + PART)
            swap(&keys[i], &keys[ended++]);
    sort_few(keys, ended, depth);
    load_parts(keys + ended, count - ended, depth + PART);
    sort_parts(keys + ended, count - ended, depth + PART);
}

/* The smaller sides recur, the largest goes on in the loop: the stack stays small whatever the input. */
static void sort_parts(struct term_key *keys, size_t count, size_t depth)
{
    while (count > FEW) {
        size_t equal, above;
        partition(keys, count, pivot_of(keys, count), &equal, &above);
        sort_equal(keys + equal, above - equal, depth);
        if (equal < count - above) {
            sort_parts(keys, equal, depth);
            keys += above;
            count -= above;
        } else {
            sort_parts(keys + above, count - above, depth);
            count = equal;
        }
    }
    sort_few(keys, count, depth);
}

/* In place: each key is swapped to where those of its byte begin, until all are there. */
static void distribute(struct term_key *keys, size_t count, unsigned shift, size_t ends[256])
{
    size_t next[256] = {0}, sum = 0;
    for (size_t i = 0; i < count; i++)
        next[keys[i].part >> shift & 255]++;
    for (size_t byte = 0; byte < 256; byte++) {
        sum += next[byte];
        ends[byte] = sum;
        next[byte] = sum - next[byte];
    }
    for (size_t byte = 0; byte < 256; byte++) {
        while (next[byte] < ends[byte]) {
            size_t own = keys[next[byte]].part >> shift & 255, to = next[own]++;
            if (own != byte)
                swap(&keys[next[byte]], &keys[to]);
        }
    }
}

/* By the first two bytes, of which words have many, a byte at a time; what is alike in them by comparison. */
static void sort_bytes(struct term_key *keys, size_t count, unsigned shift)
{
    size_t ends[256], begin = 0;
    if (count < MANY || shift < 48) {
        sort_parts(keys, count, 0);
        return;
    }
    distribute(keys, count, shift, ends);
    for (size_t byte = 0; byte < 256; begin = ends[byte++])
        sort_bytes(keys + begin, ends[byte] - begin, shift - 8);
}

void terms_sort(struct term_key *keys, size_t count)
{
    load_parts(keys, count, 0);
    sort_bytes(keys, count, 56);
}
