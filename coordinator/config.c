#include "coordinator/config.h"

#include <errno.h>
#include <ini.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "coordinator/config_keys.h"
#include "proto/memory_figures.h"

/* --- the INI file */

struct ini_reading {
    struct config *config;
    FILE *file;
    const char *path;
    int line;
    bool seen[CONFIG_KEYS];
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

static bool is_ours(const char *section)
{
    return strcmp(section, "mayfly") == 0;
}

static void refuse_section(struct ini_reading *r, const char *section)
{
    char reason[CONFIG_MAX_WHY];
    snprintf(reason, sizeof reason, "unknown section [%.100s]", section);
    ini_fail(r, reason);
}

/* The library tells of a section with its first key only. */
static void check_section(struct ini_reading *r, const char *line)
{
    char section[101];
    if (sscanf(line, "[%100[^]]]", section) == 1 && !is_ours(section))
        refuse_section(r, section);
}

/* Counts lines, which the library does not tell its handler. */
static char *read_line(char *to, int room, void *stream)
{
    struct ini_reading *r = stream;
    char *line = fgets(to, room, r->file);
    if (!line && ferror(r->file)) {
        snprintf(r->why, CONFIG_MAX_WHY, "%.300s: %s", r->path, strerror(errno));
        r->err = ERR_INVALID;
    }
    if (!line)
        return NULL;
    r->line++;
    size_t length = strlen(line);
    if (length == (size_t)room - 1 && line[length - 1] != '\n')
        ini_fail(r, "the line is too long");
    check_section(r, line);
    return r->err ? NULL : line;
}

static int take_pair(void *context, const char *section, const char *name, const char *value)
{
    struct ini_reading *r = context;
    char reason[CONFIG_MAX_WHY];
    if (*section && !is_ours(section)) {
        refuse_section(r, section);
        return 0;
    }
    const struct config_key *k = config_find_key(name, strlen(name));
    if (!k) {
        snprintf(reason, sizeof reason, "unknown key '%.100s'", name);
        ini_fail(r, reason);
        return 0;
    }
    if (r->seen[k - config_keys]) {
        snprintf(reason, sizeof reason, "'%.100s' is given twice", name);
        ini_fail(r, reason);
        return 0;
    }
    r->seen[k - config_keys] = true;
    if (config_set(r->config, k, value, reason) < 0)
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
    for (size_t i = 0; i < CONFIG_KEYS; i++) {
        char name[64] = "MAYFLY_";
        size_t length = strlen(name);
        for (const char *from = config_keys[i].name; *from; from++)
            name[length++] = (char)(*from == '-' ? '_' : *from & ~0x20);
        name[length++] = '=';
        for (char **e = environment; *e; e++) {
            char reason[CONFIG_MAX_WHY];
            if (strncmp(*e, name, length) != 0 || config_set(c, &config_keys[i], *e + length, reason) == 0)
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
    if (!(out->length == 6 && memcmp(out->name, "config", 6) == 0) && !config_find_key(out->name, out->length)) {
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
        const struct config_key *k = config_find_key(o.name, o.length);
        char reason[CONFIG_MAX_WHY];
        if (!k) {
            *file = o.value;
        } else if (c && config_set(c, k, o.value, reason) < 0) {
            snprintf(why, CONFIG_MAX_WHY, "option --%.480s", reason);
            return ERR_INVALID;
        }
    }
    return 0;
}

/* --- the whole */

static int check_whole(const struct config *c, char *why)
{
    /* What must hold a document whole on its way in, and on its way out. */
    const struct {
        const char *key;
        uint64_t bytes;
    } holders[] = {
        {"worker-memory", c->worker_memory}, {"region-memory", c->region_memory}, {"query-memory", c->query_memory}};
    for (size_t i = 0; i < sizeof holders / sizeof holders[0]; i++) {
        if (c->max_document_size <= holders[i].bytes / 2)
            continue;
        snprintf(why, CONFIG_MAX_WHY, "max-document-size: %llu bytes is more than half of %s (%llu)",
                 (unsigned long long)c->max_document_size, holders[i].key, (unsigned long long)holders[i].bytes);
        return ERR_INVALID;
    }
    if (!*c->socket && !*c->listen) {
        snprintf(why, CONFIG_MAX_WHY, "neither socket nor listen is set: nobody could connect");
        return ERR_INVALID;
    }
    return 0;
}

static bool has_worker(const char *directory)
{
    char probe[PATH_MAX + 64];
    snprintf(probe, sizeof probe, "%.*s/mayfly-worker", PATH_MAX + 40, directory);
    return access(probe, X_OK) == 0;
}

/* Beside mayflyd as in a build, below the same prefix as in an unpacked tarball, else where it was to be installed. */
static void find_libexec(struct config *c)
{
    char path[PATH_MAX], other[PATH_MAX + 32];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    path[length > 0 ? length : 0] = 0;
    char *slash = strrchr(path, '/');
    if (slash)
        *slash = 0;
    snprintf(other, sizeof other, "%s/../libexec/mayfly", path);
    if (slash && has_worker(path))
        config_set_text(&c->libexec, path);
    else if (slash && has_worker(other) && realpath(other, path))
        config_set_text(&c->libexec, path);
    else
        config_set_text(&c->libexec, MAYFLY_LIBEXEC);
}

int config_load(int argc, char **argv, char **environment, struct config *out, enum config_command *out_command,
                char *why)
{
    static const char usual[] = "/etc/mayfly/mayfly.conf";
    struct config c = {.data = NULL};
    const char *file = NULL;
    enum config_command command = CONFIG_RUN;
    int err = read_options(argc, argv, NULL, &file, &command, why);
    for (size_t i = 0; i < CONFIG_KEYS && !err; i++)
        err = config_set(&c, &config_keys[i], config_keys[i].initial, why);
    uint64_t usual_shards = c.shards;
    c.shards = 0;
    if (!err)
        err = read_file(&c, file ? file : usual, file != NULL, why);
    if (!err)
        err = read_environment(&c, environment, why);
    if (!err)
        err = read_options(argc, argv, &c, &file, &command, why);
    c.has_shards = c.shards != 0;
    if (!c.has_shards)
        c.shards = usual_shards;
    if (!err)
        err = check_whole(&c, why);
    if (err) {
        config_finish(&c);
        return err;
    }
    c.shard_heap = HEAP_MOST;
    if (!*c.libexec)
        find_libexec(&c);
    *out = c;
    *out_command = command;
    return 0;
}

void config_finish(struct config *c)
{
    for (size_t i = 0; i < CONFIG_KEYS; i++)
        if (config_keys[i].type == CONFIG_TEXT)
            free(*config_text(c, &config_keys[i]));
    *c = (struct config){.data = NULL};
}

static bool differs(struct config *a, struct config *b, const struct config_key *k)
{
    return k->type == CONFIG_TEXT ? strcmp(*config_text(a, k), *config_text(b, k)) != 0
                                  : *config_number(a, k) != *config_number(b, k);
}

void config_reload(struct config *running, struct config *fresh, config_change *changed, void *context)
{
    for (size_t i = 0; i < CONFIG_KEYS; i++) {
        const struct config_key *k = &config_keys[i];
        if (!differs(running, fresh, k))
            continue;
        if (k->reloadable && k->type == CONFIG_TEXT)
            config_set_text(config_text(running, k), *config_text(fresh, k));
        else if (k->reloadable)
            *config_number(running, k) = *config_number(fresh, k);
        changed(context, k->name, k->reloadable);
    }
}

static void format_value(const struct config *c, const struct config_key *k, char *to, size_t room)
{
    struct config copy = *c; /* the accessors are for writers too */
    if (k->type == CONFIG_TEXT)
        snprintf(to, room, "%s", *config_text(&copy, k));
    else
        config_format(k, *config_number(&copy, k), to, room);
}

void config_print(const struct config *c, FILE *to)
{
    for (size_t i = 0; i < CONFIG_KEYS; i++) {
        char value[CONFIG_MAX_VALUE];
        format_value(c, &config_keys[i], value, sizeof value);
        if (config_keys[i].offset == offsetof(struct config, key) && *value)
            snprintf(value, sizeof value, "(set)");
        fprintf(to, "; %s%s\n%s = %s\n", config_keys[i].doc, config_keys[i].reloadable ? " (reloadable)" : "",
                config_keys[i].name, value);
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
    for (size_t i = 0; i < CONFIG_KEYS; i++)
        fprintf(to, "  --%-19s %s%s%s%s%s\n", config_keys[i].name, config_keys[i].doc,
                *config_keys[i].initial ? " [" : "", config_keys[i].initial, *config_keys[i].initial ? "]" : "",
                config_keys[i].reloadable ? " (reloadable)" : "");
}

size_t config_workers(const struct config *c)
{
    if (c->workers)
        return (size_t)c->workers < 2 ? 2 : (size_t)c->workers;
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    return cpus < 1 ? 2 : (size_t)cpus + 1; /* one slot is kept for small updates */
}
