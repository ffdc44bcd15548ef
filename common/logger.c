#include "common/logger.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_LINE = 4096, MAX_PROCESS = 32 };

/* What a process is called and how much it says: set once by main(). */
static struct {
    char process[MAX_PROCESS];
    enum log_level least;
    bool journal;
} logger = {.process = "mayfly", .least = LOG_INFO};

static const struct {
    const char *name;
    int priority; /* of syslog.h, which has names of its own for our levels */
} levels[] = {
    [LOG_DEBUG] = {"debug", 7},
    [LOG_INFO] = {"info", 6},
    [LOG_WARN] = {"warn", 4},
    [LOG_ERROR] = {"error", 3},
};

void log_open(const char *process, enum log_level least)
{
    snprintf(logger.process, sizeof logger.process, "%s", process);
    logger.least = least;
    logger.journal = getenv("JOURNAL_STREAM") != NULL;
}

void log_set_level(enum log_level least)
{
    logger.least = least;
}

/* One write per line, so that lines of several processes do not mix. Control characters must not forge a line. */
static void __attribute__((format(printf, 2, 0)))
write_line(enum log_level level, const char *format, va_list arguments)
{
    char line[MAX_LINE];
    int used = logger.journal ? snprintf(line, sizeof line, "<%d>", levels[level].priority) : 0;
    used += snprintf(line + used, sizeof line - (size_t)used, "%s %s: ", levels[level].name, logger.process);
    int more = vsnprintf(line + used, sizeof line - (size_t)used - 1, format, arguments);
    size_t length = (size_t)used + (more < 0 ? 0 : (size_t)more);
    if (length > sizeof line - 2)
        length = sizeof line - 2;
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = ' ';
    line[length++] = '\n';
    ssize_t ignored = write(STDERR_FILENO, line, length);
    (void)ignored;
}

void log_at(enum log_level level, const char *format, ...)
{
    if (level < logger.least)
        return;
    va_list arguments;
    va_start(arguments, format);
    write_line(level, format, arguments);
    va_end(arguments);
}

_Noreturn void log_die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_line(LOG_ERROR, format, arguments);
    va_end(arguments);
    exit(EXIT_FAILURE);
}
