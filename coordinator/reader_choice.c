#include "coordinator/reader_choice.h"

uint32_t readers_at_once(uint32_t processors, uint32_t shards, uint32_t readers)
{
    uint32_t each = processors / (shards ? shards : 1);
    return each < 1 ? 1 : each < readers ? each : readers;
}

static bool is_held_up(const struct reader_load *l, uint64_t now_us)
{
    return l->in_flight > 0 && now_us > l->moved_us + READER_HELD_UP_US;
}

/* What weighs most stands first: who has not answered of late gets nothing new as long as there is another. */
static uint64_t burden(const struct reader_load *l, bool stands_by, uint64_t now_us)
{
    return (uint64_t)l->silent << 63 | (uint64_t)is_held_up(l, now_us) << 62 |
           ((uint64_t)l->in_flight + (stands_by ? READER_AHEAD : 0));
}

int reader_choose(const struct reader_load *of, const struct reader_places *p, uint64_t now_us)
{
    int best = -1;
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < p->count; i++) {
        bool stands_by = i >= p->at_once;
        uint32_t which = (p->first + (stands_by ? i : (p->turn + i) % p->at_once)) % p->count;
        uint64_t its = burden(&of[which], stands_by, now_us);
        if (of[which].ready && its < least) {
            least = its;
            best = (int)which;
        }
    }
    return best;
}
