#include "common/journal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { MAX_KEY = 40 };

bool journal_is_stderr(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat status;
    char mine[64];
    if (!stream || fstat(STDERR_FILENO, &status) < 0)
        return false;
    snprintf(mine, sizeof mine, "%llu:%llu", (unsigned long long)status.st_dev, (unsigned long long)status.st_ino);
    return strcmp(stream, mine) == 0;
}

int journal_open(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return -1;
    memcpy(address.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* --- fields */

struct datagram {
    char *to;
    size_t room, used;
    bool overflown;
};

static void __attribute__((format(printf, 2, 3))) add(struct datagram *d, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(d->to + d->used, d->room - d->used, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= d->room - d->used)
        d->overflown = true;
    else
        d->used += (size_t)length;
}

static bool is_key_letter(char c)
{
    return (c >= 'a' && c <= 'z') || c == '_';
}

/* The length of a key that `=` follows; 0: this is a word like any other. */
static size_t key_length(const char *word)
{
    size_t length = 0;
    while (is_key_letter(word[length]))
        length++;
    return length <= MAX_KEY && word[0] != '_' && word[length] == '=' ? length : 0;
}

static const char *add_pair(struct datagram *d, const char *key, size_t length)
{
    char name[MAX_KEY + 1];
    const char *value = key + length + 1;
    bool is_query = length == 5 && memcmp(key, "query", 5) == 0;
    size_t bytes = is_query ? strlen(value) : strcspn(value, " ");
    for (size_t i = 0; i < length; i++)
        name[i] = (char)(key[i] == '_' ? '_' : key[i] - 'a' + 'A');
    name[length] = 0;
    add(d, "MAYFLY_%s=%.*s\n", name, (int)bytes, value);
    return value + bytes;
}

static void add_pairs(struct datagram *d, const char *sentence)
{
    const char *at = sentence;
    while (*at) {
        size_t length = key_length(at);
        at = length ? add_pair(d, at, length) : at + strcspn(at, " ");
        at += *at == ' ';
    }
}

size_t journal_format(const struct journal_entry *e, char *to, size_t room)
{
    struct datagram d = {.to = to, .room = room};
    add(&d, "PRIORITY=%d\nSYSLOG_IDENTIFIER=%.*s\nMAYFLY_PROCESS=%s\nMESSAGE=%s\n", e->priority,
        (int)strcspn(e->process, "["), e->process, e->process, e->sentence);
    add_pairs(&d, e->sentence);
    return d.overflown ? 0 : d.used;
}
