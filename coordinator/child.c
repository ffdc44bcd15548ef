#include "coordinator/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "common/err.h"
#include "common/fd.h"
#include "common/logger.h"

extern char **environ;

enum { BACKOFF_FIRST_MS = 50, BACKOFF_MOST_MS = 5000, READY_LIMIT_MS = 60000, ABOVE_THE_FIXED = 10 };
enum { CHILD_SOCKET = 3, CHILD_WORDS = 4, CHILD_INHERITED = 5 };

const char *child_state_name(enum child_state s)
{
    static const char *const names[] = {[CHILD_STOPPED] = "stopped",
                                        [CHILD_STARTING] = "starting",
                                        [CHILD_READY] = "ready",
                                        [CHILD_WAITING] = "waiting to be restarted",
                                        [CHILD_FAILED] = "failed"};
    return names[s];
}

static void move_to(struct child *c, enum child_state state)
{
    if (c->state != state)
        log_debug("%s is %s pid=%d", c->name, child_state_name(state), (int)c->pid);
    c->state = state;
}

const struct last_words *child_words(const struct child *c)
{
    return (const struct last_words *)(const void *)c->words.base;
}

int child_init(struct child *c, uv_loop_t *loop)
{
    c->loop = loop;
    c->socket = c->pidfd = -1;
    c->words = REGION_NONE;
    c->backoff_ms = BACKOFF_FIRST_MS;
    c->timer.data = c;
    return uv_timer_init(loop, &c->timer);
}

/* -------------------------------------------------------------------------------------------------------------
 * starting */

/* Sources must not lie where a descriptor is to be put. */
static int lift(int fd)
{
    int lifted = fcntl(fd, F_DUPFD_CLOEXEC, ABOVE_THE_FIXED);
    return lifted < 0 ? -errno : lifted;
}

static int add_descriptors(posix_spawn_file_actions_t *actions, int socket, int words, int inherited)
{
    int rc = posix_spawn_file_actions_adddup2(actions, socket, CHILD_SOCKET);
    if (!rc)
        rc = posix_spawn_file_actions_adddup2(actions, words, CHILD_WORDS);
    if (!rc && inherited >= 0)
        rc = posix_spawn_file_actions_adddup2(actions, inherited, CHILD_INHERITED);
    return rc;
}

/* A group of its own: Ctrl-C at the terminal is for the coordinator, which ends the others in order. */
static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int rc = posix_spawnattr_setsigmask(attributes, &none);
    if (!rc)
        rc = posix_spawnattr_setsigdefault(attributes, &all);
    if (!rc)
        rc = posix_spawnattr_setpgroup(attributes, 0);
    return rc ? rc
              : posix_spawnattr_setflags(attributes,
                                         POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
}

static int spawn(struct child *c, int socket, int words, int inherited)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    union {
        const char *from[CHILD_MAX_ARGUMENTS + 2];
        char *argv[CHILD_MAX_ARGUMENTS + 2];
    } arguments = {.from = {c->path}};
    for (size_t i = 0; i < CHILD_MAX_ARGUMENTS && c->arguments[i]; i++)
        arguments.from[i + 1] = c->arguments[i];

    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    int rc = posix_spawn_file_actions_addchdir_np(&actions, c->directory);
    if (!rc)
        rc = add_descriptors(&actions, socket, words, inherited);
    if (!rc)
        rc = set_attributes(&attributes);
    if (!rc)
        rc = posix_spawn(&c->pid, c->path, &actions, &attributes, arguments.argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return -rc;
}

static int spawn_lifted(struct child *c, int socket)
{
    scoped(fd) int s = lift(socket);
    scoped(fd) int words = lift(c->words.fd);
    scoped(fd) int inherited = c->inherited >= 0 ? lift(c->inherited) : -1;
    if (s < 0 || words < 0 || (c->inherited >= 0 && inherited < 0))
        return -EMFILE;
    return spawn(c, s, words, inherited);
}

static void on_exit_seen(uv_poll_t *watch, int status, int events);

static int watch_it(struct child *c)
{
    c->pidfd = fd_pidfd_open(c->pid);
    if (c->pidfd < 0)
        return c->pidfd;
    c->watch = calloc(1, sizeof *c->watch);
    if (!c->watch)
        return -ENOMEM;
    int err = uv_poll_init(c->loop, c->watch, c->pidfd);
    if (err) {
        free(c->watch);
        c->watch = NULL;
        return err;
    }
    c->watch->data = c;
    return uv_poll_start(c->watch, UV_READABLE, on_exit_seen);
}

static int try_start(struct child *c)
{
    int pair[2];
    region_close(&c->words);
    int err = region_open_shared(&c->words, "mayfly-last-words", LAST_WORDS_SIZE);
    if (!err)
        err = fd_socketpair(c->socket_type, pair);
    if (err)
        return err;
    scoped(fd) int theirs = pair[1];
    c->socket = pair[0];
    err = spawn_lifted(c, theirs);
    if (!err) {
        c->life++;
        c->silence = c->killed_at = 0;
        err = fd_set_nonblocking(c->socket);
        if (!err)
            err = watch_it(c);
        if (err) { /* it cannot be watched: then it must not be */
            kill(c->pid, SIGKILL);
            waitpid(c->pid, NULL, 0);
        }
    }
    if (err)
        fd_close(&c->socket);
    return err;
}

