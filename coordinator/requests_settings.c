/* Settings: those that act at once, and those for which the documents are analyzed again (editions.h). */
#include "coordinator/requests.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/check.h"
#include "common/err.h"
#include "coordinator/editions.h"
#include "coordinator/session_state.h"
#include "coordinator/tasks_state.h"
#include "proto/settings.h"

static struct str text_of(const struct buf *json)
{
    return (struct str){json->data, json->len};
}

/* Those that are coming, or those that act. */
static struct str latest(const struct index *i)
{
    return text_of(index_has_coming(i) ? &i->coming.settings : &i->settings);
}

static void send_settings(struct session *s, uint64_t request, const struct index *i)
{
    Mayfly__Settings settings = MAYFLY__SETTINGS__INIT;
    Mayfly__Envelope answer = MAYFLY__ENVELOPE__INIT;
    settings.json = message_data(text_of(&i->settings));
    settings.task = i->coming.task;
    settings.coming = message_data(text_of(&i->coming.settings));
    answer.message_case = MAYFLY__ENVELOPE__MESSAGE_SETTINGS;
    answer.settings = &settings;
    session_send(s, request, &answer, (struct str){0});
}

void handle_settings_get(struct session *s, const Mayfly__Envelope *e)
{
    struct index *index = requests_index(s, e->request, e->settings_get->index);
    if (index)
        send_settings(s, e->request, index);
}

/* ----------------------------------------------------------------------------------------- on its way to the catalog
 */

struct setting {
    struct pending pending;
    struct server *server;
    struct index *index; /* held */
    uint64_t task;       /* that is to begin; 0: none */
};

static void forget(struct pending *p)
{
    p->session = NULL; /* the change goes on without anybody waiting */
}

/* Not if it was dropped, or if a later change has taken its place. */
static void begin(struct setting *c, int err)
{
    struct index *i = c->index;
    if (i->dropped || i->making || !index_has_coming(i) || i->coming.task != c->task)
        return;
    if (err)
        editions_cancel(c->server, i, CODE_BUSY, "the catalog cannot be written");
    else
        editions_begin(c->server, i);
}

static void on_durable(void *context, int err)
{
    struct setting *c = context;
    struct session *s = c->pending.session;
    if (c->task)
        begin(c, err);
    if (s) {
        uint64_t request = c->pending.request;
        session_remove_pending(&c->pending);
        if (err)
            requests_refuse_unwritten(s, request);
        else
            send_settings(s, request, c->index);
    }
    index_release(c->index);
    free(c);
}

static void save(struct session *s, uint64_t request, struct index *i, uint64_t task)
{
    struct setting *c = calloc(1, sizeof *c);
    require(c != NULL);
    *c = (struct setting){.server = session_server(s), .index = i, .task = task};
    session_add_pending(s, &c->pending, request, forget);
    index_hold(i);
    catalog_put_index(c->server->catalog, i, on_durable, c);
}

/* ------------------------------------------------------------------------------------------------------------ changes
 */

/* Nothing was ever written: then no document was analyzed with other settings. */
static bool is_untouched(const struct index *i)
{
    if (i->numbering > 1)
        return false; /* the streams that it had may have been written to */
    for (uint32_t shard = 0; shard < i->shards; shard++)
        if (i->streams[shard].next_sequence > 1 || i->streams[shard].open || i->streams[shard].unapplied)
            return false;
    return true;
}

static bool is_damaged(struct session *s, uint64_t request, const struct index *i)
{
    for (uint32_t shard = 0; shard < i->shards; shard++)
        if (i->streams[shard].damaged) {
            session_error(s, request, CODE_INDEX_DAMAGED, NULL, "shard %u of the index is damaged: %s", shard,
                          i->streams[shard].damage);
            return true;
        }
    return false;
}

