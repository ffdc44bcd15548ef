/* Round 1: what the words of a query stand for in this shard; and, where nobody has a word, what may be meant. */
#include "shard/search.h"

#include <string.h>

#include "common/err.h"
#include "shard/hold.h"
#include "shard/search_round.h"

static struct query_word *new_words(struct search *s)
{
    struct query_word *words = arena_new_array(s->out->arena, query_words(s->query), struct query_word);
    if (!words)
        search_fail(s, ERR_FULL);
    return words;
}

static Mayfly__Internal__Candidate **candidate_messages(struct arena *a, const struct query_word *word)
{
    Mayfly__Internal__Candidate **list = arena_array(a, word->candidate_count, sizeof *list);
    Mayfly__Internal__Candidate *messages = arena_array(a, word->candidate_count, sizeof *messages);
    if (!list || !messages)
        return NULL;
    for (size_t i = 0; i < word->candidate_count; i++) {
        mayfly__internal__candidate__init(&messages[i]);
        messages[i].term = message_data(word->candidates[i].key);
        messages[i].distance = word->candidates[i].distance;
        messages[i].edits = word->candidates[i].edits;
        messages[i].frequency = word->candidates[i].frequency;
        list[i] = &messages[i];
    }
    return list;
}

static Mayfly__Internal__Word *word_message(struct arena *a, const struct query_word *word)
{
    Mayfly__Internal__Word *m = arena_new(a, Mayfly__Internal__Word);
    if (!m)
        return NULL;
    mayfly__internal__word__init(m);
    m->count = word->count;
    m->misspelt = word->misspelt;
    if (!word->candidate_count || word->candidates[0].distance || word->candidates[0].edits)
        m->key = message_data(word->key);
    m->n_candidates = word->candidate_count;
    m->candidates = candidate_messages(a, word);
    return m->candidates ? m : NULL;
}

/* ------------------------------------------------------------------------------------------------------------- Prepare
 */

static bool fill_token_words(struct arena *a, const struct query *q, Mayfly__Internal__Prepared *m)
{
    size_t count;
    const uint32_t *token_words = query_token_words(q, &count);
    m->token_words = arena_new_array(a, count, uint32_t);
    if (!m->token_words)
        return false;
    if (count)
        memcpy(m->token_words, token_words, count * sizeof *token_words);
    m->n_token_words = count;
    return true;
}

static Mayfly__Internal__Prepared *prepared_message(struct search *s, const struct query_word *words)
{
    struct arena *a = s->out->arena;
    size_t count = query_words(s->query);
    Mayfly__Internal__Prepared *m = arena_new(a, Mayfly__Internal__Prepared);
    Mayfly__Internal__Word **list = arena_array(a, count, sizeof *list);
    if (!m || !list)
        return NULL;
    mayfly__internal__prepared__init(m);
    m->generation = s->snapshot->view->generation;
    m->documents = s->snapshot->view->documents;
    m->total_length = s->snapshot->view->total_length;
    m->words = list;
    for (; m->n_words < count; m->n_words++) {
        list[m->n_words] = word_message(a, &words[m->n_words]);
        if (!list[m->n_words])
            return NULL;
    }
    return fill_token_words(a, s->query, m) ? m : NULL;
}

static bool prepare(struct search *s, Mayfly__Internal__Prepared **out)
{
    struct query_fault fault = {0};
    struct query_word *words = new_words(s);
    if (!words)
        return false;
    int err = query_prepare(s->out->arena, s->query, s->snapshot, words, &fault);
    if (err)
        return search_fail_at(s, err, &fault);
    *out = prepared_message(s, words);
    return *out || search_fail(s, ERR_FULL);
}

void search_prepare(struct shard *shard, const struct request *r, struct reply *out)
{
    const Mayfly__Internal__Prepare *m = r->envelope->prepare;
    struct search s = {.shard = shard, .out = out};
    Mayfly__Internal__Prepared *answer = NULL;
    if (search_check_text(&s, m->text) && search_set_deadline(&s, r, m->deadline_us) &&
        search_find_rules(&s, m->text) == FETCH_RULES_FOUND && search_find_newest(&s, m->text->place) &&
        search_parse(&s, m->text) && prepare(&s, &answer) && search_keep(&s, r->id))
        reply_prepared(out, answer);
}

/* --------------------------------------------------------------------------------------------------------------- Guess
 */

static bool guess_word(struct search *s, struct query_word *words, uint32_t which, Mayfly__Internal__Word **out)
{
    struct query_fault fault = {0};
    if (which >= query_words(s->query)) {
        reply_fail(s->out, CODE_INTERNAL, "word %u is to be guessed, the query has %zu", which, query_words(s->query));
        return false;
    }
    int err = query_guess(s->out->arena, s->query, s->snapshot, words, which, &fault);
    if (err)
        return search_fail_at(s, err, &fault);
    *out = word_message(s->out->arena, &words[which]);
    return *out || search_fail(s, ERR_FULL);
}

static bool guess(struct search *s, const Mayfly__Internal__Guess *m, Mayfly__Internal__Guessed **out)
{
    struct arena *a = s->out->arena;
    struct query_word *words = new_words(s);
    Mayfly__Internal__Guessed *answer = arena_new(a, Mayfly__Internal__Guessed);
    Mayfly__Internal__Word **list = arena_array(a, m->n_words, sizeof *list);
    if (!words || !answer || !list)
        return search_fail(s, ERR_FULL);
    mayfly__internal__guessed__init(answer);
    answer->words = list;
    for (; answer->n_words < m->n_words; answer->n_words++) {
        if (!guess_word(s, words, m->words[answer->n_words], &list[answer->n_words]))
            return false;
    }
    *out = answer;
    return true;
}

void search_guess(struct shard *shard, const struct request *r, struct reply *out)
{
    const Mayfly__Internal__Guess *m = r->envelope->guess;
    struct search s = {.shard = shard, .out = out};
    Mayfly__Internal__Guessed *answer = NULL;
    if (!search_check_text(&s, m->text))
        return;
    /* Read before anything may fail: then the message is gone. */
    uint64_t holder = m->prepared_by ? m->prepared_by : r->id;
    enum fetch_rules rules = search_find_rules(&s, m->text);
    if (rules == FETCH_RULES_WANTED)
        return; /* it comes again: what is held stays */
    if (rules == FETCH_RULES_FOUND && search_set_deadline(&s, r, m->deadline_us) &&
        search_find_generation(&s, m->text->place, m->prepared_by, m->generation) && search_parse(&s, m->text) &&
        guess(&s, m, &answer) && search_keep(&s, holder))
        reply_guessed(out, answer);
    else
        holds_drop(shard->holds, holder);
}
