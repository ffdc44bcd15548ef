#include "coordinator/config.h"

#include <errno.h>
#include <ini.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/check.h"
#include "common/err.h"
#include "common/logger.h"

enum type { TYPE_TEXT, TYPE_NUMBER, TYPE_SIZE, TYPE_MODE, TYPE_CHOICE };

struct key {
    const char *name;
    enum type type;
    size_t offset; /* of its member in struct config */
    const char *initial;
    uint64_t min, max;
    bool reloadable;
    const char *const *choices;
    const char *doc;
};

#define KiB        ((uint64_t)1 << 10)
#define MiB        ((uint64_t)1 << 20)
#define GiB        ((uint64_t)1 << 30)
#define TiB        ((uint64_t)1 << 40)
#define AT(member) offsetof(struct config, member)

static const char *const merge_choices[] = {[MERGE_AUTO] = "auto", [MERGE_MANUAL] = "manual", NULL};
static const char *const level_choices[] = {
    [LOG_DEBUG] = "debug", [LOG_INFO] = "info", [LOG_WARN] = "warn", [LOG_ERROR] = "error", NULL};

// clang-format off
static const struct key keys[] = {
    {"data", TYPE_TEXT, AT(data), "/var/lib/mayfly", 1, 0, false, NULL, "directory of everything the server keeps"},
    {"socket", TYPE_TEXT, AT(socket), "/run/mayfly.sock", 0, 0, false, NULL, "Unix socket for clients; empty: none"},
    {"socket-mode", TYPE_MODE, AT(socket_mode), "0660", 0, 0777, false, NULL, "permissions of the socket, octal"},
    {"listen", TYPE_TEXT, AT(listen), "", 0, 0, false, NULL, "HOST:PORT for clients over TCP; empty: none"},
    {"key", TYPE_TEXT, AT(key), "", 0, 0, true, NULL, "what clients must say to be let in; empty: nothing"},
    {"shards", TYPE_NUMBER, AT(shards), "2", 1, 64, false, NULL, "parts of every index; fixed once there is data"},
    {"readers", TYPE_NUMBER, AT(readers), "2", 1, 16, false, NULL, "processes that serve each shard"},
    {"workers", TYPE_NUMBER, AT(workers), "0", 0, 256, true, NULL, "indexing processes at once; 0: one per CPU, at least 2"},
    {"worker-memory", TYPE_SIZE, AT(worker_memory), "256M", 32 * MiB, TiB, true, NULL, "most a worker may use, all of it counted"},
    {"max-document-size", TYPE_SIZE, AT(max_document_size), "16M", KiB, GiB, true, NULL, "larger documents are refused; at most half of worker-memory"},
    {"region-memory", TYPE_SIZE, AT(region_memory), "256M", 16 * MiB, TiB, true, NULL, "batches on their way to workers, together"},
    {"log-quota", TYPE_SIZE, AT(log_quota), "4G", 64 * MiB, 1024 * TiB, true, NULL, "disk for accepted, not yet indexed operations"},
    {"query-memory", TYPE_SIZE, AT(query_memory), "64M", MiB, 64 * GiB, true, NULL, "most one query may use in a shard"},
    {"deadline-ms", TYPE_NUMBER, AT(deadline_ms), "1500", 1, 3600000, true, NULL, "a search that takes longer is answered in part"},
    {"merge", TYPE_CHOICE, AT(merge), "auto", 0, 0, true, merge_choices, "when segments are merged; manual: by index optimize only"},
    {"max-connections", TYPE_NUMBER, AT(max_connections), "1000", 1, 100000, true, NULL, "client connections at once"},
    {"stop-timeout", TYPE_NUMBER, AT(stop_timeout), "20", 0, 3600, true, NULL, "seconds to finish what is in flight when stopping"},
    {"lock-timeout", TYPE_NUMBER, AT(lock_timeout), "60", 0, 86400, false, NULL, "seconds to wait for a former server on the same data"},
    {"log-level", TYPE_CHOICE, AT(log_level), "info", 0, 0, true, level_choices, "least level that is logged"},
    {"libexec", TYPE_TEXT, AT(libexec), "", 0, 0, false, NULL, "directory of mayfly-worker and mayfly-shard; empty: beside mayflyd, else as installed"},
};
// clang-format on

