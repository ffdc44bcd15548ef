/* logger.h - one line per decision, to stderr: `level process[shard]: sentence key=value`.
 *
 * Only processes log, libraries return codes. Where stderr is the journal (JOURNAL_STREAM), entries go there with fields
 * instead (journal.h), or lines begin with <N>. A sentence is lower case without full stop; errors end in `: <err_str>`; a
 * failure that is survived says what happens next. */
#ifndef COMMON_LOGGER_H
#define COMMON_LOGGER_H

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* `process` is the first word of each line, for example "mayflyd" or "mayfly-shard[1.0]"; it is copied (31 bytes). */
void log_open(const char *process, enum log_level least);
void log_set_level(enum log_level least);

void log_at(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)
#define log_info(...) log_at(LOG_INFO, __VA_ARGS__)
#define log_warn(...) log_at(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__)

/* Logs and exits with status 1: only for main.c before a process is ready. */
_Noreturn void log_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
