#include "worker/nursery.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/err.h"
#include "proto/message.h"
#include "worker/child.h"

enum { TICKET_BYTES = 256, EVENT_BYTES = 128 };

typedef Mayfly__Internal__NurseryEvent event_message;
typedef Mayfly__Internal__JobTicket ticket_message;

/* ----------------------------------------------------------------------------------------------------------- messages
 */

static int say(const event_message *event, int fd)
{
    uint8_t bytes[EVENT_BYTES];
    if (mayfly__internal__nursery_event__get_packed_size(event) > sizeof bytes)
        return ERR_TOO_LARGE;
    size_t size = mayfly__internal__nursery_event__pack(event, bytes);
    return fd_send(NURSERY_SOCKET, bytes, size, &fd, fd >= 0);
}

static int say_refused(uint64_t job, int err)
{
    event_message event = MAYFLY__INTERNAL__NURSERY_EVENT__INIT;
    event.kind = MAYFLY__INTERNAL__NURSERY_EVENT__KIND__REFUSED;
    event.job = job;
    event.status = -err;
    return say(&event, -1);
}

static int say_alive(void)
{
    event_message event = MAYFLY__INTERNAL__NURSERY_EVENT__INIT;
    event.kind = MAYFLY__INTERNAL__NURSERY_EVENT__KIND__ALIVE;
    return say(&event, -1);
}

/* protobuf-c unpacks into these bytes: a ticket is two numbers, and the nursery does not allocate. */
struct scratch {
    size_t used;
    _Alignas(max_align_t) uint8_t bytes[TICKET_BYTES];
};

static void *take(void *context, size_t size)
{
    struct scratch *s = context;
    size = (size + 15) & ~(size_t)15;
    if (size > sizeof s->bytes - s->used)
        return NULL;
    s->used += size;
    return s->bytes + s->used - size;
}

static void give(void *context, void *block)
{
    (void)context, (void)block;
}

/* The others stand where they would with one. */
static bool leave_out_job(struct ticket *t)
{
    if (t->job == 0 || t->count != TICKET_REGIONS - 1)
        return false;
    memmove(t->fds + 1, t->fds, t->count * sizeof *t->fds);
    t->fds[TICKET_JOB] = -1;
    t->count++;
    return true;
}

/* The entrance to the group is taken out of the descriptors, of which it is the last. */
static bool decode_ticket(const uint8_t *bytes, size_t size, struct ticket *t)
{
    struct scratch scratch = {0};
    ProtobufCAllocator allocator = {.alloc = take, .free = give, .allocator_data = &scratch};
    ticket_message *ticket = mayfly__internal__job_ticket__unpack(&allocator, size, bytes);
    if (!ticket)
        return false;
    t->job = ticket->job;
    t->urgent = ticket->urgent;
    t->ahead_memory = ticket->ahead_memory;
    if (ticket->has_group && t->count)
        t->group = t->fds[--t->count];
    if (t->ahead_memory)
        return leave_out_job(t);
    return t->count >= TICKET_REGIONS || (t->job == 0 && t->count == 0);
}

/* ------------------------------------------------------------------------------------------------------------ a ticket
 */

static void close_ticket(struct ticket *t)
{
    fd_close(&t->group);
    while (t->count)
        fd_close(&t->fds[--t->count]);
}

static int free_place(const struct nursery *n)
{
    for (int i = 0; i < NURSERY_CHILDREN; i++)
        if (n->children[i].pid == 0)
            return i;
    return -1;
}

/* The group first: whatever the worker touches from there on is counted as its own. */
static _Noreturn void be_worker(struct nursery *n, pid_t parent)
{
    struct idling idling;
    n->ticket.group_err = child_enter_group(&n->ticket.group);
    close(NURSERY_SOCKET);
    close(NURSERY_WORDS);
    close(n->signals);
    child_begin(parent, n->ticket.urgent, &idling);
    n->work(n->context, &n->ticket);
    _exit(EXIT_FAILURE);
}

/* fork, never a raw clone: a robust mutex belongs to a thread id that glibc keeps, and a worker that dies under LMDB's
 * write lock would block the shard for good. The pid is ours until we reap it, so its pidfd cannot be another's. */
