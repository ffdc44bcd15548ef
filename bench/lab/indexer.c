#include "bench/lab/indexer.h"

#include <string.h>
#include <unistd.h>

#include "bench/lab/searches.h"
#include "common/check.h"
#include "common/hash.h"

enum { FIRST_ROOM = 4, BETWEEN = 4, FIRST_BUCKETS = 1024, METADATA_LEAST = 64, METADATA_MOST = 512 };

struct list { /* of 32-bit numbers, growing by doubling */
    uint32_t *items;
    size_t count, room;
};

struct term {
    struct term *next; /* of its bucket */
    uint64_t hash;
    struct list postings;  /* document, count, positions; and again */
    struct list positions; /* in the document in hand */
    size_t length;
    char text[];
};

struct pointers { /* a vector of any pointers */
    void **items;
    size_t count, room;
};

struct indexer {
    struct space *space;
    struct term **buckets;
    size_t bucket_count; /* a power of two */
    struct pointers terms, metadata, tokens, touched;
    uint8_t *output;
    size_t written, output_room;
    uint64_t random;
};

/* ---------------------------------------------------------------------------------------------------------- vectors */

static void push_number(struct indexer *x, enum lifetime lifetime, struct list *l, uint32_t number)
{
    if (l->count == l->room) {
        size_t room = l->room ? 2 * l->room : FIRST_ROOM;
        l->items = space_grow(x->space, lifetime, l->items, l->room * sizeof *l->items, room * sizeof *l->items);
        l->room = room;
    }
    l->items[l->count++] = number;
}

static void push_pointer(struct indexer *x, enum lifetime lifetime, struct pointers *p, void *pointer)
{
    if (p->count == p->room) {
        size_t room = p->room ? 2 * p->room : FIRST_ROOM;
        p->items = space_grow(x->space, lifetime, p->items, p->room * sizeof(void *), room * sizeof(void *));
        p->room = room;
    }
    p->items[p->count++] = pointer;
}

static void free_pointers(struct indexer *x, struct pointers *p)
{
    space_free(x->space, p->items);
    *p = (struct pointers){0};
}

/* ------------------------------------------------------------------------------------------------------- dictionary */

static void open_buckets(struct indexer *x, size_t count)
{
    x->bucket_count = count;
    x->buckets = space_alloc(x->space, OF_BATCH, count * sizeof(struct term *));
    memset(x->buckets, 0, count * sizeof(struct term *));
}

static void link_term(struct indexer *x, struct term *t)
{
    struct term **bucket = &x->buckets[t->hash & (x->bucket_count - 1)];
    t->next = *bucket;
    *bucket = t;
}

static void double_buckets(struct indexer *x)
{
    space_free(x->space, x->buckets);
    open_buckets(x, 2 * x->bucket_count);
    for (size_t i = 0; i < x->terms.count; i++)
        link_term(x, x->terms.items[i]);
}

static struct term *add_term(struct indexer *x, struct str text, uint64_t hash)
{
    struct term *t = space_alloc(x->space, OF_BATCH, sizeof *t + text.len);
    *t = (struct term){.hash = hash, .length = text.len};
    memcpy(t->text, text.ptr, text.len);
    push_pointer(x, OF_BATCH, &x->terms, t);
    if (x->terms.count > x->bucket_count)
        double_buckets(x);
    else
        link_term(x, t);
    return t;
}

static struct term *find_term(struct indexer *x, struct str text)
{
    uint64_t hash = hash64(text);
    for (struct term *t = x->buckets[hash & (x->bucket_count - 1)]; t; t = t->next)
        if (t->hash == hash && t->length == text.len && memcmp(t->text, text.ptr, text.len) == 0)
            return t;
    return add_term(x, text, hash);
}

/* --------------------------------------------------------------------------------------------------------- document */

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c & 0x80);
}

static char *copy_in_lower_case(struct indexer *x, struct str text)
{
    char *copy = space_alloc(x->space, OF_DOCUMENT, text.len + 1);
    for (size_t i = 0; i < text.len; i++)
        copy[i] = text.ptr[i] >= 'A' && text.ptr[i] <= 'Z' ? (char)(text.ptr[i] | 0x20) : text.ptr[i];
    copy[text.len] = 0;
    return copy;
}

static void take_token(struct indexer *x, const char *from, size_t length)
{
    char *token = space_alloc(x->space, OF_DOCUMENT, length + 1);
    memcpy(token, from, length);
    token[length] = 0;
    push_pointer(x, OF_DOCUMENT, &x->tokens, token);
}

static void cut_into_tokens(struct indexer *x, const char *text)
{
    for (const char *end; *text; text = end) {
        while (*text && !is_word(*text))
            text++;
        for (end = text; is_word(*end);)
            end++;
        if (end > text)
            take_token(x, text, (size_t)(end - text));
    }
}

static void note_positions(struct indexer *x)
{
    for (size_t i = 0; i < x->tokens.count; i++) {
        struct term *t = find_term(x, str_of(x->tokens.items[i]));
        if (t->positions.count == 0)
            push_pointer(x, OF_DOCUMENT, &x->touched, t);
        push_number(x, OF_DOCUMENT, &t->positions, (uint32_t)i);
        space_free(x->space, x->tokens.items[i]);
    }
}

