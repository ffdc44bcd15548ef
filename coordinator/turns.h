/* turns.h - how much of bulk loads is taken in one turn of the loop, so that whoever asks meanwhile waits for no more.
 *
 * Of clients that send documents as fast as they are read, TURN_BYTES are taken in a turn, of all of them together; then they
 * wait, and go on by turns. A search that comes ends the turn: what it asks of shards leaves at the end of the loop's. While one is
 * under way there is a turn every TURN_EVERY_US only: its shards want the processors that bulk loads keep busy in the coordinator,
 * in its log and in themselves; and one every TURN_AHEAD_US if workers have enough to go on with, a sixteenth of region-memory.
 * What is taken then only waits. So it is while single updates have come of late and workers have half of it: the bulk load's log is
 * in the way of theirs. Pure: session_turns.c does it. */
#ifndef COORDINATOR_TURNS_H
#define COORDINATOR_TURNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TURN_BYTES = 256 << 10, TURN_EVERY_US = 2000, TURN_AHEAD_US = 10000 };

struct turns {
    size_t left; /* bytes that may still be taken in this turn */
    uint64_t given_us;
};

void turns_take(struct turns *t, size_t bytes);

struct turns_wanted {
    bool searching, updating;    /* somebody else is waited for */
    uint64_t ahead_bytes, budget; /* what workers have to go on with, of how much: region-memory */
};

/* How far apart they are; 0: they follow each other. */
uint64_t turns_period(struct turns_wanted w);

/* Nothing more in this turn. */
void turns_end(struct turns *t);

/* A turn of the loop begins, in which those who wait may take some again, or not yet. */
bool turns_begin(struct turns *t, uint64_t period_us, uint64_t now_us);

#endif
