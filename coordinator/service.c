#include "coordinator/service.h"

#include <string.h>

#include "coordinator/notify.h"
#include "coordinator/pulse.h"
#include "coordinator/server.h"
#include "coordinator/shards_start.h"

enum {
    LOOK_MS = 1000,
    STUCK_MS = 60000,  /* a start without progress for so long is not given more time */
    EXTEND_MS = 30000, /* given at a time */
    EXTEND_EVERY_MS = 5000,
};

static bool is_any_stuck(const struct server *s)
{
    bool stuck = pulse_is_stuck(&s->nursery.child);
    for (uint32_t i = 0; i < s->shards->count && !stuck; i++)
        stuck = pulse_is_stuck(&s->shards->readers[i].child);
    return stuck;
}

/* While it starts, nobody expects anything; while it stops, EXTEND_TIMEOUT_USEC is what limits it. */
static bool is_alive(const struct server *s)
{
    return s->state != SERVER_READY ||
           (s->nursery.child.state == CHILD_READY && shards_all_ready(s->shards) && !is_any_stuck(s));
}

static void feed(struct service *v, uint64_t now)
{
    if (!v->watchdog_ms || now < v->fed_at + v->watchdog_ms / 3 || !is_alive(v->server))
        return;
    v->fed_at = now;
    notify_send("WATCHDOG=1");
}

/* The systemd of a start that moves waits on; it gives up on one that is stuck. */
static void ask_for_time(struct service *v, uint64_t now)
{
    uint64_t progress = status_progress(v->server);
    if (progress != v->progress)
        v->moved_at = now;
    v->progress = progress;
    if (v->server->state != SERVER_STARTING || now >= v->moved_at + STUCK_MS || now < v->asked_at + EXTEND_EVERY_MS)
        return;
    v->asked_at = now;
    notify_send("EXTEND_TIMEOUT_USEC=%llu", (unsigned long long)EXTEND_MS * 1000);
}

static void tell(struct service *v, uint64_t now)
{
    char text[STATUS_SIZE];
    uint64_t bytes = status_applied_bytes(v->server), passed = now - v->looked_at;
    if (passed >= LOOK_MS) { /* a shorter time gives no rate */
        v->rate = (bytes - v->applied_bytes) * 1000 / passed;
        v->applied_bytes = bytes;
        v->looked_at = now;
    }
    status_text(v->server, v->rate, text);
    if (strcmp(text, v->told) == 0)
        return;
    memcpy(v->told, text, sizeof text);
    notify_send("STATUS=%s", text);
}

void service_look(struct service *v)
{
    if (!v->server)
        return;
    uint64_t now = uv_now(v->timer.loop);
    feed(v, now);
    ask_for_time(v, now);
    tell(v, now);
}

static void on_timer(uv_timer_t *timer)
{
    service_look(timer->data);
}

int service_start(struct service *v, const struct server *s)
{
    if (!notify_is_wanted())
        return 0;
    uint64_t watchdog_ms = notify_watchdog_us() / 1000;
    uint64_t every = watchdog_ms && watchdog_ms / 3 < LOOK_MS ? watchdog_ms / 3 : LOOK_MS;
    *v = (struct service){.server = s, .watchdog_ms = watchdog_ms};
    int err = uv_timer_init(s->loop, &v->timer);
    if (err)
        return err;
    v->timer.data = v;
    v->looked_at = v->moved_at = uv_now(s->loop);
    return uv_timer_start(&v->timer, on_timer, 0, every ? every : 1);
}

void service_needs(uint64_t seconds)
{
    notify_send("EXTEND_TIMEOUT_USEC=%llu", (unsigned long long)seconds * 1000000);
}