enum { KEYS = sizeof keys / sizeof keys[0], MAX_VALUE = 4096 };

static char **text_of(struct config *c, const struct key *k)
{
    return (char **)(void *)((char *)c + k->offset);
}

static uint64_t *number_of(struct config *c, const struct key *k)
{
    return (uint64_t *)(void *)((char *)c + k->offset);
}

static const struct key *find_key(const char *name, size_t length)
{
    for (size_t i = 0; i < KEYS; i++)
        if (strlen(keys[i].name) == length && memcmp(keys[i].name, name, length) == 0)
            return &keys[i];
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

static bool parse_choice(const struct key *k, const char *text, uint64_t *out)
{
    for (uint64_t i = 0; k->choices[i]; i++)
        if (strcmp(k->choices[i], text) == 0) {
            *out = i;
            return true;
        }
    return false;
}

static bool parse_number(const struct key *k, const char *text, uint64_t *out)
{
    const char *end;
    switch (k->type) {
    case TYPE_NUMBER:
        return parse_digits(text, 10, out, &end) && !*end;
    case TYPE_MODE:
        return parse_digits(text, 8, out, &end) && !*end;
    case TYPE_SIZE:
        return config_parse_size(text, out);
    case TYPE_CHOICE:
        return parse_choice(k, text, out);
    case TYPE_TEXT:
        break;
    }
    return false;
}

/* A number as the same kind of text that parse_number reads. */
static void format_number(const struct key *k, uint64_t v, char *to, size_t room)
{
    static const char units[] = "KMGT";
    unsigned unit = 0;
    switch (k->type) {
    case TYPE_CHOICE:
        snprintf(to, room, "%s", k->choices[v]);
        return;
    case TYPE_MODE:
        snprintf(to, room, "%04o", (unsigned)v);
        return;
    case TYPE_SIZE:
        while (v && v % 1024 == 0 && unit < 4) {
            v /= 1024;
            unit++;
        }
        snprintf(to, room, unit ? "%llu%c" : "%llu", (unsigned long long)v, unit ? units[unit - 1] : 0);
        return;
    case TYPE_NUMBER:
    case TYPE_TEXT:
        snprintf(to, room, "%llu", (unsigned long long)v);
        return;
    }
}

static void set_text(char **to, const char *from)
{
    char *copy = strdup(from);
    require(copy);
    free(*to);
    *to = copy;
}

static void say_choices(const struct key *k, const char *value, char *why)
{
    int used = snprintf(why, CONFIG_MAX_WHY, "%s: '%.100s' is none of", k->name, value);
    for (size_t i = 0; k->choices[i] && used < CONFIG_MAX_WHY; i++)
        used += snprintf(why + used, CONFIG_MAX_WHY - (size_t)used, " %s", k->choices[i]);
}

static int set_value(struct config *c, const struct key *k, const char *value, char *why)
{
    if (k->type == TYPE_TEXT) {
        if (strlen(value) < k->min || strlen(value) >= MAX_VALUE) {
            snprintf(why, CONFIG_MAX_WHY, "%s: %s", k->name, *value ? "too long" : "must not be empty");
            return ERR_INVALID;
        }
        set_text(text_of(c, k), value);
        return 0;
    }
    uint64_t v;
    if (!parse_number(k, value, &v)) {
        if (k->type == TYPE_CHOICE)
            say_choices(k, value, why);
        else
            snprintf(why, CONFIG_MAX_WHY, "%s: '%.100s' is not a %s", k->name, value,
                     k->type == TYPE_SIZE   ? "size (like 256M)"
                     : k->type == TYPE_MODE ? "mode (like 0660)"
                                            : "number");
        return ERR_INVALID;
    }
    if (k->type != TYPE_CHOICE && (v < k->min || v > k->max)) {
        char low[32], high[32];
        format_number(k, k->min, low, sizeof low);
        format_number(k, k->max, high, sizeof high);
        snprintf(why, CONFIG_MAX_WHY, "%s: %.100s is not between %s and %s", k->name, value, low, high);
        return ERR_INVALID;
    }
    *number_of(c, k) = v;
    return 0;
}

/* --- the INI file */

struct ini_reading {
    struct config *config;
    FILE *file;
    const char *path;
    int line;
    bool seen[KEYS];
    int err; /* of the first error, which `why` tells */
    char *why;
};

static void ini_fail(struct ini_reading *r, const char *reason)
{
    if (r->err)
        return;
    char kept[CONFIG_MAX_WHY];
    snprintf(kept, sizeof kept, "%s", reason);
    snprintf(r->why, CONFIG_MAX_WHY, "%.200s:%d: %.280s", r->path, r->line, kept);
    r->err = ERR_INVALID;
}

/* Counts lines, which the library does not tell its handler. */
static char *read_line(char *to, int room, void *stream)
{
    struct ini_reading *r = stream;
    char *line = fgets(to, room, r->file);
    if (!line)
        return NULL;
    r->line++;
    size_t length = strlen(line);
    if (length == (size_t)room - 1 && line[length - 1] != '\n')
        ini_fail(r, "the line is too long");
    return r->err ? NULL : line;
}

static int take_pair(void *context, const char *section, const char *name, const char *value)
{
    struct ini_reading *r = context;
    char reason[CONFIG_MAX_WHY];
    if (*section && strcmp(section, "mayfly") != 0) {
        snprintf(reason, sizeof reason, "unknown section [%.100s]", section);
        ini_fail(r, reason);
        return 0;
    }
    const struct key *k = find_key(name, strlen(name));
    if (!k) {
        snprintf(reason, sizeof reason, "unknown key '%.100s'", name);
        ini_fail(r, reason);
        return 0;
    }
    if (r->seen[k - keys]) {
        snprintf(reason, sizeof reason, "'%.100s' is given twice", name);
        ini_fail(r, reason);
        return 0;
    }
    r->seen[k - keys] = true;
    if (set_value(r->config, k, value, reason) < 0)
        ini_fail(r, reason);
    return r->err == 0;
}

static int read_file(struct config *c, const char *path, bool must_exist, char *why)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        if (errno == ENOENT && !must_exist)
            return 0;
        snprintf(why, CONFIG_MAX_WHY, "%.300s: %s", path, strerror(errno));
        return ERR_INVALID;
    }
    struct ini_reading r = {.config = c, .file = file, .path = path, .why = why};
    int bad_line = ini_parse_stream(read_line, &r, take_pair, &r);
    fclose(file);
    if (!r.err && bad_line) {
        r.line = bad_line;
        ini_fail(&r, "neither a comment, a [section] nor 'key = value'");
    }
    return r.err;
}

