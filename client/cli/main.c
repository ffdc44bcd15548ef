/*
 * mayfly - the command line: one connection to a mayflyd, one command, then gone.
 *
 * Started by  people and scripts
 * Holds       one connection; documents on their way in, within a window
 * Writes      standard output: text, or one JSON document with --json
 * malloc      libc
 * Ends        when the command is done: 0 done, 1 the server said no, 2 usage, 3 cannot connect
 */
#include <stdio.h>
#include <stdlib.h>

#include "client/cli/commands.h"
#include "client/cli/report.h"

static const struct option index_create_options[] = {
    {"primary-key", "FIELD", "the member of a document that names it (default id)"},
    {0},
};

static const struct option optimize_options[] = {
    {"no-wait", NULL, "do not wait until it is done"},
    {0},
};

static const struct option settings_set_options[] = {
    {"reanalyze", NULL, "analyze all documents again, even if the change does not need it"},
    {0},
};

static const struct option add_options[] = {
    {"format", "FORMAT", "ndjson, json or csv (default by the file's name or its first byte)"},
    {"partial", NULL, "change the fields that are given, keep the others"},
    {"primary-key", "FIELD", "of an index that is made so (default id)"},
    {"wait", "UNTIL", "none, accepted (durable, default) or searchable"},
    {0},
};

static const struct option delete_options[] = {
    {"filter", "EXPR", "delete what matches, for example \"year < 1990 AND NOT kept = true\" (mayfly(1))"},
    {"wait", "UNTIL", "none, accepted (durable, default) or searchable"},
    {0},
};

static const struct option search_options[] = {
    {"limit", "N", "hits to show (default 20)"},
    {"offset", "N", "hits to leave out first"},
    {"fields", "F,...", "of the documents to show (default all)"},
    {"match", "HOW", "last (default), all, frequency or any: which words a hit may lack"},
    {"prefix", "WHEN", "auto (default): the last word may be unfinished; off"},
    {"typo", "WHEN", "auto (default) or off"},
    {"filter", "EXPR", "only documents that match it (not there yet: not_supported)"},
    {"sort", "F:asc,...", "order by fields (not there yet)"},
    {"facets", "F,...", "count values of fields (not there yet)"},
    {"highlight", "F,...", "show fields with <em> around matching words (not there yet)"},
    {"deadline", "MS", "answer with what there is by then (default the server's)"},
    {"explain", NULL, "say where each score comes from (not there yet)"},
    {"no-partial", NULL, "fail rather than answer in part"},
    {"batch", "FILE", "queries from a file of `qid TAB text` lines (- reads standard input)"},
    {"depth", "N", "of a batch: queries in flight (default 16)"},
    {0},
};

static const struct option tasks_options[] = {
    {"index", "NAME", "of this index only"},
    {"wait", "UID", "wait until this one has ended"},
    {"limit", "N", "the newest so many (default 1000)"},
    {0},
};

static const struct option ping_options[] = {
    {"ready", NULL, "exit with 4 if it is starting, 5 if degraded, 6 if stopping"},
    {"wait", "SECONDS", "wait until it is ready, at most so long; then as with --ready"},
    {0},
};

static const struct option stats_options[] = {
    {"prometheus", NULL, "in the text format that Prometheus reads"},
    {0},
};

static const struct option reshard_options[] = {
    {"no-wait", NULL, "do not wait until it is done"},
    {0},
};

static const struct option backup_options[] = {
    {"no-wait", NULL, "do not wait until it is done"},
    {0},
};

static const struct option restore_options[] = {
    {"data", "DIR", "the data directory to make or fill (default /var/lib/mayfly)"},
    {0},
};

static const struct option top_options[] = {
    {"interval", "SECONDS", "between readings, from 0.1 on (default 2)"},
    {"count", "N", "end after so many (default: never)"},
    {0},
};

