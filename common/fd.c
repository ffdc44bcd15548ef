#include "common/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/err.h"

void fd_close(int *fd)
{
    int kept = errno;
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    errno = kept;
}

int fd_set_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return -errno;
    return 0;
}

int fd_socketpair(int type, int out_pair[2])
{
    return socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, out_pair) < 0 ? -errno : 0;
}

int fd_send(int sock, const void *data, size_t size, const int *fds, size_t count)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(FD_PASS_MAX * sizeof(int))];
    } control;
    union { /* sendmsg does not write through it */
        const void *from;
        void *base;
    } bytes = {.from = data};
    struct iovec part = {.iov_base = bytes.base, .iov_len = size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

    if (count > FD_PASS_MAX)
        return -E2BIG;
    if (count) {
        memset(&control, 0, sizeof control);
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(header), fds, count * sizeof(int));
    }
    ssize_t sent;
    do
        sent = sendmsg(sock, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : 0;
}

/* Appends the descriptors of one control message; what there is no room for is closed. */
static void collect(const struct cmsghdr *header, int *fds, size_t room, size_t *have, bool *lost)
{
    size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
        int fd;
        memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
        if (*have < room) {
            fds[(*have)++] = fd;
        } else {
            close(fd);
            *lost = true;
        }
    }
}

ssize_t fd_receive(int sock, void *data, size_t size, int *fds, size_t *count, int flags)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE((FD_PASS_MAX + 3) * sizeof(int))];
    } control;
    struct iovec part = {.iov_base = data, .iov_len = size};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    ssize_t got;
    do
        got = recvmsg(sock, &message, flags | MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return -errno;

    size_t room = *count, have = 0;
    bool lost = (message.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) != 0;
    for (struct cmsghdr *h = CMSG_FIRSTHDR(&message); h; h = CMSG_NXTHDR(&message, h))
        if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS)
            collect(h, fds, room, &have, &lost);
    if (lost) {
        while (have)
            close(fds[--have]);
        *count = 0;
        return ERR_CORRUPT;
    }
    *count = have;
    return got;
}

int fd_pidfd_open(pid_t pid)
{
    long fd = syscall(SYS_pidfd_open, pid, 0);
    return fd < 0 ? -errno : (int)fd;
}

int fd_read_all(int fd, void *to, size_t size)
{
    for (char *at = to; size;) {
        ssize_t got = read(fd, at, size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -errno : ERR_CLOSED;
        at += got;
        size -= (size_t)got;
    }
    return 0;
}

/* A kernel that is not preemptible has the processor to the end of a write: a megabyte is a millisecond. */
enum { PIECE = 128 << 10 };

static size_t piece_of(size_t size)
{
    return size < PIECE ? size : PIECE;
}

/* Between two pieces whoever waits for the processor has it: one by one they are too short for the kernel to take it away. */
static void let_others(size_t left)
{
    if (left)
        (void)sched_yield();
}

int fd_write_all(int fd, const void *from, size_t size)
{
    for (const char *at = from; size;) {
        ssize_t put = write(fd, at, piece_of(size));
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -errno;
        at += put;
        size -= (size_t)put;
        let_others(size);
    }
    return 0;
}

int fd_pwrite_all(int fd, const void *from, size_t size, off_t at)
{
    for (const char *next = from; size;) {
        ssize_t put = pwrite(fd, next, piece_of(size), at);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -errno;
        next += put;
        at += put;
        size -= (size_t)put;
        let_others(size);
    }
    return 0;
}

int fd_pread_all(int fd, void *to, size_t size, off_t at)
{
    for (char *next = to; size;) {
        ssize_t got = pread(fd, next, size, at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -errno : ERR_CLOSED;
        next += got;
        at += got;
        size -= (size_t)got;
    }
    return 0;
}

int fd_sync_directory(const char *path)
{
    scoped(fd) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return -errno;
    return 0;
}

/* "/memfd:mayfly-batch (deleted)" */
static bool is_memfd(int directory, const char *name)
{
    static const char prefix[] = "/memfd:";
    char target[sizeof prefix];
    ssize_t length = readlinkat(directory, name, target, sizeof target);
    return length > (ssize_t)strlen(prefix) && memcmp(target, prefix, strlen(prefix)) == 0;
}

void fd_count_memfds(uint64_t *out_count, uint64_t *out_bytes)
{
    DIR *all = opendir("/proc/self/fd");
    *out_count = *out_bytes = 0;
    if (!all)
        return;
    for (const struct dirent *e; (e = readdir(all));) {
        struct stat status;
        if (!is_memfd(dirfd(all), e->d_name) || fstatat(dirfd(all), e->d_name, &status, 0) != 0)
            continue;
        ++*out_count;
        *out_bytes += (uint64_t)status.st_blocks * 512;
    }
    closedir(all);
}
