/* What a search's second round says of its words, the same to all shards: as columns of the message. */
#include "coordinator/scatter_state.h"

#include <string.h>

#include "common/err.h"

static char *append(char *to, struct str bytes)
{
    if (bytes.len)
        memcpy(to, bytes.ptr, bytes.len);
    return to + bytes.len;
}

/* Strings one behind the other, and the length of each. False: no memory. */
static bool pack_strings(struct arena *a, const struct str *list, size_t count, ProtobufCBinaryData *out_bytes,
                         uint32_t **out_lengths)
{
    size_t size = 0;
    uint32_t *lengths = arena_new_array(a, count, uint32_t);
    for (size_t i = 0; i < count && lengths; i++) {
        lengths[i] = (uint32_t)list[i].len;
        size += list[i].len;
    }
    char *bytes = arena_alloc(a, size), *end = bytes;
    if (!lengths || !bytes)
        return false;
    for (size_t i = 0; i < count; i++)
        end = append(end, list[i]);
    *out_bytes = message_data((struct str){bytes, size});
    *out_lengths = lengths;
    return true;
}

static size_t count_terms(const struct weighed *w)
{
    size_t count = 0;
    for (size_t i = 0; i < w->word_count; i++)
        count += w->words[i].count;
    return count;
}

static bool pack_terms(struct arena *a, const struct weighed *w, Mayfly__Internal__Execute *m)
{
    size_t count = count_terms(w), n = 0;
    struct str *terms = arena_new_array(a, count, struct str);
    m->term_weights = arena_new_array(a, count, uint32_t);
    for (size_t i = 0; i < w->word_count && terms && m->term_weights; i++)
        for (size_t k = 0; k < w->words[i].count; k++, n++) {
            terms[n] = w->words[i].terms[k].term;
            m->term_weights[n] = w->words[i].terms[k].weight;
        }
    m->n_term_weights = m->n_term_lengths = count;
    return terms && m->term_weights && pack_strings(a, terms, count, &m->terms, &m->term_lengths);
}

static bool pack_frequencies(struct arena *a, const struct weighed *w, Mayfly__Internal__Execute *m)
{
    m->word_frequencies = arena_new_array(a, w->word_count, uint64_t);
    for (size_t i = 0; i < w->word_count && m->word_frequencies; i++)
        m->word_frequencies[i] = w->words[i].frequency;
    m->n_word_frequencies = w->word_count;
    return m->word_frequencies;
}

static bool pack_counts(struct arena *a, const struct weighed *w, Mayfly__Internal__Execute *m)
{
    m->word_terms = arena_new_array(a, w->word_count, uint32_t);
    for (size_t i = 0; i < w->word_count && m->word_terms; i++)
        m->word_terms[i] = (uint32_t)w->words[i].count;
    m->n_word_terms = w->word_count;
    return m->word_terms;
}

static bool terms_are_keys(const struct search *s)
{
    if (!s->composed || !s->keys)
        return false;
    for (size_t i = 0; i < s->weights.word_count; i++) {
        const struct weighted_word *w = &s->weights.words[i];
        if (w->count != 1 || !str_equal(w->terms[0].term, s->keys[i]))
            return false;
    }
    return true;
}

static bool pack_keys(struct search *s, Mayfly__Internal__Execute *m)
{
    if (!s->composed || !s->keys)
        return true;
    m->n_key_lengths = s->weights.word_count;
    m->last_is_prefix = s->last_is_prefix;
    return pack_strings(s->arena, s->keys, s->weights.word_count, &m->keys, &m->key_lengths);
}

int search_pack(struct search *s)
{
    Mayfly__Internal__Execute *m = arena_new(s->arena, Mayfly__Internal__Execute);
    if (!m)
        return ERR_FULL;
    mayfly__internal__execute__init(m);
    m->documents = s->weights.documents;
    m->total_length = s->weights.total_length;
    m->terms_are_keys = terms_are_keys(s);
    if (!pack_frequencies(s->arena, &s->weights, m) || !pack_terms(s->arena, &s->weights, m))
        return ERR_FULL;
    if (m->terms_are_keys)
        m->last_is_prefix = s->last_is_prefix;
    else if (!pack_counts(s->arena, &s->weights, m) || !pack_keys(s, m))
        return ERR_FULL;
    s->packed = m;
    return 0;
}
