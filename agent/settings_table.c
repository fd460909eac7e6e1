/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/settings.h"

#include <stddef.h>
#include <string.h>

#include "agent/commands/roles.h"

/* clang-format off: one option a line or two reads as the table that it is */
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char *const settings_log_levels[] = { "error", "warning", "notice",
						   "info",  "debug",   NULL };
static const char *const settings_severities[] = { "any",     "debug", "info",	   "notice",
						   "warning", "error", "critical", NULL };
static const char *const settings_actions[] = { "keep", "drop", NULL };

#define S   UINT64_C(1000000000)
#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

#define FILTER(field) offsetof(struct settings_filter, field)
static const struct config_option settings_filter_options[] = {
	{ .name = "name",
	  .type = CONFIG_STRING,
	  .offset = FILTER(name),
	  .min = 1,
	  .max = 64,
	  .required = true,
	  .help = "Name of the rule, as counters and `pathbell local stats` show it." },
	{ .name = "kind",
	  .type = CONFIG_STRING,
	  .offset = FILTER(kind),
	  .max = 64,
	  .help = "Pattern for the kind of event, for example storage.*; absent matches all." },
	{ .name = "collector",
	  .type = CONFIG_STRING,
	  .offset = FILTER(collector),
	  .max = 32,
	  .help = "Name of the collector, exactly; absent matches all." },
	{ .name = "subject",
	  .type = CONFIG_STRING,
	  .offset = FILTER(subject),
	  .max = 256,
	  .help = "Pattern for the subject's identity or its kernel name, for example loop*; "
		  "absent matches all." },
	{ .name = "min_severity",
	  .type = CONFIG_ENUM,
	  .offset = FILTER(min_severity),
	  .initial = "any",
	  .names = settings_severities,
	  .help = "Matches this severity and all above it." },
	{ .name = "action",
	  .type = CONFIG_ENUM,
	  .offset = FILTER(action),
	  .initial = "drop",
	  .names = settings_actions,
	  .help = "What to do with an event that matches." },
};
static const struct config_table settings_filter_table = { settings_filter_options,
							   COUNT(settings_filter_options),
							   sizeof(struct settings_filter) };

#define SPOOL(field) offsetof(struct settings_spool, field)
static const struct config_option settings_spool_options[] = {
	{ .name = "dir",
	  .type = CONFIG_PATH,
	  .offset = SPOOL(dir),
	  .help = "Folder of the segment files. Default: spool in state_dir." },
	{ .name = "max_bytes",
	  .type = CONFIG_SIZE,
	  .offset = SPOOL(max_bytes),
	  .initial = "256MiB",
	  .min = 1 * MIB,
	  .max = 1024 * GIB,
	  .help = "Limit of all segments together. When full the oldest bulk segment goes first "
		  "and leaves a tombstone." },
	{ .name = "segment_bytes",
	  .type = CONFIG_SIZE,
	  .offset = SPOOL(segment_bytes),
	  .initial = "16MiB",
	  .min = 64 * KIB,
	  .max = 256 * MIB,
	  .help = "Size of one segment file." },
	{ .name = "memory_bytes",
	  .type = CONFIG_SIZE,
	  .offset = SPOOL(memory_bytes),
	  .initial = "4MiB",
	  .min = 256 * KIB,
	  .max = 256 * MIB,
	  .help = "Memory ring in front of the disk." },
	{ .name = "max_age",
	  .type = CONFIG_DURATION,
	  .offset = SPOOL(max_age_ns),
	  .initial = "7d",
	  .max = 3650 * 86400 * S,
	  .help = "Unsent events older than this become tombstones; 0s = no limit." },
	{ .name = "replay_bytes",
	  .type = CONFIG_SIZE,
	  .offset = SPOOL(replay_bytes),
	  .initial = "64MiB",
	  .max = 1024 * GIB,
	  .help = "Events that are already stored upstream and are kept so that they can be asked "
		  "for again." },
	{ .name = "replay_age",
	  .type = CONFIG_DURATION,
	  .offset = SPOOL(replay_age_ns),
	  .initial = "24h",
	  .max = 3650 * 86400 * S,
	  .help = "How long they are kept." },
	{ .name = "stall",
	  .type = CONFIG_DURATION,
	  .offset = SPOOL(stall_ns),
	  .initial = "5s",
	  .min = S / 10,
	  .max = 600 * S,
	  .help = "A disk without progress for so long counts as hung; then memory takes over." },
	{ .name = "linger",
	  .type = CONFIG_DURATION,
	  .offset = SPOOL(linger_ns),
	  .initial = "0s",
	  .max = 10 * S,
	  .help = "The writer waits so long for company before it syncs; 0s = not at all." },
};
static const struct config_table settings_spool_table = { settings_spool_options,
							  COUNT(settings_spool_options),
							  sizeof(struct settings_spool) };

