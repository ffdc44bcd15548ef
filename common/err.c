#include "common/err.h"

#include <stddef.h>
#include <string.h>

static const struct {
    int err;
    const char *text;
} own_names[] = {
    {ERR_CORRUPT, "corrupt data"},
    {ERR_FULL, "no room within the cap"},
    {ERR_TOO_LARGE, "too large"},
    {ERR_VERSION, "of another version"},
    {ERR_INVALID, "invalid"},
    {ERR_STALE, "stale"},
    {ERR_BUSY, "busy"},
    {ERR_CLOSED, "closed by the other end"},
};

enum { MAX_RANGES = 4 };

/* Filled by main() before anything else runs, then only read. */
static struct {
    int low, high;
    const char *(*name)(int err);
} ranges[MAX_RANGES];

const char *err_str(int err)
{
    if (err == 0)
        return "no error";
    for (size_t i = 0; i < sizeof own_names / sizeof own_names[0]; i++)
        if (own_names[i].err == err)
            return own_names[i].text;
    for (size_t i = 0; i < MAX_RANGES && ranges[i].name; i++)
        if (err >= ranges[i].low && err <= ranges[i].high)
            return ranges[i].name(err);
    const char *text = err < 0 && err > -4096 ? strerrordesc_np(-err) : NULL;
    return text ? text : "unknown error";
}

void err_name_range(int low, int high, const char *(*name)(int err))
{
    for (size_t i = 0; i < MAX_RANGES; i++) {
        if (ranges[i].name)
            continue;
        ranges[i].low = low;
        ranges[i].high = high;
        ranges[i].name = name;
        return;
    }
}
