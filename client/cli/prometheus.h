/* prometheus.h - the server's numbers in Prometheus' text format, version 0.0.4. */
#ifndef CLIENT_CLI_PROMETHEUS_H
#define CLIENT_CLI_PROMETHEUS_H

#include "proto/mayfly.pb-c.h"

void prometheus_print(const Mayfly__Stats *stats);

#endif
