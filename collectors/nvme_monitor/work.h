/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collectors/nvme_monitor/connections.h"
#include "collectors/nvme_monitor/mask.h"
#include "core/buf.h"

/*
 * What the monitor's children do, and what they answer. An answer is a struct work_answer as it is
 * in memory, and its items behind it: both ends are this program.
 */
#define WORK_ITEMS_MAX	1024
#define WORK_ANSWER_MAX (8U << 20)

struct nvme_monitor_config;

enum work_kind {
	WORK_DISCOVER, /* controller there or made; its log page */
	WORK_CONNECT,
	WORK_FILES,    /* what the files of /etc/nvme want; also masks rules and kicks FC */
	WORK_CLEAN_UP, /* deletes controllers that nobody uses */
	WORK_RELOAD,   /* tells udevd */
};

struct work_target {
	char controller[CONNECTION_NAME];
	uint64_t inode;
	bool is_discovery;
};

struct work_job {
	enum work_kind kind;
	const struct nvme_monitor_config *config;
	const char *sysfs, *dev;
	uint32_t connection; /* its id, for the parent */
	struct tid tid;
	struct work_target known; /* the controller it had; "" = none */
	bool persistent;	  /* of WORK_DISCOVER: what it makes stays */
	bool probe;		  /* nothing answers at this address that we know of */
	bool mask, kick;	  /* of WORK_FILES: also */
	size_t n_targets;
	struct work_target targets[]; /* of WORK_CLEAN_UP */
};

enum work_outcome { WORK_FAILED, WORK_DONE, WORK_EXISTED, WORK_SKIPPED };

struct work_item {
	struct tid tid;
	uint8_t is_discovery, is_referral;
	uint8_t source; /* enum connection_source, of WORK_FILES */
};

struct work_answer {
	uint32_t outcome; /* enum work_outcome */
	int32_t error;	  /* negative errno; 0 = none */
	uint64_t inode, genctr;
	uint32_t n_ignored;		     /* entries of no use: PCIe, itself, broken */
	uint32_t masked, foreign, n_changed; /* of WORK_FILES */
	uint8_t persistent, ours;
	char controller[CONNECTION_NAME], owner[CONNECTION_NAME];
	char reason[DECISION_REASON];
	uint32_t n_items;
	const struct work_item *items; /* in the buffer that was parsed */
};

/* The registry of owners says that the monitor made it, in this life or an earlier one. */
bool work_is_ours(const struct nvme_monitor_config *config, const char *controller);
/* In the child: does @job (struct work_job) and answers to @out. The exit status. */
int work_run(void *job, int out);
const char *work_name(enum work_kind kind);
/* Always fills *ret_answer: NULL or nonsense is FAILED, after its deadline with -ETIMEDOUT. */
void work_parse(const struct buf *answer, bool late, struct work_answer *ret_answer);
