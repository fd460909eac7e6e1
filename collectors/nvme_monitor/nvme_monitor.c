/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/nvme_monitor/nvme_monitor.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collectors/nvme_monitor/decision_event.h"
#include "collectors/nvme_monitor/monitor.h"
#include "collectors/topology/topology.h"
#include "core/clock.h"
#include "core/fd.h"
#include "core/log.h"

/*
 * The NVMe monitor. The registry (connections.c) decides, purely; here its decisions are told and
 * carried out, and what happens is brought to it:
 *
 *   uevents	controllers added, connected, removed; the AEN of a changed discovery log; FC ports
 *		that offer discovery (monitor_hear.c)
 *   children	what a discovery or a connect has brought (monitor_result.c)
 *   files	wishes of /etc/nvme, read by a child, again when inotify tells (monitor_files.c)
 *   operator	the control socket and commands (monitor_local.c)
 *
 * A turn of read: publish what was decided and do it; hear one thing; let the registry decide what
 * is due. A decision is carried out after its event was taken, so the story is told in order and
 * nothing happens untold.
 *
 * Nothing on the loop waits: what may sleep in the kernel (writing to /dev/nvme-fabrics, reading a
 * log page, deleting a controller, files of /etc) is a child with a deadline. Read on the loop are
 * only sysfs attributes that need no lock of the device, and files in /run.
 *
 * Observing, there is a netlink socket and nothing else: no child, no timer, no inotify.
 *
 * The end: children are killed; rules are unmasked; what we made and nobody uses is deleted by a
 * child that outlives the agent, unless `keep`. A restart of the collector alone (new settings) and
 * SIGKILL leave all as it is, and the next start finds it: controllers by the owner that stands in
 * /run/nvme/registry, rules by the mark inside.
 */
#define MONITOR_WORK 256

/* Shared by the parts. */

const char *monitor_sysfs(const struct nvme_monitor *monitor)
{
	return topology_sysfs_path(monitor->ctx->topology);
}

void monitor_wake(struct nvme_monitor *monitor)
{
	bell_arm(&monitor->bell, 0);
}

void monitor_notice(struct nvme_monitor *monitor, unsigned event, const char *format, ...)
{
	struct monitor_notice *notice = &monitor->notices[monitor->n_notices];
	va_list args;

	if (monitor->n_notices == MONITOR_NOTICES)
		return;
	monitor->n_notices++;
	notice->event = event;
	va_start(args, format);
	vsnprintf(notice->reason, sizeof(notice->reason), format, args);
	va_end(args);
}

struct work_job *monitor_job(const struct nvme_monitor *monitor, enum work_kind kind,
			     size_t n_targets)
{
	struct work_job *job = calloc(1, sizeof(*job) + n_targets * sizeof(job->targets[0]));

	if (job == NULL)
		return NULL;
	job->kind = kind;
	job->config = monitor->config;
	job->sysfs = monitor_sysfs(monitor);
	job->dev = "/dev";
	job->n_targets = n_targets;
	return job;
}

/* Decisions. */

/* Whether a controller lives at the address of @connection: then it need not be probed. */
static bool monitor_answers(const struct nvme_monitor *monitor, const struct connection *connection)
{
	for (size_t i = 0; i < monitor->connections.n; i++) {
		const struct connection *other = monitor->connections.items[i];

		if (other->controller[0] != '\0' && other->state == CONNECTION_ONLINE &&
		    strcmp(other->tid.traddr, connection->tid.traddr) == 0 &&
		    strcmp(other->tid.trsvcid, connection->tid.trsvcid) == 0)
			return true;
	}
	return false;
}

static void monitor_start(struct nvme_monitor *monitor, struct connection *connection,
			  uint64_t now_ns)
{
	struct work_job *job =
		monitor_job(monitor, connection->is_discovery ? WORK_DISCOVER : WORK_CONNECT, 0);
	int r = -ENOMEM;

	if (job != NULL) {
		job->connection = connection->id;
		job->tid = connection->tid;
		/* Observing, an operator may still look, but nothing stays behind. */
		job->persistent = monitor->autoconnect && monitor->config->persistent;
		job->probe = !monitor_answers(monitor, connection);
		job->known.inode = connection->inode;
		memcpy(job->known.controller, connection->controller,
		       sizeof(job->known.controller));
		r = children_start(&monitor->children, job, now_ns + monitor->config->deadline);
	}
	if (r < 0)
		connections_failed(&monitor->connections, connection, r,
				   "its child can't be started", now_ns);
}

static void monitor_log(struct nvme_monitor *monitor, const struct decision *decision,
			uint64_t unix_ns)
{
	const struct tid *tid = &decision->connection->tid;
	char address[TID_TEXT];

	tid_format(tid, address, sizeof(address));
	decision_log_add(&monitor->log, unix_ns, decision->event, address, tid->nqn,
			 decision->reason);
}

