/* SPDX-License-Identifier: Apache-2.0 */
/* PlanCampaign: which hosts, by what they told of their storage, before anything is signed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aggregator/campaign/plan.h"
#include "aggregator/fleet.h"
#include "aggregator/hosts.h"

#define PLAN_MAX_HOSTS 10000
#define PLAN_MAX_BYTES (4u << 20) /* of the objects of one host */

/* The objects of the host that is being read. */
struct plan_reading {
	struct fleet_call *call;
	struct plan plan;
	struct arena *arena; /* of one host */
	char host_id[129], hostname[257];
	struct store_object *objects;
	size_t n_objects;
	size_t max_hosts; /* of call->plan.hosts */
	int error;
};

static int plan_grow(struct plan_reading *reading)
{
	Pathbell__V1__PlanCampaignResponse *response = &reading->call->plan;
	size_t max = reading->max_hosts ? 4 * reading->max_hosts : 64;
	Pathbell__V1__CampaignHost **hosts;

	if (response->n_hosts < reading->max_hosts)
		return 0;
	hosts = arena_alloc(reading->call->arena, max * sizeof(Pathbell__V1__CampaignHost *));
	if (!hosts)
		return -ENOMEM;
	if (response->n_hosts > 0)
		memcpy(hosts, response->hosts,
		       response->n_hosts * sizeof(Pathbell__V1__CampaignHost *));
	response->hosts = hosts;
	reading->max_hosts = max;
	return 0;
}

/* The host is complete. */
static int plan_finish(struct plan_reading *reading)
{
	Pathbell__V1__PlanCampaignResponse *response = &reading->call->plan;
	Pathbell__V1__CampaignHost *host;
	int r;

	if (!reading->host_id[0])
		return 0;
	r = plan_host(&reading->plan, reading->host_id, reading->hostname, reading->objects,
		      reading->n_objects, &host);
	if (r == PLAN_E_NO_FIT)
		return 0;
	if (r == 0)
		r = plan_grow(reading);
	if (r == 0)
		response->hosts[response->n_hosts++] = host;
	return r;
}

static int plan_begin_host(struct plan_reading *reading, const char *host_id, const char *hostname)
{
	int r = plan_finish(reading);

	arena_reset(reading->arena);
	reading->n_objects = 0;
	strncpy(reading->host_id, host_id, sizeof(reading->host_id) - 1);
	strncpy(reading->hostname, hostname, sizeof(reading->hostname) - 1);
	reading->objects =
		arena_alloc(reading->arena, STORE_MAX_OBJECTS * sizeof(*reading->objects));
	return r < 0 || reading->objects ? r : -ENOMEM;
}

static bool plan_take(struct arena *arena, const char **text)
{
	*text = arena_strdup(arena, *text);
	return *text != NULL;
}

static int plan_add(struct plan_reading *reading, const struct store_object *from)
{
	struct store_object *to = &reading->objects[reading->n_objects];
	struct arena *arena = reading->arena;

	if (reading->n_objects == STORE_MAX_OBJECTS)
		return 0;
	*to = *from;
	if (!plan_take(arena, &to->key) || !plan_take(arena, &to->name) ||
	    !plan_take(arena, &to->map_uuid) || !plan_take(arena, &to->wwid) ||
	    !plan_take(arena, &to->vendor) || !plan_take(arena, &to->model) ||
	    !plan_take(arena, &to->serial) || !plan_take(arena, &to->nqn) ||
	    !plan_take(arena, &to->address) || !plan_take(arena, &to->port))
		return -ENOMEM;
	reading->n_objects++;
	return 0;
}

static bool plan_row(void *data, const char *host_id, const char *hostname,
		     const struct store_object *object)
{
	struct plan_reading *reading = data;

	if (strcmp(reading->host_id, host_id) != 0)
		reading->error = plan_begin_host(reading, host_id, hostname);
	if (reading->error == 0 && object)
		reading->error = plan_add(reading, object);
	return reading->error == 0;
}

/* What is above the limits is counted, not shown. */
static int plan_cut(struct plan_reading *reading)
{
	Pathbell__V1__PlanCampaignResponse *response = &reading->call->plan;
	char reason[400];
	size_t n = response->n_hosts;

	plan_order(response->hosts, n);
	if (n > PLAN_MAX_HOSTS)
		response->n_hosts = PLAN_MAX_HOSTS;
	while (response->n_hosts > 1 &&
	       protobuf_c_message_get_packed_size(&response->base) > FLEET_ANSWER_MAX)
		response->n_hosts -= response->n_hosts / 8 + 1;
	response->not_shown = (uint32_t)(n - response->n_hosts);
	if (n > 0)
		return 0;
	plan_reason(&reading->plan, reason, sizeof(reason));
	response->reason = arena_strdup(reading->call->arena, reason);
	return response->reason ? 0 : -ENOMEM;
}

static int plan_read(struct fleet_call *call, struct store *store)
{
	const Pathbell__V1__PlanCampaignRequest *request =
		(const Pathbell__V1__PlanCampaignRequest *)call->request;
	struct plan_reading reading = {
		.call = call,
		.plan = { .selector = request->selector,
			  .verb = request->verb,
			  .arena = call->arena },
	};
	int r;

	pathbell__v1__plan_campaign_response__init(&call->plan);
	r = arena_new(&reading.arena, PLAN_MAX_BYTES);
	if (r < 0)
		return r;
	r = store_objects(store, plan_row, &reading);
	if (r == 0)
		r = reading.error;
	if (r == 0)
		r = plan_finish(&reading);
	if (r == 0)
		r = plan_cut(&reading);
	arena_free(reading.arena);
	return r;
}

static void plan_answer(struct fleet_call *call)
{
	for (size_t i = 0; i < call->plan.n_hosts; i++) {
		const struct host *host =
			hosts_find(call->aggregator->hosts, call->plan.hosts[i]->host_id);

		call->plan.hosts[i]->connected = host && host->control;
	}
	fleet_answer(call, &call->plan.base);
}

static int plan_begin(struct fleet_call *call, const char **ret_details)
{
	*ret_details =
		plan_check(((const Pathbell__V1__PlanCampaignRequest *)call->request)->selector);
	if (*ret_details)
		return RPC_INVALID_ARGUMENT;
	fleet_read(call);
	return RPC_OK;
}

const struct fleet_method fleet_plan_campaign = {
	.name = "PlanCampaign",
	.request = &pathbell__v1__plan_campaign_request__descriptor,
	.begin = plan_begin,
	.read = plan_read,
	.answer = plan_answer,
};
