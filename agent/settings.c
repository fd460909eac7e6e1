/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/settings.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pathbell/v1/event.pb-c.h"
#include "proto/kind.h"

static const unsigned settings_severity_numbers[] = {
	PATHBELL__V1__SEVERITY__SEVERITY_UNSPECIFIED, PATHBELL__V1__SEVERITY__SEVERITY_DEBUG,
	PATHBELL__V1__SEVERITY__SEVERITY_INFO,	      PATHBELL__V1__SEVERITY__SEVERITY_NOTICE,
	PATHBELL__V1__SEVERITY__SEVERITY_WARNING,     PATHBELL__V1__SEVERITY__SEVERITY_ERROR,
	PATHBELL__V1__SEVERITY__SEVERITY_CRITICAL,
};

unsigned settings_filter_severity(const struct settings_filter *filter)
{
	return settings_severity_numbers[filter->min_severity];
}

enum log_level settings_log_level(const struct settings *settings)
{
	return (enum log_level)(LOG_LEVEL_ERROR + settings->log_level);
}

/* RFC 4648 section 4, exactly 32 bytes: 43 characters and one '=' that may be left out. */
static int settings_base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int settings_key_bytes(const char *base64, uint8_t ret_key[32])
{
	size_t len = strlen(base64), n = 0;
	uint8_t key[33];
	uint32_t bits = 0;
	unsigned n_bits = 0;

	if (len == 44 && base64[43] == '=')
		len = 43;
	if (len != 43)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		int value = settings_base64_value(base64[i]);

		if (value < 0)
			return -EINVAL;
		bits = (bits << 6) | (uint32_t)value;
		n_bits += 6;
		if (n_bits >= 8) {
			n_bits -= 8;
			key[n++] = (uint8_t)(bits >> n_bits);
		}
	}
	if (n != 32 || (bits & ((1u << n_bits) - 1)))
		return -EINVAL;
	memcpy(ret_key, key, 32);
	return 0;
}

bool settings_key_id_is_valid(const char *text)
{
	static const char prefix[] = "ed25519:";
	size_t len = sizeof(prefix) - 1;

	if (strncmp(text, prefix, len) != 0 || strlen(text) != len + 16)
		return false;
	return strspn(text + len, "0123456789abcdef") == 16;
}

static bool settings_host_id_is_valid(const char *host_id)
{
	for (const char *c = host_id; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("._-", *c))
			return false;
	return true;
}

static int settings_check_uplink(const struct settings *settings, struct errmsg *err)
{
	const struct settings_uplink *uplink = &settings->uplink;

	if (!uplink->enabled)
		return 0;
	if (!settings->host_id)
		errmsg_set(err, "host_id: is needed when uplink.enabled is true");
	else if (uplink->addresses.n_items == 0)
		errmsg_set(err, "uplink.addresses: is empty and uplink.enabled is true");
	else if (!uplink->ca_file || !uplink->certificate_file || !uplink->key_file)
		errmsg_set(err, "uplink: ca_file, certificate_file and key_file are all needed");
	else if (uplink->backoff_cap_ns < uplink->backoff_base_ns)
		errmsg_set(err, "uplink.backoff_cap: is below backoff_base");
	else
		return 0;
	return CONFIG_E_INVALID;
}

static int settings_check_address(const char *address, struct errmsg *err)
{
	const char *colon = strrchr(address, ':');
	char *end;
	long port;

	if (!colon || colon == address || strlen(address) > 512) {
		errmsg_set(err, "uplink.addresses: \"%s\" is not host:port", address);
		return CONFIG_E_INVALID;
	}
	port = strtol(colon + 1, &end, 10);
	if (*end || end == colon + 1 || port < 1 || port > 65535) {
		errmsg_set(err, "uplink.addresses: \"%s\" has no port between 1 and 65535",
			   address);
		return CONFIG_E_INVALID;
	}
	return 0;
}

static int settings_check_verbs(const char *path, const struct config_strings *verbs,
				struct errmsg *err)
{
	for (size_t i = 0; i < verbs->n_items; i++) {
		if (command_verb_from_name(verbs->items[i]))
			continue;
		errmsg_set(err, "%s: there is no verb \"%s\"", path, verbs->items[i]);
		return CONFIG_E_INVALID;
	}
	return 0;
}

static int settings_check_keys(const struct settings_commands *commands, struct errmsg *err)
{
	const struct settings_key *keys = commands->trusted_keys.items;
	uint8_t key[32], other[32];

	for (size_t i = 0; i < commands->trusted_keys.n_items; i++) {
		if (settings_key_bytes(keys[i].key, key)) {
			errmsg_set(err,
				   "commands.trusted_keys: key of \"%s\" is not the base64 of 32 "
				   "bytes",
				   keys[i].name);
			return CONFIG_E_INVALID;
		}
		for (size_t k = 0; k < i; k++) {
			if (settings_key_bytes(keys[k].key, other) || memcmp(key, other, 32))
				continue;
			errmsg_set(err,
				   "commands.trusted_keys: \"%s\" and \"%s\" have the same key",
				   keys[k].name, keys[i].name);
			return CONFIG_E_INVALID;
		}
		if (settings_check_verbs("commands.trusted_keys.verbs", &keys[i].verbs, err))
			return CONFIG_E_INVALID;
	}
	return settings_check_verbs("commands.verbs", &commands->verbs, err);
}

static int settings_check_commands(const struct settings_commands *commands, struct errmsg *err)
{
	const struct settings_policy *policies = commands->policies.items;

	for (size_t i = 0; i < commands->policies.n_items; i++)
		if (settings_check_verbs("commands.policies.verbs", &policies[i].verbs, err))
			return CONFIG_E_INVALID;
	for (size_t i = 0; i < commands->revoked.n_items; i++) {
		if (settings_key_id_is_valid(commands->revoked.items[i]))
			continue;
		errmsg_set(err,
			   "commands.revoked: \"%s\" is not ed25519: and 16 hexadecimal digits",
			   commands->revoked.items[i]);
		return CONFIG_E_INVALID;
	}
	return settings_check_keys(commands, err);
}

