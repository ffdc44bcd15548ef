/* requests.h - the handlers of messages, by file: requests_index.c, requests_write.c, requests_read.c,
 * requests_search.c, requests_get.c, requests_backup.c. Each answers, now or later, or adds a pending. What it is given is valid during the call only. */
#ifndef COORDINATOR_REQUESTS_H
#define COORDINATOR_REQUESTS_H

#include "coordinator/ingest.h"
#include "coordinator/server.h"
#include "coordinator/session.h"

void handle_index_create(struct session *s, const Mayfly__Envelope *e);
void handle_index_list(struct session *s, const Mayfly__Envelope *e);
void handle_index_drop(struct session *s, const Mayfly__Envelope *e);
void handle_index_swap(struct session *s, const Mayfly__Envelope *e);
void handle_index_optimize(struct session *s, const Mayfly__Envelope *e);
void handle_settings_get(struct session *s, const Mayfly__Envelope *e);
void handle_settings_set(struct session *s, const Mayfly__Envelope *e);

void handle_write(struct session *s, const Mayfly__Envelope *e);
void filter_begin(struct session *s, const Mayfly__Envelope *e); /* a Write with a filter */
void write_filter(struct session *s, uint64_t request, struct index *index, Mayfly__Write__Wait wait, struct str filter);
bool write_continue(struct session *s, const Mayfly__Envelope *e); /* false: no stream has that number */
void write_body(struct session *s, struct str piece);
void write_frame_end(struct session *s);
void write_give_held(struct session *s); /* what its streams hold for indexes that are not closed any more */
struct pending;
bool write_cut_streams(struct pending *list); /* what is half there is given up; whether any was not received to its end */

void handle_ping(struct session *s, const Mayfly__Envelope *e);
void handle_get(struct session *s, const Mayfly__Envelope *e);
void handle_task_list(struct session *s, const Mayfly__Envelope *e);
void handle_task_wait(struct session *s, const Mayfly__Envelope *e);
void handle_stats(struct session *s, const Mayfly__Envelope *e);
void handle_budget(struct session *s, const Mayfly__Envelope *e);
void handle_trim(struct session *s, const Mayfly__Envelope *e);
void handle_reshard(struct session *s, const Mayfly__Envelope *e);
void handle_backup(struct session *s, const Mayfly__Envelope *e);
void handle_cancel(struct session *s, const Mayfly__Envelope *e);
void handle_search(struct session *s, const Mayfly__Envelope *e);

/* The index of that name; else an Error was sent. */
struct index *requests_index(struct session *s, uint64_t request, const char *name);

/* Answered when the task has ended. */
void requests_await(struct session *s, uint64_t request, struct task *task);

/* The catalog could not be written, or has no numbers: the disk is full, or it is to be tried again later. */
void requests_refuse_unwritten(struct session *s, uint64_t request);

/* Made in the registry and on its way into the catalog; NULL: an Error was sent. With `answer` the request is answered
 * by Done when it is durable. */
struct index *requests_create(struct session *s, uint64_t request, const char *name, const char *primary_key,
                              bool answer);

#endif
