#include "shard/places.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "common/err.h"
#include "common/logger.h"

enum {
    MAX_DIRECTORY = 64,
    MAX_NAME = 128 + 1,
    RESERVED = 64, /* descriptors and mappings for everything else */
    LOOKS_MOST = 3,
    PER_INDEX = 3,        /* core.mdb takes two, its lock file one */
    DEFAULT_MAPS = 65530, /* vm.max_map_count where /proc does not tell */
};

struct place {
    uint32_t index, edition, shard;
    char directory[MAX_DIRECTORY];
    char name[MAX_NAME]; /* of its index, when it was last asked for */
    struct core *core;
    struct snapshot *snapshot; /* NULL before the first look */
    uint64_t used;             /* when, in calls */
    int failed;                /* of the last look: logged once */
};

struct places {
    uint32_t shard;
    struct place **list; /* by (index, edition) */
    size_t count, room;
    size_t limit; /* descriptors, and mappings, that all of them together may take */
    uint64_t calls;
    bool frozen; /* what was looked at once is not looked at again */
    struct core_view empty_view;
    struct snapshot empty;
};

/* ------------------------------------------------------------------------------------------------------------- limits
 */

static size_t max_maps(void)
{
    unsigned long maps = DEFAULT_MAPS;
    FILE *file = fopen("/proc/sys/vm/max_map_count", "re");
    if (!file)
        return maps;
    if (fscanf(file, "%lu", &maps) != 1)
        maps = DEFAULT_MAPS;
    fclose(file);
    return maps;
}

/* A segment is one descriptor and one mapping; half of the mappings are left to the heap. */
static size_t derive_limit(void)
{
    struct rlimit files;
    size_t limit = 1024;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
        getrlimit(RLIMIT_NOFILE, &files);
        limit = files.rlim_cur == RLIM_INFINITY ? SIZE_MAX : (size_t)files.rlim_cur;
    }
    size_t maps = max_maps() / 2;
    limit = limit < maps ? limit : maps;
    return limit > 2 * RESERVED ? limit - RESERVED : RESERVED;
}

int places_open(uint32_t shard, struct places **out)
{
    struct places *p = calloc(1, sizeof *p);
    if (!p)
        return -ENOMEM;
    p->shard = shard;
    p->limit = derive_limit();
    p->empty_view.references = 1;
    p->empty = (struct snapshot){.references = 1, .view = &p->empty_view};
    *out = p;
    return 0;
}

/* ----------------------------------------------------------------------------------------------------------- the list
 */

static int compare(const struct place *place, uint32_t index, uint32_t edition)
{
    if (place->index != index)
        return place->index < index ? -1 : 1;
    return place->edition < edition ? -1 : place->edition > edition;
}