/* The new edition lies beside the old one until it takes its place. */
static bool is_too_large(struct session *s, uint64_t request, const struct index *i)
{
    uint64_t bytes = 0;
    for (uint32_t shard = 0; shard < i->shards; shard++)
        for (size_t n = 0; n < i->streams[shard].segment_count; n++)
            bytes += i->streams[shard].segments[n].bytes;
    if (!jobs_disk_is_short(session_server(s)->jobs, bytes))
        return false;
    session_error(s, request, CODE_DISK_FULL, NULL,
                  "analyzing the documents again takes %llu MB beside the index until it is done, and the disk has not "
                  "so much above its reserve",
                  (unsigned long long)bytes / 1000000 + 1);
    return true;
}

/* One that is under way begins again with this: it has that change, too. */
static void replace(struct server *server, struct index *i, uint64_t task)
{
    char why[100];
    snprintf(why, sizeof why, "task %llu, which has this change too, took its place", (unsigned long long)task);
    editions_cancel(server, i, CODE_REPLACED, why);
}

static void begin_change(struct session *s, uint64_t request, struct index *i, struct buf *merged)
{
    struct server *server = session_server(s);
    if (is_damaged(s, request, i) || is_too_large(s, request, i))
        return;
    struct task *task = tasks_new(server->tasks, i, "settings");
    if (!task) {
        requests_refuse_unwritten(s, request);
        return;
    }
    uint64_t uid = task->uid;
    replace(server, i, uid);
    tasks_save(server->tasks, task, NULL, NULL);
    index_set_coming(i, merged, uid);
    save(s, request, i, uid);
}

/* What is coming takes the change over; what of it acts at once does so, but for changes that are of both kinds: those
 * are never seen by halves. */
static int join(struct session *s, struct index *i, struct str change, struct buf *merged)
{
    struct arena *a = &s->all->arena;
    struct buf now = {0};
    struct settings_error ignored;
    bool at_once, reanalyze;
    int err = settings_act_at_once(a, change, &at_once);
    if (!err && at_once)
        err = settings_merge(a, text_of(&i->settings), change, &now, &reanalyze, &ignored);
    if (!err && at_once)
        index_take_settings(&session_server(s)->indexes, i, &now);
    if (!err)
        index_set_coming(i, merged, i->coming.task);
    buf_finish(&now);
    return err;
}

/* Everything acts as it stands now, and nothing is coming any more. */
static void act(struct session *s, struct index *i, struct buf *merged)
{
    editions_cancel(session_server(s), i, CODE_REPLACED, "a later change has taken it back");
    index_take_settings(&session_server(s)->indexes, i, merged);
}

static int apply(struct session *s, const Mayfly__Envelope *e, struct index *i, struct buf *merged,
                 bool changes_the_latest)
{
    bool same;
    const Mayfly__SettingsSet *m = e->settings_set;
    int err = settings_compare(&s->all->arena, text_of(&i->settings), text_of(merged), &same);
    if (err)
        return err;
    if (is_untouched(i) || (same && !m->reanalyze)) {
        act(s, i, merged);
    } else if (index_has_coming(i) && !changes_the_latest && !m->reanalyze) {
        err = join(s, i, message_bytes(m->json), merged);
    } else {
        begin_change(s, e->request, i, merged);
        return 0;
    }
    if (!err)
        save(s, e->request, i, 0);
    return err;
}

void handle_settings_set(struct session *s, const Mayfly__Envelope *e)
{
    struct index *i = requests_index(s, e->request, e->settings_set->index);
    struct settings_error error = {0};
    struct buf merged = {0};
    bool reanalyze = false;
    if (!i)
        return;
    if (editions_is_switching(i)) {
        session_error(s, e->request, CODE_BUSY, NULL, "the index is just changing to other settings; try again");
        return;
    }
    int err =
        settings_merge(&s->all->arena, latest(i), message_bytes(e->settings_set->json), &merged, &reanalyze, &error);
    if (!err)
        err = apply(s, e, i, &merged, reanalyze);
    if (err)
        session_error(s, e->request, CODE_INVALID_SETTINGS, error.field, "%s",
                      error.message[0] ? error.message : err_str(err));
    buf_finish(&merged);
}
