#include "coordinator/workspace.h"

#include <stdlib.h>

enum {
    KEPT = 64 << 10,    /* of it, in each that waits */
    SPARE_MOST = 32,
};

static void free_workspace(uv_handle_t *timer)
{
    free(timer->data);
}

static struct workspace *make(uv_loop_t *loop)
{
    struct workspace *w = calloc(1, sizeof *w);
    if (!w || arena_init(&w->arena, WORKSPACE_MEMORY, 0)) {
        free(w);
        return NULL;
    }
    uv_timer_init(loop, &w->timer); /* cannot fail */
    return w;
}

struct workspace *workspace_take(struct workspaces *spare, uv_loop_t *loop)
{
    struct workspace *w = spare->first;
    if (!w)
        return make(loop);
    spare->first = w->next;
    if (--spare->count < spare->least)
        spare->least = spare->count;
    return w;
}

static void close_workspace(struct workspace *w)
{
    arena_finish(&w->arena);
    w->timer.data = w;
    uv_close((uv_handle_t *)&w->timer, free_workspace);
}

void workspaces_sweep(struct workspaces *spare)
{
    for (; spare->least > 0; spare->least--) {
        struct workspace *w = spare->first;
        spare->first = w->next;
        spare->count--;
        close_workspace(w);
    }
    spare->least = spare->count;
}

void workspace_give_back(struct workspaces *spare, struct workspace *w)
{
    uv_timer_stop(&w->timer);
    if (spare->count >= SPARE_MOST) {
        close_workspace(w);
        return;
    }
    if (w->arena.dirty > KEPT)
        arena_reset(&w->arena, KEPT);
    else
        arena_rewind(&w->arena, 0);
    w->next = spare->first;
    spare->first = w;
    spare->count++;
}
