/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "collectors/bell.h"
#include "collectors/nvme_monitor/children.h"
#include "collectors/nvme_monitor/connections.h"
#include "collectors/nvme_monitor/decision_log.h"
#include "collectors/nvme_monitor/mask.h"
#include "collectors/nvme_monitor/nvme_monitor.h"
#include "collectors/uevent/uevent.h"
#include "fabrics/look.h"

/* The monitor's own parts: nvme_monitor.c, monitor_hear.c, monitor_result.c, monitor_local.c. */

#define MONITOR_NOTICES 8

struct monitor_notice {
	unsigned event;
	char reason[DECISION_REASON];
};

struct nvme_monitor {
	struct collector_ctx *ctx;
	const struct nvme_monitor_config *config;
	struct bell bell;
	struct uevent_socket *uevents;
	struct connections connections;
	struct children children;
	struct decision_log log;
	bool autoconnect;
	bool closing;	  /* nothing is begun any more */
	bool is_settling; /* since the first look at all controllers: not all outcomes are known */

	int inotify;	       /* of the folders of the files; -1 = none */
	uint64_t files_due_ns; /* they are to be read then */
	bool files_running, wants_mask, wants_kick;
	uint64_t kick_until_ns; /* what FC offers until then was asked for */
	unsigned masked;	/* rules that ours replace */
	bool rules_known;
	struct monitor_notice notices[MONITOR_NOTICES]; /* of no connection */
	size_t n_notices;

	struct look look;	  /* too large for a stack */
	char (*names)[LOOK_NAME]; /* of the snapshot that runs */
	size_t n_names, next_name;
	size_t n_unseen; /* controllers above the limit, as told */
};

/* nvme_monitor.c */
void monitor_notice(struct nvme_monitor *monitor, unsigned event, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
const char *monitor_sysfs(const struct nvme_monitor *monitor);
/* A job of this kind for children_start; NULL = no memory. */
struct work_job *monitor_job(const struct nvme_monitor *monitor, enum work_kind kind,
			     size_t n_targets);
/* The next read is called at once. */
void monitor_wake(struct nvme_monitor *monitor);

/* monitor_hear.c */
/* 0 or -errno: the socket is dead. UEVENT_E_EMPTY: nothing waits. */
int monitor_step_uevent(struct nvme_monitor *monitor);
int monitor_begin_snapshot(struct nvme_monitor *monitor);
/* One controller. False: the snapshot is complete. */
bool monitor_step_snapshot(struct nvme_monitor *monitor);
void monitor_end_snapshot(struct nvme_monitor *monitor);

/* monitor_result.c */
/* False: no child has anything new. */
bool monitor_step_child(struct nvme_monitor *monitor, uint64_t now_ns);

/* monitor_files.c */
/* The wishes of the configuration. */
void monitor_want_configured(struct nvme_monitor *monitor, uint64_t now_ns);
void monitor_start_files(struct nvme_monitor *monitor, uint64_t now_ns);
void monitor_take_files(struct nvme_monitor *monitor, const struct work_answer *answer,
			uint64_t now_ns);
void monitor_watch_files(struct nvme_monitor *monitor);
void monitor_hear_files(struct nvme_monitor *monitor, uint64_t now_ns);
/* Removes our files, says so, and lets a child tell udevd. */
void monitor_unmask(struct nvme_monitor *monitor, const char *reason, bool survives);
