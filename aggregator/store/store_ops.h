/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "aggregator/store/store.h"

/* What an implementer of the store provides; one function for each of store.h, with its rules. */

/* Embedded as the first member by an implementer. */
struct store {
	const struct store_ops *ops;
};

struct store_ops {
	const char *name;
	int (*open)(const struct store_options *options, enum store_mode mode,
		    struct store **ret_store, struct errmsg *err);
	void (*close)(struct store *store);
	int (*write)(struct store *store, struct store_write *const *writes, size_t n_writes);
	int (*watermark)(struct store *store, const char *host_id, const uint8_t epoch[16],
			 uint64_t *ret_seq);
	int (*query)(struct store *store, const struct store_query *query,
		     bool (*row)(void *data, const struct store_event *event), void *data,
		     struct store_page *ret_page);
	int (*newest)(struct store *store, uint64_t *ret_event, uint64_t *ret_transition);
	int (*hosts)(struct store *store, const char *after, bool only,
		     bool (*row)(void *data, const struct store_host *host), void *data);
	int (*commands)(struct store *store, const struct store_command_query *query,
			bool (*row)(void *data, const struct store_command *command), void *data);
	int (*campaigns)(struct store *store, const struct store_campaign_query *query,
			 bool (*row)(void *data, const struct store_campaign *campaign),
			 void *data);
	int (*members)(struct store *store, const uint8_t campaign_id[16],
		       bool (*row)(void *data, const struct store_member *member), void *data);
	int (*audits)(struct store *store, struct store_audit_query *query,
		      bool (*row)(void *data, const struct store_audit_record *record), void *data);
	int (*objects)(struct store *store,
		       bool (*row)(void *data, const char *host_id, const char *hostname,
				   const struct store_object *object),
		       void *data);
	int (*retain)(struct store *store, const struct store_retention *retention,
		      struct store_retained *ret_done);
	int (*size)(struct store *store, uint64_t *ret_bytes);
	int (*settle)(struct store *store);
};
