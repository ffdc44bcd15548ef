/* data_directory.h - what a start does with the data: makes its directories, locks it, sees that it is whole, opens catalog and
 * log. What cannot be had ends the program with a sentence.  Runs in: coordinator, from main.c. */
#ifndef COORDINATOR_DATA_DIRECTORY_H
#define COORDINATOR_DATA_DIRECTORY_H

#include "coordinator/server.h"

/* Gives s->data its absolute name. */
void data_directory_make(struct server *s);

/* Waits for a former life on it; the descriptor of LOCK. */
int data_directory_lock(const struct server *s);

void data_directory_must_be_whole(const struct server *s);

/* With LOCK: the epoch is another one from here on. */
void data_directory_open(struct server *s);

#endif
