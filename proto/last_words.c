#include "proto/last_words.h"

const char *exit_reason_name(unsigned reason)
{
    static const char *const names[EXIT_REASONS] = {
        [EXIT_REASON_NONE] = "killed",
        [EXIT_REASON_DONE] = "done",
        [EXIT_REASON_RETIRED] = "retired",
        [EXIT_REASON_SUPERSEDED] = "superseded",
        [EXIT_REASON_CAP] = "cap",
        [EXIT_REASON_KERNEL_CAP] = "kernel_cap",
        [EXIT_REASON_CORRUPT] = "corrupt",
        [EXIT_REASON_WRITE] = "write_failed",
        [EXIT_REASON_DISK_FULL] = "disk_full",
        [EXIT_REASON_ORPHANED] = "orphaned",
        [EXIT_REASON_CRASHED] = "crashed",
        [EXIT_REASON_OOM_KILLED] = "oom_killed",
        [EXIT_REASON_STARVED] = "starved",
        [EXIT_REASON_TIMEOUT] = "timeout",
        [EXIT_REASON_CANCELLED] = "cancelled",
        [EXIT_REASON_LOST] = "lost",
    };
    return reason < EXIT_REASONS ? names[reason] : "unknown";
}

const char *child_stage_name(unsigned stage)
{
    static const char *const names[STAGES] = {
        [STAGE_NONE] = "none",         [STAGE_BORN] = "born",       [STAGE_READING] = "reading",
        [STAGE_INDEXING] = "indexing", [STAGE_WRITING] = "writing", [STAGE_COMMITTING] = "committing",
        [STAGE_DONE] = "done",         [STAGE_SERVING] = "serving",   [STAGE_WAITING] = "waiting",
    };
    return stage < STAGES ? names[stage] : "unknown";
}