/* True: the oldest decision was told, and done where there is something to do. */
static bool monitor_carry_out(struct nvme_monitor *monitor)
{
	const struct decision *decision = decisions_peek(&monitor->connections.decisions);
	uint64_t unix_ns = clock_realtime_ns();
	struct connection *connection = decision->connection;
	enum decision_kind kind = decision->kind;

	decision_event_publish(monitor->ctx, &monitor->connections, decision, unix_ns);
	if (monitor->ctx->pipeline_full)
		return false;
	monitor_log(monitor, decision, unix_ns);
	/* Not before: what is started may decide more, which moves the list. */
	if (!monitor->closing && !monitor->ctx->ending &&
	    (kind == DECISION_DISCOVER || kind == DECISION_CONNECT))
		monitor_start(monitor, connection, clock_monotonic_ns());
	decisions_pop(&monitor->connections.decisions);
	return true;
}

static bool monitor_tell_notice(struct nvme_monitor *monitor)
{
	const struct monitor_notice *notice = &monitor->notices[0];
	uint64_t unix_ns = clock_realtime_ns();

	decision_event_rules(monitor->ctx, notice->event, notice->reason, unix_ns);
	if (monitor->ctx->pipeline_full)
		return false;
	decision_log_add(&monitor->log, unix_ns, notice->event, "", "", notice->reason);
	memmove(&monitor->notices[0], &monitor->notices[1],
		--monitor->n_notices * sizeof(monitor->notices[0]));
	return true;
}

/* 0: nothing waits any more; COLLECTOR_E_MORE: later. */
static int monitor_publish(struct nvme_monitor *monitor, unsigned *budget)
{
	struct connections *connections = &monitor->connections;

	if (connections->decisions.untold > 0)
		monitor->ctx->lost(monitor->ctx, "decisions_limit", connections->decisions.untold,
				   false, -1);
	connections->decisions.untold = 0;
	while (monitor->n_notices > 0 || decisions_peek(&connections->decisions) != NULL) {
		if (*budget == 0)
			return COLLECTOR_E_MORE;
		if (monitor->n_notices > 0 ? !monitor_tell_notice(monitor)
					   : !monitor_carry_out(monitor))
			return COLLECTOR_E_MORE;
		--*budget;
	}
	return 0;
}

/* The contract. */

/* What comes next, when nothing waits. 0: something was done; UEVENT_E_EMPTY: nothing to do;
 * -errno. */
static int monitor_step(struct nvme_monitor *monitor, uint64_t *ret_next_ns)
{
	uint64_t now_ns = clock_monotonic_ns();
	int r;

	if (monitor_step_child(monitor, now_ns))
		return 0;
	r = monitor_step_uevent(monitor);
	if (r != UEVENT_E_EMPTY)
		return r;
	monitor_hear_files(monitor, now_ns);
	*ret_next_ns = connections_tick(&monitor->connections, now_ns);
	return decisions_peek(&monitor->connections.decisions) != NULL ? 0 : UEVENT_E_EMPTY;
}

static void monitor_arm(struct nvme_monitor *monitor, uint64_t next_ns)
{
	uint64_t due_ns = children_due(&monitor->children);

	if (due_ns < next_ns)
		next_ns = due_ns;
	if (monitor->files_due_ns < next_ns)
		next_ns = monitor->files_due_ns;
	bell_arm(&monitor->bell, next_ns);
}

/* What fails has been told again, once the files are read and every connection was tried. */
static void monitor_settle(struct nvme_monitor *monitor)
{
	if (!monitor->is_settling || monitor->files_running ||
	    monitor->files_due_ns != UINT64_MAX || !connections_are_settled(&monitor->connections))
		return;
	monitor->is_settling = false;
	monitor->ctx->settled(monitor->ctx);
}

static int nvme_monitor_read(void *state, unsigned budget, struct collector_fd *fd)
{
	struct nvme_monitor *monitor = state;

	for (unsigned work = 0; work < MONITOR_WORK; work++) {
		uint64_t next_ns = UINT64_MAX;
		int r = monitor_publish(monitor, &budget);

		if (r == 0)
			r = monitor_step(monitor, &next_ns);
		if (r == UEVENT_E_EMPTY) {
			monitor_arm(monitor, next_ns);
			monitor_settle(monitor);
			return 0;
		}
		if (r != 0)
			return r;
	}
	return COLLECTOR_E_MORE;
}

_Static_assert(UEVENT_E_EMPTY != COLLECTOR_E_MORE, "told apart above");

static int nvme_monitor_snapshot(void *state)
{
	struct nvme_monitor *monitor = state;
	unsigned budget = MONITOR_WORK;
	int r = monitor_publish(monitor, &budget);

	if (r == 0 && monitor->names == NULL)
		r = monitor_begin_snapshot(monitor);
	for (int work = 0; work < 32 && r == 0; work++) {
		if (!monitor_step_snapshot(monitor)) {
			monitor_end_snapshot(monitor);
			monitor->is_settling = true;
			monitor_wake(monitor);
			return 0;
		}
		r = monitor_publish(monitor, &budget);
	}
	return r == 0 ? COLLECTOR_E_MORE : r;
}

