/* Between the rounds: what the shards counted is added up and becomes one integer weight per term. */
#include "coordinator/scatter_state.h"

#include "common/err.h"
#include "proto/select.h"

static int weigh_word(struct search *s, size_t word, Mayfly__Internal__Weighted *out)
{
    size_t total = 0, used = 0;
    uint32_t qtf = 1;
    for (uint32_t i = 0; i < s->count; i++)
        if (search_counts(&s->parts[i]))
            total += s->parts[i].statistics->words[word]->n_candidates;
    struct candidate *candidates = arena_new_array(s->arena, total, struct candidate);
    if (!candidates)
        return ERR_FULL;
    for (uint32_t i = 0; i < s->count; i++) {
        if (!search_counts(&s->parts[i]))
            continue;
        const Mayfly__Internal__Word *w = s->parts[i].statistics->words[word];
        qtf = w->count;
        for (size_t k = 0; k < w->n_candidates; k++) {
            const Mayfly__Internal__Candidate *c = w->candidates[k];
            candidates[used++] = (struct candidate){message_bytes(c->term), c->distance, c->edits, c->frequency};
        }
    }
    struct weighted_word weighted;
    int err = select_terms(s->arena, candidates, used, qtf, s->documents, &weighted);
    if (err)
        return err;
    out->frequency = weighted.frequency;
    out->terms = arena_new_array(s->arena, weighted.count, Mayfly__Internal__Weighted__Term *);
    Mayfly__Internal__Weighted__Term *terms =
        arena_new_array(s->arena, weighted.count, Mayfly__Internal__Weighted__Term);
    if (!out->terms || !terms)
        return ERR_FULL;
    for (; out->n_terms < weighted.count; out->n_terms++) {
        Mayfly__Internal__Weighted__Term *t = &terms[out->n_terms];
        mayfly__internal__weighted__term__init(t);
        t->term = message_data(weighted.terms[out->n_terms].term);
        t->weight = weighted.terms[out->n_terms].weight;
        out->terms[out->n_terms] = t;
    }
    return 0;
}

int search_weigh(struct search *s)
{
    bool any = false;
    s->documents = s->total_length = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        const Mayfly__Internal__Prepared *p = s->parts[i].statistics;
        if (!search_counts(&s->parts[i]))
            continue;
        s->documents += p->documents;
        s->total_length += p->total_length;
        if (any && s->word_count != p->n_words)
            return ERR_CORRUPT; /* shards of one build agree on what a text's words are */
        s->word_count = p->n_words;
        any = true;
    }
    Mayfly__Internal__Weighted *words = arena_new_array(s->arena, s->word_count, Mayfly__Internal__Weighted);
    s->words = arena_new_array(s->arena, s->word_count, Mayfly__Internal__Weighted *);
    if (!words || !s->words)
        return ERR_FULL;
    for (size_t i = 0; i < s->word_count; i++) {
        mayfly__internal__weighted__init(&words[i]);
        s->words[i] = &words[i];
        int err = weigh_word(s, i, &words[i]);
        if (err)
            return err;
    }
    return 0;
}
