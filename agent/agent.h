/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "actions/action.h"
#include "agent/announce.h"
#include "agent/commands/commands.h"
#include "agent/control.h"
#include "agent/faults_file.h"
#include "agent/forwarder.h"
#include "agent/pipeline.h"
#include "agent/registry.h"
#include "agent/settings.h"
#include "agent/spool/spool.h"
#include "collectors/guard.h"
#include "core/errmsg.h"

struct topology;

/* A running collector and the settings it was started with. */
struct agent_collector {
	struct guard *guard; /* NULL = not enabled */
	struct settings *settings;
};

/* Owns every long-lived object of pathbelld; freed in reverse order. */
struct agent {
	struct ev_loop *loop;
	const char *config_path;
	struct settings *settings;
	unsigned config_generation;
	char config_error[600]; /* why the last reload was refused */
	uint64_t started_unix_ns, start_number;
	bool first_start, stopping;

	struct topology *topology;
	struct pipeline *pipeline;
	struct faults_file *faults_file;
	struct announcer announcer;
	struct spool *spool;
	struct action_host host;
	struct commands *commands; /* NULL: the journal cannot be used */
	char commands_error[256];
	char verify_program[4096];
	char halt_file[4096];
	struct forwarder *forwarder; /* NULL: uplink.enabled is false */
	struct agent_collector collectors[REGISTRY_MAX];
	struct control *control;

	struct ev_signal on_term, on_int, on_hup;
	struct ev_timer watchdog, stop_timer;
	struct ev_periodic never; /* see agent.c */
	uint64_t lost;		  /* records that became tombstones in this life */
};

/* Takes @settings. 0 or -errno with @err; nothing is left open then. */
int agent_open(struct agent *agent, struct settings *settings, const char *config_path,
	       struct errmsg *err);
/* Until SIGTERM or SIGINT. */
void agent_run(struct agent *agent);
void agent_close(struct agent *agent);

/* SIGHUP (reload.c): a whole new configuration or none of it. */
void agent_reload(struct agent *agent);
/* Starts, stops and restarts what differs from the settings in effect. */
void agent_sync_collectors(struct agent *agent);
int agent_open_forwarder(struct agent *agent);
void agent_find_verifier(struct agent *agent);

/* What actions need of the agent (host.c). */
void agent_fill_host(struct agent *agent);
/* The agent's own sections of the verb diag (describe.c). */
void agent_describe(void *data, const char *section, struct sheet *sheet);
/* `pathbell local` (local.c). */
void agent_answer(void *data, bool may_change, const Pathbell__V1__LocalRequest *request,
		  Pathbell__V1__LocalResponse *response, struct arena *arena);
/* Of them, what concerns the NVMe monitor (local_nvme.c). False: out of memory. */
bool agent_answer_nvme(struct agent *agent, bool may_change,
		       const Pathbell__V1__LocalNvmeRequest *request,
		       Pathbell__V1__LocalResponse *response, struct arena *arena);
/* It is to want this address; after a command connected it. 0 or -errno. */
int agent_want_nvme(struct agent *agent, const char *address, const char *nqn);
/* A command disconnected it: it is not to come back. */
void agent_forget_nvme(struct agent *agent, const char *address, const char *nqn);
/* Its answers about keys and audit (local_keys.c); false: out of memory. */
bool agent_answer_audit(const struct agent *agent, const Pathbell__V1__LocalAuditRequest *request,
			Pathbell__V1__LocalResponse *response, struct arena *arena);
bool agent_answer_keys(const struct agent *agent, Pathbell__V1__LocalResponse *response,
		       struct arena *arena);
