/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/settings.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "aggregator/http/address.h"
#include "aggregator/http/writers.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define S	     UINT64_C(1000000000)

static const char *const settings_levels[] = {
	"error", "warning", "notice", "info", "debug", NULL
};

static const struct config_option credentials_options[] = {
	{ .name = "ca_file",
	  .type = CONFIG_PATH,
	  .required = true,
	  .offset = offsetof(struct settings_credentials, ca_file),
	  .help = "PEM file with the certificate authorities that hosts and operators must come "
		  "from." },
	{ .name = "certificate_file",
	  .type = CONFIG_PATH,
	  .required = true,
	  .offset = offsetof(struct settings_credentials, certificate_file),
	  .help = "PEM file with this aggregator's certificate (ECDSA P-256, URI SAN "
		  "spiffe://TRUST-DOMAIN/aggregator/NAME). Read again when it changes." },
	{ .name = "key_file",
	  .type = CONFIG_PATH,
	  .required = true,
	  .offset = offsetof(struct settings_credentials, key_file),
	  .help = "PEM file with its private key." },
};
static const struct config_table credentials_table = { credentials_options,
						       COUNT(credentials_options),
						       sizeof(struct settings_credentials) };

static const struct config_option store_options[] = {
	{ .name = "path",
	  .type = CONFIG_PATH,
	  .initial = "/var/lib/pathbell-aggregator/store.db",
	  .offset = offsetof(struct settings_store, path),
	  .help = "SQLite file. The folder must exist and be on a local disk." },
	{ .name = "retention_age",
	  .type = CONFIG_DURATION,
	  .initial = "30d",
	  .offset = offsetof(struct settings_store, retention_age_ns),
	  .help = "Events, tombstones and commands older than this are deleted. 0s = kept." },
	{ .name = "retention_bytes",
	  .type = CONFIG_SIZE,
	  .initial = "0",
	  .offset = offsetof(struct settings_store, retention_bytes),
	  .help = "Above this the oldest events are deleted. 0 = no limit." },
	{ .name = "audit_retention_age",
	  .type = CONFIG_DURATION,
	  .initial = "400d",
	  .offset = offsetof(struct settings_store, audit_retention_ns),
	  .help = "The oldest records of the audit chain go after this; the rest still verifies. "
		  "0s = kept." },
	{ .name = "cache",
	  .type = CONFIG_SIZE,
	  .initial = "64MiB",
	  .min = 1 << 20,
	  .max = UINT64_C(16) << 30,
	  .offset = offsetof(struct settings_store, cache_bytes),
	  .help = "Page cache of each of the two handles." },
	{ .name = "busy_timeout",
	  .type = CONFIG_DURATION,
	  .initial = "5s",
	  .max = 60 * S,
	  .offset = offsetof(struct settings_store, busy_ns),
	  .help = "Longest wait for another program that reads or backs up the file." },
	{ .name = "queue",
	  .type = CONFIG_SIZE,
	  .initial = "64MiB",
	  .min = 1 << 20,
	  .max = UINT64_C(4) << 30,
	  .offset = offsetof(struct settings_store, queue_bytes),
	  .help = "What may wait for the store before hosts are held back." },
	{ .name = "group_rows",
	  .type = CONFIG_UINT,
	  .initial = "16384",
	  .min = 1,
	  .max = 1000000,
	  .offset = offsetof(struct settings_store, group_rows),
	  .help = "Rows of one transaction at most; a batch is never split." },
	{ .name = "group_size",
	  .type = CONFIG_SIZE,
	  .initial = "8MiB",
	  .min = 65536,
	  .max = 1 << 30,
	  .offset = offsetof(struct settings_store, group_bytes),
	  .help = "Bytes of one transaction at most; a batch is never split." },
	{ .name = "probe_interval",
	  .type = CONFIG_DURATION,
	  .initial = "30s",
	  .min = S,
	  .max = 3600 * S,
	  .offset = offsetof(struct settings_store, probe_interval_ns),
	  .help = "An idle store proves this often that a commit works; readiness follows." },
	{ .name = "max_reads",
	  .type = CONFIG_UINT,
	  .initial = "1024",
	  .min = 16,
	  .max = 65536,
	  .offset = offsetof(struct settings_store, max_reads),
	  .help = "Queries that may wait; more are refused." },
};
static const struct config_table store_table = { store_options, COUNT(store_options),
						 sizeof(struct settings_store) };

