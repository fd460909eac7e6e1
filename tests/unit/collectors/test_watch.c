/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collectors/watch.h"

static char folder[64];

static int set_up(void **state)
{
	snprintf(folder, sizeof(folder), "/tmp/pathbell-watch-XXXXXX");
	return mkdtemp(folder) == NULL;
}

static int tear_down(void **state)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/sub/file", folder);
	unlink(path);
	snprintf(path, sizeof(path), "%s/other", folder);
	unlink(path);
	snprintf(path, sizeof(path), "%s/sub", folder);
	rmdir(path);
	return rmdir(folder);
}

static bool is_ready(const struct watch *watch)
{
	struct pollfd p = { .fd = watch->fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static void make_file(const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
}

static void waits_at_the_nearest_folder(void **state)
{
	struct watch watch;
	char path[128];

	snprintf(path, sizeof(path), "%s/sub/file", folder);
	assert_int_equal(watch_open(&watch, path), 0);
	assert_false(is_ready(&watch));
	make_file("other"); /* not on the way to the path */
	assert_true(is_ready(&watch));
	assert_false(watch_read(&watch));
	assert_false(is_ready(&watch));
	snprintf(path, sizeof(path), "%s/sub", folder);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_true(watch_read(&watch));
	watch_close(&watch);
	snprintf(path, sizeof(path), "%s/sub/file", folder);
	assert_int_equal(watch_open(&watch, path), 0);
	make_file("sub/file");
	assert_true(watch_read(&watch));
	watch_close(&watch);
}

static void mounts_are_quiet_until_something_is_mounted(void **state)
{
	struct watch watch;

	assert_int_equal(watch_open(&watch, "/proc/self/mountinfo"), 0);
	assert_false(is_ready(&watch));
	watch_close(&watch);
	assert_int_equal(watch.fd, -1);
	watch_close(&watch);
}

static void refuses_relative_paths(void **state)
{
	struct watch watch;

	assert_int_equal(watch_open(&watch, "relative"), -22);
	assert_int_equal(watch.fd, -1);
}

static void anything_in_a_folder(void **state)
{
	struct watch watch;
	char path[128];

	snprintf(path, sizeof(path), "%s/", folder);
	assert_int_equal(watch_open(&watch, path), 0);
	assert_false(is_ready(&watch));
	make_file("other");
	assert_true(is_ready(&watch));
	assert_true(watch_read(&watch));
	watch_close(&watch);
}

/* /dev/null is written to all the time: only writes to the path itself count. */
static void a_neighbour_that_is_written_to_is_not_news(void **state)
{
	struct watch watch;
	char path[128];

	make_file("neighbour");
	make_file("wanted");
	snprintf(path, sizeof(path), "%s/wanted", folder);
	assert_int_equal(watch_open(&watch, path), 0);
	make_file("neighbour");
	assert_false(is_ready(&watch));
	make_file("wanted");
	assert_true(is_ready(&watch));
	assert_true(watch_read(&watch));
	watch_close(&watch);
	unlink(path);
	snprintf(path, sizeof(path), "%s/neighbour", folder);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(waits_at_the_nearest_folder, set_up, tear_down),
		cmocka_unit_test(mounts_are_quiet_until_something_is_mounted),
		cmocka_unit_test(refuses_relative_paths),
		cmocka_unit_test_setup_teardown(anything_in_a_folder, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_neighbour_that_is_written_to_is_not_news, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