/* --- environment and options */

static int read_environment(struct config *c, char **environment, char *why)
{
    for (size_t i = 0; i < KEYS; i++) {
        char name[64] = "MAYFLY_";
        size_t length = strlen(name);
        for (const char *from = keys[i].name; *from; from++)
            name[length++] = (char)(*from == '-' ? '_' : *from & ~0x20);
        name[length++] = '=';
        for (char **e = environment; *e; e++) {
            char reason[CONFIG_MAX_WHY];
            if (strncmp(*e, name, length) != 0 || set_value(c, &keys[i], *e + length, reason) == 0)
                continue;
            snprintf(why, CONFIG_MAX_WHY, "environment %.60s: %.400s", name, reason);
            return ERR_INVALID;
        }
    }
    return 0;
}

static const struct {
    const char *name;
    enum config_command command;
    const char *doc;
} commands[] = {
    {"--check-config", CONFIG_CHECK, "check the configuration and exit"},
    {"--print-config", CONFIG_PRINT, "print the configuration in force and exit"},
    {"--help", CONFIG_HELP, "print this and exit"},
    {"--version", CONFIG_VERSION, "print the version and exit"},
};

enum { COMMANDS = sizeof commands / sizeof commands[0] };

struct option {
    const char *name; /* without dashes */
    size_t length;
    const char *value;
};

