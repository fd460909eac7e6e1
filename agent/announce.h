/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "actions/action.h"
#include "agent/commands/entry.h"
#include "pathbell/v1/event.pb-c.h"

/*
 * What the agent says about itself, as events: source.collector is "agent", they go through the
 * same pipeline and spool as all others. The callbacks are the pipeline's, or a test's.
 */
struct announcer {
	void *data;
	/* Never refused by a filter; when the spool is full it is queued. @source: seq is filled in
	 * by the callee. */
	void (*publish)(void *data, Pathbell__V1__Event *event);
	/* Calls @done(@done_data) once all that was published so far is durable. 0 or -errno: then
	 * it never comes. */
	int (*sync)(void *data, void (*done)(void *data), void *done_data);
	/* Newest record of the audit chain, told with each state of a command; NULL = none. */
	const struct announce_head *head;
};
struct announce_head {
	uint64_t seq;
	uint8_t hash[32];
};

void announce_agent(const struct announcer *announcer, unsigned kind, const char *reason,
		    const char *config_file, uint32_t config_generation);

struct announce_forwarder {
	const char *name, *state, *cause, *detail, *address;
	uint64_t unacked, not_after_unix_ns, retry_ms;
	int32_t exit_status;
};
void announce_forwarder(const struct announcer *announcer, unsigned kind, unsigned severity,
			const struct announce_forwarder *forwarder);

void announce_spool(const struct announcer *announcer, unsigned kind, unsigned severity,
		    const char *reason, uint64_t lost, const uint8_t epoch[16]);

/* The state of a command; @id may be NULL when the envelope could not be read. */
struct announce_command {
	unsigned kind;
	const uint8_t *id;
	uint32_t life, refusal, verb;
	int32_t error_number;
	bool dry_run;
	const char *detail, *issuer, *key_id, *target, *campaign_id;
	uint32_t duration_ms;
};
void announce_command(const struct announcer *announcer, const struct announce_command *command);
/* The same from its journal entry: kind and severity follow from the entry's life. */
void announce_entry(const struct announcer *announcer, const struct entry *entry);
/* What a command returns, in chunks of at most 32 KiB: command.output. At least one, the last with
 * output_last. */
void announce_output(const struct announcer *announcer, const struct entry *entry,
		     const char *output, size_t size);
/* What probe found: storage.device.state with the device as its subject. */
void announce_device(const struct announcer *announcer, const struct device *device,
		     const struct device_state *state, const char *reason);
