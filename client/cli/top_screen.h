/* top_screen.h - the terminal under `mayfly top`: taken over, drawn on, waited at, and left as it was. */
#ifndef CLIENT_CLI_TOP_SCREEN_H
#define CLIENT_CLI_TOP_SCREEN_H

#include <stdbool.h>
#include <stdint.h>
#include <termios.h>

#include "common/buf.h"

struct screen {
    bool is_terminal; /* else lines are printed one after the other */
    bool has_colours;
    bool reads_keys; /* standard input is a terminal too */
    bool taken;
    struct termios before;
    int signals; /* a signalfd; -1: none */
};

void screen_open(struct screen *s);
void screen_close(struct screen *s); /* the terminal is as it was */

/* The lines of top_view.h: cut to the terminal's size, or as they are. */
void screen_draw(struct screen *s, const struct buf *lines);

/* Until the time is over, or there is something else to do. */
enum screen_event { SCREEN_TIME, SCREEN_REDRAW, SCREEN_QUIT };
enum screen_event screen_wait(struct screen *s, uint64_t until_us);

#endif