// clang-format off
static const struct command commands[] = {
    {"ping", "", 0, 0, "say whether the server is ready", ping_options, command_ping},
    {"index create", "NAME", 1, 1, "make an empty index", index_create_options, command_index_create},
    {"index list", "", 0, 0, "show all indexes", NULL, command_index_list},
    {"index drop", "NAME", 1, 1, "delete an index with its documents", NULL, command_index_drop},
    {"index swap", "A B", 2, 2, "exchange the names of two indexes, at once", NULL, command_index_swap},
    {"index optimize", "NAME", 1, 1, "merge each shard of an index to one segment", optimize_options, command_index_optimize},
    {"settings get", "NAME", 1, 1, "show an index's settings, defaults included", NULL, command_settings_get},
    {"settings set", "NAME FILE.json", 2, 2,
     "change settings; null resets one (- reads standard input)\n"
     "\nWhere the change needs it (fields, searchable, language, stop_words), all documents are analyzed again, by a task:\n"
     "until it has succeeded the settings before it act, which are what is printed. A later change takes it over.",
     settings_set_options, command_settings_set},
    {"add", "NAME FILE...", 2, -1,
     "add or replace documents\n"
     "\nFILE holds JSON objects one a line (ndjson), an array of them (json), or a table whose first line names the\n"
     "columns (csv; `price:number` and `sold:boolean` give a column a type). - reads standard input. A missing index\n"
     "is made. A document that is refused is named and the others are added; the exit status is 1 then.",
     add_options, command_add},
    {"get", "NAME ID", 2, 2, "show a document as it was stored", NULL, command_get},
    {"delete", "NAME [ID...]", 1, -1, "delete documents, by id or by filter", delete_options, command_delete},
    {"search", "NAME QUERY", 1, 2,
     "find documents\n"
     "\nIn QUERY, words are searched for, the last one also as the beginning of a word. AND OR NOT in capitals, -word,\n"
     "+word, \"a phrase\", ( ) and field:word are understood; what is unbalanced is plain text.\n"
     "With --batch: a line `qid Q0 id rank score mayfly` for each hit, and times on standard error; with --match any\n"
     "the queries are plain words.",
     search_options, command_search},
    {"tasks", "", 0, 0, "show what is done in the background, newest first", tasks_options, command_tasks},
    {"stats", "", 0, 0, "show processes, their memory, and indexes", stats_options, command_stats},
    {"top", "", 0, 0,
     "watch memory by phase and process, jobs, rates and latencies\n"
     "\nOn a terminal until q or Ctrl-C. Elsewhere a block of lines for each interval. `own` is memory that only the process\n"
     "has, `files` what is resident of files, `mapped` the index files of a shard, resident or not.",
     top_options, command_top},
    {"trim", "[NAME]", 0, 1, "let go of mapped index pages, which the kernel keeps in its cache", NULL, command_trim},
    {"budget", "", 0, 0, "show the most memory that the server may take, and what holds it to that", NULL, command_budget},
    {"reshard", "N", 1, 1,
     "give every index N shards, while the server runs\n"
     "\nOne index after the other is made again beside itself, by a task that goes on after a restart. Searches are answered\n"
     "meanwhile; writes to the index that changes wait for a moment at its end. The number is stored with the data and\n"
     "counts from then on, whatever the configuration says.",
     reshard_options, command_reshard},
    {"backup", "DIR", 1, 1,
     "back up the running server to a directory on its machine\n"
     "\nDIR is new or empty, where the server may write and outside of its data. Segments and the log are linked where DIR\n"
     "is on the file system of the data, else copied. What was accepted before is in it.",
     backup_options, command_backup},
    {"restore", "DIR", 1, 1,
     "make a data directory of a backup\n"
     "\nNeeds no server. Every file of the backup is looked at first. A data directory that has anything in it is refused;\n"
     "one that was not filled to the end does not start.",
     restore_options, command_restore},
    {"check", "DIR", 1, 1,
     "look at every byte of a data directory or a backup\n"
     "\nNeeds no server, and refuses data that one uses. What is damaged is named; the exit status is 1 then.",
     NULL, command_check},
    {0},
};
// clang-format on

static int parse_and_run(struct cli *c, int argc, char **argv)
{
    int status = args_parse(c, commands, argc, argv);
    if (status)
        return status;
    if (c->version) {
        puts("mayfly " MAYFLY_VERSION);
        return STATUS_DONE;
    }
    if (c->help) {
        args_help(c, commands);
        return STATUS_DONE;
    }
    return c->command->run(c);
}

int main(int argc, char **argv)
{
    struct cli c = {0};
    int status = parse_and_run(&c, argc, argv);
    mayfly_close(c.connection);
    free(c.words);
    if (fflush(stdout) || ferror(stdout)) {
        perror("mayfly: standard output");
        return STATUS_REFUSED;
    }
    return status;
}
