#include "bench/lab/corpus.h"

#include <err.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/check.h"

static struct str map_file(const char *path)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) != 0)
        err(EXIT_FAILURE, "%s", path);
    if (info.st_size == 0)
        errx(EXIT_FAILURE, "%s is empty", path);
    size_t size = (size_t)info.st_size;
    void *base = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED)
        err(EXIT_FAILURE, "%s", path);
    close(fd);
    return (struct str){base, size};
}

static size_t next_line(struct str text, size_t at)
{
    const char *end = memchr(text.ptr + at, '\n', text.len - at);
    return end ? (size_t)(end - text.ptr) + 1 : text.len;
}

static size_t count_lines(struct str text)
{
    size_t count = 0;
    for (size_t at = 0; at < text.len; at = next_line(text, at))
        count++;
    return count;
}

void corpus_open(struct corpus *c, const char *path)
{
    *c = (struct corpus){.text = map_file(path)};
    c->lines = calloc(count_lines(c->text) + 1, sizeof *c->lines);
    require(c->lines);
    for (size_t at = 0; at < c->text.len; at = c->lines[++c->count])
        c->lines[c->count + 1] = next_line(c->text, at);
}

void corpus_close(struct corpus *c)
{
    free(c->lines);
    *c = (struct corpus){0};
}

struct str corpus_document(const struct corpus *c, size_t i)
{
    size_t from = c->lines[i % c->count];
    return (struct str){c->text.ptr + from, c->lines[i % c->count + 1] - from};
}
