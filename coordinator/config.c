#include "coordinator/config.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/err.h"

#define DEFAULT_FILE "/etc/mayfly/mayfly.conf"
#ifndef MAYFLY_LIBEXECDIR
#define MAYFLY_LIBEXECDIR "/usr/libexec/mayfly"
#endif

enum kind { TEXT, NUMBER, SIZE, OCTAL, CHOICE };

static const uint64_t KIB = 1 << 10, MIB = 1 << 20, GIB = 1 << 30;

struct setting {
    const char *name;
    enum kind kind;
    size_t offset;
    const char *initial;
    uint64_t least, most;
    bool reloads;
    const char *what; /* after `choices` where the kind is CHOICE */
    const char *choices[6];
};

#define AT(member) offsetof(struct config, member)
static const struct setting settings[] = {
    {"data", TEXT, AT(data), "/var/lib/mayfly", 0, 0, false, "directory of everything that is kept", {0}},
    {"socket", TEXT, AT(socket), "/run/mayfly.sock", 0, 0, false, "Unix socket for clients; empty: none", {0}},
    {"socket-mode", OCTAL, AT(socket_mode), "660", 0, 0777, false, "its permissions", {0}},
    {"listen", TEXT, AT(listen), "", 0, 0, false, "HOST:PORT for clients over TCP; empty: none", {0}},
    {"key", TEXT, AT(key), "", 0, 0, true, "what clients must present; empty: nothing", {0}},
    {"max-connections", NUMBER, AT(max_connections), "1000", 1, 100000, true, "clients at once", {0}},
    {"shards", NUMBER, AT(shards), "2", 1, 64, false, "shard processes per reader; fixed with the data", {0}},
    {"readers", NUMBER, AT(readers), "2", 1, 16, false, "processes that serve each shard", {0}},
    {"workers", NUMBER, AT(workers), "0", 0, 64, true, "indexing workers at once; 0: one per CPU, at least 2", {0}},
    {"worker-memory",
     SIZE,
     AT(worker_memory),
     "256M",
     32u << 20,
     UINT64_C(1) << 40,
     true,
     "cap of one worker, all of it",
     {0}},
    {"region-memory",
     SIZE,
     AT(region_memory),
     "256M",
     16u << 20,
     UINT64_C(1) << 40,
     true,
     "batches on their way in; past it clients wait",
     {0}},
    {"query-memory", SIZE, AT(query_memory), "64M", 1u << 20, UINT64_C(1) << 34, false, "cap of one query", {0}},
    {"max-document-size",
     SIZE,
     AT(max_document_size),
     "16M",
     1u << 10,
     256u << 20,
     false,
     "a larger document is refused by its id",
     {0}},
    {"log-quota",
     SIZE,
     AT(log_quota),
     "4G",
     16u << 20,
     UINT64_C(1) << 44,
     true,
     "disk for accepted operations that are not applied; past it writes get busy",
     {0}},
    {"disk-reserve", SIZE, AT(disk_reserve), "64M", 0, UINT64_C(1) << 44, true, "merges leave that much free", {0}},
    {"deadline-ms", NUMBER, AT(deadline_ms), "1500", 1, 600000, true, "of a search; what is late is left out", {0}},
    {"stop-timeout-ms", NUMBER, AT(stop_timeout_ms), "20000", 0, 3600000, true, "an orderly stop takes at most", {0}},
    {"merge", CHOICE, AT(merge), "auto", 0, 0, true, "manual merges only on `index optimize`", {"auto", "manual"}},
    {"log-level",
     CHOICE,
     AT(log_level),
     "info",
     0,
     0,
     true,
     "what goes to standard error",
     {"debug", "info", "warn", "error"}},
    {"libexec",
     TEXT,
     AT(libexec),
     "",
     0,
     0,
     false,
     "directory of mayfly-worker and mayfly-shard; empty: beside mayflyd, else " MAYFLY_LIBEXECDIR,
     {0}},
};
enum { SETTINGS = sizeof settings / sizeof settings[0] };

/* ------------------------------------------------------------------------------------------------------------- one
 * value */

static uint64_t *number_of(struct config *c, const struct setting *s)
{
    return (uint64_t *)(void *)((char *)c + s->offset);
}

static char *text_of(struct config *c, const struct setting *s)
{
    return (char *)c + s->offset;
}

