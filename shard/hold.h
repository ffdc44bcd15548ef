/* hold.h - generations that a first round named, kept until the request's second round, its end, or its deadline. */
#ifndef SHARD_HOLD_H
#define SHARD_HOLD_H

#include <stdint.h>

#include "index/snapshot.h"

struct holds;

int holds_open(struct holds **out);

/* Takes one more reference; a hold of the same request is replaced. 0, or -ENOMEM. */
int holds_add(struct holds *h, uint64_t request, struct snapshot *s, uint64_t until_us);

/* NULL if there is none (any more); the reference stays the hold's. */
struct snapshot *holds_find(const struct holds *h, uint64_t request);

void holds_drop(struct holds *h, uint64_t request);
void holds_drop_expired(struct holds *h, uint64_t now_us);

#endif
