/* json_bench.h - what ways to read JSON that are measured have in common. */
#ifndef BENCH_JSON_BENCH_H
#define BENCH_JSON_BENCH_H

#include <stdbool.h>
#include <stddef.h>

enum { JSON_BENCH_PADDING = 64 }; /* bytes behind the text that may be read */

struct json_sum {
    size_t strings, bytes, failed, used;
};

/* Keeps a compiler from leaving out what makes the string. */
static inline void json_seen(struct json_sum *sum, const char *text, size_t length)
{
    sum->strings++;
    sum->bytes += length;
    sum->used += length ? (unsigned char)text[length - 1] : 0;
}

#ifdef __cplusplus
extern "C" {
#endif

bool json_read_yajl(struct json_sum *sum, const char *text, size_t size);
bool json_read_jansson(struct json_sum *sum, const char *text, size_t size);
bool json_read_simdjson(struct json_sum *sum, const char *text, size_t size);

#ifdef __cplusplus
}
#endif

#endif
