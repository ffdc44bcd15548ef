/* A search made of words that are known (words_cache.h): its weights without a first round; and what a first round leaves
 * for others. */
#include "coordinator/scatter_state.h"

#include <string.h>

#include "coordinator/query_tokens.h"

enum { WORDS_MOST = 128 }; /* of a search that is put together */

struct composed_word {
    const struct known_word *known;
    uint32_t times;
};

/* A search's words, in the order of the query. */
struct composition {
    struct composed_word words[WORDS_MOST];
    size_t count;
};

static struct word_token token_of(const struct search *s, const struct query_tokens *tokens, size_t which)
{
    const Mayfly__Search *r = s->request;
    return (struct word_token){.text = tokens->list[which],
                               .plain = r->plain_words,
                               .no_typos = r->no_typos,
                               .prefix = !r->no_prefix && tokens->open_end && which + 1 == tokens->count};
}

/* -------------------------------------------------------------------------------------------------- putting together */

static struct composed_word *find_word(struct composition *m, struct str key)
{
    for (size_t i = 0; i < m->count; i++)
        if (str_equal(m->words[i].known->key, key))
            return &m->words[i];
    return NULL;
}

/* A prefix is a word of its own beside an equal one, but whether the last word is one, or another behind it that is left
 * out, is not known here: false. */
static bool add_token(struct composition *m, const struct known_token *t, bool has_prefix)
{
    for (size_t i = 0; i < t->count; i++) {
        struct composed_word *same = find_word(m, t->words[i].key);
        if (same && has_prefix && i + 1 == t->count)
            return false;
        if (same)
            same->times++;
        else if (m->count < WORDS_MOST)
            m->words[m->count++] = (struct composed_word){&t->words[i], 1};
        else
            return false;
    }
    return t->count > 0 || !has_prefix; /* else the prefix would be another token's */
}

static bool compose(struct search *s, const struct collection *of, const struct query_tokens *tokens,
                    struct composition *out)
{
    out->count = 0;
    for (size_t i = 0; i < tokens->count; i++) {
        struct word_token token = token_of(s, tokens, i);
        const struct known_token *known = words_find(s->server->words, of, token);
        s->last_is_prefix = token.prefix;
        if (!known || !add_token(out, known, token.prefix))
            return false;
    }
    return out->count > 0;
}

/* The terms' bytes stay the cache's: search_pack comes before anything is kept there. */
static bool weigh_word(struct search *s, const struct composed_word *w, struct weighted_word *out)
{
    *out = w->known->terms;
    out->terms = arena_new_array(s->arena, out->count, struct weighted_term);
    if (!out->terms)
        return false;
    for (size_t i = 0; i < out->count; i++) {
        out->terms[i] = w->known->terms.terms[i];
        out->terms[i].weight = select_weight(&out->terms[i], w->times, s->weights.documents);
    }
    return true;
}

/* With their keys, where none is repeated, nobody has to look at the text again. */
static bool note_keys(struct search *s, const struct composition *m)
{
    struct str *keys = arena_new_array(s->arena, m->count, struct str);
    s->keys = keys;
    for (size_t i = 0; i < m->count && keys; i++) {
        keys[i] = m->words[i].known->key;
        if (m->words[i].times > 1)
            s->keys = NULL;
    }
    return keys != NULL;
}

static bool copy_words(struct search *s, const struct collection *of, const struct composition *m)
{
    uint64_t *copy = arena_new_array(s->arena, s->count, uint64_t);
    struct weighted_word *words = arena_new_array(s->arena, m->count, struct weighted_word);
    if (!copy || !words)
        return false;
    memcpy(copy, of->generations, s->count * sizeof *copy);
    s->weights = (struct weighed){of->documents, of->total_length, words, m->count, copy};
    for (size_t i = 0; i < m->count; i++)
        if (!weigh_word(s, &m->words[i], &words[i]))
            return false;
    return note_keys(s, m);
}

bool search_knows_words(struct search *s)
{
    struct query_tokens tokens;
    struct composition m;
    const struct collection *of = words_collection(s->server->words, s->index);
    s->composed = of && query_tokens_cut(s->request->query, s->request->plain_words, &tokens) &&
                  compose(s, of, &tokens, &m) && copy_words(s, of, &m);
    if (s->composed)
        words_count_hit(s->server->words);
    return s->composed;
}

void search_forget_words(struct search *s)
{
    if (s->composed)
        words_forget(s->server->words, s->index, s->weights.generations);
    s->composed = false;
}

/* ----------------------------------------------------------------------------------------------------------- keeping */

/* What each token adds, as all shards have said. */
static bool tokens_fit(const struct search *s, const struct query_tokens *tokens, const Mayfly__Internal__Prepared *p)
{
    size_t words = 0;
    for (size_t i = 0; i < p->n_token_words; i++)
        words += p->token_words[i];
    return p->n_token_words == tokens->count && words == s->weights.word_count;
}

bool search_keep_words(struct search *s, const struct known_word *words)
{
    struct query_tokens tokens;
    const Mayfly__Internal__Prepared *p = s->parts[0].statistics;
    if (!p->n_token_words || !query_tokens_cut(s->request->query, s->request->plain_words, &tokens) ||
        !tokens_fit(s, &tokens, p))
        return false;
    struct collection counted = {s->weights.documents, s->weights.total_length, s->weights.generations};
    const struct collection *of = words_counted(s->server->words, s->index, &counted);
    for (size_t i = 0; of && i < tokens.count; i++) {
        words_keep(s->server->words, of, token_of(s, &tokens, i), (struct known_token){words, p->token_words[i]});
        words += p->token_words[i];
    }
    return true;
}
