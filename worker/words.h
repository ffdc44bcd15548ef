/* words.h - the last-words page of this process: what it is at, and how it ends. Nothing here allocates. */
#ifndef WORKER_WORDS_H
#define WORKER_WORDS_H

#include "common/str.h"
#include "proto/last_words.h"

enum {
    EXIT_STATUS_CORRUPT = 65,
    EXIT_STATUS_WRITE = 74,
    EXIT_STATUS_CAP = 75,
};

/* Maps the page behind `fd` (closed), filled in as of a process that is just born; NULL if it cannot be one. */
struct last_words *words_open(int fd);

void words_stage(struct last_words *w, enum child_stage stage);

/* The text first, then the reason: whoever sees a reason finds its text whole. */
void words_say(struct last_words *w, enum exit_reason reason, const char *text);

/* Says so and exits; `format` is the sentence. For malloc.c there is words_say, without stdio. */
_Noreturn void words_die(struct last_words *w, enum exit_reason reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The reason that an error code of a library stands for. */
enum exit_reason words_reason(int err);

#endif