static bool take_command(const char *argument, enum config_command *command)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(argument, commands[i].name) == 0) {
            *command = commands[i].command;
            return true;
        }
    return false;
}

/* The option at *at (`--name value` or `--name=value`), which is advanced past it. */
static int next_option(int argc, char **argv, int *at, struct option *out, char *why)
{
    const char *argument = argv[(*at)++];
    if (strncmp(argument, "--", 2) != 0) {
        snprintf(why, CONFIG_MAX_WHY, "unexpected argument '%.200s'", argument);
        return ERR_INVALID;
    }
    const char *equals = strchr(argument, '=');
    out->name = argument + 2;
    out->length = equals ? (size_t)(equals - out->name) : strlen(out->name);
    if (!(out->length == 6 && memcmp(out->name, "config", 6) == 0) && !find_key(out->name, out->length)) {
        snprintf(why, CONFIG_MAX_WHY, "unknown option '--%.*s'", (int)(out->length > 200 ? 200 : out->length),
                 out->name);
        return ERR_INVALID;
    }
    if (!equals && *at == argc) {
        snprintf(why, CONFIG_MAX_WHY, "option '%.200s' needs a value", argument);
        return ERR_INVALID;
    }
    out->value = equals ? equals + 1 : argv[(*at)++];
    return 0;
}

/* Twice over the arguments: the first time for the name of the file only, for options win over it. */
static int read_options(int argc, char **argv, struct config *c, const char **file, enum config_command *command,
                        char *why)
{
    for (int at = 1; at < argc;) {
        if (take_command(argv[at], command)) {
            at++;
            continue;
        }
        struct option o;
        if (next_option(argc, argv, &at, &o, why) < 0)
            return ERR_INVALID;
        const struct key *k = find_key(o.name, o.length);
        char reason[CONFIG_MAX_WHY];
        if (!k) {
            *file = o.value;
        } else if (c && set_value(c, k, o.value, reason) < 0) {
            snprintf(why, CONFIG_MAX_WHY, "option --%.480s", reason);
            return ERR_INVALID;
        }
    }
    return 0;
}

/* --- the whole */

static int check_whole(const struct config *c, char *why)
{
    if (c->max_document_size > c->worker_memory / 2) {
        snprintf(why, CONFIG_MAX_WHY, "max-document-size: %llu bytes is more than half of worker-memory (%llu)",
                 (unsigned long long)c->max_document_size, (unsigned long long)c->worker_memory);
        return ERR_INVALID;
    }
    if (c->max_document_size > c->region_memory / 2) {
        snprintf(why, CONFIG_MAX_WHY, "max-document-size: %llu bytes is more than half of region-memory (%llu)",
                 (unsigned long long)c->max_document_size, (unsigned long long)c->region_memory);
        return ERR_INVALID;
    }
    if (!*c->socket && !*c->listen) {
        snprintf(why, CONFIG_MAX_WHY, "neither socket nor listen is set: nobody could connect");
        return ERR_INVALID;
    }
    return 0;
}

static void find_libexec(struct config *c)
{
    char path[PATH_MAX], probe[PATH_MAX + 32];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length > 0) {
        path[length] = 0;
        char *slash = strrchr(path, '/');
        if (slash)
            *slash = 0;
        snprintf(probe, sizeof probe, "%s/mayfly-worker", path);
        if (access(probe, X_OK) == 0) {
            set_text(&c->libexec, path);
            return;
        }
    }
    set_text(&c->libexec, MAYFLY_LIBEXEC);
}

