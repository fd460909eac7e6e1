/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collectors/nvme_monitor/monitor.h"

/* What children bring back goes to the registry. */

static void monitor_fill_controller(const struct work_answer *answer,
				    const struct connection *connection,
				    struct connections_controller *controller)
{
	*controller = (struct connections_controller){ .tid = connection->tid,
						       .name = answer->controller,
						       .owner = answer->owner,
						       .inode = answer->inode,
						       .is_discovery = connection->is_discovery,
						       .persistent = answer->persistent,
						       .ours = answer->ours };
}

/* It may have gone since, and its uevent was passed over because the child still ran. */
static void monitor_check_alive(struct nvme_monitor *monitor, const char *name, uint64_t inode,
				uint64_t now_ns)
{
	if (name[0] != '\0' && !look_is_same(monitor_sysfs(monitor), name, inode))
		connections_gone(&monitor->connections, name, now_ns);
}

static void monitor_take_log(struct nvme_monitor *monitor, struct connection *connection,
			     const struct work_answer *answer, uint64_t now_ns)
{
	struct connections_entry *entries = calloc(answer->n_items + 1, sizeof(*entries));
	struct connections_log log = { .genctr = answer->genctr,
				       .entries = entries,
				       .n_entries = answer->n_items };
	struct connections_controller controller;
	int r = -ENOMEM;

	if (entries == NULL) {
		connections_failed(&monitor->connections, connection, r, "out of memory", now_ns);
		return;
	}
	for (size_t i = 0; i < answer->n_items; i++)
		entries[i] =
			(struct connections_entry){ .tid = answer->items[i].tid,
						    .is_referral = answer->items[i].is_referral };
	monitor_fill_controller(answer, connection, &controller);
	r = connections_discovered(&monitor->connections, connection, &log,
				   answer->controller[0] != '\0' ? &controller : NULL, now_ns);
	if (r < 0)
		monitor->ctx->lost(monitor->ctx, "no_memory", answer->n_items, false, -1);
	free(entries);
	monitor_check_alive(monitor, answer->controller, answer->inode, now_ns);
}

static void monitor_take_result(struct nvme_monitor *monitor, const struct work_job *job,
				const struct work_answer *answer, uint64_t now_ns)
{
	struct connections *connections = &monitor->connections;
	struct connection *connection = connections_find_id(connections, job->connection);
	struct connections_controller controller;

	if (connection == NULL || !connection->running)
		return;
	if (answer->outcome == WORK_FAILED) {
		connections_failed(connections, connection, answer->error, answer->reason, now_ns);
	} else if (answer->outcome == WORK_SKIPPED) {
		connections_skipped(connections, connection, answer->reason, now_ns);
	} else if (job->kind == WORK_DISCOVER) {
		monitor_take_log(monitor, connection, answer, now_ns);
	} else {
		monitor_fill_controller(answer, connection, &controller);
		connections_connected(connections, connection, &controller,
				      answer->outcome == WORK_EXISTED, now_ns);
		monitor_check_alive(monitor, answer->controller, answer->inode, now_ns);
	}
}

bool monitor_step_child(struct nvme_monitor *monitor, uint64_t now_ns)
{
	const struct work_job *job;
	struct work_answer answer;
	struct connection *connection;
	int r = children_next(&monitor->children, now_ns, &job, &answer);

	if (r == CHILDREN_E_NONE)
		return false;
	if (r == CHILDREN_E_LATE) {
		connection = connections_find_id(&monitor->connections, job->connection);
		if (connection != NULL)
			connections_stuck(&monitor->connections, connection, now_ns);
	} else if (job->kind == WORK_FILES) {
		monitor_take_files(monitor, &answer, now_ns);
	} else if (job->kind == WORK_DISCOVER || job->kind == WORK_CONNECT) {
		monitor_take_result(monitor, job, &answer, now_ns);
	}
	return true;
}
