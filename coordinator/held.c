#include "coordinator/held.h"

#include <errno.h>
#include <sys/resource.h>

#include "common/check.h"
#include "common/err.h"
#include "common/fd.h"
#include "common/logger.h"
#include "coordinator/log_room.h"
#include "coordinator/session.h"

enum { PAGE = 4096, LEAST_REGIONS = 64, LOGGING_MOST = 4 * OPLOG_GROUP };

static uint64_t budget(const struct ingest *g)
{
    return g->server->config.region_memory;
}

/* A region is a descriptor too: not more than half of those that there are. */
void held_init(struct ingest *g)
{
    struct rlimit limit;
    g->most_regions = LEAST_REGIONS;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur / 2 > LEAST_REGIONS)
        g->most_regions = limit.rlim_cur / 2;
    g->wanted_end = &g->wanted;
    g->staging.size = REGION_SIZE;
}

/* --- lists: by age */

static void take_off(struct load *l)
{
    struct load_list *list = l->list;
    if (!list)
        return;
    *(l->older ? &l->older->younger : &list->oldest) = l->younger;
    *(l->younger ? &l->younger->older : &list->youngest) = l->older;
    l->list = NULL;
    l->older = l->younger = NULL;
}

static void put_youngest(struct load_list *list, struct load *l)
{
    take_off(l);
    l->list = list;
    l->older = list->youngest;
    *(list->youngest ? &list->youngest->younger : &list->oldest) = l;
    list->youngest = l;
}

static void put_oldest(struct load_list *list, struct load *l)
{
    take_off(l);
    l->list = list;
    l->younger = list->oldest;
    *(list->oldest ? &list->oldest->older : &list->youngest) = l;
    list->oldest = l;
}

/* --- backlog: it moves, or will */

static bool is_standing(const struct load *l)
{
    return l->bundle.stream->damaged;
}

static bool has_moving(const struct load_list *list)
{
    const struct load *l = list->oldest;
    while (l && is_standing(l))
        l = l->younger;
    return l != NULL;
}

bool held_has_backlog(const struct ingest *g)
{
    return has_moving(&g->held) || has_moving(&g->dropped);
}

/* --- counting */

static bool is_above(const struct ingest *g, uint64_t bytes, size_t regions)
{
    return g->bytes + g->staged + staging_spare_bytes(&g->staging) > bytes || g->regions > regions;
}

static bool is_too_much(const struct ingest *g)
{
    return is_above(g, budget(g) / 8 * 7, g->most_regions);
}

/* While the log cannot be written who writes is told so, and does not wait. */
static bool log_is_behind(const struct ingest *g)
{
    return g->logging_bytes > LOGGING_MOST && oplog_is_hurried(g->server->log) && !oplog_usable(g->server->log);
}

static void count(struct load *l, uint64_t bytes)
{
    struct ingest *g = l->ingest;
    uint64_t pages = (bytes + PAGE - 1) / PAGE * PAGE;
    g->bytes += pages - l->held;
    g->unlogged += l->logged ? 0 : pages - l->held;
    g->regions += (pages != 0);
    g->regions -= (l->held != 0);
    l->held = pages;
}

void held_opened(struct load *l)
{
    count(l, BATCH_HEADER);
    l->ingest->full |= is_too_much(l->ingest);
}

void held_grown(struct load *l, size_t used)
{
    if (used > l->held)
        count(l, used);
    l->ingest->full |= is_too_much(l->ingest);
}

void held_made(struct load *l)
{
    l->ingest->staged += l->staged ? l->held : 0;
}

static void give_staging_back(struct load *l)
{
    if (l->staged)
        staging_give(&l->ingest->staging, l->base);
    l->staged = false;
    l->base = NULL;
}

void held_logged(struct load *l)
{
    struct ingest *g = l->ingest;
    g->staged -= l->staged ? l->held : 0;
    give_staging_back(l);
    if (!held_has_backlog(g))
        log_room_progressed(g);
    g->unlogged -= l->held;
    l->logged = true;
    g->backlog.applied *= g->backlog.waiting != 0;
    g->backlog.waiting++;
    count(l, BATCH_HEADER + l->bundle.bytes);
    put_youngest(&g->held, l);
}

void held_closed(struct load *l)
{
    give_staging_back(l);
    region_close(&l->bundle.region);
    count(l, 0);
    take_off(l);
}

/* --- dropping */

static void drop(struct load *l)
{
    held_closed(l);
    put_youngest(&l->ingest->dropped, l);
}

static bool is_large(const struct load *l)
{
    return !l->bundle.small;
}

static bool is_any(const struct load *l)
{
    (void)l;
    return true;
}

static void drop_to(struct ingest *g, uint64_t bytes, size_t regions)
{
    static bool (*const turns[])(const struct load *) = {is_standing, is_large, is_any};
    for (size_t turn = 0; turn < sizeof turns / sizeof turns[0]; turn++) {
        struct load *older;
        for (struct load *l = g->held.youngest; l && is_above(g, bytes, regions); l = older) {
            older = l->older;
            if (l->bundle.state == BUNDLE_QUEUED && turns[turn](l))
                drop(l);
        }
    }
}

