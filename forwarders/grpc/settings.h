/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "forwarders/frame/frame.h"
#include "rpc/rpc.h"

/* A copy of FRAME_CONFIG that outlives its packet. All strings are owned; "" where the frame has
 * none. */
struct settings {
	char *host_id, *agent_version, *hostname, *kernel_release;
	char *addresses[FRAME_MAX_ADDRESSES];
	size_t n_addresses;
	char *ca_file, *certificate_file, *key_file, *server_name, *http_proxy;
	uint64_t backoff_base_ns, backoff_cap_ns, keepalive_ns, keepalive_timeout_ns,
		max_unacked_bytes;
};

/* 0, -ENOMEM, or -EINVAL: no host id, no backoff. @ret_settings is
 * untouched on failure. */
int settings_copy(const struct frame_config *config, struct settings *ret_settings);
void settings_deinit(struct settings *settings);
/* Whether a connection made with @a is as one made with @b would be. */
bool settings_is_same_connection(const struct settings *a, const struct settings *b);
struct rpc_credentials settings_credentials(const struct settings *settings);
