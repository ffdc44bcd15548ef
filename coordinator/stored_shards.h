/* stored_shards.h - the number of shards that the data has, and the one in the configuration.
 *
 * What is stored counts: after a reshard a configuration that nobody has changed since must not keep the server from starting.
 * Where they differ, it is said: in the log, and by --check-config. */
#ifndef COORDINATOR_STORED_SHARDS_H
#define COORDINATOR_STORED_SHARDS_H

#include <stdint.h>

#include "coordinator/config.h"

/* Before the budget is looked at and anything is started: config->shards becomes how many shards need processes, which is
 * more than are stored where indexes are being given fewer. New data has as many as the configuration says. */
void stored_shards_take(struct config *config, const char *data);

/* For people: by a warning, or on standard output. */
void stored_shards_warn(const struct config *config, uint32_t stored);
void stored_shards_check(const struct config *config);

#endif
