/* config.h - the coordinator's settings: built-in defaults < INI file < MAYFLY_* environment < options.
 *
 * One table in config.c says for each key its type, default, bounds and meaning; it prints --help and --print-config,
 * checks the file and is the source of the man page. An unknown key is an error that names file and line. */
#ifndef COORDINATOR_CONFIG_H
#define COORDINATOR_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum config_merge { MERGE_AUTO, MERGE_MANUAL };
enum config_worker_cap { CAP_AUTO, CAP_CGROUP2, CAP_CGROUP1, CAP_RLIMIT };

/* Strings are owned and never NULL; sizes are bytes. */
struct config {
    char *data, *socket, *listen, *key, *libexec;
    uint64_t socket_mode;
    bool has_shards;                   /* somebody has said how many; of data that is there its own number counts */
    uint64_t shards, readers, workers; /* workers: as written, 0 = one more than CPUs; config_workers() for use */
    uint64_t worker_memory, max_document_size, region_memory, log_quota, query_memory;
    uint64_t deadline_ms, slow_query_ms, max_connections;
    uint64_t stop_timeout, lock_timeout, worker_timeout, answer_timeout; /* seconds */
    uint64_t merge;                      /* enum config_merge */
    uint64_t worker_cap;                 /* enum config_worker_cap */
    uint64_t shard_heap;                 /* of each: no key, but fit.h may lower it */
    uint64_t log_level;                  /* enum log_level */
};

enum { CONFIG_MAX_WHY = 512 };

enum config_command { CONFIG_RUN, CONFIG_CHECK, CONFIG_PRINT, CONFIG_HELP, CONFIG_VERSION };

/* Reads file, environment and options in that order and checks the whole. ERR_INVALID fills `why` (of size
 * CONFIG_MAX_WHY) with one sentence. */
int config_load(int argc, char **argv, char **environment, struct config *out, enum config_command *out_command,
                char *why);
void config_finish(struct config *c);

/* Takes over from `fresh` what may change at run time and calls back for each key that differs. */
typedef void config_change(void *context, const char *key, bool applied);
void config_reload(struct config *running, struct config *fresh, config_change *changed, void *context);

void config_print(const struct config *c, FILE *to); /* as an INI file */
void config_help(FILE *to);

size_t config_workers(const struct config *c);

/* Sizes and numbers as people write them: 64, 256K, 1M, 2G, 1T. False if malformed or too large. */
bool config_parse_size(const char *text, uint64_t *out);

#endif
