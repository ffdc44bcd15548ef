#include "worker/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/fd.h"

/* linux/ioprio.h, which older headers do not have. */
enum { IO_WHO_PROCESS = 1, IO_CLASS_IDLE = 3, IO_CLASS_SHIFT = 13 };

/* "0" is whoever writes it. */
int child_enter_group(int *entrance)
{
    int err = *entrance >= 0 && write(*entrance, "0", 1) != 1 ? -errno : 0;
    fd_close(entrance);
    return err;
}

static void die_with(pid_t nursery)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != nursery) /* it died before the prctl */
        _exit(EXIT_FAILURE);
}

/* The kernel is to kill a worker, never search. Raising needs no privilege. */
static void be_killed_first(void)
{
    static const char most[] = "1000";
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t ignored = write(fd, most, strlen(most));
    (void)ignored;
    close(fd);
}

/* Search goes first on the processor and on the disk; where the kernel says no, it goes without. */
static void step_back(struct idling *idling)
{
    idling_begin(idling);
    (void)syscall(SYS_ioprio_set, IO_WHO_PROCESS, 0, IO_CLASS_IDLE << IO_CLASS_SHIFT);
}

static void unblock_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

void child_begin(pid_t nursery, bool urgent, struct idling *idling)
{
    die_with(nursery);
    be_killed_first();
    if (!urgent)
        step_back(idling);
    unblock_signals();
}
