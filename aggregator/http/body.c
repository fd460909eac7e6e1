/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/http/body.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "aggregator/reader.h"
#include "aggregator/view.h"
#include "core/clock.h"
#include "core/id.h"
#include "proto/json.h"
#include "proto/kind.h"

#define BODY_ARENA_MAX (8u << 20)
#define BODY_MAX_BYTES (4u << 20) /* of events in one answer, encoded */

int body_message(struct buf *out, const ProtobufCMessage *message)
{
	struct json_object *json = json_from_message(message);
	const char *text;
	size_t len;
	int r;

	if (!json)
		return -ENOMEM;
	text = json_object_to_json_string_length(
		json, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
	r = text ? buf_append(out, text, len) : -ENOMEM;
	json_object_put(json);
	return r;
}

static int body_event(struct buf *out, struct arena *arena, const struct store_event *from)
{
	Pathbell__V1__StoredEvent message = PATHBELL__V1__STORED_EVENT__INIT;

	arena_reset(arena);
	message.id = from->id;
	message.host_id = (char *)from->host_id;
	message.hostname = (char *)from->hostname;
	message.epoch.data = (uint8_t *)from->epoch;
	message.epoch.len = 16;
	message.seq = from->seq;
	message.stored_unix_ns = from->stored_unix_ns;
	message.event = codec_unpack(&pathbell__v1__event__descriptor, &scan_limits_event, arena,
				     from->event, from->event_size, NULL);
	return body_message(out, &message.base);
}

struct body_rows {
	struct buf *out;
	struct arena *arena;
	uint64_t ordinal;
	size_t n, max;
	int error;
	bool more;
};

static bool body_separate(struct body_rows *rows)
{
	rows->error = rows->n++ == 0 ? 0 : buf_append(rows->out, ",", 1);
	return rows->error == 0;
}

static bool body_event_row(void *data, const struct store_event *event)
{
	struct body_rows *rows = data;

	if (body_separate(rows))
		rows->error = body_event(rows->out, rows->arena, event);
	return rows->error == 0;
}

static int body_events_in(struct body_rows *rows, struct store *store, const struct query *from)
{
	struct store_query query = {
		.filter = from->filter,
		.after_id = from->after_id,
		.newest_first = from->newest_first,
		.limit = from->limit,
		.max_bytes = BODY_MAX_BYTES,
		.deadline_ns = clock_monotonic_ns() + READER_QUERY_NS,
	};
	struct store_page page = { 0 };
	int r = buf_printf(rows->out, "{\"events\":[");

	if (r == 0)
		r = store_query(store, &query, body_event_row, rows, &page);
	if (r == 0)
		r = rows->error;
	if (r < 0)
		return r;
	if (page.more)
		return buf_printf(rows->out, "],\"next_after_id\":%" PRIu64 "}\n", page.last_id);
	return buf_printf(rows->out, "]}\n");
}

int body_events(struct buf *out, struct store *store, const struct query *query)
{
	struct body_rows rows = { .out = out };
	int r = arena_new(&rows.arena, BODY_ARENA_MAX);

	if (r < 0)
		return r;
	r = body_events_in(&rows, store, query);
	arena_free(rows.arena);
	return r;
}

static bool body_command_row(void *data, const struct store_command *command)
{
	struct body_rows *rows = data;
	Pathbell__V1__CommandRecord *record;

	if (rows->n == rows->max) {
		rows->more = true;
		return false;
	}
	rows->ordinal = command->ordinal;
	arena_reset(rows->arena);
	record = view_command(rows->arena, command);
	if (!record)
		rows->error = -ENOMEM;
	else if (body_separate(rows))
		rows->error = body_message(rows->out, &record->base);
	return rows->error == 0;
}

int body_commands(struct buf *out, struct store *store, const struct query *from)
{
	struct store_command_query query = {
		.host_id = from->filter.n_hosts ? from->filter.host_ids[0] : NULL,
		.before_ordinal = from->after_id,
		.limit = from->limit + 1,
	};
	struct body_rows rows = { .out = out, .max = from->limit };
	int r = arena_new(&rows.arena, 8 * BODY_ARENA_MAX);

	if (r < 0)
		return r;
	r = buf_printf(out, "{\"commands\":[");
	if (r == 0)
		r = store_commands(store, &query, body_command_row, &rows);
	if (r == 0)
		r = rows.error;
	arena_free(rows.arena);
	if (r < 0)
		return r;
	return rows.more ? buf_printf(out, "],\"next_after\":%" PRIu64 "}\n", rows.ordinal)
			 : buf_printf(out, "]}\n");
}

int body_command(struct buf *out, struct store *store, const uint8_t id[16])
{
	struct store_command_query query = { .id = id, .limit = 1 };
	struct body_rows rows = { .out = out, .max = 1 };
	int r = arena_new(&rows.arena, 8 * BODY_ARENA_MAX);

	if (r < 0)
		return r;
	r = store_commands(store, &query, body_command_row, &rows);
	arena_free(rows.arena);
	return r < 0 ? r : rows.error;
}

static bool body_campaign_row(void *data, const struct store_campaign *campaign)
{
	struct body_rows *rows = data;
	Pathbell__V1__Campaign *message;

	if (rows->n == rows->max) {
		rows->more = true;
		return false;
	}
	rows->ordinal = campaign->ordinal;
	arena_reset(rows->arena);
	message = view_campaign(rows->arena, campaign);
	if (!message)
		rows->error = -ENOMEM;
	else if (body_separate(rows))
		rows->error = body_message(rows->out, &message->base);
	return rows->error == 0;
}

int body_campaign(struct buf *out, struct store *store, const uint8_t id[16])
{
	struct store_campaign_query query = { .id = id, .limit = 1 };
	struct body_rows rows = { .out = out, .max = 1 };
	int r = arena_new(&rows.arena, BODY_ARENA_MAX);

	if (r < 0)
		return r;
	r = store_campaigns(store, &query, body_campaign_row, &rows);
	arena_free(rows.arena);
	return r < 0 ? r : rows.error;
}

int body_campaigns(struct buf *out, struct store *store, const struct query *from)
{
	struct store_campaign_query query = { .before_ordinal = from->after_id,
					      .limit = from->limit + 1 };
	struct body_rows rows = { .out = out, .max = from->limit };
	int r = arena_new(&rows.arena, BODY_ARENA_MAX);

	if (r < 0)
		return r;
	r = buf_printf(out, "{\"campaigns\":[");
	if (r == 0)
		r = store_campaigns(store, &query, body_campaign_row, &rows);
	if (r == 0)
		r = rows.error;
	arena_free(rows.arena);
	if (r < 0)
		return r;
	return rows.more ? buf_printf(out, "],\"next_after\":%" PRIu64 "}\n", rows.ordinal)
			 : buf_printf(out, "]}\n");
}

static bool body_audit_row(void *data, const struct store_audit_record *record)
{
	struct body_rows *rows = data;
	Pathbell__V1__AuditRecord *message;

	arena_reset(rows->arena);
	message = view_audit(rows->arena, record);
	if (!message)
		rows->error = -ENOMEM;
	else if (body_separate(rows))
		rows->error = body_message(rows->out, &message->base);
	return rows->error == 0;
}

int body_audit(struct buf *out, struct store *store, const struct query *from)
{
	struct store_audit_query query = {
		.after_seq = from->after_id,
		.limit = from->limit,
		.host_id = from->filter.n_hosts ? from->filter.host_ids[0] : NULL,
		.deadline_ns = clock_monotonic_ns() + READER_QUERY_NS,
	};
	struct body_rows rows = { .out = out };
	char hash[2 * sizeof(query.ret_head_hash) + 1];
	int r = arena_new(&rows.arena, BODY_ARENA_MAX);

	if (r < 0)
		return r;
	r = buf_printf(out, "{\"records\":[");
	if (r == 0)
		r = store_audits(store, &query, body_audit_row, &rows);
	if (r == 0)
		r = rows.error;
	arena_free(rows.arena);
	if (r == 0 && query.ret_more)
		r = buf_printf(out, "],\"next_after\":%" PRIu64, query.ret_last_seq);
	else if (r == 0)
		r = buf_printf(out, "]");
	id_hex(query.ret_head_hash, sizeof(query.ret_head_hash), hash);
	return r < 0 ? r
		     : buf_printf(out, ",\"head_seq\":%" PRIu64 ",\"head_hash\":\"%s\"}\n",
				  query.ret_head_seq, hash);
}

int body_sse(struct buf *out, struct arena *arena, const struct store_event *event)
{
	int r = buf_printf(out, "id: %" PRIu64 "\nevent: %s\ndata: ", event->id,
			   kind_name(event->kind));

	if (r == 0)
		r = body_event(out, arena, event);
	return r == 0 ? buf_append(out, "\n\n", 2) : r;
}
