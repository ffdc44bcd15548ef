/* reshard.h - another number of shards for all indexes, while the server runs.
 *
 *   Reshard -> catalog: the number, the task -> processes for as many -> one index after the other gets an edition with as
 *   many (editions.h) -> catalog: the task's end -> the processes that nobody needs any more go, after a grace
 *
 * Meanwhile indexes have different numbers of shards, and each is whole at any moment. After a restart it goes on with those
 * that do not have the new number yet. */
#ifndef COORDINATOR_RESHARD_H
#define COORDINATOR_RESHARD_H

#include <stdbool.h>
#include <stdint.h>

#include "coordinator/server.h"

struct resharding;

int reshard_open(struct server *s, struct resharding **out);

/* Before what a former life had not finished is said to be over, and when workers can be had again. */
void reshard_keep_task(struct server *s);
void reshard_resume(struct server *s);

/* Why so many cannot be had: the code and a sentence. NULL: they can. */
enum { RESHARD_WHY = 400 };
const char *reshard_refusal(const struct server *s, uint32_t shards, char why[RESHARD_WHY]);
struct task *reshard_task(const struct server *s, uint32_t shards); /* that is at it already; NULL: none is */
bool reshard_is_needed(const struct server *s, uint32_t shards);

/* The task may do it: it takes the place of one that is under way. */
void reshard_begin(struct server *s, uint32_t shards, struct task *task);

/* An index has the new number. */
void reshard_moved(struct server *s, const struct index *i);

/* An index cannot be had with the new number: the task ends with that. */
void reshard_failed(struct server *s, const struct index *i, const char *code, const char *why);

void reshard_refresh(struct server *s); /* how far it is, told to its task */

#endif
