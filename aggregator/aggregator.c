/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Builds everything in order, runs the loop, tears down in reverse.
 *
 * Stop (SIGTERM, SIGINT), at most about two seconds: 1. hosts get Drain with a slot for their
 * return and are read no more; watches end. 2. When the store's queue is empty (or after a second)
 * all streams are ended. 3. When they are closed, the loop ends; server, reader, writer, gRPC,
 * mailbox and HTTP go, in this order, because each may still post to the ones behind it.
 *
 * Reload (SIGHUP): the file is read and checked as a whole; a bad one changes nothing. Roles,
 * limits, retention, log level take effect at once; what needs a restart is named in the log.
 * Certificates need no reload: they are read again when their files change.
 */
#include "aggregator/aggregator.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aggregator/audit.h"
#include "aggregator/campaign/campaigns.h"
#include "aggregator/campaign/watch_campaign.h"
#include "aggregator/commands.h"
#include "aggregator/control.h"
#include "aggregator/health.h"
#include "aggregator/hosts.h"
#include "aggregator/http/address.h"
#include "aggregator/http/http.h"
#include "aggregator/ingest.h"
#include "aggregator/live.h"
#include "aggregator/services.h"
#include "aggregator/watch.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/notify.h"

#define AGGREGATOR_EX_CONFIG	78 /* sysexits.h: EX_CONFIG */
#define AGGREGATOR_FLUSH_NS	(CLOCK_NS_PER_S)
#define AGGREGATOR_DRAIN_STEP_S 0.01
#define AGGREGATOR_DRAIN_STEPS	150

/* ---- on the gRPC thread ---- */

static void aggregator_on_commit(void *data, bool events, bool commands)
{
	struct aggregator *aggregator = data;

	ingest_on_commit(aggregator);
	campaigns_on_commit(aggregator->campaigns);
	if (!events && !commands)
		return;
	watch_on_commit(aggregator, events, commands);
	if (commands)
		watch_campaigns_on_commit(aggregator);
	if (events && aggregator->http)
		http_on_commit(aggregator->http);
}

static void aggregator_on_ready(void *data, int error)
{
	struct aggregator *aggregator = data;

	if (error < 0)
		log_error("the store cannot commit; hosts are held back until it can error=\"%s\"",
			  log_errno(error));
	else
		log_notice("the store commits");
	aggregator->is_ready = error == 0;
	health_changed(aggregator);
}

static void aggregator_on_credentials(void *data, const char *error)
{
	struct aggregator *aggregator = data;
	struct rpc_certificate certificate;

	if (error) {
		counter_add(&aggregator->metrics.credential_failures, 1);
		log_error("new credentials are refused, the old ones stay error=\"%s\"", error);
		return;
	}
	if (rpc_certificate_read(aggregator->settings.credentials.certificate_file, &certificate,
				 NULL) == 0)
		counter_set(&aggregator->metrics.certificate_not_after,
			    certificate.not_after_unix_ns / CLOCK_NS_PER_S);
	log_notice("credentials renewed");
}

struct aggregator_drain {
	struct aggregator *aggregator;
	uint64_t n, done;
};

/* Slots spread the return over the reconnect window. */
static void aggregator_drain_host(struct host *host, void *data)
{
	struct aggregator_drain *drain = data;
	uint64_t window = drain->aggregator->live.ingest.reconnect_window_ns / CLOCK_NS_PER_MS;

	ingest_drain(drain->aggregator, host, (uint32_t)(window * drain->done++ / drain->n));
}

static void aggregator_drain_begin(void *data)
{
	struct aggregator_drain drain = { .aggregator = data };

	drain.n = hosts_count(drain.aggregator->hosts);
	drain.aggregator->is_stopping = true;
	if (drain.n > 0)
		hosts_each(drain.aggregator->hosts, aggregator_drain_host, &drain);
	watch_stop(drain.aggregator);
	watch_campaigns_stop(drain.aggregator);
	health_changed(drain.aggregator);
}

static void aggregator_end_host(struct host *host, void *data)
{
	ingest_end(host);
	control_end(host);
}

static void aggregator_end_streams(void *data)
{
	struct aggregator *aggregator = data;

	hosts_each(aggregator->hosts, aggregator_end_host, NULL);
}

/* ---- on the loop ---- */