static bool parse_number(const char *text, enum kind kind, uint64_t *out)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, kind == OCTAL ? 8 : 10);
    if (errno || end == text || !isdigit((unsigned char)text[0]))
        return false;
    uint64_t unit = 1;
    if (kind == SIZE && *end) {
        unit = toupper((unsigned char)*end) == 'K'   ? KIB
               : toupper((unsigned char)*end) == 'M' ? MIB
               : toupper((unsigned char)*end) == 'G' ? GIB
                                                     : 0;
        end++;
    }
    uint64_t product;
    if (*end || unit == 0 || __builtin_mul_overflow((uint64_t)value, unit, &product))
        return false;
    *out = product;
    return true;
}

static const char *show_size(uint64_t bytes, char room[32])
{
    static const char units[] = " KMG";
    int unit = 0;
    while (unit < 3 && bytes && bytes % 1024 == 0) {
        bytes /= 1024;
        unit++;
    }
    snprintf(room, 32, unit ? "%llu%c" : "%llu", (unsigned long long)bytes, units[unit]);
    return room;
}

static int complain(char error[CONFIG_ERROR], const char *where, const struct setting *s, const char *value)
{
    char least[32], most[32];
    int used = snprintf(error, CONFIG_ERROR, "%s: %s = \"%.100s\": ", where, s->name, value);
    size_t room = CONFIG_ERROR - (size_t)used;
    if (s->kind == TEXT)
        snprintf(error + used, room, "longer than %d bytes", CONFIG_TEXT - 1);
    else if (s->kind == CHOICE)
        snprintf(error + used, room, "is one of %s %s %s %s", s->choices[0], s->choices[1],
                 s->choices[2] ? s->choices[2] : "", s->choices[3] ? s->choices[3] : "");
    else if (s->kind == SIZE)
        snprintf(error + used, room, "must be a size from %s to %s", show_size(s->least, least),
                 show_size(s->most, most));
    else
        snprintf(error + used, room, s->kind == OCTAL ? "must be octal from %llo to %llo" : "must be from %llu to %llu",
                 (unsigned long long)s->least, (unsigned long long)s->most);
    return ERR_INVALID;
}

static bool is_choice(const struct setting *s, const char *value)
{
    for (const char *const *choice = s->choices; *choice; choice++)
        if (strcmp(*choice, value) == 0)
            return true;
    return false;
}

/* `where` names the file and line, the variable, or the option. */
static int set(struct config *c, const struct setting *s, const char *value, const char *where,
               char error[CONFIG_ERROR])
{
    uint64_t number;
    if (s->kind == TEXT || s->kind == CHOICE) {
        if (strlen(value) >= CONFIG_TEXT || (s->kind == CHOICE && !is_choice(s, value)))
            return complain(error, where, s, value);
        snprintf(text_of(c, s), CONFIG_TEXT, "%s", value);
        return 0;
    }
    if (!parse_number(value, s->kind, &number) || number < s->least || number > s->most)
        return complain(error, where, s, value);
    *number_of(c, s) = number;
    return 0;
}

static const struct setting *find(const char *name)
{
    for (size_t i = 0; i < SETTINGS; i++)
        if (strcmp(settings[i].name, name) == 0)
            return &settings[i];
    return NULL;
}

/* ------------------------------------------------------------------------------------------------------------- sources
 */

struct file_reading {
    struct config *config;
    const char *path;
    char *error;
    int err;
};

/* libinih is built without line numbers for handlers: the line comes from its return value, a name from here. */
static int on_entry(void *context, const char *section, const char *name, const char *value)
{
    struct file_reading *r = context;
    const struct setting *s = section[0] == 0 || strcmp(section, "mayfly") == 0 ? find(name) : NULL;
    char where[CONFIG_TEXT + 8];
    snprintf(where, sizeof where, "%.*s", CONFIG_TEXT, r->path);
    if (!s) {
        snprintf(r->error, CONFIG_ERROR, "%s: unknown key \"%.60s%s%.60s\"", where, section, section[0] ? "." : "",
                 name);
        r->err = ERR_INVALID;
        return 0;
    }
    r->err = set(r->config, s, value, where, r->error);
    return r->err == 0;
}

