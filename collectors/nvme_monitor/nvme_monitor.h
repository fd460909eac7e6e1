/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "collectors/collector.h"
#include "core/errmsg.h"
#include "fabrics/tid.h"
#include "pathbell/v1/local.pb-c.h"
#include "proto/arena.h"

/* NVMe over Fabrics: what is wanted, discovery, connecting; see nvme_monitor.c. */
enum nvme_monitor_mode { NVME_MONITOR_OBSERVE, NVME_MONITOR_AUTOCONNECT };

#define NVME_MONITOR_MAX_WANTED 256
extern const char *const nvme_monitor_transports[];
struct nvme_monitor_wanted {
	int transport; /* index of nvme_monitor_transports */
	char *traddr, *trsvcid, *host_traddr, *host_iface, *nqn; /* NULL = not given */
	bool discovery;
};

struct nvme_monitor_config {
	int mode; /* enum nvme_monitor_mode */
	bool persistent, keep, fc_kickstart;
	struct config_maps connections;			       /* struct nvme_monitor_wanted */
	uint64_t give_up, backoff_base, backoff_cap, deadline; /* ns */
	uint64_t max_children, max_referrals, max_connections;
	uint64_t keep_alive;	  /* ns; of persistent discovery controllers */
	char *host_nqn, *host_id; /* NULL: of the files */
	char *conf_dir;		  /* /etc/nvme */
	char *exclusions;
	char *registry; /* /run/nvme/registry */
	char *rules_dir;
	struct config_strings rules, rules_from;
	uint64_t receive_buffer; /* bytes of the uevent socket */
};

extern const struct config_table nvme_monitor_config_table;
extern const struct collector_ops nvme_monitor_collector;

/*
 * For the control socket and for commands; @monitor is what guard_collector gives. What they change
 * is carried out by the next read.
 */
struct nvme_monitor;

void nvme_monitor_set_mode(struct nvme_monitor *monitor, enum nvme_monitor_mode mode);
/* Reads the log page of a discovery controller now, also while observing; while connecting by
 * itself the address is wanted from then on. 0, NVME_MONITOR_E_FULL, -errno. */
#define NVME_MONITOR_E_FULL    1
#define NVME_MONITOR_E_UNKNOWN 2
int nvme_monitor_discover(struct nvme_monitor *monitor, const struct tid *tid);
/* It is wanted, by a command. 0, NVME_MONITOR_E_FULL, -errno. */
int nvme_monitor_want(struct nvme_monitor *monitor, const struct tid *tid);
/* 0, NVME_MONITOR_E_UNKNOWN. */
int nvme_monitor_forget(struct nvme_monitor *monitor, const struct tid *tid, const char *reason);
/* Fills @local, at most about @max_size bytes of it, with the newest @n_decisions. False: no memory
 * in @arena. */
bool nvme_monitor_describe(const struct nvme_monitor *monitor, size_t n_decisions, size_t max_size,
			   struct arena *arena, Pathbell__V1__LocalNvme *local);

struct nvme_monitor_counter {
	const char *name, *help;
	uint64_t value;
};
/* @index from 0; false: there are no more. */
bool nvme_monitor_counter(const struct nvme_monitor *monitor, size_t index,
			  struct nvme_monitor_counter *ret_counter);
