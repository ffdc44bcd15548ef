/* A search's hits as the columns of its answer. */
#include "coordinator/scatter_state.h"

#include <string.h>

static bool fill_ids(const struct search *s, Mayfly__HitColumns *m)
{
    size_t size = 0;
    m->id_lengths = arena_alloc_unset(s->arena, s->hit_count * sizeof *m->id_lengths);
    if (!m->id_lengths)
        return false;
    for (size_t i = 0; i < s->hit_count; i++) {
        m->id_lengths[i] = (uint32_t)s->hits[i].id.len;
        size += s->hits[i].id.len;
    }
    char *bytes = arena_alloc_unset(s->arena, size);
    if (!bytes)
        return false;
    m->ids = message_data((struct str){bytes, size});
    for (size_t i = 0; i < s->hit_count; bytes += s->hits[i++].id.len)
        memcpy(bytes, s->hits[i].id.ptr, s->hits[i].id.len);
    m->n_id_lengths = s->hit_count;
    return true;
}

static bool fill_numbers(const struct search *s, Mayfly__HitColumns *m)
{
    bool any_dropped = false;
    m->scores = arena_alloc_unset(s->arena, s->hit_count * sizeof *m->scores);
    m->stamps = arena_alloc_unset(s->arena, s->hit_count * sizeof *m->stamps);
    m->dropped = arena_alloc_unset(s->arena, s->hit_count * sizeof *m->dropped);
    if (!m->scores || !m->stamps || !m->dropped)
        return false;
    for (size_t i = 0; i < s->hit_count; i++) {
        m->scores[i] = s->hits[i].score;
        m->stamps[i] = s->hits[i].stamp;
        m->dropped[i] = s->hits[i].dropped;
        any_dropped |= s->hits[i].dropped > 0;
    }
    m->n_scores = m->n_stamps = s->hit_count;
    m->n_dropped = any_dropped ? s->hit_count : 0;
    return true;
}

static bool fill_lengths(const struct search *s, const struct str *documents, Mayfly__HitColumns *m)
{
    if (s->request->no_documents)
        return true;
    m->document_lengths = arena_alloc_unset(s->arena, s->hit_count * sizeof *m->document_lengths);
    if (!m->document_lengths)
        return false;
    for (size_t i = 0; i < s->hit_count; i++)
        m->document_lengths[i] = (uint32_t)documents[i].len;
    m->n_document_lengths = s->hit_count;
    return true;
}

bool search_fill_columns(struct search *s, Mayfly__Found *found, const struct str *documents)
{
    Mayfly__HitColumns *m = arena_new(s->arena, Mayfly__HitColumns);
    if (!m)
        return false;
    mayfly__hit_columns__init(m);
    found->columns = m;
    return fill_ids(s, m) && fill_numbers(s, m) && fill_lengths(s, documents, m);
}
