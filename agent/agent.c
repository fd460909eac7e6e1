/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/child.h"
#include "agent/commands/audit.h"
#include "agent/generation.h"
#include "collectors/topology/topology.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/log.h"
#include "core/notify.h"
#include "pathbell/v1/ingest.pb-c.h"

#ifndef PATHBELL_LIBEXEC
#define PATHBELL_LIBEXEC "/usr/libexec/pathbell"
#endif

/*
 * An event's way: a collector's guard -> pipeline_publish -> spool_append; when durable, spool's
 * `readable`
 * -> forwarder_kick -> link. A command's way back: link -> commands_deliver -> action -> announce
 * -> the same spool.
 *
 * libev wakes up once a minute to see whether the clock jumped, unless it has a timerfd that tells
 * it, and it has one only where a periodic watcher runs. `never` is that watcher: it fires in the
 * year 2286.
 */
#define AGENT_NEVER	   1e10
#define AGENT_STOP_NS	   CLOCK_NS_PER_S	   /* for the forwarder to finish */
#define AGENT_SPOOL_END_NS (700 * CLOCK_NS_PER_MS) /* then for the spool */
#define AGENT_FAULTS_NS	   (300 * CLOCK_NS_PER_MS) /* then for the open faults */

#define KIND(name)     PATHBELL__V1__EVENT_KIND__EVENT_KIND_##name
#define SEVERITY(name) PATHBELL__V1__SEVERITY__SEVERITY_##name

/* The spool's callbacks */

static void agent_on_readable(void *data)
{
	struct agent *agent = data;

	if (agent->forwarder)
		forwarder_kick(agent->forwarder);
}

static void agent_on_room(void *data)
{
	struct agent *agent = data;

	if (!pipeline_on_room(agent->pipeline))
		return;
	for (size_t i = 0; i < registry_n; i++)
		if (agent->collectors[i].guard)
			guard_resume(agent->collectors[i].guard);
}

static void agent_on_degraded(void *data, bool degraded, const char *reason)
{
	struct agent *agent = data;

	log_warning("spool %s reason=\"%s\"", degraded ? "degraded" : "recovered", reason);
	announce_spool(&agent->announcer, degraded ? KIND(SPOOL_DEGRADED) : KIND(SPOOL_RECOVERED),
		       degraded ? SEVERITY(ERROR) : SEVERITY(NOTICE), reason, 0, NULL);
}

static void agent_on_lost(void *data, uint64_t count, uint32_t gone_reason)
{
	static struct log_limit limit;
	struct agent *agent = data;

	agent->lost += count;
	pipeline_on_lost(agent->pipeline);
	log_limited(&limit, LOG_LEVEL_WARNING, "events became tombstones count=%llu reason=%u",
		    (unsigned long long)count, gone_reason);
	if (gone_reason == PATHBELL__V1__GONE_REASON__GONE_REASON_CORRUPT_RECORD)
		announce_spool(&agent->announcer, KIND(SPOOL_CORRUPT), SEVERITY(ERROR),
			       "records with a bad checksum", count, NULL);
}

static void agent_on_acked(void *data, const uint8_t epoch[16], uint64_t seq)
{
	struct agent *agent = data;

	pipeline_on_acked(agent->pipeline, epoch, seq);
	agent_on_room(agent); /* tickets may have been what was full */
}

static void agent_on_delivered(void *data, const struct collector_ops *ops, uint64_t ticket,
			       bool delivered)
{
	struct agent *agent = data;
	int index = registry_find(ops->name);

	if (index >= 0 && agent->collectors[index].guard)
		guard_delivered(agent->collectors[index].guard, ticket, delivered);
}

static void agent_on_faults_changed(void *data)
{
	struct agent *agent = data;

	if (agent->faults_file)
		faults_file_poke(agent->faults_file);
}

/* The forwarder's and the commands' callbacks */

static void agent_on_command(void *data, const void *envelope, size_t size)
{
	struct agent *agent = data;
	struct announce_command refused = {
		.kind = KIND(COMMAND_REFUSED),
		.life = PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_REJECTED,
		.refusal = PATHBELL__V1__COMMAND_REFUSAL__COMMAND_REFUSAL_HELD,
		.detail = agent->commands_error,
	};

	if (agent->stopping)
		return; /* no receipt: it comes again */
	if (agent->commands) {
		struct forwarder_status status;

		forwarder_status(agent->forwarder, &status);
		audit_set_via(commands_audit(agent->commands), status.address);
		commands_deliver(agent->commands, envelope, size);
	} else
		announce_command(&agent->announcer, &refused);
}

