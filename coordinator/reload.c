#include "coordinator/reload.h"

#include <unistd.h>

#include "common/clock.h"
#include "common/logger.h"
#include "coordinator/budget.h"
#include "coordinator/jobs_state.h"
#include "coordinator/notify.h"
#include "coordinator/server.h"
#include "coordinator/shards_start.h"
#include "coordinator/stored_shards.h"

static void on_change(void *context, const char *key, bool applied)
{
    (void)context;
    if (applied)
        log_info("reloaded: %s has changed", key);
    else
        log_warn("reloaded: %s has changed, which needs a restart", key);
}

/* The group's limit may be another now. Heaps and readers are as they were started. */
static void fit_again(struct server *s, struct config *fresh)
{
    struct fit fit;
    uint64_t readers = fresh->readers;
    stored_shards_warn(fresh, s->indexes.shards);
    fresh->shards = s->config.shards; /* that are there */
    fresh->shard_heap = s->config.shard_heap;
    fresh->readers = s->config.readers;
    int err = fit_config(fresh, s->cap, cap_own_limit(), false, &fit);
    for (size_t i = 0; i < s->fit.count; i++) /* those of the start hold on */
        if (fit_is_of_start(&s->fit.cuts[i]))
            fit.cuts[fit.count++] = s->fit.cuts[i];
    s->fit = fit;
    fresh->readers = fit_has_cut(&fit, "readers") ? s->config.readers : readers;
    fit_log(&fit);
    if (err)
        log_error("the control group may have %lluM of memory, and the budget is %lluM at the least: its kernel may end us",
                  (unsigned long long)fit.limit >> 20, (unsigned long long)fit.total >> 20);
}

void reload(struct server *s, int argc, char **argv)
{
    struct config fresh;
    enum config_command command;
    char why[CONFIG_MAX_WHY];
    notify_send("RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)clock_us());
    if (config_load(argc, argv, environ, &fresh, &command, why)) {
        log_error("the configuration stays as it was: %s", why);
    } else {
        fit_again(s, &fresh);
        config_reload(&s->config, &fresh, on_change, NULL);
        config_finish(&fresh);
        log_set_level((enum log_level)s->config.log_level);
        oplog_set_quota(s->log, s->config.log_quota);
        jobs_reconfigured(s->jobs);
        shards_reconfigure(s->shards, s->config.query_memory);
        child_revive(&s->nursery.child);
        budget_log(&s->config, s->cap);
        log_info("the configuration was reloaded");
    }
    notify_send("READY=1");
}
