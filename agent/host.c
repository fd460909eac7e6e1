/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/agent.h"
#include "collectors/topology/topology.h"

/* What actions need of the agent. `find` runs in a child, on its copy of the topology. */

static void host_copy(char *ret_text, size_t size, const char *text)
{
	snprintf(ret_text, size, "%s", text ? text : "");
}

#define HOST_COPY(device, subject, field) \
	host_copy((device)->field, sizeof((device)->field), (subject)->field)

static void host_fill_device(struct topology *topology, const struct topology_place *place,
			     struct device *device)
{
	Pathbell__V1__Subject subject = PATHBELL__V1__SUBJECT__INIT;

	topology_fill_subject(topology, place->major, place->minor, &subject);
	memset(device, 0, sizeof(*device));
	device->type = subject.type;
	device->major = place->major;
	device->minor = place->minor;
	device->generation = subject.generation;
	HOST_COPY(device, &subject, id);
	HOST_COPY(device, &subject, name);
	HOST_COPY(device, &subject, wwid);
	HOST_COPY(device, &subject, serial);
	HOST_COPY(device, &subject, model);
	HOST_COPY(device, &subject, vendor);
	HOST_COPY(device, &subject, uuid);
	HOST_COPY(device, &subject, bus_address);
}

/* Identity first; a kernel name only where nothing better is given. */
static const char *host_target_key(const Pathbell__V1__CommandTarget *target)
{
	const char *const keys[] = { target->id,       target->path_wwid, target->nqn,
				     target->map_uuid, target->map_name,  target->name };

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (keys[i] && *keys[i])
			return keys[i];
	return NULL;
}

static int host_find(void *data, const Pathbell__V1__CommandTarget *target,
		     struct device *ret_device)
{
	struct agent *agent = data;
	const char *key = host_target_key(target);
	struct topology_place place;
	struct device device;
	int r;

	if (!key)
		return ACTION_E_ABSENT;
	topology_invalidate(agent->topology);
	r = topology_find(agent->topology, key, &place);
	if (r == TOPOLOGY_E_UNKNOWN)
		return ACTION_E_ABSENT;
	if (r == TOPOLOGY_E_AMBIGUOUS)
		return ACTION_E_AMBIGUOUS;
	if (r)
		return r;
	host_fill_device(agent->topology, &place, &device);
	/* both were given: they must mean the same device, and the same life of it */
	if (*target->name && strcmp(target->name, device.name) != 0)
		return ACTION_E_AMBIGUOUS;
	if (target->generation && target->generation != device.generation)
		return ACTION_E_ABSENT;
	*ret_device = device;
	return 0;
}

/* A parked collector has nothing to take a snapshot of. */
static bool host_hears(const struct guard *guard)
{
	struct guard_status status;

	if (!guard)
		return false;
	guard_status(guard, &status);
	return status.state == GUARD_UP || status.state == GUARD_BLIND;
}

static int host_resync(void *data, char *const *names, size_t n_names, size_t *ret_n,
		       const char **ret_name)
{
	struct agent *agent = data;
	size_t n = 0;

	for (size_t i = 0; i < n_names; i++) {
		int index = registry_find(names[i]);

		if (index >= 0 && agent->collectors[index].guard)
			continue;
		*ret_name = names[i];
		return ACTION_E_UNKNOWN;
	}
	for (size_t i = 0; i < registry_n; i++) {
		bool wanted = n_names == 0;

		for (size_t k = 0; k < n_names; k++)
			wanted = wanted || registry_find(names[k]) == (int)i;
		if (!wanted || !host_hears(agent->collectors[i].guard))
			continue;
		guard_snapshot(agent->collectors[i].guard);
		n++;
	}
	*ret_n = n;
	return 0;
}

static int host_may_reconnect(void *data, const char *address)
{
	struct agent *agent = data;
	const struct config_strings *addresses = &agent->settings->uplink.addresses;

	if (!agent->forwarder)
		return ACTION_E_ABSENT;
	if (!*address)
		return 0;
	for (size_t i = 0; i < addresses->n_items; i++)
		if (strcmp(addresses->items[i], address) == 0)
			return 0;
	return ACTION_E_UNKNOWN;
}

static int host_reconnect(void *data, const char *address, uint64_t *ret_token)
{
	struct agent *agent = data;

	if (!agent->forwarder || !forwarder_reconnect(agent->forwarder, address, ret_token))
		return ACTION_E_ABSENT;
	return 0;
}

static bool host_is_reconnected(void *data, uint64_t token)
{
	struct agent *agent = data;
	struct forwarder_status status;

	if (!agent->forwarder)
		return false;
	forwarder_status(agent->forwarder, &status);
	return status.state == FORWARDER_UP && status.sessions > token;
}

static int host_nvme_want(void *data, const struct tid *tid)
{
	char address[TID_TEXT];
	int r;

	tid_format(tid, address, sizeof(address));
	r = agent_want_nvme(data, address, tid->nqn);
	return r > 0 ? -ENOSPC : r; /* it wants as many as it may already */
}

static void host_nvme_forget(void *data, const struct tid *tid)
{
	char address[TID_TEXT];

	tid_format(tid, address, sizeof(address));
	agent_forget_nvme(data, address, tid->nqn);
}

void agent_fill_host(struct agent *agent)
{
	snprintf(agent->halt_file, sizeof(agent->halt_file), "%s/halted",
		 agent->settings->state_dir);
	agent->host = (struct action_host){
		.data = agent,
		.sysfs = "/sys",
		.dev = "/dev",
		.nvme_conf = "/etc/nvme",
		.nvme_registry = "/run/nvme/registry",
		.halt_file = agent->halt_file,
		.find = host_find,
		.resync = host_resync,
		.may_reconnect = host_may_reconnect,
		.reconnect = host_reconnect,
		.is_reconnected = host_is_reconnected,
		.describe = agent_describe,
		.nvme_want = host_nvme_want,
		.nvme_forget = host_nvme_forget,
	};
}
