#include "verify/findings.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/check.h"

enum { WHAT = 512, LINE = 2048 };

void findings_init(struct findings *f)
{
    *f = (struct findings){0};
    f->end = &f->first;
}

void findings_finish(struct findings *f)
{
    for (struct finding *next, *one = f->first; one; one = next) {
        next = one->next;
        free(one->file);
        free(one->what);
        free(one);
    }
    for (size_t i = 0; i < f->place_count; i++)
        ranges_finish(&f->places[i].known);
    free(f->places);
}

/* --------------------------------------------------------------------------------------------- what is said, in lines
 *
 *   F bytes path               the file comes now
 *   D path TAB what            it is damaged
 *   N path TAB what            it is not
 *   P index edition shard numbering
 *   W index shard watermark
 *   K index numbering shard first end */

void findings_file(struct findings *f, const char *path, uint64_t bytes)
{
    if (f->to_parent) {
        fprintf(f->to_parent, "F %" PRIu64 " %s\n", bytes, path);
        fflush(f->to_parent); /* it may be the last that is heard */
        return;
    }
    f->files++;
    f->bytes += bytes;
    snprintf(f->at, sizeof f->at, "%s", path);
}

static void add(struct findings *f, const char *path, const char *what, bool harmless)
{
    struct finding *one = calloc(1, sizeof *one);
    require(one);
    one->file = strdup(path);
    one->what = strdup(what);
    one->harmless = harmless;
    require(one->file && one->what);
    *f->end = one;
    f->end = &one->next;
    f->damaged += !harmless;
}

void findings_damage(struct findings *f, const char *path, const char *format, ...)
{
    char what[WHAT];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    for (char *c = what; *c; c++)
        *c = *c == '\n' || *c == '\t' ? ' ' : *c;
    if (f->to_parent)
        fprintf(f->to_parent, "D %s\t%s\n", path, what);
    else
        add(f, path, what, false);
}

void findings_note(struct findings *f, const char *path, const char *what)
{
    if (f->to_parent)
        fprintf(f->to_parent, "N %s\t%s\n", path, what);
    else
        add(f, path, what, true);
}

/* NULL: none. */
static struct place *find_place(struct findings *f, uint32_t index, uint32_t shard)
{
    for (size_t i = 0; i < f->place_count; i++) {
        struct place *p = &f->places[i];
        if (p->index == index && p->shard == shard)
            return p;
    }
    return NULL;
}

void findings_place(struct findings *f, const struct place *p)
{
    if (f->to_parent) {
        fprintf(f->to_parent, "P %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32 "\n", p->index, p->edition, p->shard,
                p->numbering);
        return;
    }
    struct place *grown = realloc(f->places, (f->place_count + 1) * sizeof *grown);
    require(grown);
    f->places = grown;
    grown[f->place_count] = *p;
    grown[f->place_count++].watermark = 1;
}

void findings_watermark(struct findings *f, const struct place *p, uint64_t watermark)
{
    struct place *own = f->to_parent ? NULL : find_place(f, p->index, p->shard);
    if (f->to_parent)
        fprintf(f->to_parent, "W %" PRIu32 " %" PRIu32 " %" PRIu64 "\n", p->index, p->shard, watermark);
    else if (own)
        own->watermark = watermark;
}

void findings_known(struct findings *f, const struct place *p, uint64_t first, uint64_t end)
{
    struct place *own = f->to_parent ? NULL : find_place(f, p->index, p->shard);
    if (f->to_parent)
        fprintf(f->to_parent, "K %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu64 " %" PRIu64 "\n", p->index, p->numbering,
                p->shard, first, end);
    else if (own && own->numbering == p->numbering && first < end)
        ranges_add(&own->known, first, end);
}

/* -------------------------------------------------------------------------------------------------------- the parent */

static void take_finding(struct findings *f, char *line, bool harmless)
{
    char *tab = strchr(line, '\t');
    if (!tab)
        return;
    *tab = '\0';
    add(f, line, tab + 1, harmless);
}

