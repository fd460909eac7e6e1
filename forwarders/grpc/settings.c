/* SPDX-License-Identifier: Apache-2.0 */
#include "settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool settings_text(struct frame_text text, char **ret_text)
{
	*ret_text = strndup(text.len ? text.text : "", text.len);
	return *ret_text != NULL;
}

static bool settings_texts(const struct frame_config *config, struct settings *settings)
{
	bool ok = settings_text(config->host_id, &settings->host_id) &&
		  settings_text(config->agent_version, &settings->agent_version) &&
		  settings_text(config->hostname, &settings->hostname) &&
		  settings_text(config->kernel_release, &settings->kernel_release) &&
		  settings_text(config->ca_file, &settings->ca_file) &&
		  settings_text(config->certificate_file, &settings->certificate_file) &&
		  settings_text(config->key_file, &settings->key_file) &&
		  settings_text(config->server_name, &settings->server_name) &&
		  settings_text(config->http_proxy, &settings->http_proxy);

	for (size_t i = 0; ok && i < config->n_addresses; i++) {
		ok = settings_text(config->addresses[i], &settings->addresses[i]);
		settings->n_addresses += ok;
	}
	return ok;
}

int settings_copy(const struct frame_config *config, struct settings *ret_settings)
{
	struct settings settings = {
		.backoff_base_ns = config->backoff_base_ns,
		.backoff_cap_ns = config->backoff_cap_ns,
		.keepalive_ns = config->keepalive_ns,
		.keepalive_timeout_ns = config->keepalive_timeout_ns,
		.max_unacked_bytes = config->max_unacked_bytes,
	};

	if (config->host_id.len == 0 || config->backoff_base_ns == 0 ||
	    config->backoff_cap_ns < config->backoff_base_ns)
		return -EINVAL;
	/* The largest single event has to fit, with an eighth to spare (flow.c). */
	if (settings.max_unacked_bytes < FRAME_MAX)
		settings.max_unacked_bytes = FRAME_MAX;
	if (!settings_texts(config, &settings)) {
		settings_deinit(&settings);
		return -ENOMEM;
	}
	*ret_settings = settings;
	return 0;
}

void settings_deinit(struct settings *settings)
{
	free(settings->host_id);
	free(settings->agent_version);
	free(settings->hostname);
	free(settings->kernel_release);
	free(settings->ca_file);
	free(settings->certificate_file);
	free(settings->key_file);
	free(settings->server_name);
	free(settings->http_proxy);
	for (size_t i = 0; i < settings->n_addresses; i++)
		free(settings->addresses[i]);
	memset(settings, 0, sizeof(*settings));
}

bool settings_is_same_connection(const struct settings *a, const struct settings *b)
{
	if (a->n_addresses != b->n_addresses)
		return false;
	for (size_t i = 0; i < a->n_addresses; i++) {
		if (strcmp(a->addresses[i], b->addresses[i]) != 0)
			return false;
	}
	return strcmp(a->host_id, b->host_id) == 0 && strcmp(a->ca_file, b->ca_file) == 0 &&
	       strcmp(a->certificate_file, b->certificate_file) == 0 &&
	       strcmp(a->key_file, b->key_file) == 0 &&
	       strcmp(a->server_name, b->server_name) == 0 &&
	       strcmp(a->http_proxy, b->http_proxy) == 0 && a->keepalive_ns == b->keepalive_ns &&
	       a->keepalive_timeout_ns == b->keepalive_timeout_ns &&
	       a->max_unacked_bytes == b->max_unacked_bytes;
}

struct rpc_credentials settings_credentials(const struct settings *settings)
{
	return (struct rpc_credentials){ settings->ca_file, settings->certificate_file,
					 settings->key_file };
}
