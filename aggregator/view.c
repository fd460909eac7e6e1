/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/view.h"

#include <errno.h>
#include <string.h>

#include "proto/kind.h"
#include "proto/wire.h"

static uint8_t *view_bytes(struct arena *arena, const uint8_t *data, size_t size)
{
	uint8_t *copy = arena_alloc(arena, size);

	return copy ? memcpy(copy, data, size) : NULL;
}

static bool view_epochs(struct arena *arena, Pathbell__V1__Host *message,
			const struct store_host *host)
{
	message->epochs = arena_alloc(arena, (host->n_epochs + 1) * sizeof(void *));
	if (!message->epochs)
		return false;
	for (size_t i = 0; i < host->n_epochs; i++) {
		Pathbell__V1__HostEpoch *epoch = arena_alloc(arena, sizeof(*epoch));

		if (!epoch)
			return false;
		pathbell__v1__host_epoch__init(epoch);
		epoch->epoch.data = view_bytes(arena, host->epochs[i].epoch, 16);
		epoch->epoch.len = epoch->epoch.data ? 16 : 0;
		epoch->stored_seq = host->epochs[i].mark;
		epoch->events = host->epochs[i].events;
		epoch->tombstoned = host->epochs[i].tombstoned;
		message->epochs[message->n_epochs++] = epoch;
	}
	return true;
}

Pathbell__V1__Host *view_host(struct arena *arena, const struct store_host *host, bool with_epochs)
{
	Pathbell__V1__Host *message = arena_alloc(arena, sizeof(*message));

	if (!message)
		return NULL;
	pathbell__v1__host__init(message);
	message->host_id = arena_strdup(arena, host->host_id);
	message->hostname = arena_strdup(arena, host->hostname);
	message->agent_version = arena_strdup(arena, host->agent_version);
	message->kernel_release = arena_strdup(arena, host->kernel_release);
	message->peer = arena_strdup(arena, host->peer);
	if (!message->host_id || !message->hostname || !message->agent_version ||
	    !message->kernel_release || !message->peer)
		return NULL;
	message->first_seen_unix_ns = host->first_seen_unix_ns;
	message->last_seen_unix_ns = host->last_seen_unix_ns;
	message->last_event_unix_ns = host->last_event_unix_ns;
	message->events = host->events;
	message->tombstoned = host->tombstoned;
	message->unacked = host->unacked;
	message->degraded = host->degraded;
	message->certificate_not_after_unix_ns = host->certificate_not_after_unix_ns;
	if (host->has_boot_id) {
		message->boot_id.data = view_bytes(arena, host->boot_id, 16);
		message->boot_id.len = message->boot_id.data ? 16 : 0;
	}
	return with_epochs && !view_epochs(arena, message, host) ? NULL : message;
}

static bool view_transitions(struct arena *arena, Pathbell__V1__CommandHostState *message,
			     const struct store_command_host *host)
{
	size_t size = (host->n_transitions + 1) * sizeof(void *);

	message->transitions = arena_alloc(arena, size);
	if (!message->transitions)
		return false;
	for (size_t i = 0; i < host->n_transitions; i++) {
		const struct store_transition *from = &host->transitions[i];
		Pathbell__V1__CommandTransition *to = arena_alloc(arena, sizeof(*to));

		if (!to)
			return false;
		pathbell__v1__command_transition__init(to);
		to->life = from->life;
		to->refusal = from->refusal;
		to->unix_ns = from->unix_ns;
		to->detail = arena_strdup(arena, from->detail);
		if (!to->detail)
			return false;
		message->transitions[message->n_transitions++] = to;
	}
	return true;
}

static Pathbell__V1__CommandHostState *view_command_host(struct arena *arena,
							 const struct store_command_host *host)
{
	Pathbell__V1__CommandHostState *message = arena_alloc(arena, sizeof(*message));

	if (!message)
		return NULL;
	pathbell__v1__command_host_state__init(message);
	message->host_id = arena_strdup(arena, host->host_id);
	message->detail = arena_strdup(arena, host->detail);
	message->life = host->life;
	message->refusal = host->refusal;
	message->changed_unix_ns = host->changed_unix_ns;
	if (!message->host_id || !message->detail || !view_transitions(arena, message, host))
		return NULL;
	return message;
}

