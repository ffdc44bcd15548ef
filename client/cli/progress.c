#include "client/cli/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "common/clock.h"

enum { EVERY_US = 100000, BAR = 20 };

void progress_init(struct progress *p, bool wanted)
{
    *p = (struct progress){.enabled = wanted && isatty(STDERR_FILENO), .began_us = clock_us()};
}

void progress_clear(struct progress *p)
{
    if (p->visible)
        fputs("\r\033[K", stderr);
    p->visible = false;
}

static void draw_bar(const struct progress *p, uint64_t bytes)
{
    if (!p->total)
        return;
    uint64_t done = bytes < p->total ? bytes : p->total;
    unsigned filled = (unsigned)(done * BAR / p->total);
    fputs(" [", stderr);
    for (unsigned i = 0; i < BAR; i++)
        fputc(i < filled ? '#' : '.', stderr);
    fprintf(stderr, "] %3u%%", (unsigned)(done * 100 / p->total));
}

void progress_show(struct progress *p, const struct mayfly_progress *now, uint64_t refused_here)
{
    uint64_t us = clock_us();
    if (!p->enabled || (p->visible && us - p->shown_us < EVERY_US))
        return;
    double seconds = (double)(us - p->began_us + 1) / 1e6;
    progress_clear(p);
    fprintf(stderr, "%" PRIu64 " documents, %.1f MB/s, %" PRIu64 " accepted, %" PRIu64 " searchable", now->sent,
            (double)now->bytes / 1e6 / seconds, now->accepted, now->searchable);
    if (now->refused + refused_here)
        fprintf(stderr, ", %" PRIu64 " refused", now->refused + refused_here);
    draw_bar(p, now->bytes);
    fflush(stderr);
    p->visible = true;
    p->shown_us = us;
}
