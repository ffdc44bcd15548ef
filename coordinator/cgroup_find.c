#include "coordinator/cgroup_find.h"

#include <stdio.h>
#include <string.h>

#include "common/str.h"

static bool next_line(struct str *rest, struct str *out)
{
    if (!rest->len)
        return false;
    const char *end = memchr(rest->ptr, '\n', rest->len);
    size_t length = end ? (size_t)(end - rest->ptr) : rest->len, step = end ? length + 1 : length;
    *out = (struct str){.ptr = rest->ptr, .len = length};
    rest->ptr += step;
    rest->len -= step;
    return true;
}

/* Up to the separator, or all that is left; an empty word at the end. */
static struct str next_word(struct str *rest, char separator)
{
    const char *end = rest->len ? memchr(rest->ptr, separator, rest->len) : NULL;
    struct str word = {.ptr = rest->ptr, .len = end ? (size_t)(end - rest->ptr) : rest->len};
    size_t step = end ? word.len + 1 : word.len;
    rest->ptr += step;
    rest->len -= step;
    return word;
}

static bool lists(struct str names, const char *wanted)
{
    while (names.len)
        if (str_equal(next_word(&names, ','), str_of(wanted)))
            return true;
    return false;
}

static bool own_path(enum cgroup_version version, struct str text, struct str *out)
{
    struct str line;
    while (next_line(&text, &line)) {
        struct str number = next_word(&line, ':'), controllers = next_word(&line, ':');
        bool found =
            version == CGROUP_V2 ? str_equal(number, STR("0")) && !controllers.len : lists(controllers, "memory");
        *out = line;
        if (found && line.len && line.ptr[0] == '/')
            return true;
    }
    return false;
}

struct mount {
    struct str root, where;
};

/* Fields of a line after where: options, any number of tags, "-", file system, source, options of the file system. */
static bool read_mount(enum cgroup_version version, struct str line, struct mount *out)
{
    for (int i = 0; i < 3; i++)
        next_word(&line, ' ');
    out->root = next_word(&line, ' ');
    out->where = next_word(&line, ' ');
    while (line.len && !str_equal(next_word(&line, ' '), STR("-")))
        ;
    struct str type = next_word(&line, ' ');
    next_word(&line, ' ');
    return version == CGROUP_V2 ? str_equal(type, STR("cgroup2"))
                                : str_equal(type, STR("cgroup")) && lists(line, "memory");
}

/* What is left of the path below the mounted part; false: it is not below it. */
static bool strip_root(struct str path, struct str root, struct str *out)
{
    if (root.len == 1)
        root.len = 0; /* "/" */
    *out = (struct str){.ptr = path.ptr + root.len, .len = path.len - root.len};
    return path.len >= root.len && memcmp(path.ptr, root.ptr, root.len) == 0 && (!out->len || out->ptr[0] == '/');
}

bool cgroup_find(enum cgroup_version version, const char *own_groups, const char *mounts, char out[CGROUP_PATH])
{
    struct str path, below, line, rest = str_of(mounts);
    struct mount mount;
    if (!own_path(version, str_of(own_groups), &path))
        return false;
    while (next_line(&rest, &line)) {
        if (!read_mount(version, line, &mount) || !strip_root(path, mount.root, &below))
            continue;
        if (below.len == 1)
            below.len = 0;
        int length =
            snprintf(out, CGROUP_PATH, "%.*s%.*s", (int)mount.where.len, mount.where.ptr, (int)below.len, below.ptr);
        return length > 0 && length < CGROUP_PATH;
    }
    return false;
}
