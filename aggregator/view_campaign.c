/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "aggregator/view.h"
#include "proto/kind.h"

#define LIFE(name) PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_##name

static bool view_id(struct arena *arena, const uint8_t *id, size_t size,
		    ProtobufCBinaryData *ret_id)
{
	if (!id)
		return true;
	ret_id->data = arena_alloc(arena, size);
	if (!ret_id->data)
		return false;
	memcpy(ret_id->data, id, size);
	ret_id->len = size;
	return true;
}

static bool view_texts(struct arena *arena, Pathbell__V1__Campaign *message,
		       const struct store_campaign *campaign)
{
	message->name = arena_strdup(arena, campaign->name);
	message->state_reason = arena_strdup(arena, campaign->state_reason);
	message->verb = arena_strdup(arena, campaign->verb);
	message->issuer = arena_strdup(arena, campaign->issuer);
	message->submitted_by = arena_strdup(arena, campaign->submitted_by);
	message->reason = arena_strdup(arena, campaign->reason);
	message->policy =
		codec_unpack(&pathbell__v1__command_campaign__descriptor, &scan_limits_request,
			     arena, campaign->policy, campaign->policy_size, NULL);
	return message->name && message->state_reason && message->verb && message->issuer &&
	       message->submitted_by && message->reason &&
	       view_id(arena, campaign->id, 16, &message->campaign_id);
}

static void view_sums(Pathbell__V1__Campaign *message, const struct store_campaign *campaign)
{
	const uint32_t *lives = campaign->lives;

	message->waiting = lives[LIFE(QUEUED)];
	message->succeeded = lives[LIFE(SUCCEEDED)];
	message->cancelled = lives[LIFE(CANCELLED)];
	message->failed = campaign->n_lost + lives[LIFE(INDETERMINATE)];
	message->under_way = 0;
	for (unsigned life = 0; life < STORE_LIVES; life++) {
		if (life == LIFE(QUEUED) || life == LIFE(SUCCEEDED) || life == LIFE(CANCELLED) ||
		    life == LIFE(INDETERMINATE))
			continue;
		if (command_life_is_final(life))
			message->failed += lives[life];
		else
			message->under_way += lives[life];
	}
	message->under_way -=
		campaign->n_lost < message->under_way ? campaign->n_lost : message->under_way;
}

static bool view_lives(struct arena *arena, Pathbell__V1__Campaign *message,
		       const struct store_campaign *campaign)
{
	message->lives = arena_alloc(arena, STORE_LIVES * sizeof(void *));
	if (!message->lives)
		return false;
	for (unsigned life = 0; life < STORE_LIVES; life++) {
		Pathbell__V1__CampaignCount *count;

		if (campaign->lives[life] == 0)
			continue;
		count = arena_alloc(arena, sizeof(*count));
		if (!count)
			return false;
		pathbell__v1__campaign_count__init(count);
		count->life = life;
		count->hosts = campaign->lives[life];
		message->lives[message->n_lives++] = count;
	}
	return true;
}

static bool view_failures(struct arena *arena, Pathbell__V1__Campaign *message,
			  const struct store_campaign *campaign)
{
	message->failures = arena_alloc(arena, (campaign->n_failures + 1) * sizeof(void *));
	if (!message->failures)
		return false;
	for (size_t i = 0; i < campaign->n_failures; i++) {
		const struct store_campaign_failure *from = &campaign->failures[i];
		Pathbell__V1__CampaignFailure *to = arena_alloc(arena, sizeof(*to));

		if (!to)
			return false;
		pathbell__v1__campaign_failure__init(to);
		to->host_id = arena_strdup(arena, from->host_id);
		to->life = from->life;
		to->refusal = from->refusal;
		to->detail = arena_strdup(
			arena, command_life_is_final(from->life) || from->detail[0]
				       ? from->detail
				       : "the host was dispatched and then told no end in time");
		to->unix_ns = from->unix_ns;
		if (!to->host_id || !to->detail)
			return false;
		message->failures[message->n_failures++] = to;
	}
	return true;
}

Pathbell__V1__Campaign *view_campaign(struct arena *arena, const struct store_campaign *campaign)
{
	Pathbell__V1__Campaign *message = arena_alloc(arena, sizeof(*message));

	if (!message)
		return NULL;
	pathbell__v1__campaign__init(message);
	message->state = (Pathbell__V1__CampaignState)campaign->state;
	message->submitted_unix_ns = campaign->submitted_unix_ns;
	message->expires_unix_ns = campaign->expires_unix_ns;
	message->changed_unix_ns = campaign->changed_unix_ns;
	message->wave = campaign->wave;
	message->wave_size = campaign->wave_size;
	message->total = campaign->total;
	message->version = campaign->version;
	view_sums(message, campaign);
	return view_texts(arena, message, campaign) && view_lives(arena, message, campaign) &&
			       view_failures(arena, message, campaign)
		       ? message
		       : NULL;
}

Pathbell__V1__AuditRecord *view_audit(struct arena *arena, const struct store_audit_record *record)
{
	Pathbell__V1__AuditRecord *message = arena_alloc(arena, sizeof(*message));

	if (!message)
		return NULL;
	pathbell__v1__audit_record__init(message);
	message->seq = record->seq;
	message->unix_ns = record->unix_ns;
	message->actor = arena_strdup(arena, record->actor);
	message->certificate = arena_strdup(arena, record->certificate);
	message->key_ids = arena_strdup(arena, record->key_ids);
	message->action = arena_strdup(arena, record->action);
	message->host_id = arena_strdup(arena, record->host_id);
	message->detail = arena_strdup(arena, record->detail);
	if (!message->actor || !message->certificate || !message->key_ids || !message->action ||
	    !message->host_id || !message->detail ||
	    !view_id(arena, record->command_id, 16, &message->command_id) ||
	    !view_id(arena, record->campaign_id, 16, &message->campaign_id) ||
	    !view_id(arena, record->previous_hash, 32, &message->previous_hash) ||
	    !view_id(arena, record->hash, 32, &message->hash))
		return NULL;
	return message;
}