static void aggregator_on_drain(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct aggregator *aggregator = timer->data;
	const struct metrics *metrics = &aggregator->metrics;
	bool flushed = counter_get(&metrics->queue_jobs) == 0;

	aggregator->drain_steps++;
	if (!aggregator->is_ended &&
	    (flushed || aggregator->drain_steps > AGGREGATOR_DRAIN_STEPS * 2 / 3)) {
		aggregator->is_ended = true;
		rpc_post(aggregator->rpc, aggregator_end_streams, aggregator);
		return;
	}
	if (aggregator->is_ended && counter_get(&metrics->sessions_events) +
						    counter_get(&metrics->sessions_control) +
						    counter_get(&metrics->watchers) ==
					    0)
		ev_break(loop, EVBREAK_ALL);
	if (aggregator->drain_steps > AGGREGATOR_DRAIN_STEPS)
		ev_break(loop, EVBREAK_ALL);
}

static void aggregator_on_stop(struct ev_loop *loop, ev_signal *signal, int events)
{
	struct aggregator *aggregator = signal->data;

	if (aggregator->draining)
		return;
	aggregator->draining = true;
	log_notice("stopping signal=%d", signal->signum);
	notify_stopping();
	rpc_post(aggregator->rpc, aggregator_drain_begin, aggregator);
	ev_timer_start(loop, &aggregator->drain);
}

struct aggregator_swap {
	struct aggregator *aggregator;
	struct live_settings live;
};

static void aggregator_swap_live(void *data)
{
	struct aggregator_swap *swap = data;

	live_settings_deinit(&swap->aggregator->live);
	swap->aggregator->live = swap->live;
	free(swap);
}

static struct store_retention aggregator_retention(const struct settings *settings)
{
	return (struct store_retention){ .age_ns = settings->store.retention_age_ns,
					 .bytes = settings->store.retention_bytes,
					 .audit_age_ns = settings->store.audit_retention_ns };
}

/* Puts the parts of a checked configuration in place that can be; 0 or -ENOMEM (nothing changed).
 */
static int aggregator_apply(struct aggregator *aggregator, const struct settings *settings)
{
	struct store_retention retention = aggregator_retention(settings);
	struct aggregator_swap *swap = calloc(1, sizeof(*swap));
	struct errmsg err = { 0 };

	if (!swap || live_settings_init(&swap->live, settings) < 0) {
		free(swap);
		return -ENOMEM;
	}
	if (aggregator->http && http_reload(aggregator->http, &settings->http, &err) < 0)
		log_error("the tokens of http.writers stay as they were error=\"%s\"", err.text);
	swap->aggregator = aggregator;
	rpc_post(aggregator->rpc, aggregator_swap_live, swap);
	writer_set_retention(aggregator->writer, &retention);
	log_set_level(settings_log_level(settings));
	return 0;
}

static void aggregator_reload(struct aggregator *aggregator)
{
	struct settings settings;
	struct errmsg err = { 0 };
	char text[1024];
	const char *restart;

	if (settings_load(aggregator->config_path, &settings, &err) != 0) {
		errmsg_format(&err, text, sizeof(text));
		counter_add(&aggregator->metrics.reload_failures, 1);
		log_error("reload refused, the last good configuration stays error=\"%s\"", text);
		return;
	}
	restart = settings_needs_restart(&aggregator->settings, &settings);
	if (restart)
		log_warning("a changed option takes effect only at the next start option=%s",
			    restart);
	if (aggregator_apply(aggregator, &settings) == 0) {
		counter_add(&aggregator->metrics.reloads, 1);
		log_notice("configuration reloaded file=%s", aggregator->config_path);
	}
	/* What needs a restart goes on as it was, so only the rest is remembered. */
	settings_free(&settings);
}

static void aggregator_on_reload(struct ev_loop *loop, ev_signal *signal, int events)
{
	struct aggregator *aggregator = signal->data;

	if (aggregator->draining)
		return;
	notify_reloading();
	aggregator_reload(aggregator);
	notify_ready(NULL);
}

/* ---- building ---- */

static int aggregator_fail(const char *what, const struct errmsg *err, int r)
{
	log_error("%s error=\"%s\"", what, err->text[0] ? err->text : log_errno(r));
	return r;
}

static struct store_options aggregator_store_options(const struct aggregator *aggregator)
{
	return (struct store_options){
		.path = aggregator->settings.store.path,
		.cache_bytes = aggregator->settings.store.cache_bytes,
		.busy_ms = (uint32_t)(aggregator->settings.store.busy_ns / CLOCK_NS_PER_MS),
	};
}

