#define _POSIX_C_SOURCE 200809L

#include "requests.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const struct request_mode request_modes[] = {
    {"or", REQUEST_OR, false},      {"and", REQUEST_AND, false},      {"phrase", REQUEST_PHRASE, false},
    {"last", REQUEST_LAST, false},  {"fuzzy", REQUEST_FUZZY, false},  {"count", REQUEST_OR, true},
    {"count-or", REQUEST_OR, true}, {"count-and", REQUEST_AND, true}, {"count-phrase", REQUEST_PHRASE, true},
    {NULL, REQUEST_OR, false},
};

const struct request_mode *request_mode_find(const char *name)
{
    for (const struct request_mode *m = request_modes; m->name; m++) {
        if (strcmp(m->name, name) == 0)
            return m;
    }
    return NULL;
}

static void *must_have(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

static struct request_query take_line(char *line)
{
    line[strcspn(line, "\r\n")] = '\0';
    char *tab = strchr(line, '\t');
    if (!tab)
        return (struct request_query){.name = "", .text = line};
    *tab = '\0';
    return (struct request_query){.name = line, .text = tab + 1};
}

void request_queries_read(struct request_queries *q, const char *path)
{
    FILE *file = fopen(path, "re");
    char *line = NULL;
    size_t size = 0, room = 0;
    if (!file) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    *q = (struct request_queries){0};
    while (getline(&line, &size, file) > 0) {
        if (q->count == room) {
            room = room ? 2 * room : 1024;
            q->queries = must_have(realloc(q->queries, room * sizeof *q->queries));
            q->lines = must_have(realloc(q->lines, room * sizeof *q->lines));
        }
        q->lines[q->count] = must_have(strdup(line));
        q->queries[q->count] = take_line(q->lines[q->count]);
        q->count++;
    }
    free(line);
    fclose(file);
}

void request_queries_free(struct request_queries *q)
{
    for (size_t i = 0; i < q->count; i++)
        free(q->lines[i]);
    free(q->lines);
    free(q->queries);
    *q = (struct request_queries){0};
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

void request_pass(const struct request_queries *q, const struct request_mode *mode, uint32_t k, request_run *run,
                  void *context, uint64_t *times_ns, uint64_t *answers)
{
    for (size_t i = 0; i < q->count; i++) {
        uint64_t begin = now_ns();
        answers[i] = run(context, mode, k, q->queries[i].text);
        times_ns[i] = now_ns() - begin;
    }
}

void request_print(const struct request_queries *q, const uint64_t *times_ns, const uint64_t *answers)
{
    for (size_t i = 0; i < q->count; i++)
        printf("%s\t%.3f\t%" PRIu64 "\n", q->queries[i].name, (double)times_ns[i] / 1000, answers[i]);
}

static void answer(const struct request_queries *q, const char *line, request_run *run, void *context,
                   uint64_t *times_ns, uint64_t *answers)
{
    char name[32];
    unsigned k, passes;
    const struct request_mode *mode = NULL;
    if (sscanf(line, "%31s %u %u", name, &k, &passes) == 3)
        mode = request_mode_find(name);
    if (!mode || passes == 0) {
        fprintf(stderr, "not a request \"MODE K PASSES\": %s\n", line);
        exit(EXIT_FAILURE);
    }
    for (unsigned i = 0; i < passes; i++)
        request_pass(q, mode, k, run, context, times_ns, answers);
    request_print(q, times_ns, answers);
    puts("");
    fflush(stdout);
}

void request_serve(const struct request_queries *q, request_run *run, void *context)
{
    uint64_t *times_ns = must_have(calloc(q->count + 1, sizeof *times_ns));
    uint64_t *answers = must_have(calloc(q->count + 1, sizeof *answers));
    char line[128];
    while (fgets(line, sizeof line, stdin))
        answer(q, line, run, context, times_ns, answers);
    free(times_ns);
    free(answers);
}
