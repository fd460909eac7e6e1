/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/hosts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aggregator/store/map.h"
#include "core/clock.h"

struct hosts_entry {
	struct host host; /* first */
	struct map_node node;
};

static struct hosts_entry *hosts_entry(struct map_node *node)
{
	return (struct hosts_entry *)((char *)node - offsetof(struct hosts_entry, node));
}

struct hosts {
	struct map by_id;
};

struct hosts *hosts_new(void)
{
	return calloc(1, sizeof(struct hosts));
}

static void hosts_entry_free(struct map_node *node, void *data)
{
	free(hosts_entry(node));
}

struct hosts *hosts_free(struct hosts *hosts)
{
	if (!hosts)
		return NULL;
	map_each(&hosts->by_id, hosts_entry_free, NULL);
	map_deinit(&hosts->by_id);
	free(hosts);
	return NULL;
}

struct host *hosts_find(struct hosts *hosts, const char *id)
{
	struct map_node *node = map_find(&hosts->by_id, id, strlen(id));

	return node ? &hosts_entry(node)->host : NULL;
}

struct host *hosts_add(struct hosts *hosts, const char *id, size_t max)
{
	struct host *found = hosts_find(hosts, id);
	struct hosts_entry *entry;

	if (found || hosts->by_id.n_nodes >= max)
		return found;
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return NULL;
	snprintf(entry->host.id, sizeof(entry->host.id), "%s", id);
	if (map_add(&hosts->by_id, &entry->node, entry->host.id, strlen(entry->host.id)) < 0) {
		free(entry);
		return NULL;
	}
	return &entry->host;
}

void hosts_release(struct hosts *hosts, struct host *host)
{
	struct hosts_entry *entry = (struct hosts_entry *)host;

	if (host->session || host->control)
		return;
	map_remove(&hosts->by_id, &entry->node);
	free(entry);
}

size_t hosts_count(const struct hosts *hosts)
{
	return hosts->by_id.n_nodes;
}

struct hosts_visit {
	void (*each)(struct host *host, void *data);
	void *data;
};

static void hosts_visit(struct map_node *node, void *data)
{
	const struct hosts_visit *visit = data;

	visit->each(&hosts_entry(node)->host, visit->data);
}

void hosts_each(struct hosts *hosts, void (*each)(struct host *host, void *data), void *data)
{
	struct hosts_visit visit = { each, data };

	map_each(&hosts->by_id, hosts_visit, &visit);
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
