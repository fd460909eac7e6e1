/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/announce.h"

#include <string.h>
#include <sys/utsname.h>

#include "core/id.h"
#include "proto/kind.h"

#define KIND(name)     PATHBELL__V1__EVENT_KIND__EVENT_KIND_##name
#define SEVERITY(name) PATHBELL__V1__SEVERITY__SEVERITY_##name
#define LIFE(name)     PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_##name

#define ANNOUNCE_CHUNK 32768 /* CommandState.output, event.proto */

/* The generated structs want char *; nothing writes through them. */
static char *announce_text(const char *text)
{
	return (char *)(text ? text : "");
}

static void announce_agent_severity(unsigned kind, Pathbell__V1__Event *event)
{
	event->severity = kind == KIND(AGENT_CONFIG_REFUSED) ? SEVERITY(WARNING) : SEVERITY(INFO);
}

void announce_agent(const struct announcer *announcer, unsigned kind, const char *reason,
		    const char *config_file, uint32_t config_generation)
{
	Pathbell__V1__Event event = PATHBELL__V1__EVENT__INIT;
	Pathbell__V1__Subject subject = PATHBELL__V1__SUBJECT__INIT;
	Pathbell__V1__AgentState state = PATHBELL__V1__AGENT_STATE__INIT;
	struct utsname name;

	if (uname(&name) == 0)
		state.kernel = name.release;
	state.version = announce_text(PATHBELL_VERSION);
	state.reason = announce_text(reason);
	state.config_file = announce_text(config_file);
	state.config_generation = config_generation;
	subject.type = PATHBELL__V1__SUBJECT_TYPE__SUBJECT_TYPE_HOST;
	event.kind = (Pathbell__V1__EventKind)kind;
	announce_agent_severity(kind, &event);
	event.subject = &subject;
	event.payload_case = PATHBELL__V1__EVENT__PAYLOAD_AGENT_STATE;
	event.agent_state = &state;
	announcer->publish(announcer->data, &event);
}

void announce_forwarder(const struct announcer *announcer, unsigned kind, unsigned severity,
			const struct announce_forwarder *forwarder)
{
	Pathbell__V1__Event event = PATHBELL__V1__EVENT__INIT;
	Pathbell__V1__Subject subject = PATHBELL__V1__SUBJECT__INIT;
	Pathbell__V1__ForwarderState state = PATHBELL__V1__FORWARDER_STATE__INIT;

	state.forwarder = announce_text(forwarder->name);
	state.state = announce_text(forwarder->state);
	state.cause = announce_text(forwarder->cause);
	state.detail = announce_text(forwarder->detail);
	state.address = announce_text(forwarder->address);
	state.unacked = forwarder->unacked;
	state.certificate_not_after_unix_ns = forwarder->not_after_unix_ns;
	state.retry_ms =
		forwarder->retry_ms > UINT32_MAX ? UINT32_MAX : (uint32_t)forwarder->retry_ms;
	state.exit_status = forwarder->exit_status;
	subject.type = PATHBELL__V1__SUBJECT_TYPE__SUBJECT_TYPE_FORWARDER;
	subject.id = subject.name = announce_text(forwarder->name);
	event.kind = (Pathbell__V1__EventKind)kind;
	event.severity = (Pathbell__V1__Severity)severity;
	event.subject = &subject;
	event.payload_case = PATHBELL__V1__EVENT__PAYLOAD_FORWARDER_STATE;
	event.forwarder_state = &state;
	announcer->publish(announcer->data, &event);
}

void announce_spool(const struct announcer *announcer, unsigned kind, unsigned severity,
		    const char *reason, uint64_t lost, const uint8_t epoch[16])
{
	Pathbell__V1__Event event = PATHBELL__V1__EVENT__INIT;
	Pathbell__V1__SpoolState state = PATHBELL__V1__SPOOL_STATE__INIT;

	state.state = announce_text(kind == KIND(SPOOL_DEGRADED) ? "degraded" : "ok");
	state.reason = announce_text(reason);
	state.lost = lost;
	if (epoch) {
		state.epoch.data = (uint8_t *)epoch;
		state.epoch.len = 16;
	}
	event.kind = (Pathbell__V1__EventKind)kind;
	event.severity = (Pathbell__V1__Severity)severity;
	event.payload_case = PATHBELL__V1__EVENT__PAYLOAD_SPOOL_STATE;
	event.spool_state = &state;
	announcer->publish(announcer->data, &event);
}

static unsigned announce_command_severity(const struct announce_command *command)
{
	switch (command->kind) {
	case KIND(COMMAND_REFUSED):
	case KIND(COMMAND_INDETERMINATE):
	case KIND(COMMAND_HELD):
	case KIND(COMMAND_HALTED):
	case KIND(COMMAND_RESUMED):
		return SEVERITY(WARNING);
	case KIND(COMMAND_FINISHED):
		return command->life == LIFE(SUCCEEDED) ? SEVERITY(NOTICE) : SEVERITY(WARNING);
	default:
		return SEVERITY(INFO);
	}
}

static void announce_fill_command(const struct announcer *announcer,
				  const struct announce_command *command,
				  Pathbell__V1__CommandState *state)
{
	if (command->id) {
		state->command_id.data = (uint8_t *)command->id;
		state->command_id.len = 16;
	}
	state->life = (Pathbell__V1__CommandLife)command->life;
	state->refusal = (Pathbell__V1__CommandRefusal)command->refusal;
	state->verb = announce_text(command->verb ? command_verb_name(command->verb) : "");
	state->detail = announce_text(command->detail);
	state->issuer = announce_text(command->issuer);
	state->key_id = announce_text(command->key_id);
	state->target = announce_text(command->target);
	state->campaign_id = announce_text(command->campaign_id);
	state->dry_run = command->dry_run;
	state->error_number = command->error_number;
	state->duration_ms = command->duration_ms;
	if (announcer->head && announcer->head->seq) {
		state->audit_seq = announcer->head->seq;
		state->audit_hash.data = (uint8_t *)announcer->head->hash;
		state->audit_hash.len = sizeof(announcer->head->hash);
	}
}