static int aggregator_start_writer(struct aggregator *aggregator)
{
	const struct settings_store *settings = &aggregator->settings.store;
	const struct writer_options options = {
		.ops = &store_sqlite,
		.store = aggregator_store_options(aggregator),
		.rpc = aggregator->rpc,
		.metrics = &aggregator->metrics,
		.queue_bytes = settings->queue_bytes,
		.group_rows = (uint32_t)settings->group_rows,
		.group_bytes = settings->group_bytes,
		.probe_interval_ns = settings->probe_interval_ns,
		.retention = aggregator_retention(&aggregator->settings),
		.data = aggregator,
		.on_commit = aggregator_on_commit,
		.on_ready = aggregator_on_ready,
	};
	struct errmsg err = { 0 };
	int r = writer_start(&options, &aggregator->writer, &err);

	if (r < 0) {
		log_error("cannot open the store path=%s error=\"%s\"", settings->path,
			  err.text[0] ? err.text : log_errno(r));
		return r;
	}
	return 0;
}

static int aggregator_start_reader(struct aggregator *aggregator)
{
	const struct reader_options options = {
		.ops = &store_sqlite,
		.store = aggregator_store_options(aggregator),
		.rpc = aggregator->rpc,
		.mailbox = aggregator->mailbox,
		.metrics = &aggregator->metrics,
		.max_jobs = aggregator->settings.store.max_reads,
	};
	struct store *store = NULL;
	struct errmsg err = { 0 };
	int r = store_open(&store_sqlite, &options.store, STORE_READ, &store, &err);

	if (r == 0)
		r = campaigns_load(aggregator->campaigns, store);
	if (r == 0)
		r = commands_load(aggregator->commands, store);
	if (r == 0)
		campaigns_go_on(aggregator->campaigns);
	store_close(store);
	if (r == 0)
		r = reader_start(&options, &aggregator->reader, &err);
	return r < 0 ? aggregator_fail("cannot read the store", &err, r) : 0;
}

static int aggregator_start_server(struct aggregator *aggregator)
{
	const struct settings *settings = &aggregator->settings;
	const struct rpc_server_options options = {
		.listen = settings->listen,
		.credentials = { settings->credentials.ca_file,
				 settings->credentials.certificate_file,
				 settings->credentials.key_file },
		.max_message = (uint32_t)settings->ingest.max_message_bytes,
		.data = aggregator,
		.on_call = services_on_call,
		.on_credentials = aggregator_on_credentials,
	};
	struct rpc_certificate certificate;
	struct errmsg err = { 0 };
	int r = rpc_certificate_read(settings->credentials.certificate_file, &certificate, &err);

	if (r == 0) {
		counter_set(&aggregator->metrics.certificate_not_after,
			    certificate.not_after_unix_ns / CLOCK_NS_PER_S);
		r = rpc_server_new(aggregator->rpc, &options, &aggregator->server, &err);
	}
	return r < 0 ? aggregator_fail("cannot serve gRPC", &err, r) : 0;
}

static int aggregator_start_http(struct aggregator *aggregator)
{
	struct errmsg err = { 0 };
	int r;

	if (!aggregator->settings.http.enabled)
		return 0;
	r = http_new(aggregator, &aggregator->http, &err);
	return r < 0 ? aggregator_fail("cannot serve HTTP", &err, r) : 0;
}

static int aggregator_announce(struct aggregator *aggregator)
{
	const struct settings *settings = &aggregator->settings;
	char grpc[320] = "", http[320] = "", text[700];
	int n, r;

	address_with_port(settings->listen, rpc_server_port(aggregator->server), grpc,
			  sizeof(grpc));
	if (aggregator->http)
		address_with_port(settings->http.listen, http_port(aggregator->http), http,
				  sizeof(http));
	log_notice("pathbell-aggregator started version=%s name=%s grpc=%s http=%s store=%s",
		   PATHBELL_VERSION, aggregator->name, grpc, http[0] ? http : "off",
		   settings->store.path);
	if (!settings->port_file)
		return 0;
	n = snprintf(text, sizeof(text), "grpc %s\nhttp %s\n", grpc, http);
	r = file_replace(settings->port_file, text, (size_t)n, 0644);
	if (r < 0)
		log_error("cannot write port_file path=%s error=\"%s\"", settings->port_file,
			  log_errno(r));
	return r;
}

