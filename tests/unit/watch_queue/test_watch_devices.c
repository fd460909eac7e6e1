/* SPDX-License-Identifier: Apache-2.0 */
/* Which system call numbers may be called as watch_devices. Nothing is called but what is refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "collectors/watch_queue/devices.h"

static int check(unsigned number, const char *release)
{
	struct errmsg err = { 0 };
	int r = devices_check(number, release, &err);

	assert_int_equal(r != 0, err.text[0] != '\0');
	return r;
}

static void numbers_of_other_calls_are_refused(void **state)
{
	static const struct {
		const char *release;
		unsigned highest;
	} rows[] = { { "5.8.0", 439 },
		     { "5.10.0-28-amd64", 440 },
		     { "6.1.0-30-amd64", 450 },
		     { "6.6.9", 453 },
		     { "6.12.117+deb12-amd64", 462 },
		     { "6.14.1", 466 },
		     { "6.18.44", 469 },
		     { "6.19.0", 470 },
		     { "7.0.3", 471 } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (unsigned number = 0; number <= rows[i].highest; number++)
			assert_int_equal(check(number, rows[i].release), -EINVAL);
		assert_int_equal(check(rows[i].highest + 1, rows[i].release), 0);
		assert_int_equal(check(436, rows[i].release), -EINVAL);
		assert_int_equal(check(511, rows[i].release), 0);
		assert_int_equal(check(512, rows[i].release), -EINVAL);
		assert_int_equal(check(0x40000000u + 470, rows[i].release), -EINVAL);
	}
}

static void kernels_that_the_table_does_not_know_are_refused(void **state)
{
	static const char *const releases[] = { "7.1.0", "8.0", "5.7.19", "4.19.0", "", "rolling" };

	for (size_t i = 0; i < sizeof(releases) / sizeof(releases[0]); i++) {
		for (unsigned number = 0; number < 600; number++)
			assert_int_equal(check(number, releases[i]), -EINVAL);
	}
}

/* Whatever this kernel is, 436 is not called: every descriptor stays open. */
static void close_range_is_not_called(void **state)
{
	struct errmsg err = { 0 };
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(devices_watch(436, 0, 1024, &err), -EINVAL);
	assert_non_null(strstr(err.text, "devices.syscall"));
	assert_true(fcntl(fd, F_GETFD) >= 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_of_other_calls_are_refused),
		cmocka_unit_test(kernels_that_the_table_does_not_know_are_refused),
		cmocka_unit_test(close_range_is_not_called),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
