/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file.h"
#include "fabrics/owner.h"

struct place {
	char dir[64], registry[80], seqnum[80];
};

static int setup(void **state)
{
	struct place *place = calloc(1, sizeof(*place));

	strcpy(place->dir, "/tmp/pathbell-owner.XXXXXX");
	assert_non_null(mkdtemp(place->dir));
	snprintf(place->registry, sizeof(place->registry), "%s/nvme/registry", place->dir);
	snprintf(place->seqnum, sizeof(place->seqnum), "%s/uevent_seqnum", place->dir);
	assert_int_equal(file_replace(place->seqnum, "100\n", 4, 0644), 0);
	*state = place;
	return 0;
}

static int teardown(void **state)
{
	struct place *place = *state;
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", place->dir);
	assert_int_equal(system(command), 0);
	free(place);
	return 0;
}

static void test_write_and_read(void **state)
{
	struct place *place = *state;
	char owner[OWNER_NAME], maker[OWNER_NAME], path[128];
	struct stat info;

	assert_int_equal(owner_read(place->registry, "nvme0", owner), 0);
	assert_string_equal(owner, "");
	assert_int_equal(owner_write(place->registry, place->seqnum, "nvme0", OWNER_SELF), 0);
	assert_int_equal(owner_read_maker(place->registry, "nvme0", maker), 0);
	assert_string_equal(maker, "");
	assert_int_equal(owner_write_maker(place->registry, "nvme0", OWNER_MAKER_MONITOR), 0);
	assert_int_equal(owner_read_maker(place->registry, "nvme0", maker), 0);
	assert_string_equal(maker, OWNER_MAKER_MONITOR);
	assert_int_equal(owner_read(place->registry, "nvme0", owner), 0);
	assert_string_equal(owner, "pathbell");
	snprintf(path, sizeof(path), "%s/nvme0/seqnum", place->registry);
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_mode & 0777, 0644);
	snprintf(path, sizeof(path), "%s/nvme0", place->registry);
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_mode & 0777, 0755);

	/* the number is used again, and nobody removed the entry */
	assert_int_equal(owner_write(place->registry, place->seqnum, "nvme0", OWNER_SELF), 0);
	assert_int_equal(owner_read_maker(place->registry, "nvme0", maker), 0);
	assert_string_equal(maker, "");
}

static void test_names_stay_inside(void **state)
{
	struct place *place = *state;
	static const char *const names[] = {
		"", "nvme", "../nvme0", "nvme0/..", "nvmex", "nvme0n1"
	};
	char owner[OWNER_NAME];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_int_equal(owner_write(place->registry, place->seqnum, names[i], "x"),
				 -EINVAL);
		assert_int_equal(owner_read(place->registry, names[i], owner), -EINVAL);
		assert_int_equal(owner_remove(place->registry, names[i], 1), -EINVAL);
	}
}

static void test_remove_only_what_is_old(void **state)
{
	struct place *place = *state;
	char owner[OWNER_NAME], path[128];

	assert_int_equal(owner_remove(place->registry, "nvme3", 5), 0);
	assert_int_equal(owner_write(place->registry, place->seqnum, "nvme3", "stas"), 0);
	assert_int_equal(owner_write_maker(place->registry, "nvme3", OWNER_MAKER_MONITOR), 0);
	/* the remove uevent of an earlier nvme3 comes late */
	assert_int_equal(owner_remove(place->registry, "nvme3", 99), OWNER_E_YOUNGER);
	assert_int_equal(owner_read(place->registry, "nvme3", owner), 0);
	assert_string_equal(owner, "stas");
	assert_int_equal(owner_remove(place->registry, "nvme3", 100), 0);
	snprintf(path, sizeof(path), "%s/nvme3", place->registry);
	assert_int_equal(access(path, F_OK), -1);
}

/* Other programs may have attributes of their own there. */
static void test_remove_leaves_what_others_wrote(void **state)
{
	struct place *place = *state;
	char path[128];

	assert_int_equal(owner_write(place->registry, place->seqnum, "nvme4", OWNER_SELF), 0);
	snprintf(path, sizeof(path), "%s/nvme4/note", place->registry);
	assert_int_equal(file_replace(path, "x", 1, 0644), 0);
	assert_int_equal(owner_remove(place->registry, "nvme4", 100), 0);
	assert_int_equal(access(path, F_OK), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_write_and_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names_stay_inside, setup, teardown),
		cmocka_unit_test_setup_teardown(test_remove_only_what_is_old, setup, teardown),
		cmocka_unit_test_setup_teardown(test_remove_leaves_what_others_wrote, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
