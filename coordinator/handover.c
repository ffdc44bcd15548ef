#include "coordinator/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/check.h"
#include "common/fd.h"
#include "common/region.h"
#include "coordinator/activation.h"
#include "coordinator/watch.h"

extern char **environ;

enum { ABOVE_THE_FIXED = 64, NUMBER = 32 };

struct handover {
    struct watch *watch; /* our end */
    pid_t pid;
    bool was_here;
    struct handover_events events;
};

/* ------------------------------------------------------------------------------------------------- what it is given */

/* Made before the process: after vfork nothing may be allocated. */
struct legacy {
    char count[NUMBER], listen_pid[NUMBER], watchdog_pid[NUMBER], socket[NUMBER];
    char names[HANDOVER_SOCKETS * (ACTIVATION_MAX_NAME + 1) + NUMBER];
    char **environment;
    int fds[HANDOVER_SOCKETS + 1]; /* the last is its end of the socketpair */
    size_t fd_count;
};

static bool is_replaced(const char *entry)
{
    static const char *const replaced[] = {"LISTEN_PID=", "LISTEN_FDS=", "LISTEN_FDNAMES=", "WATCHDOG_PID=", HANDOVER_VARIABLE "="};
    for (size_t i = 0; i < sizeof replaced / sizeof replaced[0]; i++)
        if (strncmp(entry, replaced[i], strlen(replaced[i])) == 0)
            return true;
    return false;
}

static void fill_environment(struct legacy *l)
{
    char *const ours[] = {l->count, l->names, l->listen_pid, l->socket, l->watchdog_pid};
    const size_t our_count = sizeof ours / sizeof ours[0] - (getenv("WATCHDOG_USEC") == NULL);
    size_t count = 0, used = 0;
    while (environ[count])
        count++;
    l->environment = calloc(count + our_count + 1, sizeof(char *));
    require(l->environment);
    for (size_t i = 0; i < count; i++)
        if (!is_replaced(environ[i]))
            l->environment[used++] = environ[i];
    for (size_t i = 0; i < our_count; i++)
        l->environment[used++] = ours[i];
}

static void fill_texts(struct legacy *l, const struct handover_sockets *s)
{
    size_t used = (size_t)snprintf(l->names, sizeof l->names, "LISTEN_FDNAMES=");
    for (size_t i = 0; i < s->count; i++)
        used += (size_t)snprintf(l->names + used, sizeof l->names - used, "%s%s", i ? ":" : "", s->names[i]);
    snprintf(l->count, sizeof l->count, "LISTEN_FDS=%zu", s->count);
    snprintf(l->socket, sizeof l->socket, HANDOVER_VARIABLE "=%zu", ACTIVATION_FIRST + s->count);
    snprintf(l->listen_pid, sizeof l->listen_pid, "LISTEN_PID=");
    snprintf(l->watchdog_pid, sizeof l->watchdog_pid, "WATCHDOG_PID=");
}

/* Where no descriptor is to be put. */
static int lift(struct legacy *l, int fd)
{
    int lifted = fcntl(fd, F_DUPFD_CLOEXEC, ABOVE_THE_FIXED);
    if (lifted < 0)
        return -errno;
    l->fds[l->fd_count++] = lifted;
    return 0;
}

static void finish_legacy(struct legacy *l)
{
    while (l->fd_count)
        fd_close(&l->fds[--l->fd_count]);
    free(l->environment);
}

static int fill_legacy(struct legacy *l, const struct handover_sockets *s, int end)
{
    int err = 0;
    fill_texts(l, s);
    fill_environment(l);
    for (size_t i = 0; i < s->count && !err; i++)
        err = lift(l, s->fds[i]);
    return err ? err : lift(l, end);
}

/* ----------------------------------------------------------------------------------------------------- the successor */

/* Behind "NAME=". */
static void add_number(char *text, pid_t pid)
{
    char digits[NUMBER];
    size_t count = 0;
    for (; pid > 0; pid /= 10)
        digits[count++] = (char)('0' + pid % 10);
    text += strlen(text);
    while (count)
        *text++ = digits[--count];
    *text = '\0';
}

