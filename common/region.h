/* region.h - shared memory that crosses a process boundary: a memfd that is written by one, sealed, then read by others.
 *
 * A writer opens one with room for `capacity` bytes (F_SEAL_GROW from birth), fills it, and seals or cuts it. A receiver never
 * trusts the sender: region_map_sealed adds the seals itself, checks them, and maps read-only. */
#ifndef COMMON_REGION_H
#define COMMON_REGION_H

#include <stddef.h>

struct region {
    int fd;
    char *base;      /* NULL while not mapped */
    size_t capacity; /* bytes mapped */
    size_t used;     /* bytes written, by whoever writes */
};

/* `name` is for /proc/PID/maps. 0, or a negative errno. */
int region_open(struct region *r, const char *name, size_t capacity);

/* Unmaps, cuts the file to `used` and adds SHRINK, GROW, WRITE and SEAL. The descriptor stays open, `base` is NULL. */
int region_seal(struct region *r);

/* Only cuts the file to `used`, where sealing might wait for other processors; who reads it seals it. */
int region_cut(struct region *r);

/* One that is never mapped by who writes it. A page that is written so needs not be cleared, faulted in and unmapped: it takes six
 * tenths of the time that filling a map takes. Then region_seal, or nothing. */
int region_create(struct region *r, const char *name);
int region_put(struct region *r, const void *bytes, size_t size, size_t at);

/* Maps what a descriptor holds after sealing it: ERR_CORRUPT if it cannot be sealed (somebody still holds a writable
 * map) or is shorter than `at_least`. `used` and `capacity` are the file's size. Takes over `fd` on success only. */
int region_map_sealed(struct region *r, int fd, size_t at_least);

/* A small shared page that stays writable on both sides (last words). The second form maps one that was received. */
int region_open_shared(struct region *r, const char *name, size_t size);
int region_map_shared(struct region *r, int fd, size_t size);

/* Unmaps and closes; accepts one with fd -1 and base NULL. A zeroed one must have its fd set to -1 first. */
void region_close(struct region *r);

#define REGION_NONE ((struct region){.fd = -1})

#endif
