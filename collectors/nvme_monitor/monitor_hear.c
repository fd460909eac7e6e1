/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collectors/nvme/aen.h"
#include "collectors/nvme/decode.h"
#include "collectors/nvme_monitor/monitor.h"
#include "core/clock.h"
#include "fabrics/owner.h"

/* Uevents, and looks at what sysfs lists. */
#define MONITOR_LISTED 1024

/* Notice of a changed discovery log page: type 2, information F0h, log page 70h (NVM Express Base
 * Specification 2.0, figure 152; NVME_AER_NOTICE_DISC_CHANGED, include/linux/nvme.h, Linux 6.12).
 */
static bool monitor_is_log_change(uint32_t word)
{
	struct aen aen;

	aen_decode(word, &aen);
	return aen.type == 2 && aen.info == 0xf0 && aen.log_page == 0x70;
}

static bool monitor_is_discovery(const struct look *look)
{
	return strcmp(look->cntrltype, "discovery") == 0 ||
	       strcmp(look->nqn, TID_WELL_KNOWN_DISCOVERY) == 0;
}

static void monitor_tid(const struct look *look, struct tid *tid)
{
	memset(tid, 0, sizeof(*tid));
	snprintf(tid->transport, sizeof(tid->transport), "%s", look->transport);
	snprintf(tid->nqn, sizeof(tid->nqn), "%s", look->nqn);
	tid->discovery = monitor_is_discovery(look);
	tid_take_address(look->address, tid);
	tid_fill_source_iface(tid);
	tid_normalise(tid);
}

/* What sysfs says of a controller brings it to the registry. It has an address only while it is
 * live; until then it can't be told apart, and its uevent `connected` is still to come. */
static void monitor_see(struct nvme_monitor *monitor, const struct look *look, bool stays)
{
	struct connections_controller controller = { .name = look->name, .inode = look->inode };
	char owner[OWNER_NAME] = "";

	if (strcmp(look->transport, "pcie") == 0 || look->nqn[0] == '\0' ||
	    (look->address[0] == '\0' && strcmp(look->transport, "loop") != 0) ||
	    strcmp(look->state, "live") != 0)
		return;
	monitor_tid(look, &controller.tid);
	(void)owner_read(monitor->config->registry, look->name, owner);
	controller.owner = owner;
	controller.ours = work_is_ours(monitor->config, look->name);
	controller.is_discovery = monitor_is_discovery(look);
	controller.persistent = controller.is_discovery && (look->kato > 0 || stays);
	(void)connections_see(&monitor->connections, &controller, clock_monotonic_ns());
}

/* A discovery controller says that its log page is not what it was. */
static void monitor_hear_change(struct nvme_monitor *monitor, const char *name, const char *reason)
{
	struct connection *connection = connections_find_controller(&monitor->connections, name);

	if (connection == NULL && look_read(monitor_sysfs(monitor), name, &monitor->look) == 0 &&
	    monitor_is_discovery(&monitor->look)) {
		/* Who sends events is more than a program's. */
		monitor_see(monitor, &monitor->look, true);
		connection = connections_find_controller(&monitor->connections, name);
	}
	if (connection != NULL && connection->is_discovery)
		connections_poke(&monitor->connections, connection, reason, false,
				 clock_monotonic_ns());
}

static void monitor_hear_fc(struct nvme_monitor *monitor, const struct decode_notice *notice)
{
	uint64_t now_ns = clock_monotonic_ns();
	bool kicked = now_ns < monitor->kick_until_ns;
	struct connection *connection;
	struct tid tid;

	memset(&tid, 0, sizeof(tid));
	snprintf(tid.transport, sizeof(tid.transport), "fc");
	snprintf(tid.traddr, sizeof(tid.traddr), "%s", notice->traddr);
	snprintf(tid.host_traddr, sizeof(tid.host_traddr), "%s", notice->host_traddr);
	snprintf(tid.nqn, sizeof(tid.nqn), "%s", TID_WELL_KNOWN_DISCOVERY);
	tid_normalise(&tid);
	if (connections_want(&monitor->connections, &tid, true,
			     kicked ? CONNECTION_FC_KICKSTART : CONNECTION_UEVENT, now_ns,
			     &connection) == 0)
		connections_poke(&monitor->connections, connection,
				 "a Fibre Channel port offers discovery", false, now_ns);
}