static int fork_worker(struct nursery *n, int place)
{
    pid_t parent = getpid(), pid = fork();
    if (pid < 0)
        return say_refused(n->ticket.job, -errno);
    if (pid == 0)
        be_worker(n, parent);
    n->children[place].pid = pid;
    n->children[place].job = n->ticket.job;
    event_message event = MAYFLY__INTERNAL__NURSERY_EVENT__INIT;
    event.kind = MAYFLY__INTERNAL__NURSERY_EVENT__KIND__FORKED;
    event.job = n->ticket.job;
    event.pid = pid;
    int pidfd = fd_pidfd_open(pid);
    int err = say(&event, pidfd);
    fd_close(&pidfd);
    return err;
}

static int serve_ticket(struct nursery *n)
{
    uint8_t bytes[TICKET_BYTES];
    struct ticket *t = &n->ticket;
    t->count = FD_PASS_MAX;
    t->job = 0;
    t->group = -1;
    ssize_t got = fd_receive(NURSERY_SOCKET, bytes, sizeof bytes, t->fds, &t->count, 0);
    if (got == 0 || got == -ECONNRESET)
        return ERR_CLOSED;
    if (got == ERR_CORRUPT)
        return say_refused(0, -EBADMSG);
    if (got < 0)
        return (int)got;
    int place = free_place(n), err;
    if (!decode_ticket(bytes, (size_t)got, t))
        err = say_refused(t->job, -EINVAL);
    else if (t->job == 0)
        err = say_alive();
    else if (place < 0)
        err = say_refused(t->job, -EAGAIN);
    else
        err = fork_worker(n, place);
    close_ticket(t);
    return err;
}

/* --------------------------------------------------------------------------------------------------------------
 * reaping
 */

static uint64_t forget_child(struct nursery *n, pid_t pid)
{
    for (int i = 0; i < NURSERY_CHILDREN; i++) {
        if (n->children[i].pid == pid) {
            n->children[i].pid = 0;
            return n->children[i].job;
        }
    }
    return 0;
}

static int reap(struct nursery *n)
{
    struct signalfd_siginfo ignored[8]; /* one signal may stand for several children */
    while (read(n->signals, ignored, sizeof ignored) > 0)
        ;
    pid_t pid;
    int status, err = 0;
    while (!err && (pid = waitpid(-1, &status, WNOHANG)) > 0) {
        event_message event = MAYFLY__INTERNAL__NURSERY_EVENT__INIT;
        event.kind = MAYFLY__INTERNAL__NURSERY_EVENT__KIND__REAPED;
        event.job = forget_child(n, pid);
        event.pid = pid;
        event.status = status;
        err = say(&event, -1);
    }
    return err;
}

/* --------------------------------------------------------------------------------------------------------------- life
 */

int nursery_open(struct nursery *n, nursery_work *work, void *context)
{
    sigset_t children;
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    if (sigprocmask(SIG_BLOCK, &children, NULL) != 0)
        return -errno;
    *n = (struct nursery){.work = work, .context = context};
    n->signals = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
    return n->signals < 0 ? -errno : 0;
}

static int serve(struct nursery *n)
{
    event_message ready = MAYFLY__INTERNAL__NURSERY_EVENT__INIT;
    ready.kind = MAYFLY__INTERNAL__NURSERY_EVENT__KIND__READY;
    ready.pid = getpid();
    int err = say(&ready, -1);
    while (!err) {
        struct pollfd waits[] = {{.fd = NURSERY_SOCKET, .events = POLLIN}, {.fd = n->signals, .events = POLLIN}};
        if (poll(waits, 2, -1) < 0)
            err = errno == EINTR ? 0 : -errno;
        else if (waits[1].revents)
            err = reap(n);
        else if (waits[0].revents)
            err = serve_ticket(n);
    }
    return err;
}

int nursery_serve(struct nursery *n)
{
    int err = serve(n);
    return err == ERR_CLOSED || err == -EPIPE || err == -ECONNRESET ? 0 : err;
}
