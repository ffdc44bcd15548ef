/* notify.h - telling a service manager how we are: sd_notify(3)'s datagrams, by hand. Nothing happens without
 * NOTIFY_SOCKET. */
#ifndef COORDINATOR_NOTIFY_H
#define COORDINATOR_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

void notify_send(const char *format, ...) __attribute__((format(printf, 1, 2))); /* "READY=1\nSTATUS=..." */

bool notify_is_wanted(void);

/* How often at least WATCHDOG=1 is expected of this process; 0: it is not. */
uint64_t notify_watchdog_us(void);

#endif