/* Where it is, or would stand. */
static size_t find_slot(const struct places *p, uint32_t index, uint32_t edition)
{
    size_t low = 0, high = p->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(p->list[middle], index, edition) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct place *find(const struct places *p, uint32_t index, uint32_t edition)
{
    size_t slot = find_slot(p, index, edition);
    return slot < p->count && compare(p->list[slot], index, edition) == 0 ? p->list[slot] : NULL;
}

static void close_place(struct places *p, size_t slot)
{
    struct place *place = p->list[slot];
    snapshot_release(place->snapshot);
    core_close(place->core);
    free(place);
    p->count--;
    memmove(&p->list[slot], &p->list[slot + 1], (p->count - slot) * sizeof(struct place *));
}

static int add(struct places *p, struct place *place)
{
    if (p->count == p->room) {
        size_t room = p->room ? 2 * p->room : 16;
        struct place **list = realloc(p->list, room * sizeof(struct place *));
        if (!list)
            return -ENOMEM;
        p->list = list;
        p->room = room;
    }
    size_t slot = find_slot(p, place->index, place->edition);
    memmove(&p->list[slot + 1], &p->list[slot], (p->count - slot) * sizeof(struct place *));
    p->list[slot] = place;
    p->count++;
    return 0;
}

static size_t place_cost(const struct place *place)
{
    return PER_INDEX + (place->snapshot ? place->snapshot->segment_count : 0);
}

/* Closes the least used, but never the one that is wanted now. What queries hold of them stays open until they let go.
 */
static void make_room(struct places *p, const struct place *wanted)
{
    size_t total = 0;
    for (size_t i = 0; i < p->count; i++)
        total += place_cost(p->list[i]);
    while (total > p->limit && p->count > 1) {
        size_t least = SIZE_MAX;
        for (size_t i = 0; i < p->count; i++) {
            if (p->list[i] != wanted && (least == SIZE_MAX || p->list[i]->used < p->list[least]->used))
                least = i;
        }
        total -= place_cost(p->list[least]);
        close_place(p, least);
    }
}

/* ------------------------------------------------------------------------------------------------------------ looking
 */

static void make_directory_name(const struct place_id *which, uint32_t shard, char out[MAX_DIRECTORY])
{
    snprintf(out, MAX_DIRECTORY, "indexes/%" PRIu32 "/%" PRIu32 "/%" PRIu32, which->index, which->edition, shard);
}

void places_name_file(const struct place_id *which, uint32_t shard, const char *file, struct place_fault *out)
{
    char directory[MAX_DIRECTORY];
    make_directory_name(which, shard, directory);
    snprintf(out->text, sizeof out->text, "%s%.128s%s%s/%.160s", which->name[0] ? "index " : "", which->name,
             which->name[0] ? ": " : "", directory, file);
}

static int fail(struct place *place, const char *file, int err, struct place_fault *fault)
{
    struct place_fault where;
    places_name_file(&(struct place_id){place->index, place->edition, place->name}, place->shard, file, &where);
    snprintf(fault->text, sizeof fault->text, "%.300s: %s", where.text, err_str(err));
    if (place->failed != err)
        log_error("an index cannot be searched, others go on: %s", fault->text);
    place->failed = err;
    return err;
}

struct look { /* how far it got */
    uint64_t generation;
    char file[FAULT_TEXT]; /* and its section */
};

static int look_once(struct place *place, struct look *l)
{
    struct core_view *before = place->snapshot ? place->snapshot->view : NULL, *view;
    snprintf(l->file, sizeof l->file, "core.mdb");
    int err = core_read(place->core, before, &view);
    if (err)
        return err;
    l->generation = view->generation;
    if (view == before) {
        core_view_release(view);
        return 0;
    }
    struct snapshot *newer;
    struct segment_fault fault;
    err = snapshot_open(place->directory, view, place->snapshot, &newer, &fault);
    if (err) {
        core_view_release(view);
        segment_fault_text(&fault, l->file);
        return err;
    }
    snapshot_release(place->snapshot);
    place->snapshot = newer;
    place->failed = 0;
    return 0;
}

/* Files of segments are unlinked a few seconds after core.mdb ceased to name them. Whoever was held up for longer
 * between reading the one and opening the others must look again; what the newest view names is there, or damaged. */
static int look(struct place *place, struct place_fault *fault)
{
    struct look l = {0};
    int err = look_once(place, &l);
    for (int looks = 1; err && looks < LOOKS_MOST; looks++) {
        uint64_t failed = l.generation;
        err = look_once(place, &l);
        if (l.generation == failed)
            break;
    }
    return err ? fail(place, l.file, err, fault) : 0;
}

static void take_name(struct place *place, const char *name)
{
    if (name[0] && strncmp(place->name, name, sizeof place->name - 1) != 0)
        snprintf(place->name, sizeof place->name, "%s", name);
}

static int open_place(struct places *p, const struct place_id *which, struct place **out, struct place_fault *fault)
{
    struct place *place = calloc(1, sizeof *place);
    if (!place)
        return -ENOMEM;
    place->index = which->index;
    place->edition = which->edition;
    take_name(place, which->name);
    place->shard = p->shard;
    make_directory_name(which, p->shard, place->directory);
    int err = core_open_reader(place->directory, &place->core);
    if (!err)
        err = add(p, place);
    if (err) {
        if (err != -ENOENT)
            fail(place, "core.mdb", err, fault);
        core_close(place->core);
        free(place);
        return err;
    }
    *out = place;
    return 0;
}

int places_snapshot(struct places *p, const struct place_id *which, struct snapshot **out, struct place_fault *fault)
{
    snprintf(fault->text, sizeof fault->text, "out of memory");
    struct place *place = find(p, which->index, which->edition);
    int err = place ? 0 : open_place(p, which, &place, fault);
    if (err == -ENOENT) {
        *out = snapshot_hold(&p->empty);
        return 0;
    }
    if (err || !place)
        return err;
    place->used = ++p->calls;
    take_name(place, which->name);
    err = p->frozen && place->snapshot ? 0 : look(place, fault);
    if (err)
        return err;
    make_room(p, place);
    *out = snapshot_hold(place->snapshot);
    return 0;
}

void places_refresh(struct places *p, uint32_t index, uint32_t edition)
{
    struct place_fault fault;
    struct place *place = p->frozen ? NULL : find(p, index, edition);
    if (place)
        (void)look(place, &fault); /* logged there; a query will be told */
}

void places_freeze(struct places *p)
{
    p->frozen = true;
}

void places_forget(struct places *p, uint32_t index, uint32_t edition)
{
    size_t slot = find_slot(p, index, edition);
    if (slot < p->count && compare(p->list[slot], index, edition) == 0)
        close_place(p, slot);
}

void places_visit(const struct places *p, void (*visit)(void *context, const struct open_place *place), void *context)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct place *place = p->list[i];
        visit(context, &(struct open_place){place->index, place->edition, place->snapshot});
    }
}

static bool is_gone(const struct place *place)
{
    char path[MAX_DIRECTORY + 16];
    struct stat file;
    snprintf(path, sizeof path, "%s/core.mdb", place->directory);
    return stat(path, &file) != 0 && errno == ENOENT;
}

void places_sweep(struct places *p)
{
    struct place_fault fault;
    for (size_t i = p->frozen ? 0 : p->count; i-- > 0;) {
        struct place *place = p->list[i];
        if (is_gone(place)) {
            close_place(p, i);
            continue;
        }
        (void)look(place, &fault);
        (void)core_sweep(place->core);
    }
}
