/* places.h - the indexes that this shard has open: opened at the first query, kept current, the least used closed when
 * descriptors or mappings run short. */
#ifndef SHARD_PLACES_H
#define SHARD_PLACES_H

#include <stddef.h>
#include <stdint.h>

#include "index/snapshot.h"

struct places;

struct place_fault { /* why an index cannot be used */
    char text[400]; /* names the index, as far as it is known, and the file */
};

int places_open(uint32_t shard, struct places **out);

/* The newest generation, with a reference for the caller; an index without core.mdb is empty. ERR_CORRUPT, ERR_VERSION
 * or another failure with the file in `fault`. */
struct place_id {
    uint32_t index, edition;
    const char *name; /* that the index has now; "": not known */
};
/* "index films: indexes/7/1/0/FILE": of whom damage is told. */
void places_name_file(const struct place_id *which, uint32_t shard, const char *file, struct place_fault *out);
int places_snapshot(struct places *p, const struct place_id *which, struct snapshot **out, struct place_fault *fault);

/* Looks at an index that is open whether it has moved on; does nothing for others. */
void places_refresh(struct places *p, uint32_t index, uint32_t edition);
void places_forget(struct places *p, uint32_t index, uint32_t edition);

struct open_place {
    uint32_t index, edition;
    const struct snapshot *snapshot; /* NULL: nobody has looked yet */
};
enum { PLACE_HEAP = 2 << 10 }; /* bytes of malloc for one that is open, what LMDB takes included */
void places_visit(const struct places *p, void (*visit)(void *context, const struct open_place *place), void *context);

/* Another coordinator, of another version perhaps, has the data: what is open stays at the generation that it has, mapped, and
 * whatever becomes of its files. */
void places_freeze(struct places *p);

/* Once a second: lets go of what idle indexes hold of dropped files, of indexes that are gone, of dead readers' slots.
 */
void places_sweep(struct places *p);

#endif