/* A child of its own session deletes what is ours; this agent is gone by then. */
static void monitor_clean_up(struct nvme_monitor *monitor)
{
	struct connections *connections = &monitor->connections;
	struct work_job *job = monitor_job(monitor, WORK_CLEAN_UP, connections->n);
	unsigned budget = UINT32_MAX;

	if (job == NULL)
		return;
	job->n_targets = 0;
	connections_clean_up(connections, "the agent ends; one that is in use stays",
			     clock_monotonic_ns());
	for (size_t i = 0; i < connections->decisions.n; i++) {
		const struct decision *decision =
			&connections->decisions.items[connections->decisions.first + i];
		struct work_target *target = &job->targets[job->n_targets];

		if (decision->kind != DECISION_DISCONNECT)
			continue;
		target->inode = decision->connection->inode;
		target->is_discovery = decision->connection->is_discovery;
		memcpy(target->controller, decision->controller, sizeof(target->controller));
		job->n_targets++;
	}
	if (job->n_targets > 0)
		children_leave(job);
	free(job);
	if (monitor_publish(monitor, &budget) != 0)
		log_write(LOG_LEVEL_WARNING,
			  "the last decisions could not be told collector=nvme_monitor");
}

static void nvme_monitor_close(void *state)
{
	struct nvme_monitor *monitor = state;
	unsigned budget = UINT32_MAX;

	monitor->closing = true;
	children_deinit(&monitor->children);
	if (monitor->ctx->ending && monitor->autoconnect) {
		monitor_unmask(monitor, "the agent ends", true);
		while (monitor->n_notices > 0 && monitor_tell_notice(monitor))
			budget--;
	}
	if (monitor->ctx->ending && !monitor->config->keep)
		monitor_clean_up(monitor);
	connections_deinit(&monitor->connections);
	decision_log_deinit(&monitor->log);
	uevent_close(monitor->uevents);
	fd_close(monitor->inotify);
	bell_close(&monitor->bell);
	free(monitor->names);
	free(monitor);
}

static void monitor_init(struct nvme_monitor *monitor, struct collector_ctx *ctx)
{
	const struct nvme_monitor_config *config = ctx->config;
	const struct connections_options options = {
		.max = config->max_connections,
		.max_jobs = (unsigned)config->max_children,
		.max_depth = (unsigned)config->max_referrals,
		.give_up_ns = config->give_up,
		.backoff_base_ns = config->backoff_base,
		.backoff_cap_ns = config->backoff_cap > config->backoff_base ? config->backoff_cap
									     : config->backoff_base,
		.seed = clock_monotonic_ns() ^ (uint64_t)getpid() << 32,
	};

	monitor->ctx = ctx;
	monitor->config = config;
	monitor->inotify = -1;
	monitor->files_due_ns = UINT64_MAX;
	connections_init(&monitor->connections, &options);
	children_init(&monitor->children, &monitor->bell);
}

static int nvme_monitor_open(struct collector_ctx *ctx, void **ret_state,
			     struct collector_fd *ret_fd)
{
	struct nvme_monitor *monitor = calloc(1, sizeof(*monitor));
	int r;

	if (monitor == NULL)
		return -ENOMEM;
	monitor_init(monitor, ctx);
	r = bell_open(&monitor->bell);
	if (r == 0)
		r = uevent_open(&monitor->uevents, monitor->config->receive_buffer);
	if (r == 0)
		r = bell_add(&monitor->bell, uevent_fd(monitor->uevents));
	if (r < 0) {
		ctx->reason(ctx, "the uevent socket can't be opened");
		nvme_monitor_close(monitor);
		return r;
	}
	monitor_want_configured(monitor, clock_monotonic_ns());
	if (monitor->config->mode == NVME_MONITOR_AUTOCONNECT)
		nvme_monitor_set_mode(monitor, NVME_MONITOR_AUTOCONNECT);
	else /* what a killed agent has left */
		monitor_unmask(monitor, "left by an agent that was killed", false);
	*ret_state = monitor;
	*ret_fd = (struct collector_fd){ .fd = monitor->bell.fd };
	return 0;
}

const struct collector_ops nvme_monitor_collector = {
	.name = "nvme_monitor",
	.help = "NVMe over Fabrics: what is wanted and what there is; in mode autoconnect "
		"discovers "
		"and connects it. Costs nothing while it observes.",
	.config = &nvme_monitor_config_table,
	.open = nvme_monitor_open,
	.read = nvme_monitor_read,
	.snapshot = nvme_monitor_snapshot,
	.close = nvme_monitor_close,
};
