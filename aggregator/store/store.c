/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/store/store.h"

#include <assert.h>
#include <stdlib.h>

#include "aggregator/store/store_ops.h"

int store_open(const struct store_ops *ops, const struct store_options *options,
	       enum store_mode mode, struct store **ret_store, struct errmsg *err)
{
	struct store *store;
	int r = ops->open(options, mode, &store, err);

	if (r < 0)
		return r;
	assert(store->ops == ops);
	*ret_store = store;
	return 0;
}

struct store *store_close(struct store *store)
{
	if (store)
		store->ops->close(store);
	return NULL;
}

int store_write(struct store *store, struct store_write *const *writes, size_t n_writes)
{
	return store->ops->write(store, writes, n_writes);
}

void store_write_release(struct store_write *write)
{
	if (write->type != STORE_BATCH)
		return;
	free(write->batch.ret_changes);
	write->batch.ret_changes = NULL;
	write->batch.ret_n_changes = 0;
}

int store_watermark(struct store *store, const char *host_id, const uint8_t epoch[16],
		    uint64_t *ret_seq)
{
	return store->ops->watermark(store, host_id, epoch, ret_seq);
}

int store_query(struct store *store, const struct store_query *query,
		bool (*row)(void *data, const struct store_event *event), void *data,
		struct store_page *ret_page)
{
	return store->ops->query(store, query, row, data, ret_page);
}

int store_newest(struct store *store, uint64_t *ret_event, uint64_t *ret_transition)
{
	return store->ops->newest(store, ret_event, ret_transition);
}

int store_hosts(struct store *store, const char *after,
		bool (*row)(void *data, const struct store_host *host), void *data)
{
	return store->ops->hosts(store, after ? after : "", false, row, data);
}

int store_host(struct store *store, const char *host_id,
	       bool (*row)(void *data, const struct store_host *host), void *data)
{
	return store->ops->hosts(store, host_id, true, row, data);
}

int store_commands(struct store *store, const struct store_command_query *query,
		   bool (*row)(void *data, const struct store_command *command), void *data)
{
	return store->ops->commands(store, query, row, data);
}

int store_campaigns(struct store *store, const struct store_campaign_query *query,
		    bool (*row)(void *data, const struct store_campaign *campaign), void *data)
{
	return store->ops->campaigns(store, query, row, data);
}

int store_members(struct store *store, const uint8_t campaign_id[16],
		  bool (*row)(void *data, const struct store_member *member), void *data)
{
	return store->ops->members(store, campaign_id, row, data);
}

int store_audits(struct store *store, struct store_audit_query *query,
		 bool (*row)(void *data, const struct store_audit_record *record), void *data)
{
	return store->ops->audits(store, query, row, data);
}

int store_objects(struct store *store,
		  bool (*row)(void *data, const char *host_id, const char *hostname,
			      const struct store_object *object),
		  void *data)
{
	return store->ops->objects(store, row, data);
}

int store_retain(struct store *store, const struct store_retention *retention,
		 struct store_retained *ret_done)
{
	return store->ops->retain(store, retention, ret_done);
}

int store_size(struct store *store, uint64_t *ret_bytes)
{
	return store->ops->size(store, ret_bytes);
}

int store_settle(struct store *store)
{
	return store->ops->settle(store);
}
