#include "coordinator/config_keys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/err.h"
#include "common/logger.h"
#include "coordinator/reader_choice.h"

#define KiB        ((uint64_t)1 << 10)
#define MiB        ((uint64_t)1 << 20)
#define GiB        ((uint64_t)1 << 30)
#define TiB        ((uint64_t)1 << 40)
#define AT(member) offsetof(struct config, member)

static const char *const merge_choices[] = {[MERGE_AUTO] = "auto", [MERGE_MANUAL] = "manual", NULL};
static const char *const cap_choices[] = {[CAP_AUTO] = "auto",       [CAP_CGROUP2] = "cgroup2",
                                          [CAP_CGROUP1] = "cgroup1", [CAP_RLIMIT] = "rlimit", NULL};
static const char *const level_choices[] = {
    [LOG_DEBUG] = "debug", [LOG_INFO] = "info", [LOG_WARN] = "warn", [LOG_ERROR] = "error", NULL};

// clang-format off
const struct config_key config_keys[CONFIG_KEYS] = {
    {"data", CONFIG_TEXT, AT(data), "/var/lib/mayfly", 1, 0, false, NULL, "directory of everything the server keeps"},
    {"socket", CONFIG_TEXT, AT(socket), "/run/mayfly.sock", 0, 0, false, NULL, "Unix socket for clients; empty: none"},
    {"socket-mode", CONFIG_MODE, AT(socket_mode), "0660", 0, 0777, false, NULL, "permissions of the socket, octal"},
    {"listen", CONFIG_TEXT, AT(listen), "", 0, 0, false, NULL, "HOST:PORT for clients over TCP; empty: none"},
    {"key", CONFIG_TEXT, AT(key), "", 0, 0, true, NULL, "what clients must say to be let in; empty: nothing"},
    {"shards", CONFIG_NUMBER, AT(shards), "2", 1, 64, false, NULL, "parts of every index, for new data; what data has changes by mayfly reshard"},
    {"readers", CONFIG_NUMBER, AT(readers), "2", 1, READERS_MOST, false, NULL, "processes that serve each shard"},
    {"workers", CONFIG_NUMBER, AT(workers), "0", 0, 256, true, NULL, "indexing processes at once, one of them kept for small updates; 0: one more than CPUs"},
    {"worker-memory", CONFIG_SIZE, AT(worker_memory), "256M", 32 * MiB, TiB, true, NULL, "most a worker may use, all of it counted"},
    {"worker-cap", CONFIG_CHOICE, AT(worker_cap), "auto", 0, 0, false, cap_choices, "what enforces worker-memory; auto: a control group, else RLIMIT_DATA alone"},
    {"worker-timeout", CONFIG_NUMBER, AT(worker_timeout), "300", 0, 86400, true, NULL, "seconds that a worker may take over one document; 0: any number"},
    {"max-document-size", CONFIG_SIZE, AT(max_document_size), "16M", KiB, GiB, true, NULL, "larger documents are refused; at most half of worker-memory, region-memory and query-memory"},
    {"region-memory", CONFIG_SIZE, AT(region_memory), "256M", 16 * MiB, TiB, true, NULL, "batches on their way to workers, together"},
    {"log-quota", CONFIG_SIZE, AT(log_quota), "4G", 16 * MiB, 1024 * TiB, true, NULL, "disk for accepted, not yet indexed operations"},
    {"query-memory", CONFIG_SIZE, AT(query_memory), "64M", MiB, 64 * GiB, true, NULL, "most one query may use in a shard"},
    {"deadline-ms", CONFIG_NUMBER, AT(deadline_ms), "1500", 1, 3600000, true, NULL, "a search that takes longer is answered in part"},
    {"slow-query-ms", CONFIG_NUMBER, AT(slow_query_ms), "0", 0, 3600000, true, NULL, "searches that take so long are logged with what was asked; 0: none"},
    {"merge", CONFIG_CHOICE, AT(merge), "auto", 0, 0, true, merge_choices, "when segment files are merged; manual: by index optimize only"},
    {"max-connections", CONFIG_NUMBER, AT(max_connections), "1000", 1, 100000, true, NULL, "client connections at once"},
    {"answer-timeout", CONFIG_NUMBER, AT(answer_timeout), "20", 0, 86400, true, NULL, "seconds that a shard beyond the deadlines of its searches, or the nursery, may be silent before it is ended and started again; 0: any number"},
    {"stop-timeout", CONFIG_NUMBER, AT(stop_timeout), "20", 0, 3600, true, NULL, "seconds to finish what is in flight when stopping"},
    {"lock-timeout", CONFIG_NUMBER, AT(lock_timeout), "60", 0, 86400, false, NULL, "seconds to wait for a former server on the same data"},
    {"log-level", CONFIG_CHOICE, AT(log_level), "info", 0, 0, true, level_choices, "least level that is logged"},
    {"libexec", CONFIG_TEXT, AT(libexec), "", 0, 0, false, NULL, "directory of mayfly-worker and mayfly-shard; empty: where they stand beside or were installed with mayflyd"},
};
// clang-format on

