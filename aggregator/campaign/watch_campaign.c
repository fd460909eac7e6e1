/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/campaign/watch_campaign.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "aggregator/campaign/internal.h"
#include "aggregator/view.h"
#include "aggregator/watch.h"
#include "core/clock.h"

#define WATCH_CAMPAIGN_NS	 (100 * CLOCK_NS_PER_MS)
#define WATCH_CAMPAIGN_ARENA_MAX (4u << 20)

struct watch_campaign {
	struct reader_job read; /* first */
	struct aggregator *aggregator;
	struct rpc_call *call; /* NULL: closed */
	Pathbell__V1__WatchCampaignRequest *request;
	struct arena *arena;
	Pathbell__V1__Campaign *campaign; /* of the read */
	uint64_t sent_version, sent_ns;
	struct rpc_timer *timer;
	bool is_busy, is_behind, is_finished;
	LIST_ENTRY(watch_campaign) link;
};

static void watch_campaign_pump(struct watch_campaign *watch);
static void watch_campaign_on_time(void *data);

static void watch_campaign_free(struct watch_campaign *watch)
{
	if (watch->call || watch->is_busy)
		return;
	if (watch->request)
		protobuf_c_message_free_unpacked(&watch->request->base, NULL);
	arena_free(watch->arena);
	free(watch);
}

static void watch_campaign_finish(struct watch_campaign *watch, int status, const char *details)
{
	if (!watch->call || watch->is_finished)
		return;
	watch->is_finished = true;
	rpc_call_finish(watch->call, status, details);
}

/* ---- on the reader's thread ---- */

static bool watch_campaign_row(void *data, const struct store_campaign *campaign)
{
	struct watch_campaign *watch = data;

	watch->campaign = view_campaign(watch->arena, campaign);
	watch->read.error = watch->campaign ? 0 : -ENOMEM;
	return false;
}

static int watch_campaign_run(struct reader_job *job, struct store *store)
{
	struct watch_campaign *watch = (struct watch_campaign *)job;
	struct store_campaign_query query = { .id = watch->request->campaign_id.data, .limit = 1 };
	int r;

	watch->read.error = 0;
	watch->campaign = NULL;
	arena_reset(watch->arena);
	r = store_campaigns(store, &query, watch_campaign_row, watch);
	return r < 0 ? r : watch->read.error;
}

/* ---- on the gRPC thread ---- */

static bool watch_campaign_has_ended(const Pathbell__V1__Campaign *campaign)
{
	return campaign->state >= PATHBELL__V1__CAMPAIGN_STATE__CAMPAIGN_STATE_HALTED &&
	       campaign->under_way == 0;
}

static void watch_campaign_send(struct watch_campaign *watch)
{
	size_t size = protobuf_c_message_get_packed_size(&watch->campaign->base);
	uint8_t *bytes = malloc(size + 1);

	if (!bytes) {
		watch_campaign_finish(watch, RPC_RESOURCE_EXHAUSTED, "no memory");
		return;
	}
	protobuf_c_message_pack(&watch->campaign->base, bytes);
	rpc_call_enqueue(watch->call, bytes, size, SIZE_MAX);
	free(bytes);
	watch->sent_version = watch->campaign->version;
	watch->sent_ns = clock_monotonic_ns();
}

static void watch_campaign_done(struct reader_job *job)
{
	struct watch_campaign *watch = (struct watch_campaign *)job;

	watch->is_busy = false;
	if (!watch->call) {
		watch_campaign_free(watch);
		return;
	}
	if (job->error < 0) {
		watch_campaign_finish(watch, RPC_UNAVAILABLE, "the store cannot be read now");
	} else if (!watch->campaign) {
		watch_campaign_finish(watch, RPC_NOT_FOUND, "campaign_id: no such campaign");
	} else {
		if (watch->campaign->version != watch->sent_version)
			watch_campaign_send(watch);
		if (watch_campaign_has_ended(watch->campaign))
			watch_campaign_finish(watch, RPC_OK, "");
	}
	watch_campaign_pump(watch);
}

/* Reads when something may have changed, the last answer has left and a tenth of a second is over.
 */