#define UPLINK(field) offsetof(struct settings_uplink, field)
static const struct config_option settings_uplink_options[] = {
	{ .name = "enabled",
	  .type = CONFIG_BOOL,
	  .offset = UPLINK(enabled),
	  .initial = "false",
	  .help = "Send to an aggregator." },
	{ .name = "addresses",
	  .type = CONFIG_STRINGS,
	  .offset = UPLINK(addresses),
	  .max = 16,
	  .help = "host:port of the aggregators, tried in order." },
	{ .name = "ca_file",
	  .type = CONFIG_PATH,
	  .offset = UPLINK(ca_file),
	  .help = "PEM file of the authority that signs aggregators." },
	{ .name = "certificate_file",
	  .type = CONFIG_PATH,
	  .offset = UPLINK(certificate_file),
	  .help = "PEM file of this host's certificate chain." },
	{ .name = "key_file",
	  .type = CONFIG_PATH,
	  .offset = UPLINK(key_file),
	  .help = "PEM file of its private key, readable by `user` only." },
	{ .name = "server_name",
	  .type = CONFIG_STRING,
	  .offset = UPLINK(server_name),
	  .max = 253,
	  .help = "Name that the aggregator's certificate must carry. Default: the host part of "
		  "the address." },
	{ .name = "user",
	  .type = CONFIG_STRING,
	  .offset = UPLINK(user),
	  .initial = "pathbell-uplink",
	  .min = 1,
	  .max = 64,
	  .help = "User (name or number) that pathbell-uplink runs as. Not switched when pathbelld "
		  "is not root." },
	{ .name = "program",
	  .type = CONFIG_PATH,
	  .offset = UPLINK(program),
	  .help = "The forwarder program. Default: pathbell-uplink of the installation, else "
		  "beside pathbelld." },
	{ .name = "backoff_base",
	  .type = CONFIG_DURATION,
	  .offset = UPLINK(backoff_base_ns),
	  .initial = "1s",
	  .min = S / 1000,
	  .max = 600 * S,
	  .help = "Shortest wait before the next attempt to connect." },
	{ .name = "backoff_cap",
	  .type = CONFIG_DURATION,
	  .offset = UPLINK(backoff_cap_ns),
	  .initial = "5m",
	  .min = S / 1000,
	  .max = 86400 * S,
	  .help = "Longest wait." },
	{ .name = "keepalive",
	  .type = CONFIG_DURATION,
	  .offset = UPLINK(keepalive_ns),
	  .initial = "60s",
	  .min = 10 * S,
	  .max = 7200 * S,
	  .help = "Ping the aggregator when nothing else was heard for so long." },
	{ .name = "keepalive_timeout",
	  .type = CONFIG_DURATION,
	  .offset = UPLINK(keepalive_timeout_ns),
	  .initial = "20s",
	  .min = S,
	  .max = 600 * S,
	  .help = "The link is dead when the ping is not answered within this time." },
	{ .name = "max_unacked",
	  .type = CONFIG_SIZE,
	  .offset = UPLINK(max_unacked_bytes),
	  .initial = "512KiB",
	  .min = 128 * KIB,
	  .max = 64 * MIB,
	  .help = "Bytes of events that may be under way." },
	{ .name = "http_proxy",
	  .type = CONFIG_STRING,
	  .offset = UPLINK(http_proxy),
	  .max = 512,
	  .help = "host:port of an HTTP CONNECT proxy. Default: never any, whatever the "
		  "environment says." },
};
static const struct config_table settings_uplink_table = { settings_uplink_options,
							   COUNT(settings_uplink_options),
							   sizeof(struct settings_uplink) };

