#include "common/process_memory.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/fd.h"

/* Without stdio: its buffers would be memory of whoever measures. An empty text for a process that is gone. */
static void read_text(int pid, const char *name, char *to, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    scoped(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? 0 : read(fd, to, size - 1);
    to[got > 0 ? got : 0] = '\0';
}

/* "\nRssAnon:\t    1234 kB" */
static uint64_t bytes_of(const char *text, const char *key)
{
    const char *at = strstr(text, key);
    return at ? strtoull(at + strlen(key), NULL, 10) * 1024 : 0;
}

void process_memory_read(int pid, struct process_memory *out)
{
    char text[4096];
    read_text(pid, "status", text, sizeof text);
    out->rss_anon = bytes_of(text, "\nRssAnon:");
    out->rss_file = bytes_of(text, "\nRssFile:");
    out->rss_shmem = bytes_of(text, "\nRssShmem:");
    out->rss_peak = bytes_of(text, "\nVmHWM:");
}

uint64_t process_memory_share(int pid)
{
    char text[2048];
    read_text(pid, "smaps_rollup", text, sizeof text);
    return bytes_of(text, "\nPss:");
}
