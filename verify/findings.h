/* findings.h - what a verification has looked at and found, collected from the processes that looked. */
#ifndef VERIFY_FINDINGS_H
#define VERIFY_FINDINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "coordinator/ranges.h"

struct finding {
    struct finding *next;
    bool harmless;
    char *file, *what;
};

struct place { /* a shard of an index, and which of its operations are somewhere */
    uint32_t index, edition, shard;
    uint32_t numbering;   /* of its operations: coordinator/index.h */
    uint64_t watermark;   /* every operation below it is applied */
    struct ranges known;  /* applied above it, or in the log */
    bool unreadable;      /* and so nobody knows */
};

struct findings {
    FILE *to_parent; /* where this is a child that looks; NULL: it is the parent, which collects */
    struct finding *first, **end;
    size_t damaged, files;
    uint64_t bytes;
    char at[512]; /* the file that is looked at */
    struct place *places;
    size_t place_count;
};

void findings_init(struct findings *f);
void findings_finish(struct findings *f);

/* That file comes now: if the process dies, it was of that one. Paths are relative to what is verified. */
void findings_file(struct findings *f, const char *path, uint64_t bytes);
void findings_damage(struct findings *f, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Not damage, but worth knowing. */
void findings_note(struct findings *f, const char *path, const char *what);

/* The catalog has it: the place is made. Others are nobody's. There is one edition of an index, which the log does not
 * name. */
void findings_place(struct findings *f, const struct place *p);
void findings_watermark(struct findings *f, const struct place *p, uint64_t watermark);
void findings_known(struct findings *f, const struct place *p, uint64_t first, uint64_t end);

/* Runs `look` in a process of its own and collects what it says: LMDB believes what it reads, and what is damaged may end
 * whoever walks it. Such an end is a finding too. */
typedef void findings_look(struct findings *f, const void *context);
void findings_of(struct findings *f, findings_look *look, const void *context);

/* To standard output; true: nothing is damaged. */
bool findings_print(const struct findings *f, const char *what, bool json);

#endif
