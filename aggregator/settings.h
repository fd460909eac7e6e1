/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "aggregator/roles.h"
#include "core/config.h"
#include "core/log.h"

/* pathbell-aggregator.yaml. One option table parses, checks, dumps, writes the sample and the
 * schema. */
struct settings_credentials {
	char *ca_file, *certificate_file, *key_file;
};

struct settings_store {
	char *path;
	uint64_t retention_age_ns, retention_bytes;
	uint64_t cache_bytes, busy_ns, queue_bytes, group_rows, group_bytes, probe_interval_ns;
	uint64_t max_reads, audit_retention_ns;
};

/* Who may write over HTTP. */
struct http_writer {
	char *name, *token_file;
};

struct settings_http {
	bool enabled, allow_remote;
	char *listen;
	struct config_maps writers; /* struct http_writer */
	uint64_t max_clients, max_streams, heartbeat_ns;
};

struct settings_ingest {
	uint64_t window_bytes, window_records, max_batch_records, max_message_bytes, max_hosts;
	uint64_t heartbeat_interval_ns, reconnect_window_ns;
};

struct settings_watch {
	uint64_t max_watchers, buffer_bytes;
};

struct settings_commands {
	uint64_t max_pending, max_bytes, max_campaigns, silent_after_ns;
};

struct settings {
	char *name, *listen, *port_file, *trust_domain;
	struct settings_credentials credentials;
	struct settings_store store;
	struct settings_http http;
	struct config_maps roles; /* struct role_entry */
	int default_role;	  /* enum role */
	struct settings_ingest ingest;
	struct settings_watch watch;
	struct settings_commands commands;
	int log_level;
};

extern const struct config_table settings_table;

/* Reads and checks all, the files of the credentials too. 0; CONFIG_E_INVALID or -errno with @err.
 */
int settings_load(const char *path, struct settings *ret_settings, struct errmsg *err);
void settings_free(struct settings *settings);
enum log_level settings_log_level(const struct settings *settings);
/* Names the first option that differs and takes effect only at start; NULL if none. */
const char *settings_needs_restart(const struct settings *old, const struct settings *new_settings);