static void agent_on_receipt(void *data, const uint8_t id[16])
{
	struct agent *agent = data;

	if (agent->forwarder)
		forwarder_receipt(agent->forwarder, id);
}

static void agent_on_forwarder_changed(void *data)
{
	struct agent *agent = data;

	if (agent->commands && !agent->stopping)
		commands_poke(agent->commands);
}

static void agent_on_forwarder_stopped(void *data)
{
	struct agent *agent = data;

	ev_break(agent->loop, EVBREAK_ALL);
}

static void agent_stop_collector(struct agent *agent, size_t index)
{
	struct agent_collector *collector = &agent->collectors[index];

	if (collector->guard)
		guard_drain(collector->guard);
	collector->guard = guard_free(collector->guard);
	collector->settings = settings_unref(collector->settings);
}

/* Signals */

static void agent_stop(struct agent *agent)
{
	if (agent->stopping)
		return;
	agent->stopping = true;
	log_notice("stopping");
	notify_stopping();
	for (size_t i = 0; i < registry_n; i++) {
		if (agent->collectors[i].guard)
			guard_set_ending(agent->collectors[i].guard);
		agent_stop_collector(agent, i);
	}
	announce_agent(&agent->announcer, KIND(AGENT_STOPPED), "signal", agent->config_path,
		       agent->config_generation);
	if (agent->forwarder)
		forwarder_stop(agent->forwarder, AGENT_STOP_NS);
	else
		ev_break(agent->loop, EVBREAK_ALL);
}

static void agent_on_stop_signal(EV_P_ struct ev_signal *signal, int revents)
{
	agent_stop(signal->data);
}

static void agent_on_hup(EV_P_ struct ev_signal *signal, int revents)
{
	struct agent *agent = signal->data;

	if (!agent->stopping)
		agent_reload(agent);
}

static void agent_on_watchdog(EV_P_ struct ev_timer *timer, int revents)
{
	notify_watchdog();
}

static void agent_on_never(EV_P_ struct ev_periodic *periodic, int revents)
{
}

/* Collectors */

static void agent_start_collector(struct agent *agent, size_t index)
{
	struct agent_collector *collector = &agent->collectors[index];
	struct guard_options options = {
		.ops = registry[index],
		.config = settings_collector(agent->settings, index),
		.loop = agent->loop,
		.topology = agent->topology,
		.tracefs_path = agent->settings->tracefs,
		.resume_cursor = spool_source_cursor(agent->spool, (uint16_t)(index + 1)),
		.sink = { agent->pipeline, pipeline_publish, pipeline_opened, pipeline_settled },
	};

	if (guard_new(&collector->guard, &options)) {
		log_error("cannot start collector name=%s: out of memory", registry[index]->name);
		return;
	}
	collector->settings = settings_ref(agent->settings);
	guard_start(collector->guard);
}

void agent_sync_collectors(struct agent *agent)
{
	for (size_t i = 0; i < registry_n; i++) {
		struct agent_collector *collector = &agent->collectors[i];

		if (!registry[i])
			continue;
		if (collector->guard &&
		    (!settings_collector_enabled(agent->settings, i) ||
		     !settings_collector_equal(collector->settings, agent->settings, i))) {
			if (!settings_collector_enabled(agent->settings, i))
				guard_set_ending(collector->guard);
			agent_stop_collector(agent, i);
		}
		if (!settings_collector_enabled(agent->settings, i))
			(void)pipeline_end_faults(agent->pipeline, registry[i]);
		else if (!collector->guard)
			agent_start_collector(agent, i);
	}
}

/* Opening, bottom to top */

static int agent_open_dirs(struct agent *agent, struct errmsg *err)
{
	const struct settings *settings = agent->settings;
	int r = file_mkdirs(settings->state_dir, 0700);

	if (r) {
		errmsg_set(err, "cannot make state_dir %s: %s", settings->state_dir, log_errno(r));
		return r;
	}
	r = file_mkdirs(settings->runtime_dir, 0755);
	if (r) {
		errmsg_set(err, "cannot make runtime_dir %s: %s", settings->runtime_dir,
			   log_errno(r));
		return r;
	}
	r = generation_next(settings->state_dir, &agent->start_number, &agent->first_start);
	if (r)
		errmsg_set(err, "cannot write %s/generation: %s", settings->state_dir,
			   log_errno(r));
	return r;
}

