#include "coordinator/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/file.h>
#include <time.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/logger.h"

enum { POLL_MS = 20 };

int lock_take(const char *path, unsigned limit_ms)
{
    scoped(fd) int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0640);
    if (fd < 0)
        return -errno;
    uint64_t limit = clock_us() + (uint64_t)limit_ms * 1000;
    /* flock has no time limit, and what held it may be a worker that ends any moment. */
    for (bool said = false; flock(fd, LOCK_EX | LOCK_NB) < 0; said = true) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return -errno;
        if (clock_us() > limit)
            return -EWOULDBLOCK;
        if (!said)
            log_info("waiting for a former life to let go of %s", path);
        nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000}, NULL);
    }
    return fd_take(&fd);
}
