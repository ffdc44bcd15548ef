/* The shards' answers, which lie in the search's own arena. */
#include "coordinator/scatter_state.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "proto/hit_numbers.h"

enum { COPIED_MOST = 64 << 10, TRIES_MOST = 3 };

/* Small ones are copied; a large buffer changes hands. */
static bool keep_body(struct part *p, struct buf *body, struct str *out)
{
    if (body->len > COPIED_MOST) {
        buf_finish(&p->body);
        p->body = *body;
        *body = (struct buf){0};
        *out = (struct str){p->body.data, p->body.len};
    } else {
        *out = arena_copy(p->search->arena, (struct str){body->data, body->len});
    }
    return out->ptr != NULL;
}

static bool take_documents(struct part *p, const uint32_t *lengths, size_t count, struct buf *body)
{
    struct str rest;
    p->documents = arena_new_array(p->search->arena, count, struct str);
    if (!p->documents || !keep_body(p, body, &rest))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (lengths[i] > rest.len)
            return false;
        p->documents[i] = (struct str){rest.ptr, lengths[i]};
        rest.ptr += lengths[i];
        rest.len -= lengths[i];
    }
    p->document_count = count;
    return true;
}

/* The next id; without a pointer: it is not there, or has no zero behind it. */
static struct str next_id(struct str *ids, uint32_t length)
{
    struct str id = {ids->ptr, length};
    if (length >= ids->len || id.ptr[length] != '\0')
        return (struct str){0};
    *ids = (struct str){ids->ptr + length + 1, ids->len - length - 1};
    return id;
}

static bool fill_hits(const struct part *p, const Mayfly__Internal__Executed *e, struct merged_hit *hits)
{
    struct str ids = message_bytes(e->ids);
    const uint64_t *n = e->hits, *end = n + e->n_hits;
    for (; n < end; n += HIT_NUMBERS, hits++) {
        *hits = (struct merged_hit){.id = next_id(&ids, hit_low(n[HIT_LENGTHS])),
                                    .score = n[HIT_SCORE],
                                    .stamp = n[HIT_STAMP],
                                    .segment = n[HIT_SEGMENT],
                                    .dropped = hit_high(n[HIT_DOCUMENT]),
                                    .document = hit_low(n[HIT_DOCUMENT]),
                                    .shard = p->shard};
        if (!hits->id.ptr)
            return false;
    }
    return true;
}

/* Those that travel with the hits. */
static bool take_their_documents(struct part *p, const Mayfly__Internal__Executed *e, struct buf *body)
{
    uint32_t *lengths = arena_new_array(p->search->arena, p->hit_count, uint32_t);
    for (size_t i = 0; i < p->hit_count && lengths; i++)
        lengths[i] = hit_high(e->hits[i * HIT_NUMBERS + HIT_LENGTHS]);
    return lengths && take_documents(p, lengths, p->hit_count, body);
}

/* The answer lies in the search's arena, and so do the hits' ids. */
static bool take_executed(struct part *p, const Mayfly__Internal__ShardEnvelope *answer, struct buf *body)
{
    const struct search *s = p->search;
    const Mayfly__Internal__Executed *e = answer->executed;
    size_t count = e->n_hits / HIT_NUMBERS;
    p->hits = arena_new_array(s->arena, count, struct merged_hit);
    if (!p->hits)
        return false;
    if (e->n_hits % HIT_NUMBERS || !fill_hits(p, e, p->hits)) {
        search_part_fail(p, CODE_INTERNAL, "the shard's hits make no sense");
        return true;
    }
    p->hit_count = count;
    p->estimated = e->estimated_total;
    p->partial = e->partial;
    return s->count > 1 || s->request->no_documents || take_their_documents(p, e, body);
}

void search_part_fail(struct part *p, const char *code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(p->message, sizeof p->message, format, arguments);
    va_end(arguments);
    snprintf(p->code, sizeof p->code, "%s", code);
    p->failed = true;
}

static void take_guessed(struct part *p, const Mayfly__Internal__Guessed *guessed)
{
    if (!search_take_guesses(p, guessed))
        search_part_fail(p, CODE_INTERNAL, "the shard guessed other words than it was asked for");
}

/* Its process has died, or can open nothing more: another reader of the shard may do. */
static void take_failed(struct part *p, const Mayfly__Internal__Failed *failed)
{
    if (strcmp(failed->code, CODE_UNAVAILABLE) == 0 && p->tries++ < TRIES_MOST)
        search_send(p);
    else
        search_part_fail(p, failed->code, "%s", failed->message);
}

/* A reader that is new, or has forgotten them. */
static void take_settings_wanted(struct part *p, const struct shard_ticket *ticket, bool told)
{
    if (told) {
        search_part_fail(p, CODE_INTERNAL, "the shard asked again for the settings that it was told");
        return;
    }
    p->wanting = *ticket;
    search_send(p);
}

void search_take(void *context, const Mayfly__Internal__ShardEnvelope *answer, struct buf *body)
{
    struct part *p = context;
    struct search *s = p->search;
    bool kept = true, told = p->wanting.request != 0;
    struct shard_ticket ticket = p->ticket, prepared = p->prepared;
    p->ticket = p->prepared = p->wanting = (struct shard_ticket){0}; /* after most answers the shard holds nothing */
    switch ((int)answer->message_case) {
    case MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_PREPARED:
        p->prepared = ticket;
        p->statistics = answer->prepared;
        break;
    case MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_GUESSED:
        p->prepared = prepared.request ? prepared : ticket;
        take_guessed(p, answer->guessed);
        break;
    case MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_EXECUTED:
        if (search_fetches(s)) /* what holds the generation for it: round 1, or this one if it was the first */
            p->prepared = prepared.request ? prepared : ticket;
        kept = take_executed(p, answer, body);
        break;
    case MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_FETCHED:
        kept = take_documents(p, answer->fetched->document_length, answer->fetched->n_document_length, body);
        break;
    case MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_MOVED:
        s->moved = true;
        break;
    case MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_SETTINGS_WANTED:
        p->prepared = prepared;
        take_settings_wanted(p, &ticket, told);
        break;
    case MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_FAILED:
        take_failed(p, answer->failed);
        break;
    default:
        search_part_fail(p, CODE_INTERNAL, "the shard gave an answer that does not fit");
    }
    if (!kept)
        search_part_fail(p, CODE_QUERY_TOO_LARGE,
                         "the answer needs more memory than a search may take; ask for fewer hits");
    if (--s->waiting == 0)
        search_round_over(s);
}