static void announce_state(const struct announcer *announcer,
			   const struct announce_command *command,
			   Pathbell__V1__CommandState *state)
{
	Pathbell__V1__Event event = PATHBELL__V1__EVENT__INIT;
	Pathbell__V1__Subject subject = PATHBELL__V1__SUBJECT__INIT;
	char id[ID_TEXT_SIZE] = "";

	if (command->id)
		id_format(command->id, id);
	subject.type = PATHBELL__V1__SUBJECT_TYPE__SUBJECT_TYPE_COMMAND;
	subject.id = id;
	event.kind = (Pathbell__V1__EventKind)command->kind;
	event.severity = (Pathbell__V1__Severity)announce_command_severity(command);
	event.subject = &subject;
	event.payload_case = PATHBELL__V1__EVENT__PAYLOAD_COMMAND_STATE;
	event.command_state = state;
	announcer->publish(announcer->data, &event);
}

void announce_command(const struct announcer *announcer, const struct announce_command *command)
{
	Pathbell__V1__CommandState state = PATHBELL__V1__COMMAND_STATE__INIT;

	announce_fill_command(announcer, command, &state);
	announce_state(announcer, command, &state);
}

static unsigned announce_entry_kind(uint32_t life)
{
	switch (life) {
	case LIFE(RECEIVED):
		return KIND(COMMAND_RECEIVED);
	case LIFE(REJECTED):
		return KIND(COMMAND_REFUSED);
	case LIFE(ACCEPTED):
		return KIND(COMMAND_ACCEPTED);
	case LIFE(STARTED):
		return KIND(COMMAND_STARTED);
	case LIFE(INDETERMINATE):
		return KIND(COMMAND_INDETERMINATE);
	case LIFE(CANCELLED):
		return KIND(COMMAND_CANCELLED);
	case LIFE(EXPIRED):
		return KIND(COMMAND_EXPIRED);
	default:
		return KIND(COMMAND_FINISHED);
	}
}

static struct announce_command announce_from_entry(const struct entry *entry, unsigned kind)
{
	return (struct announce_command){
		.kind = kind,
		.id = entry->id,
		.life = entry->life,
		.refusal = entry->refusal,
		.verb = entry->verb,
		.error_number = entry->error_number,
		.dry_run = entry->dry_run,
		.detail = entry->detail,
		.issuer = entry->issuer,
		.key_id = entry->key_id,
		.target = entry->object,
		.campaign_id = entry->campaign_id,
		.duration_ms = entry->duration_ms,
	};
}

void announce_entry(const struct announcer *announcer, const struct entry *entry)
{
	struct announce_command command =
		announce_from_entry(entry, announce_entry_kind(entry->life));

	announce_command(announcer, &command);
}

void announce_output(const struct announcer *announcer, const struct entry *entry,
		     const char *output, size_t size)
{
	struct announce_command command = announce_from_entry(entry, KIND(COMMAND_OUTPUT));
	uint32_t chunk = 0;

	/* Not the end, which this comes before: the store takes the first end that it hears of. */
	command.life = LIFE(STARTED);
	command.detail = "";
	do {
		Pathbell__V1__CommandState state = PATHBELL__V1__COMMAND_STATE__INIT;
		size_t n = size < ANNOUNCE_CHUNK ? size : ANNOUNCE_CHUNK;

		announce_fill_command(announcer, &command, &state);
		state.chunk = chunk++;
		state.output.data = (uint8_t *)output;
		state.output.len = n;
		state.output_last = n == size;
		announce_state(announcer, &command, &state);
		output += n;
		size -= n;
	} while (size);
}

static void announce_fill_device(const struct device *device, Pathbell__V1__Subject *subject)
{
	subject->type = (Pathbell__V1__SubjectType)device->type;
	subject->id = announce_text(device->id);
	subject->name = announce_text(device->name);
	subject->major = device->major;
	subject->minor = device->minor;
	subject->generation = device->generation;
	subject->wwid = announce_text(device->wwid);
	subject->serial = announce_text(device->serial);
	subject->model = announce_text(device->model);
	subject->vendor = announce_text(device->vendor);
	subject->uuid = announce_text(device->uuid);
	subject->bus_address = announce_text(device->bus_address);
}

void announce_device(const struct announcer *announcer, const struct device *device,
		     const struct device_state *found, const char *reason)
{
	Pathbell__V1__Event event = PATHBELL__V1__EVENT__INIT;
	Pathbell__V1__Subject subject = PATHBELL__V1__SUBJECT__INIT;
	Pathbell__V1__DeviceState state = PATHBELL__V1__DEVICE_STATE__INIT;

	announce_fill_device(device, &subject);
	state.present = found->present;
	state.state = announce_text(found->state);
	state.size_sectors = found->size_sectors;
	state.read_only = found->read_only;
	state.removable = found->removable;
	state.io_errors = found->io_errors;
	state.in_flight = found->in_flight;
	state.reason = announce_text(reason);
	state.readable = found->readable;
	state.read_error = found->read_error;
	event.kind = KIND(STORAGE_DEVICE_STATE);
	event.severity = !found->present || found->read_error ? SEVERITY(WARNING) : SEVERITY(INFO);
	event.subject = &subject;
	event.payload_case = PATHBELL__V1__EVENT__PAYLOAD_DEVICE_STATE;
	event.device_state = &state;
	announcer->publish(announcer->data, &event);
}
