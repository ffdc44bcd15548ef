/* fd.h - descriptors: scoped closing, passing over sockets, pidfds, whole reads and writes. All are close-on-exec. */
#ifndef COMMON_FD_H
#define COMMON_FD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* `scoped(fd) int fd = open(...)` closes at the end of the block unless fd_take was called. */
#define scoped(type) __attribute__((cleanup(scoped_##type)))

static inline int fd_take(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

void fd_close(int *fd); /* accepts -1; sets it to -1; keeps errno */
static inline void scoped_fd(int *fd) { fd_close(fd); }

int fd_set_nonblocking(int fd);

/* A pair of connected sockets; `type` is SOCK_STREAM or SOCK_SEQPACKET. */
int fd_socketpair(int type, int out_pair[2]);

enum { FD_PASS_MAX = 250 }; /* the kernel takes 253 in one message */

/* One datagram with descriptors. 0, -EAGAIN, -EPIPE, ... */
int fd_send(int sock, const void *data, size_t size, const int *fds, size_t count);

/* Bytes received, 0 at end of file, or negative. *count is room in `fds` before and descriptors received after; more than
 * there is room for, or lost ones (MSG_CTRUNC), close all of them and give ERR_CORRUPT. */
ssize_t fd_receive(int sock, void *data, size_t size, int *fds, size_t *count, int flags);

int fd_pidfd_open(pid_t pid); /* the descriptor, or a negative errno */

/* All of it, or a negative errno (ERR_CLOSED if the file ends before). */
int fd_read_all(int fd, void *to, size_t size);
int fd_write_all(int fd, const void *from, size_t size);
int fd_pwrite_all(int fd, const void *from, size_t size, off_t at);
int fd_pread_all(int fd, void *to, size_t size, off_t at);

int fd_sync_directory(const char *path);

/* The memfds that this process has open, and the memory that they take. */
void fd_count_memfds(uint64_t *out_count, uint64_t *out_bytes);

#endif