static void take_line(struct findings *f, char *line)
{
    struct place p = {0};
    uint64_t a = 0, b = 0;
    int path = 0;
    if (sscanf(line, "F %" SCNu64 " %n", &a, &path) == 1 && path)
        findings_file(f, line + path, a);
    else if ((line[0] == 'D' || line[0] == 'N') && line[1] == ' ')
        take_finding(f, line + 2, line[0] == 'N');
    else if (sscanf(line, "P %" SCNu32 " %" SCNu32 " %" SCNu32 " %" SCNu32, &p.index, &p.edition, &p.shard,
                    &p.numbering) == 4)
        findings_place(f, &p);
    else if (sscanf(line, "W %" SCNu32 " %" SCNu32 " %" SCNu64, &p.index, &p.shard, &a) == 3)
        findings_watermark(f, &p, a);
    else if (sscanf(line, "K %" SCNu32 " %" SCNu32 " %" SCNu32 " %" SCNu64 " %" SCNu64, &p.index, &p.numbering, &p.shard,
                    &a, &b) == 5)
        findings_known(f, &p, a, b);
}

static void listen_to(struct findings *f, int fd)
{
    char line[LINE];
    FILE *from = fdopen(fd, "r");
    require(from);
    while (fgets(line, sizeof line, from)) {
        line[strcspn(line, "\n")] = '\0';
        take_line(f, line);
    }
    fclose(from);
}

static void judge_end(struct findings *f, int status)
{
    if (WIFSIGNALED(status))
        findings_damage(f, f->at, "it cannot be read: %s", strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status) != 0)
        findings_damage(f, f->at, "it cannot be read: reading it ends with status %d", WEXITSTATUS(status));
}

_Noreturn static void look_as_child(struct findings *f, int fd, findings_look *look, const void *context)
{
    f->to_parent = fdopen(fd, "w");
    require(f->to_parent);
    look(f, context);
    fflush(f->to_parent);
    _exit(EXIT_SUCCESS);
}

void findings_of(struct findings *f, findings_look *look, const void *context)
{
    int ends[2], status;
    require(pipe(ends) == 0);
    snprintf(f->at, sizeof f->at, "?");
    fflush(NULL); /* or the child says it again */
    pid_t pid = fork();
    require(pid >= 0);
    if (pid == 0) {
        close(ends[0]);
        look_as_child(f, ends[1], look, context);
    }
    close(ends[1]);
    listen_to(f, ends[0]);
    while (waitpid(pid, &status, 0) < 0)
        require(errno == EINTR);
    judge_end(f, status);
}

/* ------------------------------------------------------------------------------------------------------------- output */

static void print_list(struct buf *b, const struct findings *f, bool harmless)
{
    const char *comma = "";
    for (const struct finding *one = f->first; one; one = one->next) {
        if (one->harmless != harmless)
            continue;
        buf_printf(b, "%s{\"file\":", comma);
        buf_append_json(b, str_of(one->file));
        buf_printf(b, ",\"what\":");
        buf_append_json(b, str_of(one->what));
        buf_printf(b, "}");
        comma = ",";
    }
}

static void print_json(const struct findings *f, const char *what)
{
    struct buf b = {0};
    buf_printf(&b, "{\"what\":\"%s\",\"whole\":%s,\"files\":%zu,\"bytes\":%" PRIu64 ",\"damaged\":[", what,
               f->damaged ? "false" : "true", f->files, f->bytes);
    print_list(&b, f, false);
    buf_printf(&b, "],\"notes\":[");
    print_list(&b, f, true);
    buf_printf(&b, "]}\n");
    require(!b.err);
    fwrite(b.data, 1, b.len, stdout);
    buf_finish(&b);
}

bool findings_print(const struct findings *f, const char *what, bool json)
{
    if (json) {
        print_json(f, what);
        return f->damaged == 0;
    }
    for (const struct finding *one = f->first; one; one = one->next)
        printf("%s: %s\n", one->file, one->what);
    printf("%s: %zu files, %.1f MiB, ", what, f->files, (double)f->bytes / (1 << 20));
    if (f->damaged)
        printf("%zu times damaged\n", f->damaged);
    else
        printf("all whole\n");
    return f->damaged == 0;
}
