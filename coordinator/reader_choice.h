/* reader_choice.h - which of a shard's readers is given the next request. Pure: shards.c does it.
 *
 * Each reader is a process, and going from one to another costs more than many a query. So where a shard has more readers
 * than there are processors for, some stand by: what the others have follows each other, and their answers travel together.
 * Those who stand by are given what comes while the others are held up, by a query that takes long or by more than they get
 * done; and once a second they change places, so that all stay warm. */
#ifndef COORDINATOR_READER_CHOICE_H
#define COORDINATOR_READER_CHOICE_H

#include <stdbool.h>
#include <stdint.h>

enum {
    READERS_MOST = 16, /* of a shard */
    READER_HELD_UP_US = 2000, /* with something to do and without an answer: twice what answers wait for each other */
    READER_AHEAD = 16,        /* requests that one has more than another that stands by, before that has to help */
};

struct reader_load {
    bool ready, silent; /* silent: see pulse.h */
    uint32_t in_flight;
    uint64_t moved_us; /* when it answered last, or was given something when it had nothing */
};

/* Of a shard's readers, how many there are processors for; at least one. */
uint32_t readers_at_once(uint32_t processors, uint32_t shards, uint32_t readers);

struct reader_places {
    uint32_t count, at_once;
    uint32_t first; /* of those who do not stand by; they follow it in a circle */
    uint32_t turn;  /* of equally busy ones the one that it comes to first */
};

/* -1: none is ready. */
int reader_choose(const struct reader_load *of, const struct reader_places *p, uint64_t now_us);

#endif
