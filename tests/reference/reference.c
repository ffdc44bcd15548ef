/*
 * mayfly-reference - rank queries over documents with no index at all: slow, obvious, and what the server must equal.
 *
 *   mayfly-reference [--match last|all|frequency|any] [--limit N] [--no-prefix] [--no-typos] [--plain-words]
 *                    [--settings FILE] [--primary-key FIELD] OPERATIONS QUERIES
 *
 * OPERATIONS has lines {"put": {document}} and {"delete": "id"}, in the order in which the server got them. QUERIES has
 * lines `qid<TAB>text`. Prints `qid<TAB>rank<TAB>id<TAB>score<TAB>dropped`, the score as the sum of integers that it
 * is.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/buf.h"
#include "tests/reference/rank.h"

static const struct option long_options[] = {
    {"match", required_argument, NULL, 'm'},
    {"limit", required_argument, NULL, 'l'},
    {"no-prefix", no_argument, NULL, 'p'},
    {"no-typos", no_argument, NULL, 't'},
    {"plain-words", no_argument, NULL, 'w'},
    {"settings", required_argument, NULL, 's'},
    {"primary-key", required_argument, NULL, 'k'},
    {NULL, 0, NULL, 0},
};

static enum match match_named(const char *name)
{
    static const char *const names[] = {"last", "all", "frequency", "any"};
    for (unsigned i = 0; i < 4; i++)
        if (str_equal(str_of(name), str_of(names[i])))
            return (enum match)i;
    die("there is no match '%s'", name);
}

static void read_file(const char *path, struct buf *out)
{
    FILE *file = fopen(path, "r");
    size_t got;
    char piece[1 << 16];
    if (!file)
        die("cannot open %s", path);
    while ((got = fread(piece, 1, sizeof piece, file)) > 0)
        buf_append(out, piece, got);
    fclose(file);
}

static void use_settings(struct corpus *c, const char *path)
{
    struct buf json = {0}, complete = {0}, defaults = {0};
    struct settings_error error;
    bool reindex;
    settings_default(&defaults);
    if (path)
        read_file(path, &json);
    else
        buf_append(&json, "{}", 2);
    if (settings_merge(c->arena, (struct str){defaults.data, defaults.len}, (struct str){json.data, json.len},
                       &complete, &reindex, &error))
        die("settings: %s %s", error.field, error.message);
    if (settings_decode(c->arena, (struct str){complete.data, complete.len}, &c->settings))
        die("settings cannot be read");
    buf_finish(&json);
    buf_finish(&defaults);
    buf_finish(&complete);
}

static void open_analyzer(struct corpus *c, struct analysis **shared)
{
    const struct settings *s = &c->settings;
    if (analysis_load(shared) ||
        analyzer_open(*shared, s->language, s->own_stop_words ? s->stop_words : NULL, s->stop_word_count, &c->analyzer))
        die("the analyzer does not open");
}

static void read_operations(struct corpus *c, const char *path)
{
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t room = 0;
    ssize_t len;
    uint64_t stamp = 0;
    if (!file)
        die("cannot open %s", path);
    while ((len = getline(&line, &room, file)) > 0)
        corpus_operation(c, (struct str){line, (size_t)len}, ++stamp);
    free(line);
    fclose(file);
    corpus_count(c);
}

static void answer(struct corpus *c, struct str qid, struct str text, const struct options *options)
{
    size_t mark = arena_mark(c->arena);
    struct expression expression;
    struct hit *hits;
    expression_read(c, text, options, &expression);
    size_t count = rank(c, &expression, options, &hits);
    for (size_t i = 0; i < count && i < options->limit; i++)
        printf("%.*s\t%zu\t%.*s\t%llu\t%u\n", (int)qid.len, qid.ptr, i + 1, (int)hits[i].document->id.len,
               hits[i].document->id.ptr, (unsigned long long)hits[i].score, hits[i].dropped);
    arena_rewind(c->arena, mark);
}

static void answer_queries(struct corpus *c, const char *path, const struct options *options)
{
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t room = 0;
    ssize_t len;
    if (!file)
        die("cannot open %s", path);
    while ((len = getline(&line, &room, file)) > 0) {
        len -= line[len - 1] == '\n';
        const char *tab = memchr(line, '\t', (size_t)len);
        if (tab)
            answer(c, (struct str){line, (size_t)(tab - line)}, (struct str){tab + 1, (size_t)(line + len - tab - 1)},
                   options);
    }
    free(line);
    fclose(file);
}

int main(int argc, char **argv)
{
    struct options options = {.limit = 1000};
    struct arena arena = {0};
    static struct analysis *shared; /* lives with the process, and leak checkers see that it does */
    struct corpus corpus = {.arena = &arena, .primary_key = STR("id")};
    const char *settings = NULL;
    int option;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (option == 'm')
            options.match = match_named(optarg);
        else if (option == 'l')
            options.limit = strtoul(optarg, NULL, 10);
        else if (option == 'p')
            options.no_prefix = true;
        else if (option == 't')
            options.no_typos = true;
        else if (option == 'w')
            options.plain_words = true;
        else if (option == 's')
            settings = optarg;
        else if (option == 'k')
            corpus.primary_key = str_of(optarg);
        else
            return 2;
    }
    if (argc - optind != 2)
        return 2;
    if (arena_init(&arena, (size_t)16 << 30, 0))
        die("no address space");
    use_settings(&corpus, settings);
    open_analyzer(&corpus, &shared);
    read_operations(&corpus, argv[optind]);
    answer_queries(&corpus, argv[optind + 1], &options);
    analyzer_close(corpus.analyzer);
    return fflush(stdout) ? 1 : 0;
}
