/* config.h - what an operator may set: defaults < /etc/mayfly/mayfly.conf < MAYFLY_* environment < options.
 *
 * One table in config.c is the source of --help, of the check of the file, of --print-config and of the manual page. */
#ifndef COORDINATOR_CONFIG_H
#define COORDINATOR_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { CONFIG_TEXT = 256 };

struct config {
    char data[CONFIG_TEXT];
    char socket[CONFIG_TEXT];
    char listen[CONFIG_TEXT]; /* "" or HOST:PORT */
    char key[CONFIG_TEXT];    /* "": none is asked for */
    char libexec[CONFIG_TEXT];
    char merge[CONFIG_TEXT];     /* auto | manual */
    char log_level[CONFIG_TEXT]; /* debug | info | warn | error */
    uint64_t shards, readers, workers;
    uint64_t worker_memory, region_memory, query_memory; /* bytes */
    uint64_t log_quota, max_document_size, disk_reserve;
    uint64_t deadline_ms, stop_timeout_ms, socket_mode, max_connections;
};

struct config_request {
    bool check_only, print_only, help_only, version_only;
    const char *file; /* --config, or NULL */
};

enum { CONFIG_ERROR = 512 };

/* The whole of it: file, environment, options. 0, or ERR_INVALID with a sentence that names what and where. */
int config_load(int argc, char **argv, struct config *out, struct config_request *out_request, char error[CONFIG_ERROR]);

/* Again, for SIGHUP; what may change while running is taken over into `current` and named in `changed`, what needs a
 * restart in `waiting` (both comma-separated). */
int config_reload(int argc, char **argv, struct config *current, char changed[CONFIG_ERROR], char waiting[CONFIG_ERROR],
                  char error[CONFIG_ERROR]);

void config_help(FILE *to);
void config_print(const struct config *c, FILE *to);

#endif
