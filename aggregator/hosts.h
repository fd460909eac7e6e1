/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pathbell/v1/fleet.pb-c.h"

/*
 * The hosts that are connected, by id; gRPC thread only. An entry lives as long as one of its two
 * streams. What a host is when it is away is in the store.
 */
struct hosts;
struct session;
struct control;

struct host {
	char id[129];
	struct session *session; /* Events stream; NULL = none */
	struct control *control; /* Control stream */
	uint64_t last_heard_ns;	 /* CLOCK_MONOTONIC */
	uint64_t last_seen_unix_ns, unacked, certificate_not_after_unix_ns;
	bool degraded;
	char peer[128];
};

struct hosts *hosts_new(void);
struct hosts *hosts_free(struct hosts *hosts);
struct host *hosts_find(struct hosts *hosts, const char *id);
/* Finds or makes. NULL: no memory, or @max hosts are there already. */
struct host *hosts_add(struct hosts *hosts, const char *id, size_t max);
/* Removes the entry when neither stream is left. */
void hosts_release(struct hosts *hosts, struct host *host);
size_t hosts_count(const struct hosts *hosts);
/* Calls @each for all; it may close streams (entries go only by hosts_release). */
void hosts_each(struct hosts *hosts, void (*each)(struct host *host, void *data), void *data);
/* What the store does not know: connected, state, the newest numbers. @silent_ns: after so long
 * without a word. */
void hosts_decorate(struct hosts *hosts, Pathbell__V1__Host *message, uint64_t silent_ns,
		    uint64_t started_unix_ns);