static void watch_campaign_pump(struct watch_campaign *watch)
{
	uint64_t now = clock_monotonic_ns(), due = watch->sent_ns + WATCH_CAMPAIGN_NS;

	if (!watch->call || watch->is_finished || watch->is_busy || !watch->request ||
	    !watch->is_behind || watch->timer || rpc_call_queued(watch->call) > 0)
		return;
	if (watch->sent_ns != 0 && now < due) {
		watch->timer = rpc_timer_start(watch->aggregator->rpc,
					       (uint32_t)((due - now) / CLOCK_NS_PER_MS + 1),
					       watch_campaign_on_time, watch);
		return;
	}
	watch->is_behind = false;
	watch->is_busy = true;
	watch->read.home = READER_GRPC;
	watch->read.run = watch_campaign_run;
	watch->read.done = watch_campaign_done;
	if (reader_put(watch->aggregator->reader, &watch->read))
		return;
	watch->is_busy = false;
	watch_campaign_finish(watch, RPC_RESOURCE_EXHAUSTED, "too many queries wait");
}

static void watch_campaign_on_time(void *data)
{
	struct watch_campaign *watch = data;

	watch->timer = NULL;
	watch_campaign_pump(watch);
}

static void watch_campaign_on_message(struct rpc_call *call, void *data, const uint8_t *message,
				      size_t size)
{
	struct watch_campaign *watch = data;
	struct errmsg err = { 0 };

	if (watch->is_finished)
		return;
	if (watch->request) {
		watch_campaign_finish(watch, RPC_INVALID_ARGUMENT, "a second request");
		return;
	}
	watch->request = codec_unpack(&pathbell__v1__watch_campaign_request__descriptor,
				      &scan_limits_request, NULL, message, size, &err);
	if (!watch->request)
		watch_campaign_finish(watch, RPC_INVALID_ARGUMENT, err.text);
	else if (watch->request->campaign_id.len != 16)
		watch_campaign_finish(watch, RPC_INVALID_ARGUMENT, "campaign_id: not 16 bytes");
	watch->is_behind = true;
	watch_campaign_pump(watch);
}

static void watch_campaign_on_sent(struct rpc_call *call, void *data)
{
	watch_campaign_pump(data);
}

static void watch_campaign_on_closed(struct rpc_call *call, void *data, int status,
				     const char *details)
{
	struct watch_campaign *watch = data;

	LIST_REMOVE(watch, link);
	watch_leave(watch->aggregator);
	rpc_timer_cancel(watch->timer);
	watch->call = NULL;
	watch_campaign_free(watch);
}

static const struct rpc_call_ops watch_campaign_ops = {
	.on_message = watch_campaign_on_message,
	.on_sent = watch_campaign_on_sent,
	.on_closed = watch_campaign_on_closed,
};

int watch_campaign_on_call(struct aggregator *aggregator, struct rpc_call *call,
			   const struct caller *caller, const struct rpc_call_ops **ret_ops,
			   void **ret_data, const char **ret_details)
{
	struct watch_campaign *watch;

	if (!watch_enter(aggregator, ret_details))
		return RPC_RESOURCE_EXHAUSTED;
	watch = calloc(1, sizeof(*watch));
	if (!watch || arena_new(&watch->arena, WATCH_CAMPAIGN_ARENA_MAX) < 0) {
		free(watch);
		watch_leave(aggregator);
		*ret_details = "no memory";
		return RPC_RESOURCE_EXHAUSTED;
	}
	watch->aggregator = aggregator;
	watch->call = call;
	LIST_INSERT_HEAD(&aggregator->campaigns->watches, watch, link);
	*ret_ops = &watch_campaign_ops;
	*ret_data = watch;
	return RPC_OK;
}

void watch_campaigns_on_commit(struct aggregator *aggregator)
{
	struct watch_campaign *watch, *next;

	for (watch = LIST_FIRST(&aggregator->campaigns->watches); watch; watch = next) {
		next = LIST_NEXT(watch, link);
		watch->is_behind = true;
		watch_campaign_pump(watch);
	}
}

void watch_campaigns_stop(struct aggregator *aggregator)
{
	struct watch_campaign *watch, *next;

	for (watch = LIST_FIRST(&aggregator->campaigns->watches); watch; watch = next) {
		next = LIST_NEXT(watch, link);
		watch_campaign_finish(watch, RPC_UNAVAILABLE, "the aggregator stops");
	}
}
