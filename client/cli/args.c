#include "client/cli/args.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/report.h"

static const struct option global_options[] = {
    {"socket", "PATH", "the server's Unix socket (default $MAYFLY_SOCKET, else /run/mayfly.sock)"},
    {"host", "HOST:PORT", "connect by TCP instead"},
    {"key", "KEY", "the key, where the server asks for one (default $MAYFLY_KEY)"},
    {"json", NULL, "print one JSON document"},
    {"help", NULL, "show this, or the help of a command"},
    {"version", NULL, "show the version"},
    {0},
};

int args_usage(const struct cli *c, const char *format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    report_error(c, "usage", text, "");
    if (!c->json)
        fprintf(stderr, "See mayfly %s%s--help\n", c->command ? c->command->name : "", c->command ? " " : "");
    return STATUS_USAGE;
}

/* The option whose name `text` begins with, up to its end or '='; -1 if there is none. */
static int find_option(const struct option *options, const char *text)
{
    size_t length = strcspn(text, "=");
    for (int i = 0; options && options[i].name; i++)
        if (strlen(options[i].name) == length && memcmp(options[i].name, text, length) == 0)
            return i;
    return -1;
}

static void set_global(struct cli *c, int which, const char *value)
{
    switch (which) {
    case 0:
        c->endpoint.socket = value;
        break;
    case 1:
        c->endpoint.host = value;
        break;
    case 2:
        c->endpoint.key = value;
        break;
    case 3:
        c->json = true;
        break;
    case 4:
        c->help = true;
        break;
    default:
        c->version = true;
    }
}

/* The option at argv[*at], its value perhaps in the next word. */
static int take_option(struct cli *c, int argc, char **argv, int *at)
{
    const char *text = argv[*at] + 2, *equals = strchr(text, '='), *value = equals ? equals + 1 : NULL;
    int global = find_option(global_options, text);
    int own = c->command ? find_option(c->command->options, text) : -1;
    if (global < 0 && own < 0)
        return args_usage(c, "there is no option --%.*s here", (int)strcspn(text, "="), text);
    const struct option *o = own >= 0 ? &c->command->options[own] : &global_options[global];
    if (!o->value && value)
        return args_usage(c, "--%s takes no value", o->name);
    if (o->value && !value && *at + 1 == argc)
        return args_usage(c, "--%s wants a value: %s", o->name, o->value);
    if (o->value && !value)
        value = argv[++*at];
    if (own >= 0)
        c->values[own] = value ? value : "";
    else
        set_global(c, global, value);
    return STATUS_DONE;
}

static const struct command *find_command(const struct command *commands, const char *first, const char *second)
{
    char both[64];
    snprintf(both, sizeof both, "%s %s", first, second ? second : "");
    for (const struct command *k = commands; k->name; k++)
        if (strcmp(k->name, first) == 0 || strcmp(k->name, both) == 0)
            return k;
    return NULL;
}

static bool is_group(const struct command *commands, const char *word)
{
    size_t length = strlen(word);
    for (const struct command *k = commands; k->name; k++)
        if (strncmp(k->name, word, length) == 0 && k->name[length] == ' ')
            return true;
    return false;
}

/* The command at argv[*at]: its words are put behind *at. */
static int take_command(struct cli *c, const struct command *commands, int argc, char **argv, int *at)
{
    const char *second = *at + 1 < argc && argv[*at + 1][0] != '-' ? argv[*at + 1] : NULL;
    if (strcmp(argv[*at], "help") == 0) {
        c->help = true;
        return STATUS_DONE;
    }
    c->command = find_command(commands, argv[*at], second);
    if (!c->command && is_group(commands, argv[*at])) {
        c->help |= !second;
        c->group = argv[*at];
        return c->help ? STATUS_DONE : args_usage(c, "there is no command '%s %s'", argv[*at], second);
    }
    if (!c->command)
        return args_usage(c, "there is no command '%s'", argv[*at]);
    if (strchr(c->command->name, ' '))
        ++*at;
    return STATUS_DONE;
}

