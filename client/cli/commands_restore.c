#include "client/cli/commands.h"

#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/emit.h"
#include "client/cli/report.h"
#include "client/cli/restore.h"
#include "client/cli/table.h"

/* What is done on files, without a server: restore here, check by a process of its own, which knows all formats. */

static const char *data_directory(const struct cli *c)
{
    const char *given = args_option(c, "data"), *set = getenv("MAYFLY_DATA");
    return given ? given : set && *set ? set : "/var/lib/mayfly";
}

static void each_damage(const struct restored *r, void (*visit)(const char *damage, struct buf *b), struct buf *b)
{
    const char *at = r->damaged.data;
    for (size_t i = 0; i < r->damages && !r->damaged.err; i++, at += strlen(at) + 1)
        visit(at, b);
}

static void say_damage(const char *damage, struct buf *b)
{
    (void)b;
    fprintf(stderr, "mayfly: it was damaged when it was backed up, and still is: %s\n", damage);
}

static void emit_damage(const char *damage, struct buf *b)
{
    emit_string(b, damage);
}

static void say(const struct cli *c, const char *data, const struct restored *r)
{
    char bytes[BYTES_TEXT_SIZE];
    if (!c->json) {
        printf("restored %" PRIu64 " files, %s, to %s\n", r->files, bytes_text(bytes, r->bytes), data);
        each_damage(r, say_damage, NULL);
        return;
    }
    struct buf b = {0};
    emit_begin(&b, '{');
    emit_member_string(&b, "data", data);
    emit_member_number(&b, "files", r->files);
    emit_member_number(&b, "bytes", r->bytes);
    emit_key(&b, "damaged");
    emit_begin(&b, '[');
    each_damage(r, emit_damage, &b);
    emit_end(&b, ']');
    emit_end(&b, '}');
    report_json(&b);
    buf_finish(&b);
}

int command_restore(struct cli *c)
{
    struct restored restored;
    char why[RESTORE_WHY];
    const char *data = data_directory(c);
    if (!restore(c->words[0], data, &restored, why)) {
        buf_finish(&restored.damaged);
        report_error(c, "restore_failed", why, NULL);
        return STATUS_REFUSED;
    }
    say(c, data, &restored);
    buf_finish(&restored.damaged);
    return restored.damages ? STATUS_REFUSED : STATUS_DONE; /* nobody is to take it for whole */
}

/* Where it is built, or as it was installed with this program; MAYFLY_LIBEXEC as for mayflyd. */
static bool find_verify(char to[PATH_MAX])
{
    static const char *const places[] = {"", "/../libexec/mayfly"};
    char self[PATH_MAX - 64];
    const char *set = getenv("MAYFLY_LIBEXEC");
    if (set && *set)
        return snprintf(to, PATH_MAX, "%s/mayfly-verify", set) < PATH_MAX && access(to, X_OK) == 0;
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length <= 0)
        return false;
    self[length] = '\0';
    const char *directory = dirname(self);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        int needed = snprintf(to, PATH_MAX, "%s%s/mayfly-verify", directory, places[i]);
        if (needed < PATH_MAX && access(to, X_OK) == 0)
            return true;
    }
    return false;
}

int command_check(struct cli *c)
{
    char program[PATH_MAX], name[] = "mayfly-verify", json[] = "--json", end[] = "--";
    if (!find_verify(program)) {
        report_error(c, "not_found", "mayfly-verify is neither beside this program nor in ../libexec/mayfly", NULL);
        return STATUS_REFUSED;
    }
    char *directory = strdup(c->words[0]);
    char *plain[] = {name, end, directory, NULL}, *as_json[] = {name, json, end, directory, NULL};
    execv(program, c->json ? as_json : plain);
    report_error(c, "not_found", strerror(errno), program);
    free(directory);
    return STATUS_REFUSED;
}
