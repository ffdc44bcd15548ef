#include "proto/manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/crc.h"
#include "common/err.h"
#include "common/fd.h"

enum { MOST = 256 << 20, LINE_MOST = 8 + 1 + 20 + 1 + MANIFEST_PATH + MANIFEST_WHAT };

static const char head[] = "mayfly-backup ", end_word[] = "end ", damaged[] = "damaged ";

/* ----------------------------------------------------------------------------------------------------------- writing */

void manifest_begin(struct buf *b)
{
    buf_printf(b, "%s%d\n", head, MANIFEST_VERSION);
}

/* One line, whatever the reason is. */
static void add_damage(struct buf *b, const struct manifest_file *f)
{
    buf_printf(b, "%s%s ", damaged, f->path);
    for (const char *c = f->what; *c; c++)
        buf_append_str(b, (struct str){(unsigned char)*c < ' ' ? " " : c, 1});
    buf_append_str(b, str_of("\n"));
}

void manifest_add(struct buf *b, const struct manifest_file *f)
{
    if (manifest_is_damage(f)) {
        add_damage(b, f);
        return;
    }
    buf_printf(b, "%08" PRIx32 " %" PRIu64 " %s\n", f->crc, f->bytes, f->path);
}

void manifest_end(struct buf *b)
{
    uint32_t crc = b->err ? 0 : crc32c(0, b->data, b->len);
    buf_printf(b, "%s%08" PRIx32 "\n", end_word, crc);
}

/* ----------------------------------------------------------------------------------------------------------- reading */

/* The next line without its end; false if there is none that is whole. */
static bool take_line(struct str *text, struct str *out)
{
    const char *newline = text->len ? memchr(text->ptr, '\n', text->len) : NULL;
    if (!newline)
        return false;
    *out = (struct str){text->ptr, (size_t)(newline - text->ptr)};
    text->len -= out->len + 1;
    text->ptr = newline + 1;
    return true;
}

/* A number and nothing else, in `base` 10 or 16; it takes what stands in front of `until`, or all. */
static bool take_number(struct str *line, char until, int base, uint64_t *out)
{
    char digits[24];
    const char *stop = until && line->len ? memchr(line->ptr, until, line->len) : line->ptr + line->len;
    size_t length = stop ? (size_t)(stop - line->ptr) : 0;
    if (length == 0 || length >= sizeof digits)
        return false;
    memcpy(digits, line->ptr, length);
    digits[length] = '\0';
    if (strspn(digits, base == 16 ? "0123456789abcdef" : "0123456789") != length)
        return false;
    errno = 0;
    *out = strtoull(digits, NULL, base);
    size_t taken = length + (until != 0);
    line->ptr += taken;
    line->len -= taken;
    return errno == 0;
}

static bool take_word(struct str *line, const char *word)
{
    size_t length = strlen(word);
    if (line->len < length || memcmp(line->ptr, word, length) != 0)
        return false;
    line->ptr += length;
    line->len -= length;
    return true;
}

int manifest_open(struct str text, struct str *out_lines, uint32_t *out_version)
{
    struct str line, rest = text;
    uint64_t number;
    if (!take_line(&rest, &line) || !take_word(&line, head) || !take_number(&line, 0, 10, &number) ||
        number > UINT32_MAX)
        return ERR_CORRUPT;
    *out_version = (uint32_t)number;
    if (number < 1 || number > MANIFEST_VERSION)
        return ERR_VERSION;
    size_t end_size = sizeof end_word - 1 + 8 + 1;
    if (rest.len < end_size)
        return ERR_CORRUPT;
    struct str all = {text.ptr, text.len - end_size}, end = {all.ptr + all.len, end_size};
    if (all.ptr[all.len - 1] != '\n' || !take_line(&end, &line) || end.len || !take_word(&line, end_word) ||
        !take_number(&line, 0, 16, &number) || number != crc32c(0, all.ptr, all.len))
        return ERR_CORRUPT;
    *out_lines = (struct str){rest.ptr, rest.len - end_size};
    return 0;
}

/* It stays below the directory, whoever wrote it. */
static bool is_path(struct str path)
{
    bool begins = true; /* a part */
    if (path.len == 0 || path.len >= MANIFEST_PATH)
        return false;
    for (size_t i = 0; i < path.len; i++) {
        char c = path.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
        if (!plain && (begins || (c != '.' && c != '/')))
            return false;
        begins = c == '/';
    }
    return !begins;
}

static int set_path(struct manifest_file *out, struct str path)
{
    if (!is_path(path))
        return ERR_CORRUPT;
    memcpy(out->path, path.ptr, path.len);
    out->path[path.len] = '\0';
    return 1;
}

static int take_damage(struct str line, struct manifest_file *out)
{
    const char *space = line.len ? memchr(line.ptr, ' ', line.len) : NULL;
    size_t path = space ? (size_t)(space - line.ptr) : line.len, what = space ? line.len - path - 1 : 0;
    if (what == 0 || what >= MANIFEST_WHAT || memchr(space, '\0', what + 1))
        return ERR_CORRUPT;
    memcpy(out->what, space + 1, what);
    out->what[what] = '\0';
    return set_path(out, (struct str){line.ptr, path});
}

int manifest_next(struct str *lines, struct manifest_file *out)
{
    struct str line;
    uint64_t crc;
    if (lines->len == 0)
        return 0;
    *out = (struct manifest_file){0};
    if (!take_line(lines, &line) || line.len > LINE_MOST)
        return ERR_CORRUPT;
    if (take_word(&line, damaged))
        return take_damage(line, out);
    if (!take_number(&line, ' ', 16, &crc) || crc > UINT32_MAX || !take_number(&line, ' ', 10, &out->bytes))
        return ERR_CORRUPT;
    out->crc = (uint32_t)crc;
    return set_path(out, line);
}

int manifest_read(const char *directory, struct buf *out)
{
    char path[PATH_MAX];
    struct stat status;
    if (snprintf(path, sizeof path, "%s/" MANIFEST_NAME, directory) >= (int)sizeof path)
        return -ENAMETOOLONG;
    scoped(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) < 0)
        return -errno;
    if (!S_ISREG(status.st_mode) || status.st_size > MOST)
        return ERR_TOO_LARGE;
    void *room = buf_extend(out, (size_t)status.st_size + 1);
    if (!room)
        return -ENOMEM;
    out->len--;
    int err = fd_read_all(fd, room, (size_t)status.st_size);
    return err == ERR_CLOSED ? ERR_CORRUPT : err;
}
