/* oplog_version.h - whether this server reads the log at all. Looked at before anything of the data is changed. */
#ifndef COORDINATOR_OPLOG_VERSION_H
#define COORDINATOR_OPLOG_VERSION_H

enum { OPLOG_WHY = 4500 };

/* ERR_VERSION, and in `why` which file of the log is of which format; -errno, and which cannot be read. */
int oplog_check_versions(const char *directory, char why[OPLOG_WHY]);

#endif
