/* SPDX-License-Identifier: Apache-2.0 */
/* Names of keys on this machine's key service. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "collectors/watch_queue/keys.h"

/* include/uapi/linux/keyctl.h. */
#define JOIN_SESSION_KEYRING 1
#define REVOKE		     3
#define SESSION_KEYRING	     (-3)

static int32_t ring;

static int set_up(void **state)
{
	/* A session of our own: nothing of the user's is touched. */
	long r = syscall(SYS_keyctl, JOIN_SESSION_KEYRING, NULL, 0, 0, 0);

	if (r < 0) {
		printf("skipped: no key service: %s\n", strerror(errno));
		_exit(77);
	}
	ring = (int32_t)r;
	return 0;
}

static int32_t add(const char *name)
{
	long r = syscall(SYS_add_key, "user", name, "x", 1, (long)SESSION_KEYRING);

	assert_true(r > 0);
	return (int32_t)r;
}

static void names(void **state)
{
	static const char *const good[] = {
		"@s", "@u", "@us", "1", "0x1f", "user:a", "keyring:a:b"
	};
	static const char *const bad[] = { "",
					   "@x",
					   "@s:x",
					   "user",
					   "user:",
					   ":a",
					   "0",
					   "-1",
					   "1x",
					   "99999999999",
					   "a-type-name-that-is-longer-than-the-kernel-takes:x" };

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(keys_spec_is_valid(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int32_t serial = 0;

		assert_false(keys_spec_is_valid(bad[i]));
		assert_int_equal(keys_find(bad[i], &serial), -EINVAL);
	}
	assert_true(keys_spec_is_serial("0x1f"));
	assert_false(keys_spec_is_serial("@s"));
}

static void finds(void **state)
{
	int32_t key = add("pathbell-test"), serial = 0;
	char text[KEYS_DESCRIPTION_SIZE], number[16];

	assert_int_equal(keys_find("@s", &serial), 0);
	assert_int_equal(serial, ring);
	assert_int_equal(keys_find("user:pathbell-test", &serial), 0);
	assert_int_equal(serial, key);
	snprintf(number, sizeof(number), "%d", key);
	serial = 0;
	assert_int_equal(keys_find(number, &serial), 0);
	assert_int_equal(serial, key);
	assert_int_equal(keys_describe(key, text), 0);
	assert_string_equal(text, "user pathbell-test");
	assert_true(keys_exists(key));
}

static void misses(void **state)
{
	char text[KEYS_DESCRIPTION_SIZE];
	int32_t key = add("pathbell-revoked"), serial = 0;

	assert_int_equal(keys_find("user:pathbell-never", &serial), KEYS_E_MISSING);
	assert_int_equal(syscall(SYS_keyctl, REVOKE, (long)key, 0, 0, 0), 0);
	assert_int_equal(keys_find("user:pathbell-revoked", &serial), KEYS_E_MISSING);
	/* Revoked is not gone: its removal is still to be told. */
	assert_true(keys_exists(key));
	assert_int_equal(keys_describe(INT32_MAX, text), KEYS_E_MISSING);
	assert_false(keys_exists(INT32_MAX));
}

static void odd_names_stay_printable(void **state)
{
	char text[KEYS_DESCRIPTION_SIZE], name[300];
	int32_t key = add("a;b\xff\n");

	assert_int_equal(keys_describe(key, text), 0);
	assert_string_equal(text, "user a;b??");
	memset(name, 'n', sizeof(name));
	name[299] = '\0';
	assert_int_equal(keys_describe(add(name), text), 0);
	assert_int_equal(strlen(text), KEYS_DESCRIPTION_SIZE - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(finds),
		cmocka_unit_test(misses),
		cmocka_unit_test(odd_names_stay_printable),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