/* --- clients wait */

static bool log_is_above(const struct ingest *g, uint64_t share)
{
    return oplog_bytes(g->server->log) > share && has_moving(&g->dropped);
}

static void wait_or_go_on(struct ingest *g)
{
    uint64_t most = budget(g), quota = g->server->config.log_quota;
    if (!g->full) {
        g->full = is_too_much(g) || log_is_above(g, quota / 2) || log_is_behind(g);
    } else if (!is_above(g, most / 4 * 3, g->most_regions / 4 * 3) && !log_is_above(g, quota / 16 * 7) &&
               !log_is_behind(g)) {
        g->full = false;
        sessions_resume_writers(g->server->sessions);
    }
    if (log_room_has_come(g))
        sessions_resume_writers(g->server->sessions);
}

/* --- reading again */

static void end_reading(struct load *l)
{
    l->ingest->reading--;
    jobs_fetched(l->ingest->server->jobs, &l->bundle);
}

static void on_read(void *context, int64_t bytes, uint64_t lost)
{
    struct load *l = context;
    struct bundle *b = &l->bundle;
    struct ingest *g = l->ingest;
    if (bytes < 0) {
        log_error("the log cannot be read, trying again index=%s shard=%u: %s", b->stream->index->name, b->stream->shard,
                  err_str((int)bytes));
        held_closed(l);
        put_oldest(&g->dropped, l);
    } else {
        if (lost && !b->stream->index->dropped)
            log_error("operations are lost: the log was damaged since index=%s shard=%u of=%llu to=%llu lost=%llu task=%llu",
                      b->stream->index->name, b->stream->shard, (unsigned long long)b->first,
                      (unsigned long long)b->end, (unsigned long long)lost, (unsigned long long)b->task);
        b->bytes = (uint64_t)bytes;
        require(ingest_end(l) == 0); /* our own memory: nothing but a bug fails here */
        count(l, BATCH_HEADER + b->bytes);
        put_oldest(&g->held, l);
    }
    end_reading(l);
}

static int start_reading(struct load *l)
{
    struct bundle *b = &l->bundle;
    int err = b->stream->index->dropped ? ERR_CLOSED : region_open(&b->region, "mayfly-batch", BATCH_HEADER + b->bytes);
    if (err)
        return err;
    const struct oplog_reading what = {.stream = {b->stream->index->number, b->stream->numbering, b->stream->shard},
                                       .numbers = {b->first, b->end},
                                       .to = b->region.base + BATCH_HEADER,
                                       .room = b->bytes,
                                       .done = on_read,
                                       .context = l};
    count(l, BATCH_HEADER + b->bytes);
    return oplog_read(l->ingest->server->log, &what);
}

/* There is always room if nothing is running that could make some. */
static bool has_room(struct ingest *g, const struct load *l)
{
    uint64_t needed = BATCH_HEADER + l->bundle.bytes + PAGE, most = budget(g);
    uint64_t rest = most > needed ? most - needed : 0;
    drop_to(g, rest, g->most_regions - 1);
    return !is_above(g, rest, g->most_regions - 1) || (g->reading == 0 && jobs_running(g->server->jobs) == 0);
}

static void read_wanted(struct ingest *g)
{
    while (g->wanted && has_room(g, g->wanted)) {
        struct load *l = g->wanted;
        g->wanted = l->next_wanted;
        if (!g->wanted)
            g->wanted_end = &g->wanted;
        g->reading++;
        if (start_reading(l) == 0)
            continue;
        held_closed(l);
        put_oldest(&g->dropped, l);
        end_reading(l);
    }
}

void held_want(struct bundle *b, void *load)
{
    struct load *l = load;
    struct ingest *g = l->ingest;
    require(b->region.fd < 0);
    l->next_wanted = NULL;
    *g->wanted_end = l;
    g->wanted_end = &l->next_wanted;
}

/* --- each turn */

void held_check(struct ingest *g)
{
    if (is_above(g, budget(g) / 4 * 3, g->most_regions / 4 * 3))
        drop_to(g, budget(g) / 2, g->most_regions / 2);
    read_wanted(g);
    wait_or_go_on(g);
}

/* Documents that are being received, by themselves, hold up everybody, each other too: the shortest go. */
static void refuse_halves(struct ingest *g)
{
    for (;;) {
        uint64_t sum = 0;
        struct intake *shortest = NULL;
        for (struct intake *i = g->intakes; i; i = i->next) {
            if (!i->into)
                continue;
            sum += i->body_have;
            if (!shortest || i->body_have < shortest->body_have)
                shortest = i;
        }
        if (sum <= budget(g) / 4 * 3)
            return;
        intake_refuse_half(shortest, "too many large documents are being received at once; try again later");
    }
}

void held_tick(struct ingest *g)
{
    staging_tick(&g->staging);
    if (g->full)
        refuse_halves(g);
    held_check(g);
}