static int agent_open_spool(struct agent *agent, struct errmsg *err)
{
	const struct settings_spool *settings = &agent->settings->spool;
	char fallback[4096], live[4096];
	struct spool_options options = {
		.dir = settings->dir,
		.fallback_dir = fallback,
		.live_path = live,
		.max_bytes = settings->max_bytes,
		.segment_bytes = settings->segment_bytes,
		.memory_bytes = settings->memory_bytes,
		.max_age_ns = settings->max_age_ns,
		.replay_bytes = settings->replay_bytes,
		.replay_age_ns = settings->replay_age_ns,
		.stall_ns = settings->stall_ns,
		.linger_ns = settings->linger_ns,
	};
	struct spool_callbacks callbacks = {
		.data = agent,
		.readable = agent_on_readable,
		.room = agent_on_room,
		.degraded = agent_on_degraded,
		.lost = agent_on_lost,
		.acked = agent_on_acked,
	};

	snprintf(fallback, sizeof(fallback), "%s/spool", agent->settings->runtime_dir);
	snprintf(live, sizeof(live), "%s/live", agent->settings->runtime_dir);
	return spool_open(&agent->spool, agent->loop, &options, &callbacks, err);
}

static int agent_open_pipeline(struct agent *agent, struct errmsg *err)
{
	struct topology_options topology = { 0 };
	struct pipeline_options options = {
		.settings = agent->settings,
		.data = agent,
		.delivered = agent_on_delivered,
		.faults_changed = agent_on_faults_changed,
	};
	int r;

	if (topology_new(&agent->topology, &topology) || pipeline_new(&agent->pipeline, &options)) {
		errmsg_set(err, "out of memory");
		return -ENOMEM;
	}
	agent->announcer = pipeline_announcer(agent->pipeline);
	r = faults_file_open(&agent->faults_file, agent->loop, agent->settings->state_dir,
			     pipeline_faults(agent->pipeline));
	if (r)
		errmsg_set(err, "cannot read %s/faults: %s", agent->settings->state_dir,
			   log_errno(r));
	return r;
}

void agent_find_verifier(struct agent *agent)
{
	const char *configured = agent->settings->commands.verify_program;

	if (child_program_find(configured, PATHBELL_LIBEXEC, "pathbell-verify",
			       agent->verify_program, sizeof(agent->verify_program)) &&
	    agent->settings->commands.trusted_keys.n_items)
		log_warning("commands will be refused: %s is not there", agent->verify_program);
}

/* Without its journal the agent still captures; it only executes nothing. */
static void agent_open_commands(struct agent *agent)
{
	struct errmsg err = { 0 };
	struct commands_options options = {
		.loop = agent->loop,
		.host_id = agent->settings->host_id,
		.state_dir = agent->settings->state_dir,
		.first_start = agent->first_start,
		.announcer = agent->announcer,
		.host = &agent->host,
		.data = agent,
		.receipt = agent_on_receipt,
	};

	agent_fill_host(agent);
	agent_find_verifier(agent);
	if (commands_open(&agent->commands, &options, &agent->settings->commands,
			  agent->verify_program, &err) == 0)
		return;
	agent->commands = NULL;
	errmsg_format(&err, agent->commands_error, sizeof(agent->commands_error));
	log_error("commands are refused: %s", agent->commands_error);
}

int agent_open_forwarder(struct agent *agent)
{
	struct forwarder_options options = {
		.name = "uplink",
		.libexec = PATHBELL_LIBEXEC,
		.loop = agent->loop,
		.spool = agent->spool,
		.announcer = agent->announcer,
		.generation = agent->start_number << GENERATION_START_SHIFT,
		.data = agent,
		.command = agent_on_command,
		.changed = agent_on_forwarder_changed,
		.stopped = agent_on_forwarder_stopped,
	};

	if (!agent->settings->uplink.enabled)
		return 0;
	return forwarder_new(&agent->forwarder, &options, agent->settings);
}

static int agent_open_control(struct agent *agent, struct errmsg *err)
{
	struct control_options options = {
		.loop = agent->loop,
		.path = agent->settings->control.socket,
		.group = agent->settings->control.group,
		.data = agent,
		.answer = agent_answer,
	};

	return control_open(&agent->control, &options, err);
}