#define KEY(field) offsetof(struct settings_key, field)
static const struct config_option settings_key_options[] = {
	{ .name = "name",
	  .type = CONFIG_STRING,
	  .offset = KEY(name),
	  .min = 1,
	  .max = 64,
	  .required = true,
	  .help = "Whose key it is." },
	{ .name = "key",
	  .type = CONFIG_STRING,
	  .offset = KEY(key),
	  .min = 43,
	  .max = 44,
	  .required = true,
	  .help = "Ed25519 public key, base64, as `pathbell key show` prints it." },
	{ .name = "verbs",
	  .type = CONFIG_STRINGS,
	  .offset = KEY(verbs),
	  .max = SETTINGS_MAX_VERBS,
	  .help = "Of what its role may ask for, only these. Default: all." },
	{ .name = "role",
	  .type = CONFIG_ENUM,
	  .offset = KEY(role),
	  .initial = "admin",
	  .names = role_names,
	  .help = "viewer: probe, resync, diag. operator: also uplink.reconnect, nvme.connect, "
		  "nvme.discover, nvme.reset, nvme.rescan, multipath.reinstate, "
		  "multipath.switch-group, scsi.rescan, halt. admin: also nvme.disconnect, "
		  "multipath.fail, resume, and to override the last-path guard. In any case only "
		  "what commands.verbs allows." },
};
static const struct config_table settings_key_table = { settings_key_options,
							COUNT(settings_key_options),
							sizeof(struct settings_key) };

#define POLICY(field) offsetof(struct settings_policy, field)
static const struct config_option settings_policy_options[] = {
	{ .name = "verbs",
	  .type = CONFIG_STRINGS,
	  .offset = POLICY(verbs),
	  .max = SETTINGS_MAX_VERBS,
	  .help = "Verbs that it is about. Default: all." },
	{ .name = "hosts_above",
	  .type = CONFIG_UINT,
	  .offset = POLICY(hosts_above),
	  .initial = "0",
	  .max = 10000,
	  .help = "It is about commands for more hosts than this." },
	{ .name = "require",
	  .type = CONFIG_UINT,
	  .offset = POLICY(require),
	  .initial = "2",
	  .min = 1,
	  .max = 4,
	  .help = "So many different keys that may ask for the verb must have signed." },
};
static const struct config_table settings_policy_table = { settings_policy_options,
							   COUNT(settings_policy_options),
							   sizeof(struct settings_policy) };

#define COMMANDS(field) offsetof(struct settings_commands, field)
static const struct config_option settings_commands_options[] = {
	{ .name = "enabled",
	  .type = CONFIG_BOOL,
	  .offset = COMMANDS(enabled),
	  .initial = "true",
	  .help = "Execute signed commands. Without trusted_keys none is ever executed." },
	{ .name = "verbs",
	  .type = CONFIG_STRINGS,
	  .offset = COMMANDS(verbs),
	  .initial = "[probe, resync, diag, uplink.reconnect, halt, resume]",
	  .max = SETTINGS_MAX_VERBS,
	  .help = "The verbs that this host executes." },
	{ .name = "trusted_keys",
	  .type = CONFIG_MAPS,
	  .offset = COMMANDS(trusted_keys),
	  .max = SETTINGS_MAX_KEYS,
	  .element = &settings_key_table,
	  .help = "Keys of the operators whose commands this host executes." },
	{ .name = "require",
	  .type = CONFIG_UINT,
	  .offset = COMMANDS(require),
	  .initial = "1",
	  .min = 1,
	  .max = 4,
	  .help = "How many different trusted keys must have signed a command." },
	{ .name = "policies",
	  .type = CONFIG_MAPS,
	  .offset = COMMANDS(policies),
	  .max = SETTINGS_MAX_POLICIES,
	  .element = &settings_policy_table,
	  .help = "Where more signatures are wanted than `require`; the strictest that fits "
		  "holds." },
	{ .name = "keys_dir",
	  .type = CONFIG_PATH,
	  .offset = COMMANDS(keys_dir),
	  .initial = "/etc/pathbell/keys.d",
	  .max = 1024,
	  .help = "More trusted keys, one file each (NAME.yaml: name, key, role, verbs, "
		  "not_after), "
		  "and revoked ones (NAME.revoked: one key id a line). Read anew whenever a file "
		  "changes." },
	{ .name = "revoked",
	  .type = CONFIG_STRINGS,
	  .offset = COMMANDS(revoked),
	  .max = SETTINGS_MAX_REVOKED,
	  .help = "Key ids (ed25519:...) that count no more, wherever they are listed." },
	{ .name = "max_per_minute",
	  .type = CONFIG_UINT,
	  .offset = COMMANDS(max_per_minute),
	  .initial = "60",
	  .min = 1,
	  .max = 6000,
	  .help = "Commands looked at in a minute, whatever the aggregator sends. A halt is always "
		  "looked at." },
	{ .name = "host_per_hour",
	  .type = CONFIG_UINT,
	  .offset = COMMANDS(host_per_hour),
	  .initial = "60",
	  .max = 10000,
	  .help = "Commands that change something, executed in an hour. 0 = no limit." },
	{ .name = "object_per_hour",
	  .type = CONFIG_UINT,
	  .offset = COMMANDS(object_per_hour),
	  .initial = "12",
	  .max = 10000,
	  .help = "The same for one object: a controller, a map, a path. 0 = no limit." },
	{ .name = "object_cooldown",
	  .type = CONFIG_DURATION,
	  .offset = COMMANDS(object_cooldown_ns),
	  .initial = "5s",
	  .max = 86400 * S,
	  .help = "Rest between two commands that change the same object." },
	{ .name = "object_attempts",
	  .type = CONFIG_UINT,
	  .offset = COMMANDS(object_attempts),
	  .initial = "5",
	  .max = 1000,
	  .help = "After so many attempts in a row at one object with one verb that did not "
		  "succeed "
		  "it rests for an hour. 0 = no limit." },
	{ .name = "max_clock_error",
	  .type = CONFIG_DURATION,
	  .offset = COMMANDS(max_clock_error_ns),
	  .initial = "30s",
	  .max = 3600 * S,
	  .help = "A command may come so much earlier than its not-before time." },
	{ .name = "require_synchronised_clock",
	  .type = CONFIG_BOOL,
	  .offset = COMMANDS(require_synchronised_clock),
	  .initial = "false",
	  .help = "Refuse every command while the kernel says that its clock is not synchronised. "
		  "Set it where NTP or PTP runs; the default tolerates hosts without." },
	{ .name = "action_timeout",
	  .type = CONFIG_DURATION,
	  .offset = COMMANDS(action_timeout_ns),
	  .initial = "30s",
	  .min = S,
	  .max = 600 * S,
	  .help = "Time for an action whose command names none." },
	{ .name = "audit_bytes",
	  .type = CONFIG_SIZE,
	  .offset = COMMANDS(audit_bytes),
	  .initial = "4MiB",
	  .min = 64 * KIB,
	  .max = GIB,
	  .help = "STATE_DIR/audit.log is put aside as audit.log.1 above this; the chain goes "
		  "on." },
	{ .name = "audit_files",
	  .type = CONFIG_UINT,
	  .offset = COMMANDS(audit_files),
	  .initial = "8",
	  .min = 1,
	  .max = 1000,
	  .help = "How many of those are kept." },
	{ .name = "verify_program",
	  .type = CONFIG_PATH,
	  .offset = COMMANDS(verify_program),
	  .help = "The program that checks signatures. Default: pathbell-verify of the "
		  "installation, else beside pathbelld." },
};
static const struct config_table settings_commands_table = { settings_commands_options,
							     COUNT(settings_commands_options),
							     sizeof(struct settings_commands) };

