#include "common/region.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/fd.h"

enum {
    SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL,
    SEAL_TRIES = 4,
};

static int map(struct region *r, int fd, size_t size, int protection, int kind)
{
    void *base = mmap(NULL, size, protection, kind, fd, 0);
    if (base == MAP_FAILED)
        return -errno;
    *r = (struct region){.fd = fd, .base = base, .capacity = size, .used = r->used};
    return 0;
}

static int open_memfd(struct region *r, const char *name, size_t size, int first_seals)
{
    if (size == 0 || size > SIZE_MAX / 2)
        return -EINVAL;
    *r = REGION_NONE;
    scoped(fd) int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || ftruncate(fd, (off_t)size) < 0 || fcntl(fd, F_ADD_SEALS, first_seals) < 0)
        return -errno;
    int err = map(r, fd, size, PROT_READ | PROT_WRITE, MAP_SHARED);
    if (!err)
        fd_take(&fd);
    return err;
}

int region_open(struct region *r, const char *name, size_t capacity)
{
    /* The file may still be cut to what was used, but never grow past what was asked for. */
    return open_memfd(r, name, capacity, F_SEAL_GROW);
}

int region_create(struct region *r, const char *name)
{
    *r = REGION_NONE;
    r->fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return r->fd < 0 ? -errno : 0;
}

int region_put(struct region *r, const void *bytes, size_t size, size_t at)
{
    int err = fd_pwrite_all(r->fd, bytes, size, (off_t)at);
    if (!err && r->used < at + size)
        r->used = at + size;
    return err;
}

int region_open_shared(struct region *r, const char *name, size_t size)
{
    return open_memfd(r, name, size, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
}

int region_map_shared(struct region *r, int fd, size_t size)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return -errno;
    if (status.st_size < (off_t)size)
        return ERR_CORRUPT;
    *r = REGION_NONE;
    return map(r, fd, size, PROT_READ | PROT_WRITE, MAP_SHARED);
}

int region_seal(struct region *r)
{
    if (r->base)
        munmap(r->base, r->capacity); /* first: F_SEAL_WRITE is refused while a writable map exists */
    r->base = NULL;
    r->capacity = 0;
    if (ftruncate(r->fd, (off_t)r->used) < 0 || fcntl(r->fd, F_ADD_SEALS, SEALS) < 0)
        return -errno;
    return 0;
}

int region_cut(struct region *r)
{
    return ftruncate(r->fd, (off_t)r->used) < 0 ? -errno : 0;
}

/* Busy is a region also for a while after its pages were written: the kernel has waited for that already, so once more is
 * enough if it was nothing else. */
static int add_seals(int fd)
{
    int err = -EBUSY;
    for (int tries = 0; err == -EBUSY && tries < SEAL_TRIES; tries++)
        err = fcntl(fd, F_ADD_SEALS, SEALS) < 0 ? -errno : 0;
    return err == -EPERM ? 0 : err; /* somebody else has */
}

int region_map_sealed(struct region *r, int fd, size_t at_least)
{
    /* Success of F_SEAL_WRITE proves that nobody holds a writable map; the size is final only after it. */
    int err = add_seals(fd);
    if (err)
        return err == -EBUSY || err == -EINVAL ? ERR_CORRUPT : err;
    int seals = fcntl(fd, F_GET_SEALS);
    struct stat status;
    if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &status) < 0 || status.st_size <= 0 ||
        (uint64_t)status.st_size < at_least)
        return ERR_CORRUPT;

    size_t size = (size_t)status.st_size;
    *r = REGION_NONE;
    err = map(r, fd, size, PROT_READ, MAP_SHARED);
    if (err == -EPERM) /* kernels before 6.7 refuse a shared map of what is sealed, even a read-only one */
        err = map(r, fd, size, PROT_READ, MAP_PRIVATE);
    if (!err)
        r->used = size;
    return err;
}

void region_close(struct region *r)
{
    if (r->base)
        munmap(r->base, r->capacity);
    fd_close(&r->fd);
    *r = REGION_NONE;
}
