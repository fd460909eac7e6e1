/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "core/id.h"
#include "ctl/render.h"
#include "ctl/when.h"
#include "proto/kind.h"

/*
 * A sentence for the payloads that people read daily; every other one is shown by its fields
 * (render_fields), so that a payload added to the schema is shown from the first day.
 */

/* " word" when the text is not empty. */
static int render_payload_word(const char *before, const char *text, const char *after,
			       struct buf *out)
{
	if (!*text)
		return 0;
	return buf_printf(out, "%s", before) ?: output_escape(out, text, strlen(text)) ?: buf_printf(out, "%s", after);
}

static int render_payload_verdict(const Pathbell__V1__ErrorVerdict *verdict, struct buf *out)
{
	if (!verdict)
		return 0;
	return buf_printf(out, " verdict={") ?: render_fields(&verdict->base, out) ?: buf_append(out, "}", 1);
}

static int render_payload_block_error(const Pathbell__V1__Event *event, struct buf *out)
{
	static const char *const operations[] = { "i/o",     "read",	     "write", "flush",
						  "discard", "secure erase", "zone",  "other" };
	const Pathbell__V1__BlockError *error = event->block_error;
	const char *operation =
		(unsigned)error->operation < 8 ? operations[error->operation] : "i/o";
	int r = buf_printf(out, "%s on %s", block_error_class_name(error->error_class), operation);

	if (r == 0 && error->sector_count)
		r = buf_printf(out, " of sectors %" PRIu64 "-%" PRIu64, error->sector,
			       error->sector + error->sector_count - 1);
	r = r ?: buf_printf(out, " (errno %" PRId32, error->error_number);
	r = r ?: render_payload_word(" ", error->error_type, "", out) ?: buf_append(out, ")", 1);
	r = r ?: render_payload_word(" rwbs=", error->rwbs, "", out);
	return r ?: render_payload_verdict(error->verdict, out);
}

static int render_payload_device_state(const Pathbell__V1__Event *event, struct buf *out)
{
	const Pathbell__V1__DeviceState *state = event->device_state;
	int r = buf_printf(out, "%s", state->present ? "present" : "absent");

	r = r ?: render_payload_word(" state ", state->state, "", out);
	if (r == 0 && state->present)
		r = buf_printf(out, ", %" PRIu64 " sectors (%" PRIu64 " MiB), %s",
			       state->size_sectors, state->size_sectors / 2048,
			       state->read_only ? "read-only" : "read-write");
	if (r == 0 && state->readable)
		r = buf_printf(out, ", one sector was read");
	if (r == 0 && state->read_error)
		r = buf_printf(out, ", reading failed (errno %" PRId32 ")", state->read_error);
	if (r == 0 && state->io_errors)
		r = buf_printf(out, ", %" PRIu64 " I/O errors", state->io_errors);
	if (r == 0 && state->in_flight)
		r = buf_printf(out, ", %" PRIu32 " in flight", state->in_flight);
	return r ?: render_payload_word(" (", state->reason, ")", out);
}

static int render_payload_collector(const Pathbell__V1__Event *event, struct buf *out)
{
	const Pathbell__V1__CollectorState *state = event->collector_state;
	int r = render_payload_word("", state->collector, " ", out)
			?: render_payload_word("", state->state, "", out);

	r = r ?: render_payload_word(": ", state->reason, "", out);
	if (r == 0 && state->error_number)
		r = buf_printf(out, " (errno %" PRId32 ")", state->error_number);
	if (r == 0 && (state->events || state->lost))
		r = buf_printf(out, ", %" PRIu64 " events, %" PRIu64 " lost", state->events,
			       state->lost);
	if (r == 0 && state->retry_ms)
		r = buf_printf(out, ", again in %" PRIu32 " ms", state->retry_ms);
	return r;
}

static int render_payload_gap(const Pathbell__V1__Event *event, struct buf *out)
{
	const Pathbell__V1__Gap *gap = event->gap;
	int r = render_payload_word("", gap->collector, " ", out) ?: buf_printf(out, "lost ");

	if (r == 0 && gap->count_is_minimum && gap->count == 0)
		r = buf_printf(out, "an unknown number of events");
	else if (r == 0)
		r = buf_printf(out, "%s%" PRIu64 " event%s",
			       gap->count_is_minimum ? "at least " : "", gap->count,
			       gap->count == 1 ? "" : "s");
	r = r ?: render_payload_word(": ", gap->cause, "", out);
	if (r == 0 && gap->cpu)
		r = buf_printf(out, " on cpu %" PRIu32, gap->cpu - 1);
	if (r == 0 && gap->from_unix_ns && gap->to_unix_ns > gap->from_unix_ns)
		r = buf_printf(out, " within %" PRIu64 " ms",
			       (gap->to_unix_ns - gap->from_unix_ns) / 1000000);
	return r;
}

