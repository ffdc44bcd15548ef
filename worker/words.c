#include "worker/words.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/fd.h"
#include "common/region.h"
#include "worker/malloc.h"

struct last_words *words_open(int fd)
{
    struct region page;
    if (region_map_shared(&page, fd, LAST_WORDS_SIZE) != 0)
        return NULL;
    fd_close(&fd); /* the mapping keeps it */
    struct last_words *w = (struct last_words *)(void *)page.base;
    w->pid = (uint32_t)getpid();
    w->magic = LAST_WORDS_MAGIC;
    words_stage(w, STAGE_BORN);
    return w;
}

void words_stage(struct last_words *w, enum child_stage stage)
{
    struct heap_use heap = heap_use();
    w->arena_used = heap.used;
    w->arena_peak = heap.extent;
    w->arena_cap = heap.cap;
    w->stage = stage;
}

void words_say(struct last_words *w, enum exit_reason reason, const char *text)
{
    struct heap_use heap = heap_use();
    w->arena_used = heap.used;
    w->arena_peak = heap.extent;
    size_t length = strnlen(text, sizeof w->text - 1);
    memcpy(w->text, text, length);
    w->text[length] = '\0';
    __atomic_store_n(&w->reason, (uint32_t)reason, __ATOMIC_RELEASE);
}

static int exit_status(enum exit_reason reason)
{
    static const int status[EXIT_REASONS] = {
        [EXIT_REASON_NONE] = EXIT_FAILURE,          [EXIT_REASON_CAP] = EXIT_STATUS_CAP,
        [EXIT_REASON_KERNEL_CAP] = EXIT_STATUS_CAP, [EXIT_REASON_CORRUPT] = EXIT_STATUS_CORRUPT,
        [EXIT_REASON_WRITE] = EXIT_STATUS_WRITE,    [EXIT_REASON_DISK_FULL] = EXIT_STATUS_WRITE,
    };
    return status[reason]; /* what ended as it should: 0 */
}

void words_die(struct last_words *w, enum exit_reason reason, const char *format, ...)
{
    char text[sizeof w->text];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    words_say(w, reason, text);
    _exit(exit_status(reason));
}

enum exit_reason words_reason(int err)
{
    if (err == -ENOMEM || err == ERR_FULL || err == ERR_TOO_LARGE)
        return EXIT_REASON_CAP;
    if (err == ERR_STALE)
        return EXIT_REASON_SUPERSEDED;
    if (err == ERR_CORRUPT || err == ERR_VERSION || err == ERR_INVALID)
        return EXIT_REASON_CORRUPT;
    if (err == -ENOSPC || err == -EDQUOT)
        return EXIT_REASON_DISK_FULL;
    return EXIT_REASON_WRITE;
}