static void monitor_hear_removed(struct nvme_monitor *monitor, const char *name, uint64_t seqnum)
{
	const struct connection *connection =
		connections_find_controller(&monitor->connections, name);

	/* The class link goes before the uevent: with the link still there, it is of another one.
	 */
	if (connection == NULL || look_is_same(monitor_sysfs(monitor), name, connection->inode))
		return;
	if (connection->ours)
		(void)owner_remove(monitor->config->registry, name, seqnum);
	connections_gone(&monitor->connections, name, clock_monotonic_ns());
}

static void monitor_hear_uevent(struct nvme_monitor *monitor, const struct uevent *uevent)
{
	struct decode_notice notice;

	if (decode_uevent(uevent, &notice) != 0) {
		monitor->ctx->lost(monitor->ctx, "decode", 1, false, -1);
		return;
	}
	switch (notice.kind) {
	case DECODE_FC_DISCOVERY:
		monitor_hear_fc(monitor, &notice);
		return;
	case DECODE_AEN:
		if (monitor_is_log_change(notice.aen))
			monitor_hear_change(monitor, notice.name, "its log page changed (AEN)");
		return;
	case DECODE_REDISCOVER:
		monitor_hear_change(monitor, notice.name, "it was connected again");
		return;
	case DECODE_ADDED: /* of a kernel before 5.18 nothing else comes */
	case DECODE_CONNECTED:
		if (look_read(monitor_sysfs(monitor), notice.name, &monitor->look) == 0)
			monitor_see(monitor, &monitor->look, false);
		return;
	case DECODE_REMOVED:
		monitor_hear_removed(monitor, notice.name, notice.seqnum);
		return;
	default:
		return;
	}
}

int monitor_step_uevent(struct nvme_monitor *monitor)
{
	struct uevent uevent;
	uint64_t lost;
	int r = uevent_next(monitor->uevents, &uevent, &lost);

	if (r == 0)
		monitor_hear_uevent(monitor, &uevent);
	if (r == UEVENT_E_LOST) {
		monitor->ctx->lost(monitor->ctx, "enobufs", lost, lost == 0, -1);
		connections_unheard(&monitor->connections, clock_monotonic_ns());
		return 0;
	}
	if (r < 0)
		monitor->ctx->reason(monitor->ctx, "the uevent socket failed");
	return r;
}

/* Snapshot. */

int monitor_begin_snapshot(struct nvme_monitor *monitor)
{
	size_t n_unseen = 0;
	int r;

	monitor->n_names = monitor->next_name = 0;
	monitor->names = calloc(MONITOR_LISTED, sizeof(monitor->names[0]));
	if (monitor->names == NULL)
		return -ENOMEM;
	r = look_list(monitor_sysfs(monitor), MONITOR_LISTED, monitor->names, &monitor->n_names,
		      &n_unseen);
	if (r < 0) {
		monitor->ctx->reason(monitor->ctx, "the controllers in sysfs can't be listed");
		return r;
	}
	/* Once: a loss is answered with a snapshot, which finds the same. */
	if (n_unseen > monitor->n_unseen) {
		monitor->ctx->lost(monitor->ctx, "controllers_limit", n_unseen - monitor->n_unseen,
				   false, -1);
		monitor->n_unseen = n_unseen;
	}
	return 0;
}

bool monitor_step_snapshot(struct nvme_monitor *monitor)
{
	if (monitor->next_name == monitor->n_names)
		return false;
	if (look_read(monitor_sysfs(monitor), monitor->names[monitor->next_name], &monitor->look) ==
	    0)
		monitor_see(monitor, &monitor->look, false);
	monitor->next_name++;
	return true;
}

/* What was known and is not there any more. */
void monitor_end_snapshot(struct nvme_monitor *monitor)
{
	struct connections *connections = &monitor->connections;

	for (size_t i = connections->n; i-- > 0;) {
		const struct connection *connection = connections->items[i];
		char name[CONNECTION_NAME];

		if (connection->controller[0] == '\0' || connection->running ||
		    look_is_same(monitor_sysfs(monitor), connection->controller, connection->inode))
			continue;
		memcpy(name, connection->controller, sizeof(name));
		connections_gone(connections, name, clock_monotonic_ns());
	}
	free(monitor->names);
	monitor->names = NULL;
}
