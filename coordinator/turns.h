/* turns.h - how much of bulk loads is taken in one turn of the loop, so that whoever asks meanwhile waits for no more.
 *
 * Of clients that send documents as fast as they are read, TURN_BYTES are taken in a turn, of all of them together; then they
 * wait, and go on by turns. While a search is under way they have a turn every TURN_EVERY_US only: its shards want the
 * processors that bulk loads keep busy in the coordinator, in its log and in themselves. While anybody is waited for, searches or
 * single updates of late, and workers have half of region-memory to go on with, one every TURN_AHEAD_US: what is taken then only
 * waits, and its log is in the way of everybody's. Pure: session_turns.c does it. */
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

/* How far apart they are; 0: they follow each other. */
uint64_t turns_period(bool is_searching, bool is_updating, bool is_ahead);

/* A turn of the loop begins, in which those who wait may take some again, or not yet. */
bool turns_begin(struct turns *t, uint64_t period_us, uint64_t now_us);

#endif