#define CONTROL(field) offsetof(struct settings_control, field)
static const struct config_option settings_control_options[] = {
	{ .name = "socket",
	  .type = CONFIG_PATH,
	  .offset = CONTROL(socket),
	  .max = 100,
	  .help = "Control socket for `pathbell local`. Default: agent.sock in runtime_dir." },
	{ .name = "group",
	  .type = CONFIG_STRING,
	  .offset = CONTROL(group),
	  .max = 64,
	  .help = "Group (name or number) whose members may ask, besides root and the agent's own "
		  "user." },
};
static const struct config_table settings_control_table = { settings_control_options,
							    COUNT(settings_control_options),
							    sizeof(struct settings_control) };

static const struct config_option settings_collector_enabled_option = {
	.name = "enabled", .type = CONFIG_BOOL, .offset = 0, .help = "Run this collector."
};

#define SETTINGS_COLLECTOR_OPTIONS 48

/* clang-format on */

/* Which collectors run unless the file says something else: those whose source is this kernel. */
static const char *settings_enabled_initial(const struct collector_ops *ops)
{
	return strcmp(ops->name, "replay") == 0 ? "false" : "true";
}

static size_t settings_align(size_t n)
{
	return (n + 15) & ~(size_t)15;
}

/* One collector's section: `enabled`, then its own options moved behind it. */
static void settings_build_collector(const struct collector_ops *ops, struct config_option *options,
				     struct config_table *ret_table)
{
	size_t n = 0;

	options[n] = settings_collector_enabled_option;
	options[n++].initial = settings_enabled_initial(ops);
	for (size_t i = 0; ops->config && i < ops->config->n_options; i++) {
		if (n == SETTINGS_COLLECTOR_OPTIONS)
			break;
		options[n] = ops->config->options[i];
		options[n++].offset += SETTINGS_COLLECTOR_HEAD;
	}
	ret_table->options = options;
	ret_table->n_options = n;
	ret_table->size =
		settings_align(SETTINGS_COLLECTOR_HEAD + (ops->config ? ops->config->size : 0));
}

