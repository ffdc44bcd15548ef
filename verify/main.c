/*
 * mayfly-verify - looks at every byte of a data directory that no server uses, or of a backup.
 *
 * Started by  `mayfly check`
 * Holds       LOCK of a data directory, so that no server starts meanwhile
 * Writes      nothing
 * malloc      libc
 * Ends        when all was looked at: 0 all is whole, 1 something is damaged or cannot be looked at, 2 usage
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/err.h"
#include "coordinator/catalog_store.h"
#include "proto/manifest.h"
#include "verify/look.h"

enum { USAGE = 2 };

struct verification {
    const char *directory;
    bool json;
};

static int refuse(const struct verification *v, const char *code, const char *why)
{
    struct buf b = {0};
    if (!v->json) {
        fprintf(stderr, "mayfly: %s: %s (%s)\n", v->directory, why, code);
        return EXIT_FAILURE;
    }
    buf_printf(&b, "{\"error\":{\"code\":\"%s\",\"message\":", code);
    buf_append_json(&b, str_of(why));
    buf_printf(&b, ",\"field\":null}}\n");
    fwrite(b.data, 1, b.len, stdout);
    buf_finish(&b);
    return EXIT_FAILURE;
}

/* Shared: several may look at once, a server may not begin. One that cannot be opened is not in use by us. */
static bool is_in_use(void)
{
    int lock = open("LOCK", O_RDONLY | O_CLOEXEC);
    return lock >= 0 && flock(lock, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

static bool exists(const char *name)
{
    return access(name, F_OK) == 0;
}

static int verify(const struct verification *v)
{
    struct findings f;
    bool is_backup = exists(MANIFEST_NAME);
    findings_init(&f);
    if (is_backup)
        look_at_manifest(&f);
    look_at_catalog(&f);
    look_at_log(&f);
    look_at_indexes(&f);
    look_for_lost(&f);
    bool whole = findings_print(&f, is_backup ? "backup" : "data", v->json);
    findings_finish(&f);
    return whole && fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int begin(const struct verification *v)
{
    if (chdir(v->directory) < 0)
        return refuse(v, "not_found", strerror(errno));
    if (exists(RESTORING_NAME))
        return refuse(v, "not_whole", "a restore into it has not come to its end");
    if (!exists(MANIFEST_NAME) && !exists("LOCK")) /* a backup has none */
        return refuse(v, "not_found", "it is neither a data directory nor a backup that is whole");
    if (is_in_use())
        return refuse(v, "busy", "a server uses it: check a backup of it, or stop the server");
    return verify(v);
}

int main(int argc, char **argv)
{
    struct verification v = {0};
    int at = 1;
    catalog_store_name_errors();
    if (at < argc && strcmp(argv[at], "--json") == 0) {
        v.json = true;
        at++;
    }
    if (at < argc && strcmp(argv[at], "--") == 0)
        at++;
    if (at + 1 != argc) {
        fputs("Usage: mayfly-verify [--json] DIR\n", stderr);
        return USAGE;
    }
    v.directory = argv[at];
    return begin(&v);
}
