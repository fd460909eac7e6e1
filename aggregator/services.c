/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/services.h"

#include <string.h>

#include "aggregator/audit.h"
#include "aggregator/campaign/watch_campaign.h"
#include "aggregator/control.h"
#include "aggregator/fleet.h"
#include "aggregator/health.h"
#include "aggregator/ingest.h"
#include "aggregator/reflection.h"
#include "aggregator/watch.h"
#include "core/log.h"

enum services_who { SERVICES_ANY, SERVICES_HOST, SERVICES_VIEWER, SERVICES_OPERATOR };

static const struct service {
	const char *method;
	enum services_who who;
	int (*on_call)(struct aggregator *aggregator, struct rpc_call *call,
		       const struct caller *caller, const struct rpc_call_ops **ret_ops,
		       void **ret_data, const char **ret_details);
} services[] = {
	{ "/pathbell.v1.Ingest/Events", SERVICES_HOST, ingest_on_events },
	{ "/pathbell.v1.Ingest/Control", SERVICES_HOST, control_on_call },
	{ "/pathbell.v1.Fleet/ListHosts", SERVICES_VIEWER, fleet_on_call },
	{ "/pathbell.v1.Fleet/GetHost", SERVICES_VIEWER, fleet_on_call },
	{ "/pathbell.v1.Fleet/QueryEvents", SERVICES_VIEWER, fleet_on_call },
	{ "/pathbell.v1.Fleet/SubmitCommand", SERVICES_OPERATOR, fleet_on_call },
	{ "/pathbell.v1.Fleet/GetCommand", SERVICES_VIEWER, fleet_on_call },
	{ "/pathbell.v1.Fleet/ListCommands", SERVICES_VIEWER, fleet_on_call },
	{ "/pathbell.v1.Fleet/CancelCommand", SERVICES_OPERATOR, fleet_on_call },
	{ "/pathbell.v1.Fleet/PlanCampaign", SERVICES_VIEWER, fleet_on_call },
	{ "/pathbell.v1.Fleet/SubmitCampaign", SERVICES_OPERATOR, fleet_on_call },
	{ "/pathbell.v1.Fleet/GetCampaign", SERVICES_VIEWER, fleet_on_call },
	{ "/pathbell.v1.Fleet/ListCampaigns", SERVICES_VIEWER, fleet_on_call },
	{ "/pathbell.v1.Fleet/ControlCampaign", SERVICES_OPERATOR, fleet_on_call },
	{ "/pathbell.v1.Fleet/QueryAudit", SERVICES_OPERATOR, fleet_on_call },
	{ "/pathbell.v1.Fleet/WatchCampaign", SERVICES_VIEWER, watch_campaign_on_call },
	{ "/pathbell.v1.Fleet/WatchEvents", SERVICES_VIEWER, watch_on_call },
	{ "/pathbell.v1.Fleet/WatchCommands", SERVICES_VIEWER, watch_on_call },
	{ "/grpc.health.v1.Health/Check", SERVICES_ANY, health_on_check },
	{ "/grpc.health.v1.Health/Watch", SERVICES_ANY, health_on_watch },
	{ "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", SERVICES_ANY,
	  reflection_on_call },
	{ "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", SERVICES_ANY,
	  reflection_on_call },
};

static const struct service *services_find(const char *method)
{
	for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++)
		if (strcmp(services[i].method, method) == 0)
			return &services[i];
	return NULL;
}

/* RPC_OK or RPC_PERMISSION_DENIED with the reason. */
static int services_allow(const struct aggregator *aggregator, const struct service *service,
			  const struct caller *caller, const char **ret_details)
{
	enum role role;

	if (service->who == SERVICES_ANY)
		return RPC_OK;
	if (service->who == SERVICES_HOST) {
		*ret_details = "only a host certificate may use this service";
		return caller->kind == CALLER_HOST ? RPC_OK : RPC_PERMISSION_DENIED;
	}
	if (caller->kind != CALLER_OPERATOR) {
		*ret_details =
			caller->kind == CALLER_HOST
				? "a host certificate may not use this service; it is for operators"
				: "only an operator certificate may use this service";
		return RPC_PERMISSION_DENIED;
	}
	role = role_of(caller->name, aggregator->live.roles, aggregator->live.n_roles,
		       aggregator->live.default_role);
	if (role == ROLE_NONE)
		*ret_details = "this operator has no role here";
	else if (service->who == SERVICES_OPERATOR && role < ROLE_OPERATOR)
		*ret_details = "the role viewer may not do this; operator is needed";
	else
		return RPC_OK;
	return RPC_PERMISSION_DENIED;
}

int services_check(const struct aggregator *aggregator, const char *method,
		   const struct caller *caller, const char **ret_details)
{
	const struct service *service = services_find(method);

	if (service)
		return services_allow(aggregator, service, caller, ret_details);
	*ret_details = "no such method";
	return RPC_UNIMPLEMENTED;
}

/* Attempts to change something are kept with who tried. */
static void services_audit(struct aggregator *aggregator, const struct rpc_call *call, int status,
			   const char *details)
{
	const struct service *service = services_find(rpc_call_method(call));
	const struct rpc_peer *peer = rpc_call_peer(call);
	struct caller caller = { .kind = CALLER_HOST };

	if (!service || service->who != SERVICES_OPERATOR)
		return;
	memcpy(caller.uri, peer->uri, sizeof(caller.uri));
	memcpy(caller.certificate, peer->fingerprint, sizeof(caller.certificate));
	audit_refused(aggregator, &caller, service->method, status, details);
}

static int services_refuse(struct aggregator *aggregator, const struct rpc_call *call,
			   counter_value *counter, int status, const char *details)
{
	static struct log_limit limits[17]; /* by status */

	counter_add(counter, 1);
	services_audit(aggregator, call, status, details);
	log_limited(&limits[status], LOG_LEVEL_WARNING,
		    "call refused method=%s status=%s detail=\"%s\" identity=%s peer=%s",
		    rpc_call_method(call), rpc_status_name(status), details,
		    rpc_call_peer(call)->uri, rpc_call_peer(call)->address);
	return status;
}

int services_on_call(struct rpc_call *call, void *data, const struct rpc_call_ops **ret_ops,
		     void **ret_data, const char **ret_details)
{
	struct aggregator *aggregator = data;
	struct metrics *metrics = &aggregator->metrics;
	const struct service *service = services_find(rpc_call_method(call));
	struct caller caller;
	int status;

	counter_add(&metrics->calls, 1);
	status = caller_identify(rpc_call_peer(call), aggregator->trust_domain, &caller,
				 ret_details);
	if (status != RPC_OK)
		return services_refuse(aggregator, call, &metrics->refused_identity, status,
				       *ret_details);
	if (!service) {
		*ret_details = "no such method";
		return services_refuse(aggregator, call, &metrics->refused_method,
				       RPC_UNIMPLEMENTED, *ret_details);
	}
	status = services_allow(aggregator, service, &caller, ret_details);
	if (status != RPC_OK)
		return services_refuse(aggregator, call, &metrics->refused_role, status,
				       *ret_details);
	return service->on_call(aggregator, call, &caller, ret_ops, ret_data, ret_details);
}