char **config_text(struct config *c, const struct config_key *k)
{
    return (char **)(void *)((char *)c + k->offset);
}

uint64_t *config_number(struct config *c, const struct config_key *k)
{
    return (uint64_t *)(void *)((char *)c + k->offset);
}

const struct config_key *config_find_key(const char *name, size_t length)
{
    for (size_t i = 0; i < CONFIG_KEYS; i++)
        if (strlen(config_keys[i].name) == length && memcmp(config_keys[i].name, name, length) == 0)
            return &config_keys[i];
    return NULL;
}

static bool parse_digits(const char *text, int base, uint64_t *out, const char **end)
{
    if (*text < '0' || *text > '9')
        return false;
    char *stop;
    errno = 0;
    unsigned long long v = strtoull(text, &stop, base);
    *out = v;
    *end = stop;
    return errno == 0;
}

bool config_parse_size(const char *text, uint64_t *out)
{
    static const char units[] = "KMGT";
    const char *end;
    uint64_t v;
    if (!parse_digits(text, 10, &v, &end))
        return false;
    unsigned shift = 0;
    const char *unit = *end ? strchr(units, *end & ~0x20) : NULL;
    if (unit) {
        shift = 10 * (unsigned)(unit - units + 1);
        end++;
    }
    if (*end || v > UINT64_MAX >> shift)
        return false;
    *out = v << shift;
    return true;
}

static bool parse_choice(const struct config_key *k, const char *text, uint64_t *out)
{
    for (uint64_t i = 0; k->choices[i]; i++)
        if (strcmp(k->choices[i], text) == 0) {
            *out = i;
            return true;
        }
    return false;
}

static bool parse_number(const struct config_key *k, const char *text, uint64_t *out)
{
    const char *end;
    switch (k->type) {
    case CONFIG_NUMBER:
        return parse_digits(text, 10, out, &end) && !*end;
    case CONFIG_MODE:
        return parse_digits(text, 8, out, &end) && !*end;
    case CONFIG_SIZE:
        return config_parse_size(text, out);
    case CONFIG_CHOICE:
        return parse_choice(k, text, out);
    case CONFIG_TEXT:
        break;
    }
    return false;
}

/* A number as the same kind of text that parse_number reads. */
void config_format(const struct config_key *k, uint64_t v, char *to, size_t room)
{
    static const char units[] = "KMGT";
    unsigned unit = 0;
    switch (k->type) {
    case CONFIG_CHOICE:
        snprintf(to, room, "%s", k->choices[v]);
        return;
    case CONFIG_MODE:
        snprintf(to, room, "%04o", (unsigned)v);
        return;
    case CONFIG_SIZE:
        while (v && v % 1024 == 0 && unit < 4) {
            v /= 1024;
            unit++;
        }
        snprintf(to, room, unit ? "%llu%c" : "%llu", (unsigned long long)v, unit ? units[unit - 1] : 0);
        return;
    case CONFIG_NUMBER:
    case CONFIG_TEXT:
        snprintf(to, room, "%llu", (unsigned long long)v);
        return;
    }
}

void config_set_text(char **to, const char *from)
{
    char *copy = strdup(from);
    require(copy);
    free(*to);
    *to = copy;
}

static void say_choices(const struct config_key *k, const char *value, char *why)
{
    int used = snprintf(why, CONFIG_MAX_WHY, "%s: '%.100s' is none of", k->name, value);
    for (size_t i = 0; k->choices[i] && used < CONFIG_MAX_WHY; i++)
        used += snprintf(why + used, CONFIG_MAX_WHY - (size_t)used, " %s", k->choices[i]);
}

int config_set(struct config *c, const struct config_key *k, const char *value, char *why)
{
    if (k->type == CONFIG_TEXT) {
        if (strlen(value) < k->min || strlen(value) >= CONFIG_MAX_VALUE) {
            snprintf(why, CONFIG_MAX_WHY, "%s: %s", k->name, *value ? "too long" : "must not be empty");
            return ERR_INVALID;
        }
        config_set_text(config_text(c, k), value);
        return 0;
    }
    uint64_t v;
    if (!parse_number(k, value, &v)) {
        if (k->type == CONFIG_CHOICE)
            say_choices(k, value, why);
        else
            snprintf(why, CONFIG_MAX_WHY, "%s: '%.100s' is not a %s", k->name, value,
                     k->type == CONFIG_SIZE   ? "size (like 256M)"
                     : k->type == CONFIG_MODE ? "mode (like 0660)"
                                              : "number");
        return ERR_INVALID;
    }
    if (k->type != CONFIG_CHOICE && (v < k->min || v > k->max)) {
        char low[32], high[32];
        config_format(k, k->min, low, sizeof low);
        config_format(k, k->max, high, sizeof high);
        snprintf(why, CONFIG_MAX_WHY, "%s: %.100s is not between %s and %s", k->name, value, low, high);
        return ERR_INVALID;
    }
    *config_number(c, k) = v;
    return 0;
}
