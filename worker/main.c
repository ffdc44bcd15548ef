/*
 * mayfly-worker - the nursery, and the workers that it forks: batches of documents to one index segment.
 *
 * Started by  the coordinator (nursery); the nursery, by fork, one process per job (worker)
 * Holds       nursery: its socket, its last-words page, LOCK; worker: lifeline, sealed regions, last-words page, LOCK
 * Writes      worker: one segment file, then one small transaction in the shard's core.mdb; nursery: nothing
 * malloc      malloc.c: bump arena, capped at worker_memory in a worker
 * Ends        nursery: when the coordinator closes its end; worker: after the commit, at the cap, with the nursery
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/logger.h"
#include "index/analyzer.h"
#include "index/store.h"
#include "worker/job.h"
#include "worker/nursery.h"
#include "worker/words.h"

static struct nursery nursery;

/* ICU's data, tables and dictionaries: read once, shared by every worker's pages until it writes to them. */
static struct analysis *load(void)
{
    struct analysis *analysis;
    int err = analysis_load(&analysis);
    if (err)
        log_die("the analyzers cannot be loaded: %s", err_str(err));
    return analysis;
}

int main(int argc, char **argv)
{
    log_open("mayfly-worker", LOG_INFO);
    store_name_errors();
    if (argc > 1)
        log_die("%s takes no arguments: mayflyd starts it", argv[0]);
    struct last_words *words = words_open(NURSERY_WORDS);
    if (!words)
        log_die("no last-words page as descriptor %d: mayflyd starts this process", NURSERY_WORDS);
    signal(SIGINT, SIG_IGN); /* of a terminal: the coordinator decides when to end */
    int err = nursery_open(&nursery, job_work, load());
    if (err)
        log_die("the nursery cannot begin: %s", err_str(err));
    words_stage(words, STAGE_SERVING);
    err = nursery_serve(&nursery);
    if (err)
        words_die(words, EXIT_REASON_ORPHANED, "the coordinator cannot be spoken to: %s", err_str(err));
    words_die(words, EXIT_REASON_DONE, "the coordinator closed its end");
}
