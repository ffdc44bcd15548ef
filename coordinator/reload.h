/* reload.h - the configuration is read again while the server runs: SIGHUP. */
#ifndef COORDINATOR_RELOAD_H
#define COORDINATOR_RELOAD_H

struct server;

/* What may change is taken over, all of it or nothing, and logged; also what needs a restart. */
void reload(struct server *s, int argc, char **argv);

#endif
