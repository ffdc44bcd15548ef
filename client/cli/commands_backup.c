#include "client/cli/commands.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/emit.h"
#include "client/cli/report.h"
#include "proto/message.h"

/* The server has another working directory. */
static bool make_absolute(const char *path, char to[PATH_MAX])
{
    char here[PATH_MAX];
    if (path[0] == '/')
        return snprintf(to, PATH_MAX, "%s", path) < PATH_MAX;
    return getcwd(here, sizeof here) && snprintf(to, PATH_MAX, "%s/%s", here, path) < PATH_MAX;
}

/* "a/b//" would have no parent. */
static void drop_slashes(char *path)
{
    for (size_t length = strlen(path); length > 1 && path[length - 1] == '/'; length--)
        path[length - 1] = '\0';
}

static void say(const struct cli *c, const char *directory, bool done, uint64_t task)
{
    if (!c->json) {
        printf("%s %s, task %" PRIu64 "\n", done ? "backed up to" : "backing up to", directory, task);
        return;
    }
    struct buf b = {0};
    emit_begin(&b, '{');
    emit_key(&b, "done");
    emit_bool(&b, done);
    emit_member_number(&b, "task", task);
    emit_member_string(&b, "directory", directory);
    emit_end(&b, '}');
    report_json(&b);
    buf_finish(&b);
}

int command_backup(struct cli *c)
{
    char directory[PATH_MAX];
    Mayfly__Backup backup;
    mayfly__backup__init(&backup);
    if (!make_absolute(c->words[0], directory))
        return args_usage(c, "the path of %s is too long", c->words[0]);
    drop_slashes(directory);
    backup.directory = directory;
    backup.wait = !args_flag(c, "no-wait");
    REQUEST(request, backup, BACKUP, backup);
    struct mayfly_answer answer;
    int status = report_call(c, &request, MAYFLY__ENVELOPE__MESSAGE_DONE, &answer);
    if (!status)
        say(c, directory, backup.wait, answer.envelope->done->task);
    return status;
}