static void post(struct indexer *x, struct term *t, uint32_t document)
{
    push_number(x, OF_BATCH, &t->postings, document);
    push_number(x, OF_BATCH, &t->postings, (uint32_t)t->positions.count);
    for (size_t i = 0; i < t->positions.count; i++)
        push_number(x, OF_BATCH, &t->postings, t->positions.items[i]);
    space_free(x->space, t->positions.items);
    t->positions = (struct list){0};
}

static void add_metadata(struct indexer *x)
{
    size_t size = METADATA_LEAST + random_below(&x->random, METADATA_MOST - METADATA_LEAST + 1);
    void *metadata = space_alloc(x->space, OF_BATCH, size);
    memset(metadata, 1, size);
    push_pointer(x, OF_BATCH, &x->metadata, metadata);
}

static void index_document(struct indexer *x, struct str text, uint32_t document)
{
    char *copy = copy_in_lower_case(x, text);
    cut_into_tokens(x, copy);
    space_free(x->space, copy);
    note_positions(x);
    for (size_t i = 0; i < x->touched.count; i++)
        post(x, x->touched.items[i], document);
    free_pointers(x, &x->touched);
    free_pointers(x, &x->tokens);
    add_metadata(x);
    space_end_document(x->space);
}

/* ------------------------------------------------------------------------------------------------------------ write */

static bool is_before(const struct term *a, const struct term *b)
{
    return str_compare((struct str){a->text, a->length}, (struct str){b->text, b->length}) <= 0;
}

static void merge(void **from, size_t low, size_t middle, size_t high, void **to)
{
    for (size_t a = low, b = middle, at = low; at < high; at++)
        to[at] = b == high || (a < middle && is_before(from[a], from[b])) ? from[a++] : from[b++];
}

/* Not qsort(3): that takes its memory from malloc in every discipline. */
static void sort_terms(struct indexer *x)
{
    size_t count = x->terms.count;
    void **from = x->terms.items, **to = space_alloc(x->space, OF_BATCH, (count + 1) * sizeof *to);
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t low = 0; low < count; low += 2 * width) {
            size_t middle = low + width < count ? low + width : count;
            size_t high = low + 2 * width < count ? low + 2 * width : count;
            merge(from, low, middle, high, to);
        }
        void **swapped = from;
        from = to;
        to = swapped;
    }
    if (from != x->terms.items)
        x->terms.room = count + 1;
    x->terms.items = from;
    space_free(x->space, to);
}

static void put_byte(struct indexer *x, uint8_t byte)
{
    if (x->written == x->output_room) {
        size_t room = x->output_room ? 2 * x->output_room : 4096;
        x->output = space_grow(x->space, OF_BATCH, x->output, x->output_room, room);
        x->output_room = room;
    }
    x->output[x->written++] = byte;
}

static void put_number(struct indexer *x, uint32_t n)
{
    for (; n >= 0x80; n >>= 7)
        put_byte(x, (uint8_t)(n | 0x80));
    put_byte(x, (uint8_t)n);
}

static void serialise(struct indexer *x, const struct term *t)
{
    put_number(x, (uint32_t)t->length);
    for (size_t i = 0; i < t->length; i++)
        put_byte(x, (uint8_t)t->text[i]);
    put_number(x, (uint32_t)t->postings.count);
    for (size_t i = 0; i < t->postings.count; i++)
        put_number(x, t->postings.items[i]);
}

static void write_out(const struct indexer *x, int out)
{
    require(lseek(out, 0, SEEK_SET) == 0);
    for (size_t at = 0; at < x->written;) {
        ssize_t n = write(out, x->output + at, x->written - at);
        require(n > 0);
        at += (size_t)n;
    }
}

/* ------------------------------------------------------------------------------------------------------------ batch */

static void free_all(struct indexer *x)
{
    if (x->space->discipline->arenas)
        return;
    for (size_t i = 0; i < x->terms.count; i++) {
        struct term *t = x->terms.items[i];
        space_free(x->space, t->postings.items);
        space_free(x->space, t);
    }
    for (size_t i = 0; i < x->metadata.count; i++)
        space_free(x->space, x->metadata.items[i]);
    free_pointers(x, &x->terms);
    free_pointers(x, &x->metadata);
    space_free(x->space, x->buckets);
    space_free(x->space, x->output);
}

static size_t text_bytes(const struct batch *b)
{
    size_t bytes = b->count ? 0 : b->corpus->text.len;
    for (size_t i = 0; i < b->count; i++)
        bytes += corpus_document(b->corpus, b->first + i).len;
    return bytes;
}

void index_batch(struct space *s, const struct batch *b, int out, between_documents *between, void *context)
{
    struct indexer x = {.space = s, .random = 1 + b->first};
    space_begin_batch(s, text_bytes(b));
    open_buckets(&x, FIRST_BUCKETS);
    if (b->count == 0)
        index_document(&x, b->corpus->text, 0);
    for (size_t i = 0; i < b->count; i++) {
        index_document(&x, corpus_document(b->corpus, b->first + i), (uint32_t)i);
        if (between && i % BETWEEN == BETWEEN - 1)
            between(context);
    }
    sort_terms(&x);
    for (size_t i = 0; i < x.terms.count; i++)
        serialise(&x, x.terms.items[i]);
    write_out(&x, out);
    free_all(&x);
    space_end_batch(s);
}
