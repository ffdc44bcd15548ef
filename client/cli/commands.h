/* commands.h - what each command does; main.c has the table of them. */
#ifndef CLIENT_CLI_COMMANDS_H
#define CLIENT_CLI_COMMANDS_H

#include "client/cli/args.h"

int command_ping(struct cli *c);
int command_index_create(struct cli *c);
int command_index_list(struct cli *c);
int command_index_drop(struct cli *c);
int command_index_swap(struct cli *c);
int command_index_optimize(struct cli *c);
int command_settings_get(struct cli *c);
int command_settings_set(struct cli *c);
int command_add(struct cli *c);
int command_get(struct cli *c);
int command_delete(struct cli *c);
int command_search(struct cli *c);
int command_tasks(struct cli *c);
int command_stats(struct cli *c);
int command_top(struct cli *c);
int command_trim(struct cli *c);
int command_budget(struct cli *c);
int command_backup(struct cli *c);
int command_reshard(struct cli *c);
int command_restore(struct cli *c);
int command_check(struct cli *c);

#endif
