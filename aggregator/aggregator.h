/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <ev.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "aggregator/metrics.h"
#include "aggregator/reader.h"
#include "aggregator/roles.h"
#include "aggregator/settings.h"
#include "aggregator/writer.h"
#include "rpc/mailbox.h"
#include "rpc/rpc.h"

struct hosts;
struct audit_limit;
struct campaigns;
struct commands;
struct watches;
struct health;
struct http;

/*
 * Owns every long-lived object. Three worlds, told apart by thread:
 *   loop         signals, HTTP, timers
 *   gRPC thread  all calls, sessions, what is connected (`live`)
 *   store        the writer's and the reader's threads, reached by their queues
 * `live` is the part of the settings that the gRPC thread uses; a reload posts a new one to it.
 */
struct live_settings {
	struct settings_ingest ingest;
	struct settings_watch watch;
	struct settings_commands commands;
	struct role_entry *roles;
	size_t n_roles;
	enum role default_role;
};

struct aggregator {
	struct settings settings; /* loop */
	const char *config_path;
	struct metrics metrics;
	uint64_t started_unix_ns;

	/* loop */
	struct ev_loop *loop;
	struct mailbox *mailbox;
	ev_signal sigterm, sigint, sighup;
	ev_timer drain;
	struct http *http;
	bool draining, is_ended;
	unsigned drain_steps;

	struct rpc *rpc;
	struct rpc_server *server;
	struct writer *writer;
	struct reader *reader;

	/* gRPC thread */
	struct live_settings live;
	const char *trust_domain; /* fixed at start */
	char name[129];		  /* fixed at start */
	struct hosts *hosts;
	struct commands *commands;
	struct campaigns *campaigns;
	struct audit_limit *audit_limit;
	struct watches *watches;
	struct health *health;
	bool is_ready, is_stopping;
};

/* 0: ran and was told to stop; else the exit status. */
int aggregator_run(struct aggregator *aggregator, const char *config_path);
