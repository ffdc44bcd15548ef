/* notify.h - telling a service manager how we are: sd_notify(3)'s datagrams, by hand. Nothing happens without
 * NOTIFY_SOCKET. */
#ifndef COORDINATOR_NOTIFY_H
#define COORDINATOR_NOTIFY_H

void notify_send(const char *format, ...) __attribute__((format(printf, 1, 2))); /* "READY=1\nSTATUS=..." */

#endif
