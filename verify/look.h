/* look.h - what mayfly-verify looks at, a function for each kind of file. The working directory is what is verified. */
#ifndef VERIFY_LOOK_H
#define VERIFY_LOOK_H

#include "verify/findings.h"

void look_at_manifest(struct findings *f); /* of a backup: every file is there, as it was written */
void look_at_catalog(struct findings *f);  /* and makes the places */
void look_at_log(struct findings *f);
void look_at_indexes(struct findings *f);  /* each core.mdb, and the segments that it names */
void look_for_lost(struct findings *f);    /* operations that are neither applied nor in the log */

#endif
