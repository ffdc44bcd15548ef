#include "shard/holdings.h"

#include <assert.h>
#include <unistd.h>

#include "common/err.h"
#include "common/hash.h"
#include "common/process_memory.h"
#include "proto/memory_figures.h"
#include "shard/places.h"

struct held { /* without holes: lists of them are compared by their bytes */
    uint32_t index, edition;
    uint64_t segments, mapped, heap;
};
static_assert(sizeof(struct held) == 32, "no holes");

struct listing {
    struct arena *arena;
    struct held *list; /* NULL: the arena has no more room */
    size_t count;
    struct index_figures total;
};

static void add(void *context, const struct open_place *place)
{
    struct listing *l = context;
    struct footprint f = {0};
    if (place->snapshot)
        snapshot_footprint(place->snapshot, &f);
    uint64_t segments = place->snapshot ? place->snapshot->segment_count : 0, heap = f.heap + PLACE_HEAP;
    l->total.open++;
    l->total.segments += segments;
    l->total.mapped += f.mapped;
    l->total.heap += heap;
    l->list = arena_grow(l->arena, l->list, l->count * sizeof *l->list, (l->count + 1) * sizeof *l->list);
    if (l->list)
        l->list[l->count++] = (struct held){place->index, place->edition, segments, f.mapped, heap};
}

static void append_frame(struct arena *arena, const struct listing *l, struct buf *out)
{
    Mayfly__Internal__Holdings message = MAYFLY__INTERNAL__HOLDINGS__INIT;
    Mayfly__Internal__ShardEnvelope envelope = MAYFLY__INTERNAL__SHARD_ENVELOPE__INIT;
    message.holdings = message_list(arena, &mayfly__internal__holdings__holding__descriptor, l->count);
    if (!message.holdings)
        return;
    for (; message.n_holdings < l->count; message.n_holdings++) {
        const struct held *from = &l->list[message.n_holdings];
        Mayfly__Internal__Holdings__Holding *to = message.holdings[message.n_holdings];
        to->index = from->index;
        to->edition = from->edition;
        to->segments = from->segments;
        to->mapped = from->mapped;
        to->heap = from->heap;
    }
    envelope.message_case = MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_HOLDINGS;
    envelope.holdings = &message;
    message_frame(out, &envelope.base, (struct str){0});
}

void holdings_tell(struct shard *s, struct buf *out)
{
    struct listing l = {.arena = &s->arena};
    places_visit(s->places, add, &l);
    memory_figures_write(s->words)->indexes = l.total;
    uint64_t hash = l.count ? hash64((struct str){(const char *)l.list, l.count * sizeof *l.list}) : 0;
    if (l.count == l.total.open && hash != s->told) {
        append_frame(&s->arena, &l, out);
        s->told = hash;
    }
    arena_reset(&s->arena, ARENA_KEEP);
}

/* ---------------------------------------------------------------------------------------------------------------- Trim
 */

/* On a file system in memory they count as shared memory, of which a shard has a few pages otherwise. */
static uint64_t resident_files(void)
{
    struct process_memory memory;
    process_memory_read(getpid(), &memory);
    return memory.rss_file + memory.rss_shmem;
}

static void trim(void *context, const struct open_place *place)
{
    const Mayfly__Internal__Trim *m = context;
    if (!m->all && (place->index != m->index || place->edition != m->edition))
        return;
    if (place->snapshot)
        snapshot_trim(place->snapshot);
}

void holdings_trim(struct shard *s, const struct request *r, struct reply *out)
{
    Mayfly__Internal__Trimmed *answer = arena_new(out->arena, Mayfly__Internal__Trimmed);
    if (!answer) {
        reply_fail_query(out, ERR_FULL);
        return;
    }
    mayfly__internal__trimmed__init(answer);
    answer->before = resident_files();
    places_visit(s->places, trim, r->envelope->trim);
    answer->after = resident_files();
    reply_trimmed(out, answer);
}
