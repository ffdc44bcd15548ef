/* catalog.h - catalog.mdb: indexes, settings, tasks, and the numbers that must never be given twice.
 *
 * Written by the coordinator only. What must be durable before it is answered takes a callback: writes are collected
 * and committed as one item of libuv's pool, at most one commit in flight. */
#ifndef COORDINATOR_CATALOG_H
#define COORDINATOR_CATALOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/str.h"
#include "coordinator/index.h"

struct catalog;

/* Opens it, or makes it with so many shards; raises the epoch, loads the indexes, and says in out_indexes->shards how many
 * the data has. ERR_VERSION (said in `why`), ERR_CORRUPT. */
struct uv_loop_s;
int catalog_open(struct uv_loop_s *loop, const char *path, uint32_t shards, struct indexes *out_indexes,
                 struct catalog **out, char why[256]);

/* Before it is opened, if there is one: how many shards the data has, and how many the index that has the most. `beside`:
 * somebody else may write it. False: there is none, or it cannot be read. */
bool catalog_peek(const char *path, bool beside, uint32_t *out_shards, uint32_t *out_most);

/* The task by which indexes are being given another number of shards; 0: none is. */
uint64_t catalog_resharding(const struct catalog *c);

/* What it lacks of the disk is told there: disk.h. */
struct disk;
void catalog_set_disk(struct catalog *c, struct disk *d);

/* Commits what waits. No commit may be in flight: run the loop until catalog_is_idle. */
void catalog_close(struct catalog *c);
bool catalog_is_idle(const struct catalog *c);
uint64_t catalog_epoch(const struct catalog *c);

enum catalog_number { NUMBER_STAMP, NUMBER_SEGMENT, NUMBER_TASK, NUMBER_INDEX, NUMBERS };

/* The next one, from 1; blocks of 65,536 (stamps) or 256 are reserved durably before the first of them is given, ahead
 * of need. 0 if the catalog cannot be written (disk full): the caller refuses what it wanted the number for. */
uint64_t catalog_next(struct catalog *c, enum catalog_number kind);

typedef void catalog_done(void *context, int err);

/* Copies now, commits soon; `done` (may be NULL) when it is durable. */
void catalog_put_index(struct catalog *c, const struct index *i, catalog_done *done, void *context);
void catalog_remove_index(struct catalog *c, const struct index *i, catalog_done *done, void *context);
void catalog_put_swap(struct catalog *c, const struct index *a, const struct index *b, catalog_done *done,
                      void *context); /* both as they are now, in one transaction */
void catalog_put_switch(struct catalog *c, const struct index *i, uint64_t task, struct str packed, catalog_done *done,
                        void *context); /* the index, and the end of a task, in one transaction */
void catalog_put_shards(struct catalog *c, const struct indexes *all, uint64_t task, catalog_done *done,
                        void *context); /* their number, all->shards, and that the task changes it */
void catalog_end_resharding(struct catalog *c, uint64_t task, struct str packed, catalog_done *done, void *context);
void catalog_put_task(struct catalog *c, uint64_t uid, struct str packed, catalog_done *done, void *context);
void catalog_remove_task(struct catalog *c, uint64_t uid);

/* Once all that was put before is durable, or with an error if some of it could not be written. At once if nothing is
 * on its way. */
void catalog_after(struct catalog *c, catalog_done *done, void *context);

/* What is durable now, to a new file. Blocks: called from the pool, beside commits. */
int catalog_copy(struct catalog *c, const char *path);

/* Every task that is kept, by rising uid. */
typedef void catalog_task_visitor(void *context, uint64_t uid, struct str packed);
int catalog_tasks(struct catalog *c, catalog_task_visitor *visit, void *context);

#endif