static int aggregator_build(struct aggregator *aggregator)
{
	struct errmsg err = { 0 };
	int r = rpc_start(&aggregator->rpc, &err);

	if (r < 0)
		return aggregator_fail("cannot start gRPC", &err, r);
	aggregator->mailbox = mailbox_new(aggregator->loop);
	aggregator->hosts = hosts_new();
	aggregator->commands = commands_new(aggregator);
	aggregator->campaigns = campaigns_new(aggregator);
	aggregator->audit_limit = audit_limit_new();
	aggregator->watches = watches_new();
	aggregator->health = health_new();
	if (!aggregator->mailbox || !aggregator->hosts || !aggregator->commands ||
	    !aggregator->campaigns || !aggregator->audit_limit || !aggregator->watches ||
	    !aggregator->health || live_settings_init(&aggregator->live, &aggregator->settings) < 0)
		return -ENOMEM;
	r = aggregator_start_writer(aggregator);
	if (r == 0)
		r = aggregator_start_reader(aggregator);
	if (r == 0)
		r = aggregator_start_http(aggregator);
	if (r == 0)
		r = aggregator_start_server(aggregator);
	if (r == 0)
		r = aggregator_announce(aggregator);
	return r;
}

static void aggregator_tear_down(struct aggregator *aggregator)
{
	aggregator->server = rpc_server_free(aggregator->server);
	aggregator->reader = reader_stop(aggregator->reader);
	writer_stop(aggregator->writer, clock_monotonic_ns() + AGGREGATOR_FLUSH_NS);
	aggregator->rpc = rpc_stop(aggregator->rpc);
	aggregator->mailbox = mailbox_free(aggregator->mailbox);
	aggregator->http = http_free(aggregator->http);
	aggregator->writer = writer_free(aggregator->writer);
	aggregator->campaigns = campaigns_free(aggregator->campaigns);
	aggregator->commands = commands_free(aggregator->commands);
	aggregator->audit_limit = audit_limit_free(aggregator->audit_limit);
	aggregator->watches = watches_free(aggregator->watches);
	aggregator->health = health_free(aggregator->health);
	aggregator->hosts = hosts_free(aggregator->hosts);
	live_settings_deinit(&aggregator->live);
	settings_free(&aggregator->settings);
}

static void aggregator_signal(struct aggregator *aggregator, ev_signal *watcher,
			      void (*callback)(struct ev_loop *loop, ev_signal *signal, int events),
			      int number)
{
	ev_signal_init(watcher, callback, number);
	watcher->data = aggregator;
	ev_signal_start(aggregator->loop, watcher);
}

static void aggregator_watch_signals(struct aggregator *aggregator)
{
	signal(SIGPIPE, SIG_IGN);
	aggregator_signal(aggregator, &aggregator->sigterm, aggregator_on_stop, SIGTERM);
	aggregator_signal(aggregator, &aggregator->sigint, aggregator_on_stop, SIGINT);
	aggregator_signal(aggregator, &aggregator->sighup, aggregator_on_reload, SIGHUP);
	ev_timer_init(&aggregator->drain, aggregator_on_drain, AGGREGATOR_DRAIN_STEP_S,
		      AGGREGATOR_DRAIN_STEP_S);
	aggregator->drain.data = aggregator;
}

int aggregator_run(struct aggregator *aggregator, const char *config_path)
{
	struct errmsg err = { 0 };
	char text[1024];
	int r;

	if (settings_load(config_path, &aggregator->settings, &err) != 0) {
		errmsg_format(&err, text, sizeof(text));
		log_error("%s", text);
		return AGGREGATOR_EX_CONFIG;
	}
	log_set_level(settings_log_level(&aggregator->settings));
	aggregator->config_path = config_path;
	aggregator->trust_domain = aggregator->settings.trust_domain;
	snprintf(aggregator->name, sizeof(aggregator->name), "%s", aggregator->settings.name);
	aggregator->started_unix_ns = clock_realtime_ns();
	aggregator->loop = ev_default_loop(EVFLAG_NOENV);
	aggregator_watch_signals(aggregator);
	r = aggregator_build(aggregator);
	if (r == 0) {
		notify_ready(NULL);
		ev_run(aggregator->loop, 0);
	}
	aggregator_tear_down(aggregator);
	ev_loop_destroy(aggregator->loop);
	if (r == 0)
		log_notice("stopped");
	return r == 0 ? 0 : 1;
}
