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

/* How much of all is done, from 0 to 1, as operations that are accepted, or searchable, among those that were sent,
 * which are so many bytes of the input. 0: not known. */
static double share_done(const struct progress *p, const struct mayfly_progress *now)
{
    uint64_t done = p->until_searchable ? now->searchable : now->accepted;
    if (!p->total || !now->sent)
        return 0;
    double sent = now->bytes < p->total ? (double)now->bytes / (double)p->total : 1;
    return sent * (double)done / (double)now->sent;
}

static void draw_bar(double share)
{
    unsigned filled = (unsigned)(share * BAR);
    fputs(" [", stderr);
    for (unsigned i = 0; i < BAR; i++)
        fputc(i < filled ? '#' : '.', stderr);
    fprintf(stderr, "] %3u%%", (unsigned)(share * 100));
}

/* By the pace so far. */
static void draw_rest(double share, double seconds)
{
    double rest = seconds * (1 - share) / share;
    if (rest < 60)
        fprintf(stderr, ", %.0f s left", rest);
    else if (rest < 3600)
        fprintf(stderr, ", %.0f min left", rest / 60);
    else
        fprintf(stderr, ", %.1f h left", rest / 3600);
}

void progress_show(struct progress *p, const struct mayfly_progress *now, uint64_t refused_here)
{
    uint64_t us = clock_us();
    if (!p->enabled || (p->visible && us - p->shown_us < EVERY_US))
        return;
    double seconds = (double)(us - p->began_us + 1) / 1e6, share = share_done(p, now);
    progress_clear(p);
    fprintf(stderr, "%" PRIu64 " documents, %.1f MB/s, %" PRIu64 " accepted, %" PRIu64 " searchable", now->sent,
            (double)now->bytes / 1e6 / seconds, now->accepted, now->searchable);
    if (now->refused + refused_here)
        fprintf(stderr, ", %" PRIu64 " refused", now->refused + refused_here);
    if (p->total)
        draw_bar(share);
    if (share > 0)
        draw_rest(share, seconds);
    fflush(stderr);
    p->visible = true;
    p->shown_us = us;
}