static int settings_check_filters(const struct settings *settings, struct errmsg *err)
{
	const struct settings_filter *filters = settings->filters.items;

	for (size_t i = 0; i < settings->filters.n_items; i++) {
		const char *collector = filters[i].collector;

		if (collector && registry_find(collector) < 0) {
			errmsg_set(err, "filters: rule \"%s\": there is no collector \"%s\"",
				   filters[i].name, collector);
			return CONFIG_E_INVALID;
		}
	}
	return 0;
}

/* What holds only between options. The table has checked each by itself. */
static int settings_check(const struct settings *settings, struct errmsg *err)
{
	if (settings->host_id && !settings_host_id_is_valid(settings->host_id)) {
		errmsg_set(err, "host_id: \"%s\" may hold letters, digits, '.', '_' and '-' only",
			   settings->host_id);
		return CONFIG_E_INVALID;
	}
	if (settings->spool.segment_bytes * 2 > settings->spool.max_bytes) {
		errmsg_set(err, "spool.segment_bytes: must be at most half of spool.max_bytes");
		return CONFIG_E_INVALID;
	}
	for (size_t i = 0; i < settings->uplink.addresses.n_items; i++)
		if (settings_check_address(settings->uplink.addresses.items[i], err))
			return CONFIG_E_INVALID;
	if (settings_check_uplink(settings, err) || settings_check_filters(settings, err))
		return CONFIG_E_INVALID;
	return settings_check_commands(&settings->commands, err);
}

/* An option that is absent and follows from another one. */
static int settings_default_path(char **path, const char *dir, const char *name)
{
	if (*path)
		return 0;
	return asprintf(path, "%s/%s", dir, name) < 0 ? -ENOMEM : 0;
}

static struct settings *settings_finish(struct settings *settings, int r, const char *name,
					struct errmsg *err)
{
	if (r) {
		free(settings); /* its content is freed already */
		return NULL;
	}
	settings->refs = 1;
	errmsg_at(err, name, 0, 0, "%s", "");
	if (settings_default_path(&settings->spool.dir, settings->state_dir, "spool") ||
	    settings_default_path(&settings->control.socket, settings->runtime_dir, "agent.sock")) {
		errmsg_set(err, "out of memory");
		return settings_unref(settings);
	}
	if (settings_check(settings, err))
		return settings_unref(settings);
	return settings;
}

struct settings *settings_load(const char *path, struct errmsg *err)
{
	const struct config_table *table = settings_table();
	struct settings *settings = calloc(1, table->size);

	if (!settings) {
		errmsg_set(err, "out of memory");
		return NULL;
	}
	return settings_finish(settings, config_load(table, path, settings, err), path, err);
}

struct settings *settings_parse(const char *name, const char *text, struct errmsg *err)
{
	const struct config_table *table = settings_table();
	struct settings *settings = calloc(1, table->size);
	int r;

	if (!settings) {
		errmsg_set(err, "out of memory");
		return NULL;
	}
	r = config_parse(table, name, text, strlen(text), settings, err);
	return settings_finish(settings, r, name, err);
}

struct settings *settings_ref(struct settings *settings)
{
	settings->refs++;
	return settings;
}

struct settings *settings_unref(struct settings *settings)
{
	if (!settings || --settings->refs)
		return NULL;
	config_free(settings_table(), settings);
	free(settings);
	return NULL;
}

bool settings_collector_enabled(const struct settings *settings, size_t index)
{
	return *(const bool *)settings_collector_section(settings, index);
}

const void *settings_collector(const struct settings *settings, size_t index)
{
	return (const char *)settings_collector_section(settings, index) + SETTINGS_COLLECTOR_HEAD;
}

static char *settings_collector_text(const struct settings *settings, size_t index)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	config_dump(settings_collector_table(index), settings_collector_section(settings, index),
		    out);
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}

bool settings_collector_equal(const struct settings *a, const struct settings *b, size_t index)
{
	char *text_a = settings_collector_text(a, index);
	char *text_b = settings_collector_text(b, index);
	bool equal = text_a && text_b && strcmp(text_a, text_b) == 0 &&
		     strcmp(a->tracefs, b->tracefs) == 0;

	free(text_a);
	free(text_b);
	return equal;
}

static bool settings_text_differs(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") != 0;
}

bool settings_is_drastic(const struct settings *now, const struct settings *next,
			 struct errmsg *err)
{
	if (now->uplink.addresses.n_items && !next->uplink.addresses.n_items)
		errmsg_set(err, "uplink.addresses: would become empty");
	else if (now->uplink.enabled && !next->uplink.enabled)
		errmsg_set(err, "uplink.enabled: turning it off needs a restart");
	else if (now->commands.trusted_keys.n_items && !next->commands.trusted_keys.n_items)
		errmsg_set(err, "commands.trusted_keys: would become empty");
	else if (settings_text_differs(now->host_id, next->host_id))
		errmsg_set(err, "host_id: a change needs a restart");
	else if (settings_text_differs(now->state_dir, next->state_dir) ||
		 settings_text_differs(now->runtime_dir, next->runtime_dir) ||
		 settings_text_differs(now->spool.dir, next->spool.dir) ||
		 settings_text_differs(now->control.socket, next->control.socket))
		errmsg_set(err, "a change of state_dir, runtime_dir, spool.dir or control.socket "
				"needs a restart");
	else
		return false;
	return true;
}
