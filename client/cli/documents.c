#include "client/cli/documents.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fd.h"

enum { CHUNK = 256 << 10, HEAD = 64 << 10 /* kept of a document too large, to name it */ };

static bool ends_with(const char *path, const char *suffix)
{
    size_t length = strlen(path), wanted = strlen(suffix);
    return length >= wanted && strcmp(path + length - wanted, suffix) == 0;
}

static enum format by_name(const char *path)
{
    if (ends_with(path, ".csv"))
        return FORMAT_CSV;
    if (ends_with(path, ".json"))
        return FORMAT_JSON;
    if (ends_with(path, ".ndjson") || ends_with(path, ".jsonl"))
        return FORMAT_NDJSON;
    return FORMAT_GUESS;
}

int documents_open(struct documents *d, const char *path, enum format format, size_t max_size)
{
    *d = (struct documents){.max_size = max_size, .line = 1, .current_line = 1};
    d->format = format == FORMAT_GUESS ? by_name(path) : format;
    d->fd = strcmp(path, "-") == 0 ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : open(path, O_RDONLY | O_CLOEXEC);
    if (d->fd < 0)
        return -errno;
    (void)posix_fadvise(d->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    d->chunk = malloc(CHUNK);
    if (d->chunk)
        return 0;
    fd_close(&d->fd);
    return -ENOMEM;
}

void documents_close(struct documents *d)
{
    fd_close(&d->fd);
    free(d->chunk);
    d->chunk = NULL;
    buf_finish(&d->current);
    csv_finish(&d->csv);
}

/* A pipe is not opened: who writes to it would see it closed. */
int documents_look(const char *path, uint64_t *out_size)
{
    struct stat st;
    *out_size = 0;
    if (strcmp(path, "-") == 0)
        return 0;
    if (stat(path, &st) < 0 || faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) < 0)
        return -errno;
    if (S_ISDIR(st.st_mode))
        return -EISDIR;
    if (S_ISREG(st.st_mode))
        *out_size = (uint64_t)st.st_size;
    return 0;
}

static const struct {
    const char *magic;
    size_t length;
    const char *unpacker;
} packed[] = {
    {"\x1f\x8b", 2, "zcat"},         {"\x28\xb5\x2f\xfd", 4, "zstdcat"}, {"\xfd" "7zXZ", 5, "xzcat"},
    {"BZh", 3, "bzcat"},             {"PK\x03\x04", 4, "unzip -p"},       {"\x04\x22\x4d\x18", 4, "lz4cat"},
};

static const char *unpacker_of(const char *bytes, size_t length)
{
    for (size_t i = 0; i < sizeof packed / sizeof packed[0]; i++)
        if (length >= packed[i].length && memcmp(bytes, packed[i].magic, packed[i].length) == 0)
            return packed[i].unpacker;
    return NULL;
}

const char *documents_unpacker(const char *path)
{
    char bytes[8];
    struct stat st;
    bool is_file = stat(path, &st) == 0 && S_ISREG(st.st_mode); /* a pipe's bytes are not ours to take yet */
    scoped(fd) int fd = is_file ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t got = fd < 0 ? -1 : pread(fd, bytes, sizeof bytes, 0);
    return got > 0 ? unpacker_of(bytes, (size_t)got) : NULL;
}

/* A byte order mark is skipped, and the first byte that says anything tells an array from lines. */
static void look_at_beginning(struct documents *d)
{
    d->began = true;
    d->is_packed = unpacker_of(d->chunk, d->len) != NULL;
    if (d->len >= 3 && memcmp(d->chunk, "\xef\xbb\xbf", 3) == 0)
        d->at = 3;
    if (d->format != FORMAT_GUESS)
        return;
    size_t at = d->at;
    while (at < d->len && strchr(" \t\r\n", d->chunk[at]) && d->chunk[at])
        at++;
    d->format = at < d->len && d->chunk[at] == '[' ? FORMAT_JSON : FORMAT_NDJSON;
}

static int fill(struct documents *d)
{
    ssize_t got;
    do
        got = read(d->fd, d->chunk, CHUNK);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return -errno;
    d->at = 0;
    d->len = (size_t)got;
    d->eof = got == 0;
    if (!d->began && got)
        look_at_beginning(d);
    return 0;
}

/* ------------------------------------------------------------------------------------------- the one in hand */

/* Adds chunk bytes up to `end` to the document in hand, or counts them only if it is too large. */
static void keep_to(struct documents *d, size_t end)
{
    size_t size = end - d->at, room;
    d->current_size += size;
    room = d->current_size <= d->max_size ? size : d->current.len < HEAD ? HEAD - d->current.len : 0;
    buf_append(&d->current, d->chunk + d->at, size < room ? size : room);
    d->at = end;
}

static void hand_out(struct documents *d, struct document *out)
{
    *out = (struct document){.text = {.ptr = d->current.data, .len = d->current.len},
                             .line = d->current_line,
                             .is_too_large = d->current_size > d->max_size,
                             .problem = d->current.err ? "out of memory" : NULL};
}

