/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/agent.h"
#include "agent/commands/audit.h"
#include "agent/commands/keys.h"
#include "proto/kind.h"

/* What `pathbell local` asks about trusted keys. Revoked ids whose key is not known here follow
 * behind the keys. */
#define LOCAL_MAX_KEYS	   256 /* LocalKeys.keys, local.proto */
#define LOCAL_MAX_RECORDS  5000
#define LOCAL_RECORDS	   500	       /* when the request names no number */
#define LOCAL_RECORD_BYTES (96 * 1024) /* the answer is one packet */

static char *local_keys_text(struct arena *arena, const char *text)
{
	char *copy = arena_strdup(arena, text);

	return copy ? copy : (char *)"";
}

static Pathbell__V1__LocalKey *local_keys_row(Pathbell__V1__LocalKeys *list, struct arena *arena)
{
	Pathbell__V1__LocalKey *row;

	if (list->n_keys == LOCAL_MAX_KEYS)
		return NULL;
	row = arena_alloc(arena, sizeof(*row));
	if (!row)
		return NULL;
	pathbell__v1__local_key__init(row);
	list->keys[list->n_keys++] = row;
	return row;
}

static void local_keys_fill(const struct key *key, struct arena *arena, Pathbell__V1__LocalKey *row)
{
	row->name = local_keys_text(arena, key->name);
	row->key_id = local_keys_text(arena, key->key_id);
	row->role = (char *)role_name(key->role);
	row->file =
		key->file[0] ? local_keys_text(arena, key->file) : (char *)"commands.trusted_keys";
	row->revoked = key->revoked;
	row->not_after_unix_ms = key->not_after_ms;
	row->verbs = arena_alloc(arena, (key->n_verbs + 1) * sizeof(char *));
	for (size_t i = 0; row->verbs && i < key->n_verbs; i++)
		row->verbs[row->n_verbs++] = (char *)command_verb_name(key->verbs[i]);
}

static bool local_keys_is_listed(const struct keys *keys, const char *id)
{
	for (size_t i = 0; i < keys->n_keys; i++)
		if (strcmp(keys->keys[i].key_id, id) == 0)
			return true;
	return false;
}

bool agent_answer_keys(const struct agent *agent, Pathbell__V1__LocalResponse *response,
		       struct arena *arena)
{
	Pathbell__V1__LocalKeys *list = arena_alloc(arena, sizeof(*list));
	const struct keys *keys = agent->commands ? commands_keys(agent->commands) : NULL;
	Pathbell__V1__LocalKey *row;

	if (!list)
		return false;
	pathbell__v1__local_keys__init(list);
	list->keys = arena_alloc(arena, LOCAL_MAX_KEYS * sizeof(list->keys[0]));
	if (!list->keys)
		return false;
	for (size_t i = 0; keys && i < keys->n_keys; i++)
		if ((row = local_keys_row(list, arena)))
			local_keys_fill(&keys->keys[i], arena, row);
	for (size_t i = 0; keys && i < keys->n_revoked; i++) {
		if (local_keys_is_listed(keys, keys->revoked[i]) ||
		    !(row = local_keys_row(list, arena)))
			continue;
		row->key_id = local_keys_text(arena, keys->revoked[i]);
		row->revoked = true;
	}
	list->error = local_keys_text(arena, keys ? keys->error : agent->commands_error);
	response->response_case = PATHBELL__V1__LOCAL_RESPONSE__RESPONSE_KEYS;
	response->keys = list;
	return true;
}

/* From @first on, as many as are wanted and fit. */
static bool local_audit_take(const struct audit *audit, size_t first, size_t max,
			     Pathbell__V1__LocalAudit *list, struct arena *arena)
{
	size_t bytes = 0;
	uint64_t seq;
	const char *line;

	list->records = arena_alloc(arena, (AUDIT_MAX_RECENT + 1) * sizeof(list->records[0]));
	for (size_t i = first; list->records && (line = audit_recent(audit, i, &seq)); i++) {
		Pathbell__V1__LocalAuditRecord *record;

		bytes += strlen(line) + 16;
		if (bytes > LOCAL_RECORD_BYTES || list->n_records == max)
			break;
		record = arena_alloc(arena, sizeof(*record));
		if (!record)
			return false;
		pathbell__v1__local_audit_record__init(record);
		record->seq = seq;
		record->line = local_keys_text(arena, line);
		list->records[list->n_records++] = record;
	}
	return list->records != NULL;
}

/* Behind after_seq, or without one the newest that fit. */
static size_t local_audit_first(const struct audit *audit, uint64_t after_seq, size_t max)
{
	size_t first = 0, n = 0, bytes = 0;
	uint64_t seq;
	const char *line;

	while (audit_recent(audit, n, &seq)) {
		if (seq <= after_seq)
			first = n + 1;
		n++;
	}
	if (after_seq)
		return first;
	for (first = n; first > 0 && n - first < max; first--) {
		line = audit_recent(audit, first - 1, &seq);
		bytes += strlen(line) + 16;
		if (bytes > LOCAL_RECORD_BYTES)
			break;
	}
	return first;
}

bool agent_answer_audit(const struct agent *agent, const Pathbell__V1__LocalAuditRequest *request,
			Pathbell__V1__LocalResponse *response, struct arena *arena)
{
	Pathbell__V1__LocalAudit *list = arena_alloc(arena, sizeof(*list));
	size_t max = request->records ? request->records : LOCAL_RECORDS;
	const struct audit *audit = agent->commands ? commands_audit(agent->commands) : NULL;

	if (!list)
		return false;
	pathbell__v1__local_audit__init(list);
	if (max > LOCAL_MAX_RECORDS)
		max = LOCAL_MAX_RECORDS;
	if (audit) {
		if (!local_audit_take(audit, local_audit_first(audit, request->after_seq, max), max,
				      list, arena))
			return false;
		list->head_seq = audit_head(audit)->seq;
		list->head_hash.data = (uint8_t *)audit_head(audit)->hash;
		list->head_hash.len = SHA256_SIZE;
	}
	response->response_case = PATHBELL__V1__LOCAL_RESPONSE__RESPONSE_AUDIT;
	response->audit = list;
	return true;
}
