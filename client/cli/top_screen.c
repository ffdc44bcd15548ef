#include "client/cli/top_screen.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "client/cli/top_view.h"
#include "common/clock.h"
#include "common/fd.h"

enum { COLUMNS = 80, ROWS = 24 };

#define TAKE  "\033[?1049h\033[?25l" /* the other screen, no cursor */
#define LEAVE "\033[?25h\033[?1049l"

/* Of those that cannot do it there are few left, and all are known. */
static bool can_move_cursor(const char *term)
{
    return term && *term && strcmp(term, "dumb") != 0 && strcmp(term, "unknown") != 0;
}

static bool can_colour(const char *term)
{
    const char *refused = getenv("NO_COLOR");
    return !(refused && *refused) && strncmp(term, "vt", 2) != 0 && !strstr(term, "mono") && !strstr(term, "-m");
}

static void put(const char *text, size_t length)
{
    (void)!fwrite(text, 1, length, stdout);
}

/* Keys come one by one and are not echoed; Ctrl-C stays a signal. */
static void take(struct screen *s)
{
    if (s->reads_keys) {
        struct termios raw = s->before;
        raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        raw.c_cc[VMIN] = 1;
        raw.c_cc[VTIME] = 0;
        tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
    put(TAKE, strlen(TAKE));
    fflush(stdout);
    s->taken = true;
}

static void leave(struct screen *s)
{
    if (!s->taken)
        return;
    put(LEAVE, strlen(LEAVE));
    fflush(stdout);
    if (s->reads_keys)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &s->before);
    s->taken = false;
}

static int watch_signals(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGWINCH, SIGTSTP};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        sigaddset(&set, numbers[i]);
    return sigprocmask(SIG_BLOCK, &set, NULL) ? -1 : signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

void screen_open(struct screen *s)
{
    const char *term = getenv("TERM");
    *s = (struct screen){.signals = -1};
    s->is_terminal = isatty(STDOUT_FILENO) && can_move_cursor(term);
    if (!s->is_terminal)
        return;
    s->has_colours = can_colour(term);
    s->reads_keys = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &s->before) == 0;
    s->signals = watch_signals();
    take(s);
}

void screen_close(struct screen *s)
{
    leave(s);
    fd_close(&s->signals);
}

/* ------------------------------------------------------------------------------------------------------------- drawing
 */

static void look_like(const struct screen *s, enum top_mark mark)
{
    static const char *const codes[TOP_MARKS] = {
        [TOP_PLAIN] = "\033[0m", [TOP_STRONG] = "\033[1m", [TOP_FAINT] = "\033[7m",
        [TOP_GOOD] = "\033[32m", [TOP_WARN] = "\033[33m",  [TOP_BAD] = "\033[31;1m",
    };
    if (s->has_colours && mark < TOP_MARKS && codes[mark])
        fputs(codes[mark], stdout);
}

/* The line without its newline; what is wider than there is room is cut. */
static void draw_line(const struct screen *s, struct str line, size_t columns)
{
    size_t column = 0;
    for (size_t i = 0; i < line.len; i++) {
        if ((unsigned char)line.ptr[i] < ' ')
            look_like(s, (enum top_mark)line.ptr[i]);
        else if (column++ < columns)
            putchar(line.ptr[i]);
    }
}

static bool next_line(struct str *rest, struct str *line)
{
    const char *end = rest->len ? memchr(rest->ptr, '\n', rest->len) : NULL;
    if (!end)
        return false;
    *line = (struct str){rest->ptr, (size_t)(end - rest->ptr)};
    *rest = (struct str){end + 1, rest->len - line->len - 1};
    return true;
}

static void size_of_terminal(size_t *columns, size_t *rows)
{
    struct winsize size = {0};
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;
    *columns = known && size.ws_col ? size.ws_col : COLUMNS;
    *rows = known && size.ws_row ? size.ws_row : ROWS;
}

/* Over what is there, without clearing it first: nothing flickers. The last line has no newline, which would scroll. */
static void draw_screen(const struct screen *s, struct str rest)
{
    size_t columns, rows;
    struct str line;
    size_of_terminal(&columns, &rows);
    fputs("\033[H", stdout);
    for (size_t row = 0; row < rows && next_line(&rest, &line); row++) {
        fputs(row ? "\r\n" : "", stdout);
        draw_line(s, line, columns);
        look_like(s, TOP_PLAIN);
        fputs("\033[K", stdout);
    }
    fputs("\033[J", stdout);
}

void screen_draw(struct screen *s, const struct buf *lines)
{
    struct str rest = {lines->data, lines->len}, line;
    if (s->is_terminal) {
        draw_screen(s, rest);
    } else {
        while (next_line(&rest, &line)) {
            draw_line(s, line, SIZE_MAX);
            putchar('\n');
        }
        putchar('\n');
    }
    fflush(stdout);
}

/* ------------------------------------------------------------------------------------------------------------- waiting
 */

static enum screen_event take_key(void)
{
    char key = 0;
    ssize_t got = read(STDIN_FILENO, &key, 1);
    return got <= 0 || key == 'q' || key == 'Q' ? SCREEN_QUIT : SCREEN_REDRAW;
}

static enum screen_event take_signal(struct screen *s)
{
    struct signalfd_siginfo info;
    if (read(s->signals, &info, sizeof info) != sizeof info)
        return SCREEN_REDRAW;
    if (info.ssi_signo == SIGTSTP) {
        leave(s);
        raise(SIGSTOP);
        take(s);
    }
    return info.ssi_signo == SIGTSTP || info.ssi_signo == SIGWINCH ? SCREEN_REDRAW : SCREEN_QUIT;
}

enum screen_event screen_wait(struct screen *s, uint64_t until_us)
{
    struct pollfd fds[] = {{.fd = s->signals, .events = POLLIN},
                           {.fd = s->reads_keys ? STDIN_FILENO : -1, .events = POLLIN}};
    uint64_t now = clock_us();
    int left_ms = until_us > now ? (int)((until_us - now + 999) / 1000) : 0;
    if (poll(fds, 2, left_ms) <= 0)
        return SCREEN_TIME;
    return fds[0].revents ? take_signal(s) : take_key();
}
