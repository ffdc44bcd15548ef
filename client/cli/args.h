/* args.h - the command line as tables: what each command takes, its help, and what was given. */
#ifndef CLIENT_CLI_ARGS_H
#define CLIENT_CLI_ARGS_H

#include <stdbool.h>
#include <stdint.h>

#include "client/mayfly.h"

enum status {
    STATUS_DONE,
    STATUS_REFUSED,
    STATUS_USAGE,
    STATUS_CANNOT_CONNECT,
    STATUS_STARTING, /* these of ping --ready alone */
    STATUS_DEGRADED,
    STATUS_STOPPING,
};

struct option {
    const char *name;
    const char *value; /* what its value is called in the help; NULL: it takes none */
    const char *help;
};

enum { OPTIONS_MAX = 24 };

struct cli;

struct command {
    const char *name;             /* one word or two */
    const char *arguments;        /* "NAME FILE..." */
    int least, most;              /* words; most < 0: any number */
    const char *help;             /* the first line is the summary */
    const struct option *options; /* ends with a NULL name; NULL: none */
    int (*run)(struct cli *c);
};

/* What was given, and the connection once there is one. */
struct cli {
    struct mayfly_options endpoint;
    bool json;
    bool help;
    bool version;
    const struct command *command;
    const char *group; /* the first word of commands of two, where there is no second: help is of those */
    const char **words; /* behind the command's name */
    int count;
    const char *values[OPTIONS_MAX]; /* of the command's options, in their order; "" for one without a value */
    struct mayfly *connection;
};

/* STATUS_DONE, or STATUS_USAGE after having said why. `commands` ends with a NULL name. */
int args_parse(struct cli *c, const struct command *commands, int argc, char **argv);

void args_help(const struct cli *c, const struct command *commands);

/* The value of an option of the command, or NULL. It must be one of its table. */
const char *args_option(const struct cli *c, const char *name);
bool args_flag(const struct cli *c, const char *name);

/* The number given or `otherwise`; STATUS_USAGE if it is none or out of range. */
int args_number(const struct cli *c, const char *name, uint32_t otherwise, uint32_t least, uint32_t most,
                uint32_t *out);

/* The place of an option's value among `choices` (ends with NULL), `otherwise` if it was not given. */
int args_choice(const struct cli *c, const char *name, const char *const *choices, int otherwise, int *out);

/* Says what is wrong with the command line and where to read on; always STATUS_USAGE. */
int args_usage(const struct cli *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