/* Only it knows its pid, by which it will know that the sockets are for it. It has our memory until it is another program,
 * and we stand still. */
static _Noreturn void become(const char *program, char *const *arguments, struct legacy *l)
{
    sigset_t none;
    pid_t pid = getpid();
    add_number(l->listen_pid, pid);
    add_number(l->watchdog_pid, pid);
    for (size_t i = 0; i < l->fd_count; i++)
        if (dup2(l->fds[i], ACTIVATION_FIRST + (int)i) < 0)
            _exit(EXIT_FAILURE);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execve(program, arguments, l->environment);
    _exit(EXIT_FAILURE);
}

static pid_t start(const char *program, char *const *arguments, struct legacy *l)
{
    pid_t pid = vfork();
    if (pid == 0)
        become(program, arguments, l);
    return pid < 0 ? -errno : pid;
}

/* ----------------------------------------------------------------------------------------------------------- its words */

/* Before it is here it is ours to end. */
static void lose(struct handover *h)
{
    watch_close(&h->watch);
    if (!h->was_here) {
        kill(h->pid, SIGKILL);
        waitpid(h->pid, NULL, 0);
    }
    h->events.lost(h->events.context, h->was_here);
    free(h);
}

static void on_word(void *context)
{
    struct handover *h = context;
    char word;
    ssize_t got = recv(watch_fd(h->watch), &word, 1, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got == 1 && word == HANDOVER_HERE && !h->was_here) {
        h->was_here = true;
        h->events.here(h->events.context, h->pid);
    } else if (got == 1 && word == HANDOVER_READY && h->was_here) {
        h->events.ready(h->events.context);
    } else {
        lose(h);
    }
}

static int listen_to(struct uv_loop_s *loop, int *end, struct handover *h)
{
    int err = fd_set_nonblocking(*end);
    if (!err)
        err = watch_open(loop, *end, on_word, h, &h->watch);
    if (!err)
        fd_take(end);
    return err;
}

int handover_begin(struct uv_loop_s *loop, const char *program, char *const *arguments,
                   const struct handover_sockets *sockets, const struct handover_events *events, struct handover **out)
{
    int ends[2];
    struct legacy l = {.fd_count = 0};
    int err = fd_socketpair(SOCK_SEQPACKET, ends);
    if (err)
        return err;
    scoped(fd) int ours = ends[0], theirs = ends[1];
    struct handover *h = calloc(1, sizeof *h);
    require(h);
    h->events = *events;
    err = listen_to(loop, &ours, h);
    if (!err)
        err = fill_legacy(&l, sockets, theirs);
    if (!err) {
        h->pid = start(program, arguments, &l);
        err = h->pid < 0 ? h->pid : 0;
    }
    finish_legacy(&l);
    if (err) {
        watch_close(&h->watch);
        free(h);
        return err;
    }
    *out = h;
    return 0;
}

/* ---------------------------------------------------------------------------------------------------------- our words */

int handover_let_listen(struct handover *h)
{
    const char word = HANDOVER_LISTEN;
    return fd_send(watch_fd(h->watch), &word, 1, NULL, 0);
}

static int in_region(struct str bytes, struct region *out)
{
    int err = region_open(out, "mayfly-unanswered", bytes.len);
    if (err)
        return err;
    memcpy(out->base, bytes.ptr, bytes.len);
    out->used = bytes.len;
    return region_seal(out);
}

int handover_pass(struct handover *h, int connection, unsigned flags, struct str unanswered)
{
    struct region bytes = REGION_NONE;
    const char word[2] = {HANDOVER_CONNECTION, (char)flags};
    int err = unanswered.len ? in_region(unanswered, &bytes) : 0;
    const int fds[2] = {connection, bytes.fd};
    if (!err)
        err = fd_send(watch_fd(h->watch), word, sizeof word, fds, unanswered.len ? 2 : 1);
    region_close(&bytes);
    return err;
}

bool handover_program(char to[HANDOVER_PATH])
{
    ssize_t length = readlink("/proc/self/exe", to, HANDOVER_PATH - 1);
    to[length > 0 ? length : 0] = '\0';
    return length > 0;
}
