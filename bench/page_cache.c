#include "page_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/fd.h"

enum { LINE = 4096, SECTOR = 512 };

static int drop_mapping(uintptr_t begin, uintptr_t end, const char *path)
{
    scoped(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || madvise((void *)begin, end - begin, MADV_DONTNEED) != 0)
        return -errno;
    return -posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}

/* "begin-end mode offset device inode   path" */
static int drop_line(char *line, const char *directory)
{
    uintptr_t begin, end;
    char *path = strchr(line, '/');
    line[strcspn(line, "\n")] = 0;
    if (!path || strncmp(path, directory, strlen(directory)) != 0 || !strstr(path, "/seg-"))
        return 0;
    return sscanf(line, "%" SCNxPTR "-%" SCNxPTR, &begin, &end) == 2 ? drop_mapping(begin, end, path) : -EINVAL;
}

int page_cache_drop(const char *directory)
{
    char line[LINE], *real = realpath(directory, NULL);
    FILE *maps = fopen("/proc/self/maps", "re");
    int err = maps && real ? 0 : -errno;
    while (!err && fgets(line, sizeof line, maps))
        err = drop_line(line, real);
    if (maps)
        fclose(maps);
    free(real);
    return err;
}

struct page_waits_seen page_cache_waits(void)
{
    struct rusage usage = {0};
    getrusage(RUSAGE_THREAD, &usage);
    return (struct page_waits_seen){(uint64_t)usage.ru_majflt, (uint64_t)usage.ru_inblock * SECTOR};
}
