/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Kernel uevents (NETLINK_KOBJECT_UEVENT, group 1), shared by the collectors that hear them. Each
 * collector has a socket of its own. Only messages of the kernel are taken: sender nl_pid 0 and
 * credentials of uid 0 (anyone may multicast to the group otherwise). lib/kobject_uevent.c,
 * Linux 6.12.
 */

#define UEVENT_MAX_PROPERTIES 64   /* UEVENT_NUM_ENVP, include/linux/kobject.h, Linux 6.12 */
#define UEVENT_MESSAGE_MAX    8192 /* environment of at most 2048 bytes plus the header line */

struct uevent_property {
	const char *key, *value; /* into the message */
};

struct uevent {
	const char *action, *devpath, *subsystem; /* never NULL; "" where absent */
	uint64_t seqnum;
	struct uevent_property properties[UEVENT_MAX_PROPERTIES];
	size_t n_properties;
};

/* Pure. Splits in place (@message is written to, and must outlive the event). 0 or -EBADMSG. */
int uevent_parse(char *message, size_t size, struct uevent *ret_event);
/* NULL when the key is absent. */
const char *uevent_get(const struct uevent *event, const char *key);
/* Decimal or 0x hex; false when absent or not a number. */
bool uevent_get_number(const struct uevent *event, const char *key, uint64_t *ret_value);

struct uevent_socket;

/* @receive_buffer bytes (SO_RCVBUFFORCE, else SO_RCVBUF); 0 = 4 MiB. 0 or -errno. */
int uevent_open(struct uevent_socket **ret_socket, size_t receive_buffer);
struct uevent_socket *uevent_close(struct uevent_socket *socket);
int uevent_fd(const struct uevent_socket *socket);

/*
 * The next message. 0; UEVENT_E_EMPTY; UEVENT_E_LOST: the kernel dropped messages; the older ones
 * that are still queued come first, so the caller drains until EMPTY and then enumerates anew;
 * *ret_lost is the exact count by the Drops column of /proc/net/netlink, 0 = unknown. -errno: the
 * socket is dead. Untrusted and malformed messages are skipped and counted.
 */
#define UEVENT_E_EMPTY 1
#define UEVENT_E_LOST  2
int uevent_next(struct uevent_socket *socket, struct uevent *ret_event, uint64_t *ret_lost);
uint64_t uevent_skipped(const struct uevent_socket *socket);