static int render_payload_forwarder(const Pathbell__V1__Event *event, struct buf *out)
{
	const Pathbell__V1__ForwarderState *state = event->forwarder_state;
	int r = render_payload_word("", state->forwarder, " ", out)
			?: render_payload_word("", state->state, "", out);

	r = r ?: render_payload_word(" ", state->address, "", out) ?: render_payload_word(": ", state->cause, "", out);
	r = r ?: render_payload_word(": ", state->detail, "", out);
	if (r == 0 && state->exit_status)
		r = buf_printf(out, ", exit status %" PRId32, state->exit_status);
	if (r == 0 && state->unacked)
		r = buf_printf(out, ", %" PRIu64 " unacked", state->unacked);
	if (r == 0 && state->retry_ms)
		r = buf_printf(out, ", again in %" PRIu32 " ms", state->retry_ms);
	return r;
}

static int render_payload_command(const Pathbell__V1__Event *event, struct buf *out)
{
	const Pathbell__V1__CommandState *state = event->command_state;
	char id[ID_TEXT_SIZE] = "-";
	int r;

	if (state->command_id.len == ID_SIZE)
		id_format(state->command_id.data, id);
	r = render_payload_word("", state->verb, " ", out)
		    ?: buf_printf(out, "%s %s", id, command_life_name(state->life));
	if (r == 0 && state->refusal)
		r = buf_printf(out, " (%s)", command_refusal_name(state->refusal));
	r = r ?: render_payload_word(": ", state->detail, "", out) ?: render_payload_word(" by ", state->issuer, "", out);
	if (r == 0 && state->error_number)
		r = buf_printf(out, " (errno %" PRId32 ")", state->error_number);
	if (r == 0 && state->output.len)
		r = buf_printf(out, " output %" PRIu32 "%s: ", state->chunk,
			       state->output_last ? " (last)" : "")
			    ?: output_escape(out, (const char *)state->output.data,
					     state->output.len);
	return r || !state->dry_run ? r : buf_printf(out, " [dry run]");
}

static int render_payload_watch_queue(const Pathbell__V1__Event *event, struct buf *out)
{
	const Pathbell__V1__WatchQueueMeta *meta = event->watch_queue_meta;

	/* uapi linux/watch_queue.h: WATCH_META_REMOVAL_NOTIFICATION 0, WATCH_META_LOSS_NOTIFICATION
	 * 1 */
	if (meta->subtype == 1)
		return buf_printf(out, "notifications were lost");
	return buf_printf(out, "watch %" PRIu32 " removed, object %" PRIu64, meta->watch_id,
			  meta->object_id);
}

static int render_payload_fields(const Pathbell__V1__Event *event, struct buf *out)
{
	for (unsigned i = 0; i < event->base.descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &event->base.descriptor->fields[i];
		const ProtobufCMessage *payload;

		if (field->id != (uint32_t)event->payload_case)
			continue;
		payload = *(const ProtobufCMessage *const *)((const char *)event + field->offset);
		return payload ? render_fields(payload, out) : 0;
	}
	return 0;
}

static const struct {
	Pathbell__V1__Event__PayloadCase payload;
	int (*render)(const Pathbell__V1__Event *event, struct buf *out);
} render_payload_table[] = {
	{ PATHBELL__V1__EVENT__PAYLOAD_BLOCK_ERROR, render_payload_block_error },
	{ PATHBELL__V1__EVENT__PAYLOAD_DEVICE_STATE, render_payload_device_state },
	{ PATHBELL__V1__EVENT__PAYLOAD_COLLECTOR_STATE, render_payload_collector },
	{ PATHBELL__V1__EVENT__PAYLOAD_GAP, render_payload_gap },
	{ PATHBELL__V1__EVENT__PAYLOAD_FORWARDER_STATE, render_payload_forwarder },
	{ PATHBELL__V1__EVENT__PAYLOAD_COMMAND_STATE, render_payload_command },
	{ PATHBELL__V1__EVENT__PAYLOAD_WATCH_QUEUE_META, render_payload_watch_queue },
};

int render_payload(const Pathbell__V1__Event *event, struct buf *out)
{
	for (size_t i = 0; i < sizeof(render_payload_table) / sizeof(render_payload_table[0]);
	     i++) {
		if (render_payload_table[i].payload == event->payload_case)
			return render_payload_table[i].render(event, out);
	}
	return event->payload_case ? render_payload_fields(event, out) : 0;
}
