/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/hosts.h"

#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "core/clock.h"

struct hosts_entry {
	struct host host; /* first */
	UT_hash_handle hh;
};

struct hosts {
	struct hosts_entry *by_id;
};

struct hosts *hosts_new(void)
{
	return calloc(1, sizeof(struct hosts));
}

struct hosts *hosts_free(struct hosts *hosts)
{
	struct hosts_entry *entry, *next;

	if (!hosts)
		return NULL;
	HASH_ITER (hh, hosts->by_id, entry, next) {
		HASH_DEL(hosts->by_id, entry);
		free(entry);
	}
	free(hosts);
	return NULL;
}

struct host *hosts_find(struct hosts *hosts, const char *id)
{
	struct hosts_entry *entry;

	HASH_FIND_STR(hosts->by_id, id, entry);
	return entry ? &entry->host : NULL;
}

struct host *hosts_add(struct hosts *hosts, const char *id, size_t max)
{
	struct host *found = hosts_find(hosts, id);
	struct hosts_entry *entry;

	if (found || HASH_COUNT(hosts->by_id) >= max)
		return found;
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return NULL;
	strncpy(entry->host.id, id, sizeof(entry->host.id) - 1);
	HASH_ADD_STR(hosts->by_id, host.id, entry);
	return &entry->host;
}

void hosts_release(struct hosts *hosts, struct host *host)
{
	struct hosts_entry *entry = (struct hosts_entry *)host;

	if (host->session || host->control)
		return;
	HASH_DEL(hosts->by_id, entry);
	free(entry);
}

size_t hosts_count(const struct hosts *hosts)
{
	return HASH_COUNT(hosts->by_id);
}

void hosts_each(struct hosts *hosts, void (*each)(struct host *host, void *data), void *data)
{
	struct hosts_entry *entry, *next;

	HASH_ITER (hh, hosts->by_id, entry, next)
		each(&entry->host, data);
}

void hosts_decorate(struct hosts *hosts, Pathbell__V1__Host *message, uint64_t silent_ns,
		    uint64_t started_unix_ns)
{
	const struct host *host = hosts_find(hosts, message->host_id);

	if (!host || !host->session) {
		/* UNKNOWN until the host had the time to come back after our own start. */
		bool heard = message->last_seen_unix_ns >= started_unix_ns ||
			     clock_realtime_ns() > started_unix_ns + silent_ns;

		message->state = (char *)(heard ? "silent" : "unknown");
		return;
	}
	message->connected = true;
	message->state =
		(char *)(clock_monotonic_ns() - host->last_heard_ns > silent_ns ? "silent"
										: "connected");
	message->last_seen_unix_ns = host->last_seen_unix_ns;
	message->unacked = host->unacked;
	message->degraded = host->degraded;
	message->peer = (char *)host->peer;
	message->certificate_not_after_unix_ns = host->certificate_not_after_unix_ns;
}
