/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "collectors/nvme_monitor/internal.h"
#include "collectors/nvme_monitor/monitor.h"
#include "core/clock.h"
#include "core/fd.h"
#include "core/log.h"

/* What the configuration wants, and the rules of udev. */
#define MONITOR_SETTLE_NS CLOCK_NS_PER_S /* an editor writes more than once */
#define MONITOR_KICK_NS	  (5 * CLOCK_NS_PER_S)
#define MONITOR_FILES_NS  (60 * CLOCK_NS_PER_S)

static void monitor_copy(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from != NULL ? from : "");
}

static void monitor_wanted_tid(const struct nvme_monitor_wanted *wanted, struct tid *tid)
{
	memset(tid, 0, sizeof(*tid));
	monitor_copy(tid->transport, sizeof(tid->transport),
		     nvme_monitor_transports[wanted->transport]);
	monitor_copy(tid->traddr, sizeof(tid->traddr), wanted->traddr);
	monitor_copy(tid->trsvcid, sizeof(tid->trsvcid), wanted->trsvcid);
	monitor_copy(tid->host_traddr, sizeof(tid->host_traddr), wanted->host_traddr);
	monitor_copy(tid->host_iface, sizeof(tid->host_iface), wanted->host_iface);
	monitor_copy(tid->nqn, sizeof(tid->nqn),
		     wanted->nqn != NULL ? wanted->nqn : TID_WELL_KNOWN_DISCOVERY);
	tid_normalise(tid);
}

void monitor_want_configured(struct nvme_monitor *monitor, uint64_t now_ns)
{
	const struct config_maps *list = &monitor->config->connections;
	const struct nvme_monitor_wanted *wanted = list->items;

	for (size_t i = 0; i < list->n_items; i++) {
		struct tid tid;

		monitor_wanted_tid(&wanted[i], &tid);
		(void)connections_want(&monitor->connections, &tid,
				       tid_is_discovery_nqn(tid.nqn) || wanted[i].discovery,
				       CONNECTION_YAML, now_ns, NULL);
	}
}

/* Files. */

void monitor_watch_files(struct nvme_monitor *monitor)
{
	const uint32_t events =
		IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ONLYDIR;
	char drop_ins[4096];
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	if (fd < 0 || bell_add(&monitor->bell, fd) < 0) {
		log_write(LOG_LEVEL_WARNING,
			  "changes of the NVMe files are not noticed collector=nvme_monitor");
		fd_close(fd);
		return;
	}
	/* What does not exist is not watched: what appears there is found by the next start. */
	(void)inotify_add_watch(fd, monitor->config->conf_dir, events);
	snprintf(drop_ins, sizeof(drop_ins), "%s/nvme-fabrics.conf.d", monitor->config->conf_dir);
	(void)inotify_add_watch(fd, drop_ins, events);
	monitor->inotify = fd;
}

/* True: something there has changed; which file is not worth telling apart. */
static bool monitor_drain_inotify(struct nvme_monitor *monitor)
{
	char data[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	bool changed = false;
	ssize_t size;

	while (monitor->inotify >= 0 && (size = read(monitor->inotify, data, sizeof(data))) > 0) {
		for (ssize_t at = 0; at < size;) {
			const struct inotify_event *event = (const void *)(data + at);

			changed = true;
			at += (ssize_t)(sizeof(*event) + event->len);
		}
	}
	return changed;
}

void monitor_hear_files(struct nvme_monitor *monitor, uint64_t now_ns)
{
	if (monitor_drain_inotify(monitor))
		monitor->files_due_ns = now_ns + MONITOR_SETTLE_NS;
	if (now_ns >= monitor->files_due_ns && !monitor->files_running)
		monitor_start_files(monitor, now_ns);
}

void monitor_start_files(struct nvme_monitor *monitor, uint64_t now_ns)
{
	struct work_job *job = monitor_job(monitor, WORK_FILES, 0);
	int r = -ENOMEM;

	monitor->files_due_ns = UINT64_MAX;
	if (job != NULL) {
		job->mask = monitor->wants_mask;
		job->kick = monitor->wants_kick;
		r = children_start(&monitor->children, job, now_ns + MONITOR_FILES_NS);
	}
	if (r < 0) {
		monitor->files_due_ns = now_ns + MONITOR_FILES_NS;
		return;
	}
	monitor->files_running = true;
	if (monitor->wants_kick)
		monitor->kick_until_ns = now_ns + MONITOR_KICK_NS;
	monitor->wants_kick = monitor->wants_mask = false;
}

static void monitor_tell_rules(struct nvme_monitor *monitor, const struct work_answer *answer)
{
	monitor->rules_known = true;
	if (answer->foreign > 0)
		log_write(LOG_LEVEL_WARNING,
			  "autoconnect rules are replaced by somebody else's files "
			  "collector=nvme_monitor n=%u",
			  answer->foreign);
	if (answer->masked > 0 && monitor->masked == 0)
		monitor_notice(monitor, KIND(DISCOVERY_RULES_MASKED),
			       "autoconnect is on: %u rules masked%s", answer->masked,
			       answer->n_changed < answer->masked ? ", some since before" : "");
	monitor->masked = answer->masked;
}

void monitor_take_files(struct nvme_monitor *monitor, const struct work_answer *answer,
			uint64_t now_ns)
{
	struct connections *connections = &monitor->connections;

	monitor->files_running = false;
	if (!monitor->autoconnect) {
		/* Told to observe meanwhile. */
		monitor_unmask(monitor, "told to observe", false);
		return;
	}
	if (answer->outcome != WORK_DONE) {
		log_write(LOG_LEVEL_WARNING,
			  "the NVMe files can't be read collector=nvme_monitor reason=\"%s\"",
			  answer->reason);
		monitor->wants_mask = true;
		monitor->files_due_ns = now_ns + MONITOR_FILES_NS;
		return;
	}
	if (answer->reason[0] != '\0')
		log_write(LOG_LEVEL_WARNING, "%s collector=nvme_monitor", answer->reason);
	monitor_tell_rules(monitor, answer);
	connections_refresh_begin(connections, CONNECTION_FILES);
	for (size_t i = 0; i < answer->n_items; i++) {
		const struct work_item *item = &answer->items[i];

		if (CONNECTION_BIT(item->source) & CONNECTION_FILES)
			(void)connections_want(connections, &item->tid, item->is_discovery,
					       (enum connection_source)item->source, now_ns, NULL);
	}
	/* A file with an error says nothing about what it does not list. */
	if (answer->error == 0)
		connections_refresh_end(connections, CONNECTION_FILES, "no file lists it any more",
					now_ns);
}

/* Rules. */

void monitor_unmask(struct nvme_monitor *monitor, const char *reason, bool survives)
{
	struct mask_outcome outcome;
	struct work_job *job;
	int r = mask_clear(monitor->config->rules_dir, &outcome);

	monitor->masked = 0;
	if (r < 0)
		log_write(LOG_LEVEL_ERROR,
			  "masked rules can't be removed collector=nvme_monitor reason=\"%s\"",
			  log_errno(r));
	if (outcome.changed == 0)
		return;
	monitor_notice(monitor, KIND(DISCOVERY_RULES_UNMASKED), "%s: %u rules unmasked", reason,
		       outcome.changed);
	job = monitor_job(monitor, WORK_RELOAD, 0);
	if (job == NULL)
		return;
	if (survives)
		children_leave(job);
	else
		(void)children_start(&monitor->children, job,
				     clock_monotonic_ns() + MONITOR_FILES_NS);
}