static const struct config_option writer_options[] = {
	{ .name = "name",
	  .type = CONFIG_STRING,
	  .min = 1,
	  .max = 128,
	  .required = true,
	  .offset = offsetof(struct http_writer, name),
	  .help = "Operator whose role such requests have, and whom commands must name as "
		  "issuer." },
	{ .name = "token_file",
	  .type = CONFIG_PATH,
	  .required = true,
	  .offset = offsetof(struct http_writer, token_file),
	  .help = "File with the bearer token, 32 to 512 characters in one line; not readable by "
		  "group or others." },
};
static const struct config_table writer_table = { writer_options, COUNT(writer_options),
						  sizeof(struct http_writer) };

static const struct config_option http_options[] = {
	{ .name = "enabled",
	  .type = CONFIG_BOOL,
	  .initial = "true",
	  .offset = offsetof(struct settings_http, enabled),
	  .help = "Serve metrics, health, JSON and live events over plain HTTP." },
	{ .name = "listen",
	  .type = CONFIG_STRING,
	  .initial = "127.0.0.1:7442",
	  .min = 3,
	  .max = 300,
	  .offset = offsetof(struct settings_http, listen),
	  .help = "IP:PORT; port 0 = any free one. There is no TLS and no login: put a proxy in "
		  "front." },
	{ .name = "allow_remote",
	  .type = CONFIG_BOOL,
	  .initial = "false",
	  .offset = offsetof(struct settings_http, allow_remote),
	  .help = "Must be true for an address that is not loopback." },
	{ .name = "max_clients",
	  .type = CONFIG_UINT,
	  .initial = "256",
	  .min = 1,
	  .max = 10000,
	  .offset = offsetof(struct settings_http, max_clients),
	  .help = "Connections at a time." },
	{ .name = "max_streams",
	  .type = CONFIG_UINT,
	  .initial = "64",
	  .max = 10000,
	  .offset = offsetof(struct settings_http, max_streams),
	  .help = "Live event streams at a time." },
	{ .name = "heartbeat",
	  .type = CONFIG_DURATION,
	  .initial = "15s",
	  .min = S,
	  .max = 3600 * S,
	  .offset = offsetof(struct settings_http, heartbeat_ns),
	  .help = "A comment goes to each live event stream this often." },
	{ .name = "writers",
	  .type = CONFIG_MAPS,
	  .element = &writer_table,
	  .max = 64,
	  .offset = offsetof(struct settings_http, writers),
	  .help = "Who may submit, cancel, control and read the audit over HTTP, by bearer token. "
		  "Default: nobody. What authorises a command on a host is its signature." },
};
static const struct config_table http_table = { http_options, COUNT(http_options),
						sizeof(struct settings_http) };

static const struct config_option role_options[] = {
	{ .name = "name",
	  .type = CONFIG_STRING,
	  .min = 1,
	  .max = 128,
	  .required = true,
	  .offset = offsetof(struct role_entry, name),
	  .help = "NAME of the operator's certificate, spiffe://TRUST-DOMAIN/operator/NAME." },
	{ .name = "role",
	  .type = CONFIG_ENUM,
	  .names = role_names,
	  .required = true,
	  .offset = offsetof(struct role_entry, role),
	  .help = "viewer looks, operator also sends commands, admin may all; none is refused." },
};
static const struct config_table role_table = { role_options, COUNT(role_options),
						sizeof(struct role_entry) };

