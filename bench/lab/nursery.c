#include "bench/lab/nursery.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/check.h"

static uint64_t cpu_us(const struct rusage *r)
{
    return (uint64_t)(r->ru_utime.tv_sec + r->ru_stime.tv_sec) * 1000000 +
           (uint64_t)(r->ru_utime.tv_usec + r->ru_stime.tv_usec);
}

/* The batch's corpus is mapped where the parent has it: that was before the fork. */
_Noreturn static void work(const struct discipline *d, const struct batch *b, int out, struct space_figures *words)
{
    struct space s;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    space_open(&s, d);
    index_batch(&s, b, out, NULL, NULL);
    *words = space_figures(&s);
    _exit(EXIT_SUCCESS);
}

/* `words` is shared with the worker, which leaves its figures there. */
static struct report run_worker(const struct discipline *d, const struct batch *b, int out, struct space_figures *words)
{
    struct rusage used;
    int status;
    pid_t pid = fork();
    require(pid >= 0);
    if (pid == 0)
        work(d, b, out, words);
    require(wait4(pid, &status, 0, &used) == pid && status == 0);
    return (struct report){cpu_us(&used), *words};
}

_Noreturn static void serve(const struct discipline *d, int out, int fd)
{
    struct batch b;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    void *words = mmap(NULL, sizeof(struct space_figures), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    require(words != MAP_FAILED);
    while (read(fd, &b, sizeof b) == sizeof b) {
        struct report report = run_worker(d, &b, out, words);
        require(write(fd, &report, sizeof report) == sizeof report);
    }
    _exit(EXIT_SUCCESS);
}

void nursery_start(struct nursery *n, const struct discipline *d, int out)
{
    int pair[2];
    require(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
    n->pid = fork();
    require(n->pid >= 0);
    if (n->pid == 0) {
        close(pair[0]);
        serve(d, out, pair[1]);
    }
    close(pair[1]);
    n->fd = pair[0];
}

void nursery_stop(struct nursery *n)
{
    close(n->fd);
    require(waitpid(n->pid, NULL, 0) == n->pid);
    n->pid = 0;
}

void nursery_order(struct nursery *n, const struct batch *b)
{
    require(write(n->fd, b, sizeof *b) == sizeof *b);
}

bool nursery_reports(struct nursery *n, int milliseconds, struct report *report)
{
    struct pollfd p = {.fd = n->fd, .events = POLLIN};
    if (poll(&p, 1, milliseconds) <= 0)
        return false;
    require(read(n->fd, report, sizeof *report) == sizeof *report);
    return true;
}