static int check_count(const struct cli *c)
{
    const struct command *k = c->command;
    if (c->count < k->least || (k->most >= 0 && c->count > k->most))
        return args_usage(c, "it is: mayfly %s %s%s", k->name, k->arguments,
                          k->most > 1 && c->count > k->most ? ", with quotes around what has spaces" : "");
    return STATUS_DONE;
}

int args_parse(struct cli *c, const struct command *commands, int argc, char **argv)
{
    bool only_words = false;
    c->words = calloc((size_t)argc + 1, sizeof *c->words);
    c->endpoint.key = getenv("MAYFLY_KEY");
    if (!c->words)
        return args_usage(c, "out of memory");
    for (int i = 1; i < argc; i++) {
        int rc = STATUS_DONE;
        if (!only_words && strcmp(argv[i], "--") == 0)
            only_words = true;
        else if (!only_words && strcmp(argv[i], "-h") == 0)
            c->help = true;
        else if (!only_words && strncmp(argv[i], "--", 2) == 0)
            rc = take_option(c, argc, argv, &i);
        else if (!c->command)
            rc = take_command(c, commands, argc, argv, &i);
        else
            c->words[c->count++] = argv[i];
        if (rc)
            return rc;
    }
    if (c->help || c->version)
        return STATUS_DONE;
    return c->command ? check_count(c) : args_usage(c, "which command?");
}

static void print_options(const struct option *options)
{
    for (const struct option *o = options; o && o->name; o++) {
        char left[60];
        snprintf(left, sizeof left, "--%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
        printf("  %-30s %s\n", left, o->help);
    }
}

/* All of them, or those of a group ("index"). */
static void print_commands(const struct command *commands, const char *group)
{
    for (const struct command *k = commands; k->name; k++) {
        char left[60];
        if (group && strncmp(k->name, group, strlen(group)) != 0)
            continue;
        snprintf(left, sizeof left, "%s %s", k->name, k->arguments);
        printf("  %-30s %.*s\n", left, (int)strcspn(k->help, "\n"), k->help);
    }
}

void args_help(const struct cli *c, const struct command *commands)
{
    const struct command *k = c->command;
    if (k) {
        printf("Usage: mayfly [OPTION]... %s%s%s\n\n%s\n", k->name, k->arguments[0] ? " " : "", k->arguments, k->help);
        if (k->options)
            puts("\nOptions:");
        print_options(k->options);
    } else {
        printf("Usage: mayfly [OPTION]... %s%sCOMMAND ...\n\n", c->group ? c->group : "", c->group ? " " : "");
        if (!c->group)
            puts("Talks to a mayflyd: full-text search whose memory is predictable.\n");
        puts("Commands:");
        print_commands(commands, c->group);
    }
    puts("\nOptions of every command:");
    print_options(global_options);
    if (!k)
        puts("\nExit status: 0 done, 1 the server said no or a document was refused, 2 usage, 3 cannot connect.");
}

const char *args_option(const struct cli *c, const char *name)
{
    int at = find_option(c->command->options, name);
    assert(at >= 0);
    return c->values[at];
}

bool args_flag(const struct cli *c, const char *name)
{
    return args_option(c, name) != NULL;
}

int args_number(const struct cli *c, const char *name, uint32_t otherwise, uint32_t least, uint32_t most, uint32_t *out)
{
    const char *text = args_option(c, name);
    char *end;
    *out = otherwise;
    if (!text)
        return STATUS_DONE;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || end == text || *end || *text < '0' || *text > '9' || value < least || value > most)
        return args_usage(c, "--%s is a number from %u to %u, not '%s'", name, least, most, text);
    *out = (uint32_t)value;
    return STATUS_DONE;
}

int args_choice(const struct cli *c, const char *name, const char *const *choices, int otherwise, int *out)
{
    const char *text = args_option(c, name);
    char all[200] = "";
    *out = otherwise;
    if (!text)
        return STATUS_DONE;
    for (int i = 0; choices[i]; i++) {
        if (strcmp(choices[i], text) == 0) {
            *out = i;
            return STATUS_DONE;
        }
        size_t length = strlen(all);
        snprintf(all + length, sizeof all - length, "%s%s", i ? ", " : "", choices[i]);
    }
    return args_usage(c, "--%s is one of %s, not '%s'", name, all, text);
}