static const struct config_option ingest_options[] = {
	{ .name = "window",
	  .type = CONFIG_SIZE,
	  .initial = "4MiB",
	  .min = 131072,
	  .max = 1 << 30,
	  .offset = offsetof(struct settings_ingest, window_bytes),
	  .help = "What one host may send before it is stored (credit)." },
	{ .name = "window_records",
	  .type = CONFIG_UINT,
	  .initial = "65536",
	  .min = 64,
	  .max = 100000000,
	  .offset = offsetof(struct settings_ingest, window_records),
	  .help = "The same, in events." },
	{ .name = "max_batch_records",
	  .type = CONFIG_UINT,
	  .initial = "8192",
	  .min = 1,
	  .max = 8192,
	  .offset = offsetof(struct settings_ingest, max_batch_records),
	  .help = "Events of one batch at most." },
	{ .name = "max_message",
	  .type = CONFIG_SIZE,
	  .initial = "1MiB",
	  .min = 262144,
	  .max = 1 << 20,
	  .offset = offsetof(struct settings_ingest, max_message_bytes),
	  .help = "Bytes of one message at most; a larger one ends its stream." },
	{ .name = "max_hosts",
	  .type = CONFIG_UINT,
	  .initial = "10000",
	  .min = 1,
	  .max = 1000000,
	  .offset = offsetof(struct settings_ingest, max_hosts),
	  .help = "Hosts connected at a time; more are told to come back." },
	{ .name = "heartbeat_interval",
	  .type = CONFIG_DURATION,
	  .initial = "60s",
	  .min = S,
	  .max = 3600 * S,
	  .offset = offsetof(struct settings_ingest, heartbeat_interval_ns),
	  .help = "Hosts send a heartbeat this often; after three without one they are silent." },
	{ .name = "reconnect_window",
	  .type = CONFIG_DURATION,
	  .initial = "5s",
	  .max = 3600 * S,
	  .offset = offsetof(struct settings_ingest, reconnect_window_ns),
	  .help = "After a lost connection hosts come back spread over this time." },
};
static const struct config_table ingest_table = { ingest_options, COUNT(ingest_options),
						  sizeof(struct settings_ingest) };

static const struct config_option watch_options[] = {
	{ .name = "max_watchers",
	  .type = CONFIG_UINT,
	  .initial = "256",
	  .max = 100000,
	  .offset = offsetof(struct settings_watch, max_watchers),
	  .help = "WatchEvents and WatchCommands streams at a time." },
	{ .name = "buffer",
	  .type = CONFIG_SIZE,
	  .initial = "256KiB",
	  .min = 4096,
	  .max = 1 << 26,
	  .offset = offsetof(struct settings_watch, buffer_bytes),
	  .help = "Read ahead for one watcher; a slow one is waited for and misses nothing." },
};
static const struct config_table watch_table = { watch_options, COUNT(watch_options),
						 sizeof(struct settings_watch) };

static const struct config_option command_options[] = {
	{ .name = "max_pending",
	  .type = CONFIG_UINT,
	  .initial = "100000",
	  .min = 1,
	  .max = 10000000,
	  .offset = offsetof(struct settings_commands, max_pending),
	  .help = "Pairs of command and host that may wait for a receipt." },
	{ .name = "max_bytes",
	  .type = CONFIG_SIZE,
	  .initial = "64MiB",
	  .min = 1 << 20,
	  .max = UINT64_C(4) << 30,
	  .offset = offsetof(struct settings_commands, max_bytes),
	  .help = "Bytes of the commands that wait." },
	{ .name = "max_campaigns",
	  .type = CONFIG_UINT,
	  .initial = "64",
	  .min = 1,
	  .max = 4096,
	  .offset = offsetof(struct settings_commands, max_campaigns),
	  .help = "Campaigns that are open at a time; more are refused." },
	{ .name = "silent_after",
	  .type = CONFIG_DURATION,
	  .initial = "60s",
	  .min = S,
	  .max = 3600 * S,
	  .offset = offsetof(struct settings_commands, silent_after_ns),
	  .help = "A host that a campaign has dispatched and that says nothing for so long counts "
		  "as failed." },
};
static const struct config_table command_table = { command_options, COUNT(command_options),
						   sizeof(struct settings_commands) };

