/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/agent.h"
#include "core/log.h"
#include "core/notify.h"

/*
 * SIGHUP: the new file is read and checked as a whole before anything changes. A file that is bad,
 * empty, or would cut the host off (no addresses, no keys, another identity) changes nothing: the
 * last good configuration stays, an event and `pathbell local status` say why.
 */
#define KIND(name) PATHBELL__V1__EVENT_KIND__EVENT_KIND_##name

static void reload_refuse(struct agent *agent, const struct errmsg *err)
{
	errmsg_format(err, agent->config_error, sizeof(agent->config_error));
	log_error("configuration refused, the last good one stays: %s", agent->config_error);
	announce_agent(&agent->announcer, KIND(AGENT_CONFIG_REFUSED), agent->config_error,
		       agent->config_path, agent->config_generation);
	notify_ready("capturing; the new configuration was refused");
}

static void reload_apply_forwarder(struct agent *agent)
{
	if (agent->forwarder) {
		forwarder_configure(agent->forwarder, agent->settings);
		return;
	}
	if (agent_open_forwarder(agent) == 0 && agent->forwarder)
		forwarder_start(agent->forwarder);
}

static bool reload_spool_differs(const struct settings *a, const struct settings *b)
{
	const struct settings_spool *x = &a->spool, *y = &b->spool;

	return x->max_bytes != y->max_bytes || x->segment_bytes != y->segment_bytes ||
	       x->memory_bytes != y->memory_bytes || x->max_age_ns != y->max_age_ns ||
	       x->replay_bytes != y->replay_bytes || x->replay_age_ns != y->replay_age_ns ||
	       x->stall_ns != y->stall_ns || x->linger_ns != y->linger_ns;
}

static void reload_apply(struct agent *agent, struct settings *next)
{
	struct settings *old = agent->settings;

	if (reload_spool_differs(old, next))
		log_notice("options of spool take effect at the next start");
	agent->settings = next;
	agent->config_generation++;
	agent->config_error[0] = 0;
	log_set_level(settings_log_level(next));
	pipeline_configure(agent->pipeline, next);
	agent_find_verifier(agent);
	if (agent->commands)
		commands_configure(agent->commands, &next->commands, agent->verify_program);
	agent_sync_collectors(agent);
	reload_apply_forwarder(agent);
	settings_unref(old);
	log_notice("configuration reloaded generation=%u", agent->config_generation);
	announce_agent(&agent->announcer, KIND(AGENT_CONFIG_CHANGED), "reload", agent->config_path,
		       agent->config_generation);
	notify_ready("capturing");
}

void agent_reload(struct agent *agent)
{
	struct errmsg err = { 0 };
	struct settings *next;

	notify_reloading();
	if (agent->commands)
		commands_release(agent->commands);
	next = settings_load(agent->config_path, &err);
	if (!next) {
		reload_refuse(agent, &err);
		return;
	}
	if (settings_is_drastic(agent->settings, next, &err)) {
		reload_refuse(agent, &err);
		settings_unref(next);
		return;
	}
	reload_apply(agent, next);
}
