#include "client/cli/hits.h"

static bool next_of_columns(struct hits *h, struct hit *out)
{
    const Mayfly__HitColumns *c = h->found->columns;
    struct str ids = message_bytes(c->ids);
    if (h->next >= c->n_scores || h->next >= c->n_id_lengths || c->id_lengths[h->next] > ids.len - h->ids_at)
        return false;
    *out = (struct hit){{ids.ptr + h->ids_at, c->id_lengths[h->next]}, c->scores[h->next]};
    h->ids_at += c->id_lengths[h->next++];
    return true;
}

bool hits_next(struct hits *h, struct hit *out)
{
    if (h->found->columns)
        return next_of_columns(h, out);
    if (h->next >= h->found->n_hits)
        return false;
    const Mayfly__Found__Hit *hit = h->found->hits[h->next++];
    *out = (struct hit){str_of(hit->id), hit->score};
    return true;
}