static const struct config_option settings_options[] = {
	{ .name = "name",
	  .type = CONFIG_STRING,
	  .min = 1,
	  .max = 128,
	  .offset = offsetof(struct settings, name),
	  .help = "Name of this aggregator. Default: the NAME of its certificate." },
	{ .name = "listen",
	  .type = CONFIG_STRING,
	  .initial = "0.0.0.0:7441",
	  .min = 3,
	  .max = 300,
	  .offset = offsetof(struct settings, listen),
	  .help = "HOST:PORT for hosts and operators (gRPC, mutual TLS 1.3); port 0 = any free "
		  "one." },
	{ .name = "port_file",
	  .type = CONFIG_PATH,
	  .offset = offsetof(struct settings, port_file),
	  .help = "Written when both ports are open: \"grpc HOST:PORT\" and \"http HOST:PORT\"." },
	{ .name = "trust_domain",
	  .type = CONFIG_STRING,
	  .min = 1,
	  .max = 255,
	  .required = true,
	  .offset = offsetof(struct settings, trust_domain),
	  .help = "Trust domain that certificates must be of." },
	{ .name = "credentials",
	  .type = CONFIG_SECTION,
	  .element = &credentials_table,
	  .required = true,
	  .offset = offsetof(struct settings, credentials),
	  .help = "Who this aggregator is, and whom it believes." },
	{ .name = "store",
	  .type = CONFIG_SECTION,
	  .element = &store_table,
	  .offset = offsetof(struct settings, store),
	  .help = "Where events are kept." },
	{ .name = "http",
	  .type = CONFIG_SECTION,
	  .element = &http_table,
	  .offset = offsetof(struct settings, http),
	  .help = "The HTTP side." },
	{ .name = "roles",
	  .type = CONFIG_MAPS,
	  .element = &role_table,
	  .max = 1024,
	  .offset = offsetof(struct settings, roles),
	  .help = "What each operator may do." },
	{ .name = "default_role",
	  .type = CONFIG_ENUM,
	  .names = role_names,
	  .initial = "viewer",
	  .offset = offsetof(struct settings, default_role),
	  .help = "Role of operators that are not in `roles`." },
	{ .name = "ingest",
	  .type = CONFIG_SECTION,
	  .element = &ingest_table,
	  .offset = offsetof(struct settings, ingest),
	  .help = "What hosts may do." },
	{ .name = "watch",
	  .type = CONFIG_SECTION,
	  .element = &watch_table,
	  .offset = offsetof(struct settings, watch),
	  .help = "Live streams of operators." },
	{ .name = "commands",
	  .type = CONFIG_SECTION,
	  .element = &command_table,
	  .offset = offsetof(struct settings, commands),
	  .help = "Commands on their way." },
	{ .name = "log_level",
	  .type = CONFIG_ENUM,
	  .names = settings_levels,
	  .initial = "info",
	  .offset = offsetof(struct settings, log_level),
	  .help = "How much is logged." },
};
const struct config_table settings_table = { settings_options, COUNT(settings_options),
					     sizeof(struct settings) };

enum log_level settings_log_level(const struct settings *settings)
{
	return (enum log_level)(LOG_LEVEL_ERROR + settings->log_level);
}

static int settings_check_roles(const struct settings *settings, struct errmsg *err)
{
	const struct role_entry *entries = settings->roles.items;

	for (size_t i = 0; i < settings->roles.n_items; i++) {
		for (size_t j = 0; j < i; j++) {
			if (strcmp(entries[i].name, entries[j].name) != 0)
				continue;
			errmsg_set(err, "roles: \"%s\" is named twice", entries[i].name);
			return CONFIG_E_INVALID;
		}
	}
	return 0;
}

static int settings_check_writers(const struct settings *settings, struct errmsg *err)
{
	struct writers *writers = writers_new(&settings->http, err);

	writers_free(writers);
	return writers ? 0 : -EINVAL;
}

