/* Reshard: a task, answered at once or when it has ended. */
#include "coordinator/requests.h"

#include "coordinator/reshard.h"
#include "coordinator/session_state.h"
#include "coordinator/tasks_state.h"

void handle_reshard(struct session *s, const Mayfly__Envelope *e)
{
    struct server *server = session_server(s);
    uint32_t shards = e->reshard->shards;
    char why[RESHARD_WHY];
    const char *code = reshard_refusal(server, shards, why);
    if (code) {
        session_error(s, e->request, code, "shards", "%s", why);
        return;
    }
    if (!reshard_is_needed(server, shards)) {
        session_done(s, e->request, 0);
        return;
    }
    struct task *at_it = reshard_task(server, shards), *task = at_it ? at_it : tasks_new(server->tasks, NULL, "reshard");
    if (!task) {
        requests_refuse_unwritten(s, e->request);
        return;
    }
    if (e->reshard->wait)
        requests_await(s, e->request, task);
    else
        session_done(s, e->request, task->uid);
    if (!at_it)
        reshard_begin(server, shards, task);
}
