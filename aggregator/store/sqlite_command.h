/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "aggregator/store/sqlite.h"
#include "aggregator/store/target.h"

/* Inside of the SQLite store: commands, campaigns, the audit, objects. */

/* sqlite_audit.c */
/* Adds a record about @write to the chain. */
int sqlite_audit(struct sqlite *sqlite, const struct store_write *write,
		 const struct store_audit *audit);
int sqlite_audits(struct store *store, struct store_audit_query *query,
		  bool (*row)(void *data, const struct store_audit_record *record), void *data);

/* sqlite_object.c */
/* An event that may change what is known of the host's objects. Of a map's events in one group only
 * the last is looked at, when the group ends: a storm of paths tells the same few maps. */
int sqlite_object_event(struct sqlite *sqlite, int64_t host, uint64_t now_ns,
			const struct row *row);
int sqlite_objects_save(struct sqlite *sqlite);
void sqlite_objects_forget(struct sqlite *sqlite);
int sqlite_objects(struct store *store,
		   bool (*row)(void *data, const char *host_id, const char *hostname,
			       const struct store_object *object),
		   void *data);

/* What the host's objects say about @target. */
int sqlite_objects_seen(struct sqlite *sqlite, const char *host_id,
			const struct store_target *target, struct target_seen *ret_seen);

/* sqlite_life.c */
struct sqlite_life {
	int64_t command, campaign; /* rows; campaign 0 = none */
	const char *host_id, *detail;
	const char *proof; /* for the audit only; NULL = none */
	const uint8_t *command_id;
	uint32_t life, refusal;
	uint64_t at;
};
/* 1: there is such a command for this host. */
int sqlite_life_find(struct sqlite *sqlite, const uint8_t id[16], const char *host_id,
		     struct sqlite_life *ret_life);
/* A transition without change of the present state, and without audit: the first one. */
int sqlite_life_add(struct sqlite *sqlite, const struct sqlite_life *life);
/* The present state and its transition; the campaign's version moves. */
int sqlite_life_change(struct sqlite *sqlite, const struct sqlite_life *life);
/* sqlite_life_change and sqlite_life_audit. */
int sqlite_life_set(struct sqlite *sqlite, const struct store_write *write,
		    const struct sqlite_life *life);
int sqlite_life_audit(struct sqlite *sqlite, const struct store_write *write,
		      const struct sqlite_life *life);

/* sqlite_campaign.c */
int sqlite_campaign(struct sqlite *sqlite, struct store_write *write);
int sqlite_campaign_state(struct sqlite *sqlite, struct store_write *write);

/* sqlite_campaigns.c */
int sqlite_campaigns(struct store *store, const struct store_campaign_query *query,
		     bool (*row)(void *data, const struct store_campaign *campaign), void *data);
int sqlite_members(struct store *store, const uint8_t campaign_id[16],
		   bool (*row)(void *data, const struct store_member *member), void *data);

/* sqlite_command.c */
/* One command of a campaign (row; 0 = none) into its tables. */
int sqlite_command_put(struct sqlite *sqlite, struct store_write *write,
		       struct store_new_command *command, int64_t campaign, int64_t *ret_ordinal);
int sqlite_cancel(struct sqlite *sqlite, struct store_write *write);
int sqlite_command(struct sqlite *sqlite, struct store_write *write);
int sqlite_command_told(struct sqlite *sqlite, struct store_write *write);
/* A command.* event of the host; adds to the batch's changes. */
int sqlite_command_event(struct sqlite *sqlite, struct store_write *write, const uint8_t *state,
			 size_t state_size);

/* sqlite_commands.c */
int sqlite_commands(struct store *store, const struct store_command_query *query,
		    bool (*row)(void *data, const struct store_command *command), void *data);