int config_load(int argc, char **argv, char **environment, struct config *out, enum config_command *out_command,
                char *why)
{
    static const char usual[] = "/etc/mayfly/mayfly.conf";
    struct config c = {.data = NULL};
    const char *file = NULL;
    enum config_command command = CONFIG_RUN;
    int err = read_options(argc, argv, NULL, &file, &command, why);
    for (size_t i = 0; i < KEYS && !err; i++)
        err = set_value(&c, &keys[i], keys[i].initial, why);
    if (!err)
        err = read_file(&c, file ? file : usual, file != NULL, why);
    if (!err)
        err = read_environment(&c, environment, why);
    if (!err)
        err = read_options(argc, argv, &c, &file, &command, why);
    if (!err)
        err = check_whole(&c, why);
    if (err) {
        config_finish(&c);
        return err;
    }
    if (!*c.libexec)
        find_libexec(&c);
    *out = c;
    *out_command = command;
    return 0;
}

void config_finish(struct config *c)
{
    for (size_t i = 0; i < KEYS; i++)
        if (keys[i].type == TYPE_TEXT)
            free(*text_of(c, &keys[i]));
    *c = (struct config){.data = NULL};
}

static bool differs(struct config *a, struct config *b, const struct key *k)
{
    return k->type == TYPE_TEXT ? strcmp(*text_of(a, k), *text_of(b, k)) != 0 : *number_of(a, k) != *number_of(b, k);
}

void config_reload(struct config *running, struct config *fresh, config_change *changed, void *context)
{
    for (size_t i = 0; i < KEYS; i++) {
        const struct key *k = &keys[i];
        if (!differs(running, fresh, k))
            continue;
        if (k->reloadable && k->type == TYPE_TEXT)
            set_text(text_of(running, k), *text_of(fresh, k));
        else if (k->reloadable)
            *number_of(running, k) = *number_of(fresh, k);
        changed(context, k->name, k->reloadable);
    }
}

static void format_value(const struct config *c, const struct key *k, char *to, size_t room)
{
    struct config copy = *c; /* the accessors are for writers too */
    if (k->type == TYPE_TEXT)
        snprintf(to, room, "%s", *text_of(&copy, k));
    else
        format_number(k, *number_of(&copy, k), to, room);
}

void config_print(const struct config *c, FILE *to)
{
    for (size_t i = 0; i < KEYS; i++) {
        char value[MAX_VALUE];
        format_value(c, &keys[i], value, sizeof value);
        if (keys[i].offset == AT(key) && *value)
            snprintf(value, sizeof value, "(set)");
        fprintf(to, "; %s%s\n%s = %s\n", keys[i].doc, keys[i].reloadable ? " (reloadable)" : "", keys[i].name, value);
    }
}

void config_help(FILE *to)
{
    fprintf(to, "mayflyd - full-text search server\n\nusage: mayflyd [option]...\n\n"
                "Every option is also a key of the configuration file (--config FILE, by default\n"
                "/etc/mayfly/mayfly.conf if there is one) and an environment variable: worker-memory is\n"
                "MAYFLY_WORKER_MEMORY. Options win over the environment, and that over the file.\n\n");
    fprintf(to, "  --%-19s %s\n", "config FILE", "read this configuration file");
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(to, "  %-21s %s\n", commands[i].name, commands[i].doc);
    for (size_t i = 0; i < KEYS; i++)
        fprintf(to, "  --%-19s %s%s%s%s%s\n", keys[i].name, keys[i].doc, *keys[i].initial ? " [" : "", keys[i].initial,
                *keys[i].initial ? "]" : "", keys[i].reloadable ? " (reloadable)" : "");
}

size_t config_workers(const struct config *c)
{
    if (c->workers)
        return (size_t)c->workers < 2 ? 2 : (size_t)c->workers;
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    return cpus < 2 ? 2 : (size_t)cpus;
}
