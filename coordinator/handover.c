#include "coordinator/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/check.h"
#include "common/err.h"
#include "common/fd.h"
#include "common/logger.h"
#include "coordinator/activation.h"
#include "coordinator/watch.h"

extern char **environ;

#define TOLD_BY "MAYFLY_HANDOVER"

enum { ABOVE_THE_FIXED = 64, NUMBER = 32 };

struct handover {
    struct watch *watch; /* the pipe's end */
    pid_t pid;
    handover_done *done;
    void *context;
};

/* ------------------------------------------------------------------------------------------------- what it is given */

/* Made before the process: after vfork nothing may be allocated. */
struct legacy {
    char count[NUMBER], listen_pid[NUMBER], watchdog_pid[NUMBER], pipe[NUMBER];
    char names[HANDOVER_SOCKETS * (ACTIVATION_MAX_NAME + 1) + NUMBER];
    char **environment;
    int fds[HANDOVER_SOCKETS + 1]; /* the last is the pipe */
    size_t fd_count;
};

static bool is_replaced(const char *entry)
{
    static const char *const replaced[] = {"LISTEN_PID=", "LISTEN_FDS=", "LISTEN_FDNAMES=", "WATCHDOG_PID=", TOLD_BY "="};
    for (size_t i = 0; i < sizeof replaced / sizeof replaced[0]; i++)
        if (strncmp(entry, replaced[i], strlen(replaced[i])) == 0)
            return true;
    return false;
}

static void fill_environment(struct legacy *l)
{
    char *const ours[] = {l->count, l->names, l->listen_pid, l->pipe, l->watchdog_pid};
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
    snprintf(l->pipe, sizeof l->pipe, TOLD_BY "=%zu", ACTIVATION_FIRST + s->count);
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

static int fill_legacy(struct legacy *l, const struct handover_sockets *s, int pipe_end)
{
    int err = 0;
    fill_texts(l, s);
    fill_environment(l);
    for (size_t i = 0; i < s->count && !err; i++)
        err = lift(l, s->fds[i]);
    return err ? err : lift(l, pipe_end);
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

/* ------------------------------------------------------------------------------------------------------------ its word */

static void on_word(void *context)
{
    struct handover *h = context;
    char byte;
    ssize_t got = read(watch_fd(h->watch), &byte, 1);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    watch_close(&h->watch);
    if (got != 1) { /* the end of it: it is gone, or has nothing to say */
        kill(h->pid, SIGKILL);
        waitpid(h->pid, NULL, 0);
        h->pid = 0;
    }
    h->done(h->context, h->pid);
    free(h);
}

static int listen_to(struct uv_loop_s *loop, int *pipe_end, struct handover *h)
{
    int err = fd_set_nonblocking(*pipe_end);
    if (!err)
        err = watch_open(loop, *pipe_end, on_word, h, &h->watch);
    if (!err)
        fd_take(pipe_end);
    return err;
}

int handover_begin(struct uv_loop_s *loop, const char *program, char *const *arguments,
                   const struct handover_sockets *sockets, handover_done *done, void *context)
{
    int ends[2];
    struct legacy l = {.fd_count = 0};
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    scoped(fd) int ours = ends[0], theirs = ends[1];
    struct handover *h = calloc(1, sizeof *h);
    require(h);
    *h = (struct handover){.done = done, .context = context};
    int err = listen_to(loop, &ours, h);
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
    }
    return err;
}

void handover_tell(void)
{
    const char *text = getenv(TOLD_BY);
    int fd = text ? atoi(text) : -1;
    unsetenv(TOLD_BY);
    if (fd < ACTIVATION_FIRST || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return;
    if (write(fd, "1", 1) != 1)
        log_warn("who is to be followed could not be told: %s", err_str(-errno));
    close(fd);
}

bool handover_program(char to[HANDOVER_PATH])
{
    ssize_t length = readlink("/proc/self/exe", to, HANDOVER_PATH - 1);
    to[length > 0 ? length : 0] = '\0';
    return length > 0;
}
