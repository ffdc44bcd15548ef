/* Between the rounds: which words are misspelt; and what the shards counted is added up and becomes one integer weight per
 * term. */
#include "coordinator/scatter_state.h"

#include "common/err.h"
#include "proto/select.h"

static size_t count_candidates(const struct search *s, size_t word)
{
    size_t total = 0;
    for (uint32_t i = 0; i < s->count; i++)
        if (search_counts(&s->parts[i]))
            total += s->parts[i].statistics->words[word]->n_candidates;
    return total;
}

/* A shard that has the word itself has it as the first candidate, any other says what it is. */
static struct str key_of(const Mayfly__Internal__Word *w)
{
    return w->key.len || !w->n_candidates ? message_bytes(w->key) : message_bytes(w->candidates[0]->term);
}

static int weigh_word(struct search *s, size_t word, struct known_word *out)
{
    size_t used = 0;
    uint32_t qtf = 1;
    struct candidate *candidates = arena_new_array(s->arena, count_candidates(s, word), struct candidate);
    if (!candidates)
        return ERR_FULL;
    for (uint32_t i = 0; i < s->count; i++) {
        if (!search_counts(&s->parts[i]))
            continue;
        const Mayfly__Internal__Word *w = s->parts[i].statistics->words[word];
        qtf = w->count;
        out->key = key_of(w);
        for (size_t k = 0; k < w->n_candidates; k++) {
            const Mayfly__Internal__Candidate *c = w->candidates[k];
            candidates[used++] = (struct candidate){message_bytes(c->term), c->distance, c->edits, c->frequency};
        }
    }
    return select_terms(s->arena, candidates, used, qtf, s->weights.documents, &out->terms);
}

/* ----------------------------------------------------------------------------------------------------- misspelt words
 */

/* Shards of one build agree on what a text's words are. */
static int count_words(const struct search *s, size_t *out)
{
    bool any = false;
    *out = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        if (!search_counts(&s->parts[i]))
            continue;
        if (any && s->parts[i].statistics->n_words != *out)
            return ERR_CORRUPT;
        *out = s->parts[i].statistics->n_words;
        any = true;
    }
    return 0;
}

static bool nobody_has(const struct search *s, size_t word)
{
    bool misspelt = false;
    for (uint32_t i = 0; i < s->count; i++) {
        if (!search_counts(&s->parts[i]))
            continue;
        misspelt = s->parts[i].statistics->words[word]->misspelt;
        if (!misspelt)
            return false;
    }
    return misspelt;
}

int search_find_misspelt(struct search *s)
{
    size_t words;
    int err = count_words(s, &words);
    s->misspelt_count = 0;
    for (size_t i = 0; i < words && !err; i++) {
        if (!nobody_has(s, i))
            continue;
        if (s->misspelt_count == 0)
            s->misspelt = arena_new_array(s->arena, words, uint32_t);
        if (!s->misspelt)
            return ERR_FULL;
        s->misspelt[s->misspelt_count++] = (uint32_t)i;
    }
    return err;
}

bool search_take_guesses(struct part *p, const Mayfly__Internal__Guessed *guessed)
{
    const struct search *s = p->search;
    if (guessed->n_words != s->misspelt_count || !p->statistics)
        return false;
    for (size_t i = 0; i < guessed->n_words; i++) {
        guessed->words[i]->count = p->statistics->words[s->misspelt[i]]->count;
        p->statistics->words[s->misspelt[i]] = guessed->words[i];
    }
    return true;
}

/* ------------------------------------------------------------------------------------------------------------- weights
 */

static void add_up(struct search *s)
{
    struct weighed *w = &s->weights;
    *w = (struct weighed){0};
    for (uint32_t i = 0; i < s->count; i++) {
        const Mayfly__Internal__Prepared *p = s->parts[i].statistics;
        if (!search_counts(&s->parts[i]))
            continue;
        w->documents += p->documents;
        w->total_length += p->total_length;
        w->word_count = p->n_words;
    }
}

static int weigh_words(struct search *s, struct known_word **out)
{
    struct weighed *w = &s->weights;
    struct known_word *known = arena_new_array(s->arena, w->word_count, struct known_word);
    struct weighted_word *words = arena_new_array(s->arena, w->word_count, struct weighted_word);
    int err = words && known ? 0 : ERR_FULL;
    for (size_t i = 0; i < w->word_count && !err; i++) {
        err = weigh_word(s, i, &known[i]);
        words[i] = known[i].terms;
    }
    w->words = words;
    *out = known;
    return err;
}

/* Of a shard that did not answer nothing was counted: 0, which is not kept, nor looked at, since it gets no second
 * round. */
static int note_generations(struct search *s, bool *out_all)
{
    uint64_t *generations = arena_new_array(s->arena, s->count, uint64_t);
    if (!generations)
        return ERR_FULL;
    *out_all = true;
    for (uint32_t i = 0; i < s->count; i++) {
        bool counts = search_counts(&s->parts[i]);
        generations[i] = counts ? s->parts[i].statistics->generation : 0;
        *out_all = *out_all && counts;
    }
    s->weights.generations = generations;
    return 0;
}

int search_weigh(struct search *s)
{
    struct known_word *known;
    bool all = false;
    add_up(s);
    int err = weigh_words(s, &known);
    if (!err)
        err = note_generations(s, &all);
    if (!err && all && s->edition == s->index->edition && s->settings_id == s->index->settings_id &&
        !search_keep_words(s, known))
        weights_keep(s->server->weights, s->index, s->request, &s->weights);
    return err;
}

bool search_remembers_weights(struct search *s)
{
    s->settings_id = s->index->settings_id;
    if (s->counts)
        return false;
    if (search_knows_words(s))
        return true;
    s->weighed = weights_find(s->server->weights, s->index, s->request);
    if (s->weighed)
        s->weights = *s->weighed;
    return s->weighed != NULL;
}

void search_forget_weights(struct search *s)
{
    search_forget_words(s);
    if (s->weighed)
        weights_forget(s->server->weights, s->weighed);
}

void search_release_weights(struct search *s)
{
    if (s->weighed)
        weights_release(s->server->weights, s->weighed);
    s->weighed = NULL;
}