static void agent_watch_signal(struct agent *agent, struct ev_signal *watcher, int number,
			       void (*on_signal)(EV_P_ struct ev_signal *signal, int revents))
{
	ev_signal_init(watcher, on_signal, number);
	watcher->data = agent;
	ev_signal_start(agent->loop, watcher);
}

static void agent_open_watchers(struct agent *agent)
{
	uint64_t watchdog_ns;

	agent_watch_signal(agent, &agent->on_term, SIGTERM, agent_on_stop_signal);
	agent_watch_signal(agent, &agent->on_int, SIGINT, agent_on_stop_signal);
	agent_watch_signal(agent, &agent->on_hup, SIGHUP, agent_on_hup);
	signal(SIGPIPE, SIG_IGN);
	ev_periodic_init(&agent->never, agent_on_never, AGENT_NEVER, 0., NULL);
	ev_periodic_start(agent->loop, &agent->never);
	ev_init(&agent->watchdog, agent_on_watchdog);
	if (!notify_watchdog_interval(&watchdog_ns))
		return;
	ev_timer_set(&agent->watchdog, 0., (double)watchdog_ns / 1e9);
	ev_timer_again(agent->loop, &agent->watchdog);
}

int agent_open(struct agent *agent, struct settings *settings, const char *config_path,
	       struct errmsg *err)
{
	int r;

	*agent = (struct agent){ .settings = settings, .config_path = config_path };
	agent->config_generation = 1;
	agent->started_unix_ns = clock_realtime_ns();
	agent->loop = ev_default_loop(EVFLAG_AUTO);
	if (!agent->loop) {
		errmsg_set(err, "cannot make an event loop");
		r = -ENOSYS;
	} else {
		r = agent_open_dirs(agent, err);
	}
	if (r == 0)
		r = agent_open_pipeline(agent, err);
	if (r == 0)
		r = agent_open_spool(agent, err);
	if (r == 0) {
		pipeline_attach(agent->pipeline, agent->spool);
		agent_open_commands(agent);
		/* Before anybody can see the socket and stop us. */
		agent_open_watchers(agent);
		r = agent_open_control(agent, err);
	}
	if (r == 0) {
		r = agent_open_forwarder(agent);
		if (r)
			errmsg_set(err, "cannot make the forwarder: %s", log_errno(r));
	}
	if (r) {
		agent_close(agent);
		return r;
	}
	return 0;
}

void agent_run(struct agent *agent)
{
	log_notice("started version=%s host_id=%s config=%s", PATHBELL_VERSION,
		   agent->settings->host_id ? agent->settings->host_id : "none",
		   agent->config_path);
	announce_agent(&agent->announcer, KIND(AGENT_STARTED),
		       agent->first_start ? "first start" : "start", agent->config_path,
		       agent->config_generation);
	agent_sync_collectors(agent);
	if (agent->commands)
		commands_start(agent->commands);
	if (agent->forwarder)
		forwarder_start(agent->forwarder);
	notify_ready("capturing");
	ev_run(agent->loop, 0);
}

static void agent_close_watchers(struct agent *agent)
{
	if (!ev_is_active(&agent->never))
		return;
	ev_signal_stop(agent->loop, &agent->on_term);
	ev_signal_stop(agent->loop, &agent->on_int);
	ev_signal_stop(agent->loop, &agent->on_hup);
	ev_periodic_stop(agent->loop, &agent->never);
	ev_timer_stop(agent->loop, &agent->watchdog);
}

void agent_close(struct agent *agent)
{
	if (!agent->loop)
		return;
	agent->stopping = true;
	agent->control = control_close(agent->control);
	for (size_t i = 0; i < registry_n; i++)
		agent_stop_collector(agent, i);
	agent->forwarder = forwarder_free(agent->forwarder);
	if (agent->pipeline)
		pipeline_attach(agent->pipeline, NULL);
	if (agent->spool)
		agent->spool = spool_close(agent->spool, clock_monotonic_ns() + AGENT_SPOOL_END_NS);
	agent->commands = commands_close(agent->commands);
	/* Behind the spool: what it says has been told is told. */
	agent->faults_file = faults_file_close(agent->faults_file, AGENT_FAULTS_NS);
	agent->pipeline = pipeline_free(agent->pipeline);
	agent->topology = topology_free(agent->topology);
	agent_close_watchers(agent);
	agent->settings = settings_unref(agent->settings);
}
