/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/registry.h"
#include "core/config.h"
#include "core/errmsg.h"
#include "core/log.h"

/*
 * pathbelld.yaml. One option table (settings_table) parses, checks, dumps, writes the sample and
 * the schema; the sections of the collectors come from their own tables, with `enabled` put in
 * front.
 */
enum settings_action { SETTINGS_KEEP, SETTINGS_DROP };

struct settings_filter {
	char *name, *kind, *collector, *subject; /* globs; NULL = any */
	int min_severity;			 /* index into settings_severity; 0 = any */
	int action;				 /* enum settings_action */
};

struct settings_spool {
	char *dir; /* NULL: STATE_DIR/spool */
	uint64_t max_bytes, segment_bytes, memory_bytes, max_age_ns;
	uint64_t replay_bytes, replay_age_ns, stall_ns, linger_ns;
};

struct settings_uplink {
	bool enabled;
	struct config_strings addresses;
	char *ca_file, *certificate_file, *key_file, *server_name, *user, *program, *http_proxy;
	uint64_t backoff_base_ns, backoff_cap_ns, keepalive_ns, keepalive_timeout_ns;
	uint64_t max_unacked_bytes;
};

#define SETTINGS_MAX_FILTERS  64
#define SETTINGS_MAX_KEYS     64
#define SETTINGS_MAX_VERBS    32
#define SETTINGS_MAX_POLICIES 16
#define SETTINGS_MAX_REVOKED  256

struct settings_key {
	char *name, *key;	     /* base64 of the 32 bytes */
	int role;		     /* index into role_names (agent/commands/roles.h) */
	struct config_strings verbs; /* of them only these; empty: all */
};

/* Commands for many hosts want more signatures. */
struct settings_policy {
	struct config_strings verbs; /* empty: every verb */
	uint64_t hosts_above, require;
};

struct settings_commands {
	bool enabled, require_synchronised_clock;
	struct config_strings verbs;
	struct config_maps trusted_keys; /* struct settings_key */
	struct config_strings revoked;	 /* key ids */
	struct config_maps policies;	 /* struct settings_policy */
	uint64_t require, max_per_minute, max_clock_error_ns, action_timeout_ns;
	uint64_t host_per_hour, object_per_hour, object_cooldown_ns, object_attempts;
	uint64_t audit_bytes, audit_files;
	char *keys_dir, *verify_program;
};

struct settings_control {
	char *socket; /* NULL: RUNTIME_DIR/agent.sock */
	char *group;
};

/* The structs of the collectors follow behind this one, in one allocation. */
struct settings {
	unsigned refs; /* running collectors keep the settings that they were started with */
	char *host_id, *state_dir, *runtime_dir, *tracefs;
	int log_level;		    /* index into settings_log_levels */
	struct config_maps filters; /* struct settings_filter */
	struct settings_spool spool;
	struct settings_uplink uplink;
	struct settings_commands commands;
	struct settings_control control;
};

/* Built once from the registry. */
const struct config_table *settings_table(void);

/* Reads, then checks what only holds between options. NULL with @err (the file is named in it). */
struct settings *settings_load(const char *path, struct errmsg *err);
struct settings *settings_parse(const char *name, const char *text, struct errmsg *err);
struct settings *settings_ref(struct settings *settings);
/* Freed with the last one. Returns NULL. */
struct settings *settings_unref(struct settings *settings);

/* The section of one collector: `enabled` in front, its own struct SETTINGS_COLLECTOR_HEAD bytes
 * behind. */
#define SETTINGS_COLLECTOR_HEAD 16
const struct config_table *settings_collector_table(size_t index);
const void *settings_collector_section(const struct settings *settings, size_t index);
bool settings_collector_enabled(const struct settings *settings, size_t index);
/* The collector's own struct, as its ops->config table filled it. */
const void *settings_collector(const struct settings *settings, size_t index);
/* Two configurations of one collector are the same (compared as they are dumped). */
bool settings_collector_equal(const struct settings *a, const struct settings *b, size_t index);

enum log_level settings_log_level(const struct settings *settings);
unsigned settings_filter_severity(const struct settings_filter *filter);
/* 0, or -EINVAL: not the base64 of 32 bytes. */
int settings_key_bytes(const char *base64, uint8_t ret_key[32]);
/* "ed25519:" and 16 lower-case hexadecimal digits. */
bool settings_key_id_is_valid(const char *text);

/*
 * A reload must not empty what keeps a host reachable. True with @err where addresses or trusted
 * keys shrink to nothing, or the uplink or commands go while something else stays.
 */
bool settings_is_drastic(const struct settings *now, const struct settings *next,
			 struct errmsg *err);
