/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * The service manager's notification protocol, documented as stable in sd_notify(3), without
 * libsystemd: one datagram to the socket named by NOTIFY_SOCKET. Each returns 0 (also where there
 * is no manager) or -errno; nobody needs to act on a failure, and no call ever waits.
 */
int notify_ready(
	const char *status); /* READY=1, STATUS=; also after a reload. @status may be NULL */
int notify_reloading(void);  /* RELOADING=1 and MONOTONIC_USEC= */
int notify_stopping(void);   /* STOPPING=1 */
int notify_status(const char *status); /* STATUS=: one line for `systemctl status` */
int notify_watchdog(void);	       /* WATCHDOG=1 */

/*
 * How often the manager wants notify_watchdog, halved as sd_watchdog_enabled(3) advises; false
 * without a watchdog or where WATCHDOG_PID names another process.
 */
bool notify_watchdog_interval(uint64_t *ret_ns);
