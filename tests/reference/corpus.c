#include "tests/reference/corpus.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/hash.h"
#include "index/score.h"

enum { GAP = 100 };

void die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("mayfly-reference: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

void *corpus_alloc(struct corpus *c, size_t count, size_t size)
{
    void *made = arena_array(c->arena, count ? count : 1, size);
    if (!made)
        die("out of memory");
    return made;
}

static void *grow(struct corpus *c, void *list, size_t *room, size_t size)
{
    size_t wanted = *room ? 2 * *room : 64;
    list = arena_grow(c->arena, list, *room * size, wanted * size);
    if (!list)
        die("out of memory");
    *room = wanted;
    return list;
}

static uint32_t *slot_of(const struct names *n, struct str name)
{
    size_t at = (size_t)hash64(name) % n->table_size;
    while (n->table[at] && !str_equal(n->list[n->table[at] - 1], name))
        at = (at + 1) % n->table_size;
    return &n->table[at];
}

static void rehash(struct corpus *c, struct names *n)
{
    n->table_size = n->table_size ? 2 * n->table_size : 1024;
    n->table = corpus_alloc(c, n->table_size, sizeof *n->table);
    for (size_t i = 0; i < n->count; i++)
        *slot_of(n, n->list[i]) = (uint32_t)i + 1;
}

bool names_find(const struct names *n, struct str name, uint32_t *out)
{
    uint32_t *slot = n->table_size ? slot_of(n, name) : NULL;
    if (!slot || !*slot)
        return false;
    *out = *slot - 1;
    return true;
}

uint32_t names_number(struct corpus *c, struct names *n, struct str name)
{
    uint32_t number;
    if (names_find(n, name, &number))
        return number;
    if (2 * n->count >= n->table_size)
        rehash(c, n);
    if (n->count == n->room)
        n->list = grow(c, n->list, &n->room, sizeof *n->list);
    n->list[n->count] = arena_copy(c->arena, name);
    *slot_of(n, name) = (uint32_t)++n->count;
    return (uint32_t)n->count - 1;
}

/* A document as it is read. */
struct reading {
    struct corpus *corpus;
    struct document *document;
    size_t room;
    uint32_t field;
    uint32_t base; /* position of the value's first word */
    uint32_t next; /* behind the last word so far */
    bool any_value;
    uint64_t length;
};

static bool take_word(void *context, struct str word, uint32_t position)
{
    struct reading *r = context;
    struct corpus *c = r->corpus;
    struct document *d = r->document;
    struct str folded = arena_copy(c->arena, word);
    if (d->count == r->room)
        d->occurrences = grow(c, d->occurrences, &r->room, sizeof *d->occurrences);
    d->occurrences[d->count++] = (struct occurrence){
        .word = names_number(c, &c->words, folded),
        .stem = names_number(c, &c->words, analyzer_stem(c->analyzer, folded)),
        .field = r->field,
        .at = r->base + position,
    };
    r->next = r->base + position + 1;
    if (!analyzer_is_stop_word(c->analyzer, folded))
        r->length += settings_weight(&c->settings, c->fields.list[r->field]);
    return true;
}

static void read_value(struct reading *r, struct str path, struct str text)
{
    struct corpus *c = r->corpus;
    if (!settings_is_searchable(&c->settings, path) || text.len == 0)
        return;
    r->field = names_number(c, &c->fields, path);
    r->base = r->any_value ? r->next + GAP : 0;
    r->next = r->base;
    r->any_value = true;
    analyzer_words(c->analyzer, text, take_word, r);
}

static void read_tree(struct reading *r, const struct json *value, struct str path)
{
    if (value->type == JSON_STRING)
        read_value(r, path, value->text);
    for (const struct json *child = value->first; child; child = child->next) {
        struct str below = path;
        if (value->type == JSON_OBJECT) {
            char *joined = arena_printf(r->corpus->arena, "%.*s%s%.*s", (int)path.len, path.ptr, path.len ? "." : "",
                                        (int)child->key.len, child->key.ptr);
            below = str_of(joined);
            if (path.len == 0 && str_equal(child->key, r->corpus->primary_key))
                continue;
        }
        read_tree(r, child, below);
    }
}

static struct document *document_of(struct corpus *c, const struct json *id)
{
    if (!id || (id->type != JSON_STRING && id->type != JSON_NUMBER))
        die("an operation without an id");
    size_t number = names_number(c, &c->ids, id->text);
    while (number >= c->document_room)
        c->documents = grow(c, c->documents, &c->document_room, sizeof *c->documents);
    c->documents[number].id = c->ids.list[number];
    return &c->documents[number];
}

/* {"put": {...}} or {"delete": "id"} */
void corpus_operation(struct corpus *c, struct str line, uint64_t stamp)
{
    struct json *tree;
    if (json_tree(c->arena, arena_copy(c->arena, line), &tree, NULL) || tree->type != JSON_OBJECT)
        die("operation %llu is not a JSON object", (unsigned long long)stamp);
    const struct json *put = json_member(tree, "put"), *gone = json_member(tree, "delete");
    char key[256];
    snprintf(key, sizeof key, "%.*s", (int)c->primary_key.len, c->primary_key.ptr);
    struct document *d = document_of(c, put ? json_member(put, key) : gone);
    *d = (struct document){.id = d->id, .stamp = stamp, .live = put != NULL};
    if (!put)
        return;
    struct reading r = {.corpus = c, .document = d};
    read_tree(&r, put, (struct str){"", 0});
    d->length_code = length_encode(r.length);
}

static bool is_first(const struct document *d, size_t at, bool of_stem)
{
    for (size_t i = 0; i < at; i++)
        if (of_stem ? d->occurrences[i].stem == d->occurrences[at].stem
                    : d->occurrences[i].word == d->occurrences[at].word)
            return false;
    return true;
}

void corpus_count(struct corpus *c)
{
    c->live = c->total_length = 0;
    c->stem_frequency = corpus_alloc(c, c->words.count, sizeof *c->stem_frequency);
    c->word_frequency = corpus_alloc(c, c->words.count, sizeof *c->word_frequency);
    for (size_t n = 0; n < c->ids.count; n++) {
        const struct document *d = &c->documents[n];
        if (!d->live)
            continue;
        c->live++;
        c->total_length += length_decoded[d->length_code];
        for (size_t i = 0; i < d->count; i++) {
            const struct occurrence *o = &d->occurrences[i];
            c->stem_frequency[o->stem] += is_first(d, i, true);
            c->word_frequency[o->word] += o->word != o->stem && is_first(d, i, false);
        }
    }
}