static int read_file(struct config *c, const char *path, bool must_exist, char error[CONFIG_ERROR])
{
    struct file_reading r = {.config = c, .path = path, .error = error};
    FILE *file = fopen(path, "r");
    if (!file) {
        if (!must_exist && errno == ENOENT)
            return 0;
        snprintf(error, CONFIG_ERROR, "%s: %s", path, strerror(errno));
        return ERR_INVALID;
    }
    int line = ini_parse_file(file, on_entry, &r);
    fclose(file);
    if (line == 0)
        return 0;
    char sentence[CONFIG_ERROR];
    snprintf(sentence, sizeof sentence, "%s", r.err ? error : "");
    if (r.err)
        snprintf(error, CONFIG_ERROR, "line %d of %.500s", line, sentence);
    else
        snprintf(error, CONFIG_ERROR, "line %d of %.300s: neither [section] nor key = value", line, path);
    return ERR_INVALID;
}

static int read_environment(struct config *c, char error[CONFIG_ERROR])
{
    for (size_t i = 0; i < SETTINGS; i++) {
        char name[64] = "MAYFLY_";
        for (size_t k = 0; settings[i].name[k]; k++)
            name[7 + k] = settings[i].name[k] == '-' ? '_' : (char)toupper((unsigned char)settings[i].name[k]);
        const char *value = getenv(name);
        int err = value ? set(c, &settings[i], value, name, error) : 0;
        if (err)
            return err;
    }
    return 0;
}

static bool *flag_of(struct config_request *r, const char *name)
{
    const struct {
        const char *name;
        bool *flag;
    } flags[] = {{"check-config", &r->check_only},
                 {"print-config", &r->print_only},
                 {"help", &r->help_only},
                 {"version", &r->version_only}};
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        if (strcmp(flags[i].name, name) == 0)
            return flags[i].flag;
    return NULL;
}

/* One option at argv[*at]: --name value, --name=value or a flag. With `config` NULL only flags and --config are taken.
 */
static int read_option(int argc, char **argv, int *at, struct config *config, struct config_request *r,
                       char error[CONFIG_ERROR])
{
    char name[64];
    const char *text = argv[*at], *equals = strchr(text, '=');
    if (strncmp(text, "--", 2) != 0 || (equals ? (size_t)(equals - text) : strlen(text)) >= sizeof name) {
        snprintf(error, CONFIG_ERROR, "unknown argument \"%.100s\"; --help lists the options", text);
        return ERR_INVALID;
    }
    snprintf(name, sizeof name, "%.*s", (int)(equals ? equals - text - 2 : (long)strlen(text) - 2), text + 2);
    bool *flag = flag_of(r, name);
    const struct setting *s = find(name);
    if (flag && !equals) {
        *flag = true;
        return 0;
    }
    if (!s && strcmp(name, "config") != 0) {
        snprintf(error, CONFIG_ERROR, "unknown option --%s; --help lists the options", name);
        return ERR_INVALID;
    }
    const char *value = equals ? equals + 1 : *at + 1 < argc ? argv[++*at] : NULL;
    if (!value) {
        snprintf(error, CONFIG_ERROR, "--%s needs a value", name);
        return ERR_INVALID;
    }
    if (!s) {
        r->file = value;
        return 0;
    }
    snprintf(name, sizeof name, "--%s", s->name);
    return config ? set(config, s, value, name, error) : 0;
}

static int read_options(int argc, char **argv, struct config *config, struct config_request *r,
                        char error[CONFIG_ERROR])
{
    for (int at = 1; at < argc; at++) {
        int err = read_option(argc, argv, &at, config, r, error);
        if (err)
            return err;
    }
    return 0;
}

/* ------------------------------------------------------------------------------------------------------------- the
 * whole */

static int check_whole(const struct config *c, char error[CONFIG_ERROR])
{
    /* A document is in a worker's memory once as it came (not counted: a shared region) and again in pieces. */
    if (c->max_document_size > c->worker_memory / 2) {
        snprintf(error, CONFIG_ERROR, "max-document-size must be at most half of worker-memory");
        return ERR_INVALID;
    }
    if (c->max_document_size > c->region_memory / 2) {
        snprintf(error, CONFIG_ERROR, "max-document-size must be at most half of region-memory");
        return ERR_INVALID;
    }
    if (!c->socket[0] && !c->listen[0]) {
        snprintf(error, CONFIG_ERROR, "neither socket nor listen is set: no client could connect");
        return ERR_INVALID;
    }
    return 0;
}

