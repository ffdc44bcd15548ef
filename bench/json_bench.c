/* json_bench - how fast each way to read JSON goes through documents: every key and string is seen, unescaped.
 *
 *   json_bench NDJSON [ROUNDS]      a line of the table for each way: the best of the rounds, in CPU time
 *
 * common/json.c beside the libraries themselves, as far as they were there when this was built. */
#include "bench/json_bench.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/check.h"
#include "common/json.h"

/* ------------------------------------------------------------------------------------------------- common/json.c */

static struct arena arena;

static bool on_scalar(void *context, enum json_type type, struct str text)
{
    if (type == JSON_STRING)
        json_seen(context, text.ptr, text.len);
    return true;
}

static bool on_key(void *context, struct str key)
{
    json_seen(context, key.ptr, key.len);
    return true;
}

static bool read_wrapped(struct json_sum *sum, const char *text, size_t size)
{
    static const struct json_events events = {.scalar = on_scalar, .key = on_key};
    arena_rewind(&arena, 0);
    return json_parse(&arena, (struct str){.ptr = text, .len = size}, &events, sum, NULL) == 0;
}

/* ------------------------------------------------------------------------------------------------------------ measure
 */

static const struct {
    const char *name;
    bool (*read)(struct json_sum *sum, const char *text, size_t size);
} ways[] = {
    {"common/json.c", read_wrapped},
#ifdef HAVE_YAJL
    {"yajl", json_read_yajl},
#endif
#ifdef HAVE_JANSSON
    {"jansson", json_read_jansson},
#endif
#ifdef HAVE_SIMDJSON
    {"simdjson, on demand", json_read_simdjson},
#endif
};

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Seconds for all lines; what was seen goes to `sum`, so that ways can be compared. */
static double round_of(size_t way, const char *text, size_t size, struct json_sum *sum)
{
    double begin = cpu_seconds();
    *sum = (struct json_sum){0};
    for (const char *at = text, *end = text + size, *line_end; at < end; at = line_end + 1) {
        line_end = memchr(at, '\n', (size_t)(end - at));
        if (!line_end)
            line_end = end;
        if (!ways[way].read(sum, at, (size_t)(line_end - at)))
            sum->failed++;
    }
    return cpu_seconds() - begin;
}

static void measure(size_t way, const char *text, size_t size, int rounds)
{
    struct json_sum sum;
    double best = 1e9;
    for (int i = 0; i < rounds; i++) {
        double seconds = round_of(way, text, size, &sum);
        best = seconds < best ? seconds : best;
    }
    printf("| %s | %.0f | %zu strings of %zu bytes, %zu failed |\n", ways[way].name, (double)size / 1e6 / best,
           sum.strings, sum.bytes, sum.failed);
}

int main(int argc, char **argv)
{
    struct stat status;
    int fd = argc > 1 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0 || fstat(fd, &status) < 0 || status.st_size == 0) {
        fprintf(stderr, "usage: json_bench NDJSON [ROUNDS]\n");
        return 2;
    }
    size_t size = (size_t)status.st_size;
    char *text = malloc(size + JSON_BENCH_PADDING);
    require(text && read(fd, text, size) == (ssize_t)size && arena_init(&arena, (size_t)1 << 30, 0) == 0);
    close(fd);
    printf("| JSON by | MB per CPU s | seen |\n|---|---|---|\n");
    for (size_t way = 0; way < sizeof ways / sizeof ways[0]; way++)
        measure(way, text, size, argc > 2 ? atoi(argv[2]) : 5);
    arena_finish(&arena);
    free(text);
}
