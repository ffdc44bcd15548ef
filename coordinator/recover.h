/* recover.h - after the survey: what the log still holds and no core.mdb has goes to the jobs again, as regions, as
 * fast as their budget allows. */
#ifndef COORDINATOR_RECOVER_H
#define COORDINATOR_RECOVER_H

struct server;
struct recovery;

/* Sets the streams' next sequence numbers at once, so that new writes may come; `done` when the whole log was read. */
int recover_start(struct server *s, void (*done)(void *context, int err), void *context, struct recovery **out);

/* Nothing more is read of the log: another mayflyd will. */
void recover_end(struct recovery *r);

#endif