static void begin_next(struct documents *d)
{
    if (d->current_size == 0)
        return;
    d->current.len = 0;
    d->current.err = 0;
    d->current_size = 0;
    buf_shrink(&d->current, 4 << 20);
}

static bool is_blank(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] != ' ' && s.ptr[i] != '\t' && s.ptr[i] != '\r' && s.ptr[i] != '\n')
            return false;
    return true;
}

/* ------------------------------------------------------------------------------------------------- formats */

/* Each takes from the chunk until a document is whole (true) or the chunk is used up. */

static bool next_line(struct documents *d, struct document *out)
{
    while (d->at < d->len) {
        const char *feed = memchr(d->chunk + d->at, '\n', d->len - d->at);
        if (d->current_size == 0)
            d->current_line = d->line;
        keep_to(d, feed ? (size_t)(feed - d->chunk) : d->len);
        if (!feed)
            return false;
        d->at++;
        d->line++;
        hand_out(d, out);
        if (out->is_too_large || !is_blank(out->text))
            return true;
        begin_next(d);
    }
    return false;
}

static bool break_off(struct documents *d, struct document *out, const char *problem)
{
    d->is_broken = true;
    *out = (struct document){.line = d->line, .problem = problem};
    return true;
}

static bool next_value(struct documents *d, struct document *out)
{
    for (size_t i = d->at; i < d->len; i++) {
        char c = d->chunk[i];
        bool begins = !d->split.in_value;
        enum split_event event = json_split_byte(&d->split, c);
        if (event == SPLIT_BROKEN)
            return break_off(d, out, "not JSON from here on: nothing more of this file is read");
        if (begins)
            d->at = i + (event == SPLIT_BETWEEN);
        if (begins && event != SPLIT_BETWEEN)
            d->current_line = d->line;
        if (event == SPLIT_LAST || event == SPLIT_BEFORE) {
            keep_to(d, i + (event == SPLIT_LAST));
            hand_out(d, out);
            return true;
        }
        d->line += c == '\n';
    }
    if (d->split.in_value)
        keep_to(d, d->len);
    d->at = d->len;
    return false;
}

/* The first record names the columns; a document is the JSON of a record. */
static bool take_record(struct documents *d, struct document *out)
{
    hand_out(d, out);
    if (!out->is_too_large && is_blank(out->text))
        return false;
    if (out->problem)
        return true;
    if (!d->csv.columns) {
        out->problem = out->is_too_large ? "the first line is too long" : csv_begin(&d->csv, out->text);
        d->is_broken = out->problem != NULL;
        return d->is_broken;
    }
    if (out->is_too_large)
        return true;
    out->problem = csv_to_json(&d->csv, out->text);
    out->text = (struct str){.ptr = d->csv.json.data, .len = d->csv.json.len};
    out->is_too_large = out->text.len > d->max_size;
    return true;
}

static bool next_record(struct documents *d, struct document *out)
{
    for (size_t i = d->at; i < d->len; i++) {
        if (d->current_size == 0 && i == d->at)
            d->current_line = d->line;
        d->line += d->chunk[i] == '\n';
        if (!csv_ends_record(&d->csv, d->chunk[i]))
            continue;
        keep_to(d, i + 1);
        if (take_record(d, out))
            return true;
        begin_next(d);
    }
    keep_to(d, d->len);
    return false;
}

/* What is in hand at the end of the file. */
static bool end_lines(struct documents *d, struct document *out)
{
    hand_out(d, out);
    return d->current_size && (out->is_too_large || !is_blank(out->text));
}

static bool end_values(struct documents *d, struct document *out)
{
    if (d->split.in_scalar && d->split.state == SPLIT_VALUES) {
        d->split.in_value = false;
        hand_out(d, out);
        return true;
    }
    return !json_split_is_whole(&d->split) && break_off(d, out, "the file ends within a value or an array");
}

static bool end_records(struct documents *d, struct document *out)
{
    if (!csv_is_whole(&d->csv))
        return break_off(d, out, "the file ends within quotes");
    return d->current_size && take_record(d, out);
}

static const struct {
    bool (*next)(struct documents *d, struct document *out);
    bool (*end)(struct documents *d, struct document *out);
} formats[] = {
    [FORMAT_GUESS] = {next_line, end_lines}, /* an empty file */
    [FORMAT_NDJSON] = {next_line, end_lines},
    [FORMAT_JSON] = {next_value, end_values},
    [FORMAT_CSV] = {next_record, end_records},
};

int documents_next(struct documents *d, struct document *out)
{
    if (d->is_broken || d->eof)
        return 0;
    begin_next(d);
    for (;;) {
        if (d->at < d->len && formats[d->format].next(d, out))
            return 1;
        int err = fill(d);
        if (err)
            return err;
        if (d->is_packed)
            return break_off(d, out, "what comes is packed: unpack it first, as zcat does");
        if (d->eof)
            return formats[d->format].end(d, out);
    }
}
