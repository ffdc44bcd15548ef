/* journal.h - systemd's journal by its native protocol: one datagram of fields for each entry.  Used by logger.c. */
#ifndef COMMON_JOURNAL_H
#define COMMON_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>

/* Whether standard error is the stream to the journal that JOURNAL_STREAM ("device:inode") names. */
bool journal_is_stderr(void);

/* A descriptor to send entries by; -1: the journal is not there. */
int journal_open(const char *socket);

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

struct journal_entry {
    int priority;         /* of syslog */
    const char *process;  /* "mayflyd", "mayfly-shard[1.0]" */
    const char *sentence; /* one line, with key=value behind the words */
};

/*
 * The datagram's bytes, or 0 where they do not fit:
 *
 *   PRIORITY=6
 *   SYSLOG_IDENTIFIER=mayfly-shard      the process without what is in brackets
 *   MAYFLY_PROCESS=mayfly-shard[1.0]
 *   MESSAGE=<the sentence>
 *   MAYFLY_INDEX=films                  one for each ` index=films` of the sentence; `query=` goes on to the end
 */
size_t journal_format(const struct journal_entry *e, char *to, size_t room);

#endif
