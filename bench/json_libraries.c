/* Libraries for json_bench: each has names that json.h has, too, so it does not see that. */
#include <string.h>

#include "bench/json_bench.h"

#ifdef HAVE_YAJL
#include <yajl/yajl_parse.h>

static int yajl_string(void *sum, const unsigned char *text, size_t length)
{
    json_seen(sum, (const char *)text, length);
    return 1;
}

bool json_read_yajl(struct json_sum *sum, const char *text, size_t size)
{
    static const yajl_callbacks callbacks = {.yajl_string = yajl_string, .yajl_map_key = yajl_string};
    yajl_handle handle = yajl_alloc(&callbacks, NULL, sum);
    bool ok = yajl_parse(handle, (const unsigned char *)text, size) == yajl_status_ok &&
              yajl_complete_parse(handle) == yajl_status_ok;
    yajl_free(handle);
    return ok;
}
#endif

#ifdef HAVE_JANSSON
#include <jansson.h>

static void walk(struct json_sum *sum, json_t *value)
{
    const char *key;
    size_t i;
    json_t *child;
    if (json_is_string(value))
        json_seen(sum, json_string_value(value), json_string_length(value));
    json_object_foreach(value, key, child)
    {
        json_seen(sum, key, strlen(key));
        walk(sum, child);
    }
    json_array_foreach(value, i, child) walk(sum, child);
}

bool json_read_jansson(struct json_sum *sum, const char *text, size_t size)
{
    json_t *root = json_loadb(text, size, JSON_ALLOW_NUL, NULL);
    walk(sum, root);
    json_decref(root);
    return root != NULL;
}
#endif
