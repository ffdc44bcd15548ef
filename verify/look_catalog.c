#include "verify/look.h"

#include <inttypes.h>
#include <sys/stat.h>

#include "common/err.h"
#include "coordinator/catalog_store.h"

static const char name[] = "catalog.mdb";

static int read_index(void *context, struct str key, struct str value)
{
    return catalog_read_index(context, key, value);
}

static void say_places(struct findings *f, const struct indexes *all)
{
    for (const struct index *i = all->first; i; i = i->next)
        for (uint32_t shard = 0; shard < i->shards; shard++)
            findings_place(f, &(struct place){.index = i->number, .edition = i->edition, .shard = shard, .numbering = i->numbering});
}

static void look_into(struct findings *f, struct catalog_store *s)
{
    struct catalog_meta meta = {0};
    struct indexes all = {0};
    int err = catalog_store_verify(s);
    if (err) {
        findings_damage(f, name, "%s", err_str(err));
        return;
    }
    int got = catalog_store_meta(s, &meta);
    if (got == ERR_VERSION) {
        findings_damage(f, name, "it is of format %" PRIu32 ", this program reads %d to %d", meta.version,
                        CATALOG_VERSION_FIXED, CATALOG_VERSION);
        return;
    }
    if (got <= 0) {
        findings_damage(f, name, "its first record: %s", err_str(got ? got : ERR_CORRUPT));
        return;
    }
    all.shards = meta.shards;
    err = catalog_store_visit(s, 'i', read_index, &all);
    if (err)
        findings_damage(f, name, "an index: %s", err_str(err));
    say_places(f, &all);
}

static void look(struct findings *f, const void *context)
{
    struct catalog_store *s;
    struct stat status = {0};
    (void)context;
    (void)stat(name, &status);
    findings_file(f, name, (uint64_t)status.st_size);
    int err = catalog_store_open_alone(name, &s);
    if (err) {
        findings_damage(f, name, "%s", err_str(err));
        return;
    }
    look_into(f, s);
    catalog_store_close(s);
}

void look_at_catalog(struct findings *f)
{
    findings_of(f, look, NULL);
}