static int settings_check_http(const struct settings *settings, struct errmsg *err)
{
	struct address address;

	if (!settings->http.enabled)
		return 0;
	if (settings_check_writers(settings, err) < 0)
		return CONFIG_E_INVALID;
	if (!address_parse(settings->http.listen, &address)) {
		errmsg_set(err, "http.listen: \"%s\" is not IP:PORT", settings->http.listen);
		return CONFIG_E_INVALID;
	}
	if (!address_is_loopback(&address) && !settings->http.allow_remote) {
		errmsg_set(err,
			   "http.listen: %s is not loopback; HTTP has no login, so this needs "
			   "http.allow_remote: true",
			   settings->http.listen);
		return CONFIG_E_INVALID;
	}
	return 0;
}

/* The name in the certificate must be an aggregator of our trust domain; it is the default of
 * `name`. */
static int settings_check_certificate(struct settings *settings, struct errmsg *err)
{
	struct rpc_certificate certificate;
	struct rpc_spiffe id;
	int r = rpc_certificate_read(settings->credentials.certificate_file, &certificate, err);

	if (r < 0)
		return r;
	if (!rpc_spiffe_parse(certificate.uri, &id) || strcmp(id.kind, "aggregator") != 0 ||
	    strcmp(id.trust_domain, settings->trust_domain) != 0) {
		errmsg_set(err,
			   "%s: the certificate is for \"%s\", not for spiffe://%s/aggregator/NAME",
			   settings->credentials.certificate_file, certificate.uri,
			   settings->trust_domain);
		return CONFIG_E_INVALID;
	}
	if (!settings->name)
		settings->name = strdup(id.name);
	return settings->name ? 0 : -ENOMEM;
}

static int settings_check(struct settings *settings, struct errmsg *err)
{
	struct rpc_credentials credentials = {
		.ca_file = settings->credentials.ca_file,
		.certificate_file = settings->credentials.certificate_file,
		.key_file = settings->credentials.key_file,
	};
	int r = settings_check_roles(settings, err);

	if (r == 0)
		r = settings_check_http(settings, err);
	if (r == 0)
		r = rpc_credentials_check(&credentials, err);
	if (r == 0)
		r = settings_check_certificate(settings, err);
	return r;
}

int settings_load(const char *path, struct settings *ret_settings, struct errmsg *err)
{
	int r = config_load(&settings_table, path, ret_settings, err);

	if (r != 0)
		return r;
	r = settings_check(ret_settings, err);
	if (r != 0)
		settings_free(ret_settings);
	return r;
}

void settings_free(struct settings *settings)
{
	config_free(&settings_table, settings);
}

static bool settings_differ(const char *a, const char *b)
{
	return !a != !b || (a && strcmp(a, b) != 0);
}

const char *settings_needs_restart(const struct settings *old, const struct settings *new_settings)
{
	if (settings_differ(old->listen, new_settings->listen))
		return "listen";
	if (settings_differ(old->trust_domain, new_settings->trust_domain))
		return "trust_domain";
	if (settings_differ(old->credentials.ca_file, new_settings->credentials.ca_file) ||
	    settings_differ(old->credentials.certificate_file,
			    new_settings->credentials.certificate_file) ||
	    settings_differ(old->credentials.key_file, new_settings->credentials.key_file))
		return "credentials";
	if (settings_differ(old->store.path, new_settings->store.path))
		return "store.path";
	if (old->http.enabled != new_settings->http.enabled ||
	    settings_differ(old->http.listen, new_settings->http.listen))
		return "http";
	if (old->store.cache_bytes != new_settings->store.cache_bytes ||
	    old->store.busy_ns != new_settings->store.busy_ns ||
	    old->store.queue_bytes != new_settings->store.queue_bytes ||
	    old->store.group_rows != new_settings->store.group_rows ||
	    old->store.group_bytes != new_settings->store.group_bytes ||
	    old->store.probe_interval_ns != new_settings->store.probe_interval_ns ||
	    old->store.max_reads != new_settings->store.max_reads)
		return "store";
	return NULL;
}