/* clang-format off */
#define ROOT(field) offsetof(struct settings, field)
static const struct config_option settings_root_options[] = {
	{ .name = "host_id", .type = CONFIG_STRING, .offset = ROOT(host_id), .min = 1, .max = 128,
	  .help = "Identity of this host; must equal the one in its certificate. Letters, digits, dot, underscore, dash. Needed when the uplink is enabled." },
	{ .name = "state_dir", .type = CONFIG_PATH, .offset = ROOT(state_dir), .initial = "/var/lib/pathbell", .max = 1024,
	  .help = "What must survive a restart: spool, command journal." },
	{ .name = "runtime_dir", .type = CONFIG_PATH, .offset = ROOT(runtime_dir), .initial = "/run/pathbell", .max = 1024,
	  .help = "On tmpfs: control socket, what the spool falls back to when its disk fails." },
	{ .name = "tracefs", .type = CONFIG_PATH, .offset = ROOT(tracefs), .initial = "/sys/kernel/tracing", .max = 1024, .help = "Where tracefs is mounted." },
	{ .name = "log_level", .type = CONFIG_ENUM, .offset = ROOT(log_level), .initial = "info", .names = settings_log_levels, .help = "Least important line that is logged." },
	{ .name = "filters", .type = CONFIG_MAPS, .offset = ROOT(filters), .max = SETTINGS_MAX_FILTERS, .element = &settings_filter_table,
	  .help = "Rules for events, the first that matches wins; what none matches is kept. Every dropped event is counted under its rule." },
	{ .name = "spool", .type = CONFIG_SECTION, .offset = ROOT(spool), .element = &settings_spool_table, .help = "Events that are not yet safely stored by the aggregator." },
	{ .name = "uplink", .type = CONFIG_SECTION, .offset = ROOT(uplink), .element = &settings_uplink_table, .help = "The forwarder that brings events to an aggregator." },
	{ .name = "commands", .type = CONFIG_SECTION, .offset = ROOT(commands), .element = &settings_commands_table, .help = "Signed commands from operators." },
	{ .name = "control", .type = CONFIG_SECTION, .offset = ROOT(control), .element = &settings_control_table, .help = "The socket behind `pathbell local`." },
};
/* clang-format on */
#define SETTINGS_N_ROOT COUNT(settings_root_options)

struct settings_tables {
	bool built;
	struct config_option root[SETTINGS_N_ROOT + 1];
	struct config_option sections[REGISTRY_MAX];
	struct config_option options[REGISTRY_MAX][SETTINGS_COLLECTOR_OPTIONS];
	struct config_table collectors[REGISTRY_MAX];
	struct config_table all, table;
	size_t index[REGISTRY_MAX]; /* registry index -> offset in the block of collectors */
};

static struct settings_tables settings_tables;

static void settings_build(struct settings_tables *tables)
{
	size_t n = 0, offset = 0;

	for (size_t i = 0; i < registry_n; i++) {
		if (!registry[i])
			continue;
		settings_build_collector(registry[i], tables->options[i], &tables->collectors[i]);
		tables->sections[n++] = (struct config_option){
			.name = registry[i]->name,
			.type = CONFIG_SECTION,
			.offset = offset,
			.element = &tables->collectors[i],
			.help = registry[i]->help,
		};
		tables->index[i] = offset;
		offset += tables->collectors[i].size;
	}
	tables->all = (struct config_table){ tables->sections, n, offset };

	memcpy(tables->root, settings_root_options, sizeof(settings_root_options));
	tables->root[SETTINGS_N_ROOT] = (struct config_option){
		.name = "collectors",
		.type = CONFIG_SECTION,
		.offset = settings_align(sizeof(struct settings)),
		.element = &tables->all,
		.help = "Where events come from.",
	};
	tables->table = (struct config_table){ tables->root, SETTINGS_N_ROOT + 1,
					       settings_align(sizeof(struct settings)) + offset };
	tables->built = true;
}

const struct config_table *settings_table(void)
{
	if (!settings_tables.built)
		settings_build(&settings_tables);
	return &settings_tables.table;
}

const struct config_table *settings_collector_table(size_t index)
{
	settings_table();
	return &settings_tables.collectors[index];
}

const void *settings_collector_section(const struct settings *settings, size_t index)
{
	const struct config_table *table = settings_table();

	return (const char *)settings + table->options[SETTINGS_N_ROOT].offset +
	       settings_tables.index[index];
}
