/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "agent/agent.h"
#include "collectors/nvme_monitor/nvme_monitor.h"
#include "core/log.h"

/* The agent's way to its NVMe monitor: for the control socket and for commands. */
#define LOCAL_NVME_BYTES (96 * 1024) /* of rows: the answer is one packet */

/* NULL: not enabled, or not open now. */
static struct nvme_monitor *local_nvme_monitor(const struct agent *agent)
{
	int index = registry_find(nvme_monitor_collector.name);

	if (index < 0 || !agent->collectors[index].guard)
		return NULL;
	return guard_collector(agent->collectors[index].guard);
}

/* Without an NQN the discovery controller there is meant. */
static int local_nvme_tid(const char *address, const char *nqn, struct tid *ret_tid,
			  struct errmsg *err)
{
	int r = tid_parse(address, ret_tid, err);

	if (r == 0 && nqn && *nqn)
		r = tid_set(ret_tid, "nqn", nqn);
	if (r == 0 && !*ret_tid->nqn)
		r = tid_set(ret_tid, "nqn", TID_WELL_KNOWN_DISCOVERY);
	tid_normalise(ret_tid);
	return r ? r : tid_check(ret_tid, err);
}

/* 0, or *ret_error says what is wrong. */
static int local_nvme_address(struct nvme_monitor *monitor, bool discover, const char *text,
			      struct errmsg *err)
{
	struct tid tid;
	int r = local_nvme_tid(text, NULL, &tid, err);

	if (r) {
		if (!*err->text)
			errmsg_set(err, "\"%.200s\" is not a transport address", text);
		return r;
	}
	if (discover)
		tid.discovery = true;
	r = discover ? nvme_monitor_discover(monitor, &tid)
		     : nvme_monitor_forget(monitor, &tid, "by an operator");
	if (r == NVME_MONITOR_E_FULL)
		errmsg_set(err, "max_connections is reached");
	else if (r == NVME_MONITOR_E_UNKNOWN)
		errmsg_set(err, "the monitor knows no such address");
	else if (r)
		errmsg_set(err, "%s", log_errno(r));
	return r;
}

static int local_nvme_change(struct nvme_monitor *monitor,
			     const Pathbell__V1__LocalNvmeRequest *request, struct errmsg *err)
{
	if (*request->mode) {
		bool on = strcmp(request->mode, "autoconnect") == 0;

		if (!on && strcmp(request->mode, "observe") != 0) {
			errmsg_set(err, "no mode \"%.40s\": observe or autoconnect", request->mode);
			return -1;
		}
		nvme_monitor_set_mode(monitor,
				      on ? NVME_MONITOR_AUTOCONNECT : NVME_MONITOR_OBSERVE);
	}
	if (*request->discover && local_nvme_address(monitor, true, request->discover, err))
		return -1;
	if (*request->forget && local_nvme_address(monitor, false, request->forget, err))
		return -1;
	return 0;
}

static bool local_nvme_refuse(const char *why, struct arena *arena,
			      Pathbell__V1__LocalResponse *response)
{
	response->error = arena_strdup(arena, why);
	return response->error != NULL;
}

bool agent_answer_nvme(struct agent *agent, bool may_change,
		       const Pathbell__V1__LocalNvmeRequest *request,
		       Pathbell__V1__LocalResponse *response, struct arena *arena)
{
	struct nvme_monitor *monitor = local_nvme_monitor(agent);
	Pathbell__V1__LocalNvme *local = arena_alloc(arena, sizeof(*local));
	bool changes = *request->mode || *request->discover || *request->forget;
	struct errmsg err = { 0 };

	if (!local)
		return false;
	if (!monitor)
		return local_nvme_refuse("the collector nvme_monitor is not open; see: pathbell "
					 "local collectors",
					 arena, response);
	if (changes && !may_change)
		return local_nvme_refuse("only root may change what the monitor does", arena,
					 response);
	if (changes && local_nvme_change(monitor, request, &err))
		return local_nvme_refuse(err.text, arena, response);
	pathbell__v1__local_nvme__init(local);
	if (!nvme_monitor_describe(monitor, request->decisions, LOCAL_NVME_BYTES, arena, local))
		return false;
	response->response_case = PATHBELL__V1__LOCAL_RESPONSE__RESPONSE_NVME;
	response->nvme = local;
	return true;
}

int agent_want_nvme(struct agent *agent, const char *address, const char *nqn)
{
	struct nvme_monitor *monitor = local_nvme_monitor(agent);
	struct tid tid;
	int r = monitor ? local_nvme_tid(address, nqn, &tid, NULL) : -ENXIO;

	return r ? r : nvme_monitor_want(monitor, &tid);
}

void agent_forget_nvme(struct agent *agent, const char *address, const char *nqn)
{
	struct nvme_monitor *monitor = local_nvme_monitor(agent);
	struct tid tid;

	if (monitor && local_nvme_tid(address, nqn, &tid, NULL) == 0)
		(void)nvme_monitor_forget(monitor, &tid, "a command disconnected it");
}