static void restart_later(struct child *c);
static void on_timer(uv_timer_t *timer);

void child_start(struct child *c)
{
    int err = try_start(c);
    if (err) {
        log_error("%s could not be started from %s: %s", c->name, c->path, err_str(err));
        c->deaths++;
        restart_later(c);
        return;
    }
    move_to(c, CHILD_STARTING);
    uv_timer_start(&c->timer, on_timer, READY_LIMIT_MS, 0);
    c->on_start(c);
}

void child_start_again(struct child *c)
{
    c->stopping = false;
    c->deaths = 0;
    c->backoff_ms = BACKOFF_FIRST_MS;
    child_start(c);
}

void child_is_ready(struct child *c)
{
    if (c->state != CHILD_STARTING)
        return; /* said before it died, heard after */
    log_info("%s is ready pid=%d", c->name, (int)c->pid);
    uv_timer_stop(&c->timer);
    c->deaths = 0;
    c->backoff_ms = BACKOFF_FIRST_MS;
    move_to(c, CHILD_READY);
}

/* ------------------------------------------------------------------------------------------------------------- dying
 */

static void free_watch(uv_handle_t *watch)
{
    free(watch);
}

static void on_timer(uv_timer_t *timer)
{
    struct child *c = timer->data;
    if (c->state == CHILD_WAITING) {
        child_start(c);
    } else if (c->state == CHILD_STARTING && !c->stopping) {
        log_warn("%s is not ready after %d s: killing it pid=%d", c->name, READY_LIMIT_MS / 1000, (int)c->pid);
        kill(c->pid, SIGKILL);
    } else if (c->stopping && c->state != CHILD_STOPPED) {
        log_warn("%s does not stop: killing it pid=%d", c->name, (int)c->pid);
        kill(c->pid, SIGKILL);
    }
}

static void restart_later(struct child *c)
{
    if (c->deaths >= CHILD_CRASH_LOOP) {
        move_to(c, CHILD_FAILED);
        log_error("%s died %u times before it was ready: it is not started again", c->name, c->deaths);
        c->on_failed(c);
        return;
    }
    move_to(c, CHILD_WAITING);
    c->restarts++;
    uv_timer_start(&c->timer, on_timer, c->backoff_ms, 0);
    c->backoff_ms = c->backoff_ms * 2 < BACKOFF_MOST_MS ? c->backoff_ms * 2 : BACKOFF_MOST_MS;
}

static void log_death(const struct child *c, int status)
{
    const struct last_words *words = child_words(c);
    const char *text = words && words->text[0] ? words->text : "no last words";
    if (c->stopping)
        log_debug("%s has stopped", c->name);
    else if (WIFSIGNALED(status))
        log_warn("%s was ended by signal %d, restarting it: %.200s pid=%d", c->name, WTERMSIG(status), text,
                 (int)c->pid);
    else
        log_warn("%s exited with status %d, restarting it: %.200s pid=%d", c->name, WEXITSTATUS(status), text,
                 (int)c->pid);
}

static void on_exit_seen(uv_poll_t *watch, int poll_status, int events)
{
    struct child *c = watch->data;
    int status = 0;
    (void)poll_status, (void)events;
    if (waitpid(c->pid, &status, WNOHANG) == 0)
        return;
    uv_poll_stop(watch);
    uv_close((uv_handle_t *)watch, free_watch);
    c->watch = NULL;
    fd_close(&c->pidfd);
    log_death(c, status);
    if (c->state == CHILD_STARTING)
        c->deaths++;
    move_to(c, CHILD_WAITING); /* before the owner acts on it, so that it gives this one nothing to do */
    c->on_death(c);
    fd_close(&c->socket);
    uv_timer_stop(&c->timer);
    if (c->stopping) {
        move_to(c, CHILD_STOPPED);
    } else {
        restart_later(c);
    }
}

void child_revive(struct child *c)
{
    if (c->state != CHILD_FAILED || c->stopping)
        return;
    c->deaths = 0;
    c->backoff_ms = BACKOFF_FIRST_MS;
    child_start(c);
}

void child_stop(struct child *c, uint64_t limit_ms)
{
    c->stopping = true;
    uv_timer_stop(&c->timer);
    if (c->state == CHILD_WAITING || c->state == CHILD_FAILED)
        move_to(c, CHILD_STOPPED);
    if (c->state == CHILD_STOPPED)
        return;
    if (c->socket >= 0)
        shutdown(c->socket, SHUT_RDWR); /* closed in on_exit_seen: a poll handle may still look at it */
    uv_timer_start(&c->timer, on_timer, limit_ms, 0);
}