static bool view_command_hosts(struct arena *arena, Pathbell__V1__CommandRecord *message,
			       const struct store_command *command)
{
	message->hosts = arena_alloc(arena, (command->n_hosts + 1) * sizeof(void *));
	if (!message->hosts)
		return false;
	message->finished = true;
	for (size_t i = 0; i < command->n_hosts; i++) {
		Pathbell__V1__CommandHostState *host = view_command_host(arena, &command->hosts[i]);

		if (!host)
			return false;
		message->finished = message->finished && command_life_is_final(host->life);
		message->hosts[message->n_hosts++] = host;
	}
	return true;
}

Pathbell__V1__CommandRecord *view_command(struct arena *arena, const struct store_command *command)
{
	Pathbell__V1__CommandRecord *message = arena_alloc(arena, sizeof(*message));

	if (!message)
		return NULL;
	pathbell__v1__command_record__init(message);
	message->command_id.data = view_bytes(arena, command->id, 16);
	message->command_id.len = message->command_id.data ? 16 : 0;
	message->verb = arena_strdup(arena, command->verb);
	message->issuer = arena_strdup(arena, command->issuer);
	message->submitted_by = arena_strdup(arena, command->submitted_by);
	message->reason = arena_strdup(arena, command->reason);
	message->target = arena_strdup(arena, command->target);
	message->submitted_unix_ns = command->submitted_unix_ns;
	message->expires_unix_ns = command->expires_unix_ns;
	if (command->has_campaign) {
		message->campaign_id.data = view_bytes(arena, command->campaign_id, 16);
		message->campaign_id.len = message->campaign_id.data ? 16 : 0;
	}
	if (!message->verb || !message->issuer || !message->submitted_by || !message->reason ||
	    !message->target || !view_command_hosts(arena, message, command))
		return NULL;
	return message;
}

/* Fields of StoredEvent (fleet.proto), written by hand so that `event` stays the host's bytes. */
enum {
	STORED_EVENT_ID = 1,
	STORED_EVENT_HOST_ID,
	STORED_EVENT_EPOCH,
	STORED_EVENT_SEQ,
	STORED_EVENT_STORED,
	STORED_EVENT_EVENT,
	STORED_EVENT_HOSTNAME,
};

static size_t view_bytes_size(size_t size)
{
	return 1 + wire_varint_size(size) + size;
}

static size_t view_event_size(const struct store_event *event)
{
	return 1 + wire_varint_size(event->id) + view_bytes_size(strlen(event->host_id)) +
	       view_bytes_size(16) + 1 + wire_varint_size(event->seq) + 9 +
	       view_bytes_size(event->event_size) + view_bytes_size(strlen(event->hostname));
}

static uint8_t *view_put_bytes(uint8_t *out, uint32_t field, const void *data, size_t size)
{
	out = wire_put_tag(out, field, WIRE_BYTES);
	out = wire_put_varint(out, size);
	return (uint8_t *)memcpy(out, data, size) + size;
}

static void view_event_put(struct buf *out, const struct store_event *event)
{
	uint8_t *begin = out->data + out->size, *pos = begin;

	pos = wire_put_tag(pos, STORED_EVENT_ID, WIRE_VARINT);
	pos = wire_put_varint(pos, event->id);
	pos = view_put_bytes(pos, STORED_EVENT_HOST_ID, event->host_id, strlen(event->host_id));
	pos = view_put_bytes(pos, STORED_EVENT_EPOCH, event->epoch, 16);
	pos = wire_put_tag(pos, STORED_EVENT_SEQ, WIRE_VARINT);
	pos = wire_put_varint(pos, event->seq);
	pos = wire_put_tag(pos, STORED_EVENT_STORED, WIRE_FIXED64);
	pos = wire_put_fixed64(pos, event->stored_unix_ns);
	pos = view_put_bytes(pos, STORED_EVENT_EVENT, event->event, event->event_size);
	pos = view_put_bytes(pos, STORED_EVENT_HOSTNAME, event->hostname, strlen(event->hostname));
	out->size += (size_t)(pos - begin);
}

int view_event(struct buf *out, const struct store_event *event)
{
	int r = buf_reserve(out, view_event_size(event));

	if (r == 0)
		view_event_put(out, event);
	return r;
}

int view_event_element(struct buf *out, uint32_t field, const struct store_event *event)
{
	size_t size = view_event_size(event);
	int r = buf_reserve(out, size + 2 * WIRE_MAX_VARINT);
	uint8_t *pos;

	if (r < 0)
		return r;
	pos = wire_put_tag(out->data + out->size, field, WIRE_BYTES);
	pos = wire_put_varint(pos, size);
	out->size = (size_t)(pos - out->data);
	view_event_put(out, event);
	return 0;
}
