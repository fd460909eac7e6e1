/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The key service by its system calls. Nothing here sleeps: KEYCTL_WATCH_KEY would wait for a key
 * that is under construction, so such a key is not touched until /proc/keys says that it is done.
 */
#define KEYS_DESCRIPTION_SIZE 128

/*
 * What a person writes -> serial number: "@s" session keyring, "@u" user keyring, "@us" user
 * session keyring; a serial number, decimal or 0x...; or TYPE:DESCRIPTION, looked for in @s, @us
 * and @u. 0, KEYS_E_MISSING (not there, or not ready, or expired), -EINVAL (cannot be read),
 * -errno.
 */
#define KEYS_E_MISSING 1
int keys_find(const char *spec, int32_t *ret_serial);
/* False: the text cannot name a key. */
bool keys_spec_is_valid(const char *spec);
/* A key that is gone does not come back under its serial number. */
bool keys_spec_is_serial(const char *spec);

/* "type description" of the key, printable. 0, KEYS_E_MISSING, -errno. */
int keys_describe(int32_t serial, char ret_text[KEYS_DESCRIPTION_SIZE]);
/* False only when it is gone for good; a revoked or expired key exists until it is collected. */
bool keys_exists(int32_t serial);
/* Watches with @watch_id (0 to 255; -1 ends the watch). 0, KEYS_E_MISSING, -errno. */
int keys_watch(int32_t serial, int queue_fd, int watch_id);
