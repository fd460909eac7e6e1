/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/watch_queue/keys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* include/uapi/linux/keyctl.h, 5.8 to 7.2. */
#define KEYS_GET_KEYRING_ID	  0
#define KEYS_DESCRIBE		  6
#define KEYS_SEARCH		  10
#define KEYS_WATCH_KEY		  32
#define KEYS_SESSION_KEYRING	  (-3)
#define KEYS_USER_KEYRING	  (-4)
#define KEYS_USER_SESSION_KEYRING (-5)

#define KEYS_TYPE_MAX 32 /* of key_type names: include/uapi/linux/keyctl.h users copy 32 bytes */

static long keys_call(int operation, unsigned long a, unsigned long b, unsigned long c,
		      unsigned long d)
{
	return syscall(SYS_keyctl, operation, a, b, c, d);
}

/* Errors that mean "not now": the key may come. */
static bool keys_is_missing(int error)
{
	return error == ENOKEY || error == EKEYEXPIRED || error == EKEYREVOKED ||
	       error == EKEYREJECTED || error == ENOENT;
}

static int keys_outcome(long r)
{
	if (r >= 0)
		return 0;
	return keys_is_missing(errno) ? KEYS_E_MISSING : -errno;
}

static bool keys_parse_serial(const char *spec, int32_t *ret_serial)
{
	char *end;
	long value;

	if (*spec < '0' || *spec > '9')
		return false;
	errno = 0;
	value = strtol(spec, &end, 0);
	if (*end != '\0' || errno != 0 || value < 1 || value > INT32_MAX)
		return false;
	*ret_serial = (int32_t)value;
	return true;
}

static int keys_special(const char *spec)
{
	if (strcmp(spec, "@s") == 0)
		return KEYS_SESSION_KEYRING;
	if (strcmp(spec, "@u") == 0)
		return KEYS_USER_KEYRING;
	return strcmp(spec, "@us") == 0 ? KEYS_USER_SESSION_KEYRING : 0;
}

bool keys_spec_is_serial(const char *spec)
{
	int32_t serial;

	return keys_parse_serial(spec, &serial);
}

bool keys_spec_is_valid(const char *spec)
{
	const char *colon = strchr(spec, ':');

	if (keys_special(spec) != 0 || keys_spec_is_serial(spec))
		return true;
	return *spec != '@' && colon != NULL && colon != spec && colon[1] != '\0' &&
	       colon - spec < KEYS_TYPE_MAX;
}

/* Once a key has left construction it never goes back to it, so there is no race behind this. A
 * line of /proc/keys (security/keys/proc.c, 5.10 to 6.18): serial in hex, flags, ...; the first
 * flag is I = instantiated, U anywhere = under construction. */
static bool keys_is_ready(int32_t serial)
{
	FILE *file = fopen("/proc/keys", "re");
	char line[512];
	unsigned found;
	char flags[16];
	bool ready = true;

	if (file == NULL)
		return false;
	while (fgets(line, sizeof(line), file) != NULL) {
		if (sscanf(line, "%x %15s", &found, flags) != 2 || found != (unsigned)serial)
			continue;
		ready = flags[0] == 'I' && strchr(flags, 'U') == NULL;
		break;
	}
	fclose(file);
	return ready;
}

static int keys_search(const char *spec, int32_t *ret_serial)
{
	static const int rings[] = { KEYS_SESSION_KEYRING, KEYS_USER_SESSION_KEYRING,
				     KEYS_USER_KEYRING };
	const char *colon = strchr(spec, ':');
	char type[KEYS_TYPE_MAX];
	int r = KEYS_E_MISSING;

	snprintf(type, sizeof(type), "%.*s", (int)(colon - spec), spec);
	for (size_t i = 0; i < sizeof(rings) / sizeof(rings[0]); i++) {
		long serial = keys_call(KEYS_SEARCH, (unsigned long)rings[i], (unsigned long)type,
					(unsigned long)(colon + 1), 0);

		if (serial > 0) {
			*ret_serial = (int32_t)serial;
			return 0;
		}
		r = keys_outcome(serial);
		if (r < 0)
			return r;
	}
	return r;
}

int keys_find(const char *spec, int32_t *ret_serial)
{
	int special = keys_special(spec);
	int32_t serial = 0;
	long found;
	int r = 0;

	if (!keys_spec_is_valid(spec))
		return -EINVAL;
	if (special != 0) {
		found = keys_call(KEYS_GET_KEYRING_ID, (unsigned long)special, 0, 0, 0);
		r = keys_outcome(found);
		serial = (int32_t)found;
	} else if (!keys_parse_serial(spec, &serial)) {
		r = keys_search(spec, &serial);
	}
	if (r == 0 && !keys_is_ready(serial))
		r = KEYS_E_MISSING;
	if (r == 0)
		*ret_serial = serial;
	return r;
}

/* The kernel's text is type;uid;gid;permissions;description (security/keys/keyctl.c). */
int keys_describe(int32_t serial, char ret_text[KEYS_DESCRIPTION_SIZE])
{
	char text[512], *at = text;
	long len = keys_call(KEYS_DESCRIBE, (unsigned long)serial, (unsigned long)text,
			     sizeof(text) - 1, 0);
	int type_len;

	if (len < 0)
		return keys_outcome(len);
	text[len < (long)sizeof(text) ? len : (long)sizeof(text) - 1] = '\0';
	if (len >= (long)sizeof(text))
		text[0] = '\0'; /* too long: the kernel has written nothing */
	type_len = (int)strcspn(text, ";");
	for (int i = 0; i < 4 && at != NULL; i++) {
		at = strchr(at, ';');
		at += at != NULL;
	}
	snprintf(ret_text, KEYS_DESCRIPTION_SIZE, "%.*s %s", type_len, text, at ? at : "");
	for (char *c = ret_text; *c != '\0'; c++) {
		if (*c < ' ' || *c > '~')
			*c = '?';
	}
	return 0;
}

bool keys_exists(int32_t serial)
{
	return keys_call(KEYS_DESCRIBE, (unsigned long)serial, 0, 0, 0) >= 0 || errno != ENOKEY;
}

int keys_watch(int32_t serial, int queue_fd, int watch_id)
{
	return keys_outcome(keys_call(KEYS_WATCH_KEY, (unsigned long)serial,
				      (unsigned long)queue_fd, (unsigned long)watch_id, 0));
}
