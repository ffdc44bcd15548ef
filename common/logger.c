#include "common/logger.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/journal.h"

enum { MAX_LINE = 4000, MAX_PROCESS = 32, MAX_HEAD = 96 /* together what a pipe takes whole */ };

/* What a process is called, how much it says and to whom: set once by main(). */
static struct {
    char process[MAX_PROCESS];
    enum log_level least;
    bool journal;   /* reads standard error: lines have a priority */
    int descriptor; /* and takes entries with fields; -1: it does not */
} logger = {.process = "mayfly", .least = LOG_INFO, .descriptor = -1};

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
    logger.journal = journal_is_stderr();
    logger.descriptor = logger.journal ? journal_open(JOURNAL_SOCKET) : -1;
}

void log_set_level(enum log_level least)
{
    logger.least = least;
}

/* Control characters must not forge a line. */
static void __attribute__((format(printf, 2, 0)))
format_sentence(char to[MAX_LINE], const char *format, va_list arguments)
{
    to[0] = 0;
    vsnprintf(to, MAX_LINE, format, arguments);
    for (char *at = to; *at; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            *at = ' ';
}

/* The journal has the time of each line by itself. */
static void say_when(char *to, size_t size)
{
    char now[CLOCK_RFC3339_SIZE];
    clock_rfc3339(clock_wall_us(), now);
    snprintf(to, size, "%s ", now);
}

/* One write per line, so that lines of several processes do not mix. */
static void write_line(enum log_level level, const char *sentence)
{
    char line[MAX_HEAD + MAX_LINE], before[CLOCK_RFC3339_SIZE + 8];
    if (logger.journal)
        snprintf(before, sizeof before, "<%d>", levels[level].priority);
    else
        say_when(before, sizeof before);
    int length = snprintf(line, sizeof line, "%s%s %s: %s\n", before, levels[level].name, logger.process, sentence);
    ssize_t ignored = write(STDERR_FILENO, line, (size_t)length);
    (void)ignored;
}

/* False: it must be said as a line. */
static bool send_entry(enum log_level level, const char *sentence)
{
    char fields[3 * MAX_LINE];
    const struct journal_entry entry = {levels[level].priority, logger.process, sentence};
    size_t size = logger.descriptor >= 0 ? journal_format(&entry, fields, sizeof fields) : 0;
    return size && send(logger.descriptor, fields, size, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)size;
}

void log_at(enum log_level level, const char *format, ...)
{
    if (level < logger.least)
        return;
    char sentence[MAX_LINE];
    va_list arguments;
    va_start(arguments, format);
    format_sentence(sentence, format, arguments);
    va_end(arguments);
    if (!send_entry(level, sentence))
        write_line(level, sentence);
}

/* By the stream: an entry of a process that is gone when the journal looks at it would not be known as the unit's. */
_Noreturn void log_die(const char *format, ...)
{
    char sentence[MAX_LINE];
    va_list arguments;
    va_start(arguments, format);
    format_sentence(sentence, format, arguments);
    va_end(arguments);
    write_line(LOG_ERROR, sentence);
    exit(EXIT_FAILURE);
}
