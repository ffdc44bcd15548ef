/* pwrite and writev of mayfly-worker, for the library that writes its files: in pieces.
 *
 * A kernel that is not preemptible (seen with Linux 6.18, PREEMPT_NONE) has the processor to the end of a
 * write, and LMDB writes a transaction of 4 MiB at once: whoever wakes up meanwhile waits up to 5 ms for it, and 0.5 ms for a
 * piece (bench/RESULTS.md, "Memory"). The names are those of libc, which they stand before; libc's are asked for nothing. */
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PIECE = 128 << 10 };

__attribute__((visibility("default"))) ssize_t pwrite(int fd, const void *from, size_t size, off_t at)
{
    size_t done = 0;
    do {
        size_t piece = size - done < PIECE ? size - done : PIECE;
        ssize_t put = syscall(SYS_pwrite64, fd, (const char *)from + done, piece, at + (off_t)done);
        if (put < 0)
            return done ? (ssize_t)done : put;
        done += (size_t)put;
        if ((size_t)put < piece)
            break;
    } while (done < size);
    return (ssize_t)done;
}

static ssize_t write_pieces(int fd, const char *from, size_t size)
{
    size_t done = 0;
    while (done < size) {
        size_t piece = size - done < PIECE ? size - done : PIECE;
        ssize_t put = syscall(SYS_write, fd, from + done, piece);
        if (put < 0)
            return done ? (ssize_t)done : put;
        done += (size_t)put;
        if ((size_t)put < piece)
            break;
    }
    return (ssize_t)done;
}

/* Those that come next to each other and fit a piece go together. */
static int together(const struct iovec *pieces, int count)
{
    size_t size = 0;
    int n = 0;
    while (n < count && (size += pieces[n].iov_len) <= PIECE)
        n++;
    return n;
}

__attribute__((visibility("default"))) ssize_t writev(int fd, const struct iovec *pieces, int count)
{
    size_t done = 0;
    for (int i = 0; i < count;) {
        int n = together(pieces + i, count - i);
        size_t wanted = 0;
        for (int k = 0; k < (n ? n : 1); k++)
            wanted += pieces[i + k].iov_len;
        ssize_t put = n ? syscall(SYS_writev, fd, pieces + i, n) : write_pieces(fd, pieces[i].iov_base, wanted);
        if (put < 0)
            return done ? (ssize_t)done : put;
        done += (size_t)put;
        if ((size_t)put < wanted)
            break;
        i += n ? n : 1;
    }
    return (ssize_t)done;
}