static void find_libexec(struct config *c)
{
    char path[CONFIG_TEXT + 16];
    ssize_t length = readlink("/proc/self/exe", c->libexec, CONFIG_TEXT - 1);
    c->libexec[length > 0 ? length : 0] = 0;
    char *slash = strrchr(c->libexec, '/');
    if (slash)
        *slash = 0;
    snprintf(path, sizeof path, "%s/mayfly-worker", c->libexec);
    if (!slash || access(path, X_OK) != 0)
        snprintf(c->libexec, CONFIG_TEXT, "%s", MAYFLY_LIBEXECDIR);
}

int config_load(int argc, char **argv, struct config *out, struct config_request *out_request, char error[CONFIG_ERROR])
{
    struct config c = {0};
    struct config_request r = {0};
    int err = read_options(argc, argv, NULL, &r, error);
    for (size_t i = 0; i < SETTINGS && !err; i++)
        err = set(&c, &settings[i], settings[i].initial, "default", error);
    if (!err && !r.help_only && !r.version_only)
        err = read_file(&c, r.file ? r.file : DEFAULT_FILE, r.file != NULL, error);
    if (!err)
        err = read_environment(&c, error);
    if (!err)
        err = read_options(argc, argv, &c, &r, error);
    if (!err)
        err = check_whole(&c, error);
    if (err)
        return err;
    if (!c.libexec[0])
        find_libexec(&c);
    *out = c;
    *out_request = r;
    return 0;
}

static void add_name(char list[CONFIG_ERROR], const char *name)
{
    size_t used = strlen(list);
    snprintf(list + used, CONFIG_ERROR - used, "%s%s", used ? ", " : "", name);
}

int config_reload(int argc, char **argv, struct config *current, char changed[CONFIG_ERROR], char waiting[CONFIG_ERROR],
                  char error[CONFIG_ERROR])
{
    struct config fresh;
    struct config_request request;
    int err = config_load(argc, argv, &fresh, &request, error);
    if (err)
        return err;
    changed[0] = waiting[0] = 0;
    for (size_t i = 0; i < SETTINGS; i++) {
        const struct setting *s = &settings[i];
        bool is_text = s->kind == TEXT || s->kind == CHOICE;
        size_t size = is_text ? CONFIG_TEXT : sizeof(uint64_t);
        char *have = (char *)current + s->offset, *want = (char *)&fresh + s->offset;
        if (is_text ? strcmp(have, want) == 0 : memcmp(have, want, size) == 0)
            continue;
        add_name(s->reloads ? changed : waiting, s->name);
        if (s->reloads)
            memcpy(have, want, size);
    }
    return 0;
}

void config_help(FILE *to)
{
    fprintf(to, "Usage: mayflyd [--config FILE] [--check-config] [--print-config] [--OPTION VALUE]...\n\n"
                "Every option may also stand in the file (default " DEFAULT_FILE ") as \"option = value\",\n"
                "and in the environment as MAYFLY_OPTION. Options win over the environment, that over the file.\n\n");
    for (size_t i = 0; i < SETTINGS; i++) {
        const struct setting *s = &settings[i];
        fprintf(to, "  --%-18s %s\n", s->name, s->what);
        fprintf(to, "  %-20s default: %s%s\n", "", s->initial[0] ? s->initial : "(empty)",
                s->reloads ? "; SIGHUP takes over a change" : "");
    }
}

void config_print(const struct config *c, FILE *to)
{
    struct config copy = *c;
    char size[32];
    for (size_t i = 0; i < SETTINGS; i++) {
        const struct setting *s = &settings[i];
        if (s->kind == TEXT || s->kind == CHOICE)
            fprintf(to, "%s = %s\n", s->name, strcmp(s->name, "key") == 0 && copy.key[0] ? "(set)" : text_of(&copy, s));
        else if (s->kind == SIZE)
            fprintf(to, "%s = %s\n", s->name, show_size(*number_of(&copy, s), size));
        else
            fprintf(to, s->kind == OCTAL ? "%s = %llo\n" : "%s = %llu\n", s->name,
                    (unsigned long long)*number_of(&copy, s));
    }
}
