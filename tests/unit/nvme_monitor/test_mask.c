/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collectors/nvme_monitor/mask.h"
#include "core/fd.h"
#include "core/file.h"

struct place {
	char root[64], run[96], distribution[96];
	char *rules[2], *from[1];
	struct config_strings rule_list, from_list;
	struct mask_options options;
};

static void put(const char *folder, const char *name, const char *text)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	assert_int_equal(file_replace(path, text, strlen(text), 0644), 0);
}

static bool is_there(const char *folder, const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return access(path, F_OK) == 0;
}

static int setup(void **state)
{
	static struct place place;

	memset(&place, 0, sizeof(place));
	snprintf(place.root, sizeof(place.root), "/tmp/test-mask.XXXXXX");
	assert_non_null(mkdtemp(place.root));
	snprintf(place.run, sizeof(place.run), "%s/run/udev/rules.d", place.root);
	snprintf(place.distribution, sizeof(place.distribution), "%s/usr", place.root);
	assert_int_equal(mkdir(place.distribution, 0755), 0);
	put(place.distribution, "70-nvmf-autoconnect.rules", "ACTION==\"change\"\n");
	place.rules[0] = (char *)"70-nvmf-autoconnect.rules";
	place.rules[1] = (char *)"71-other.rules";
	place.from[0] = place.distribution;
	place.rule_list = (struct config_strings){ place.rules, 2 };
	place.from_list = (struct config_strings){ place.from, 1 };
	place.options = (struct mask_options){ .dir = place.run,
					       .from = &place.from_list,
					       .rules = &place.rule_list };
	*state = &place;
	return 0;
}

static int teardown(void **state)
{
	const struct place *place = *state;
	char command[128];

	snprintf(command, sizeof(command), "rm -r %s", place->root);
	return system(command); /* NOLINT(cert-env33-c): a test's own folder */
}

/* Only what the distribution has; again changes nothing; ours only are removed. */
static void test_set_and_clear(void **state)
{
	const struct place *place = *state;
	struct mask_outcome outcome;

	assert_int_equal(mask_clear(place->run, &outcome), 0);
	assert_int_equal(outcome.changed, 0);
	assert_int_equal(mask_set(&place->options, &outcome), 0);
	assert_int_equal(outcome.masked, 1);
	assert_int_equal(outcome.changed, 1);
	assert_true(is_there(place->run, "70-nvmf-autoconnect.rules"));
	assert_false(is_there(place->run, "71-other.rules"));
	assert_int_equal(mask_set(&place->options, &outcome), 0);
	assert_int_equal(outcome.masked, 1);
	assert_int_equal(outcome.changed, 0);
	put(place->run, "50-mine.rules", "# Made by an administrator\n");
	put(place->run, "empty.rules", "");
	assert_int_equal(mask_clear(place->run, &outcome), 0);
	assert_int_equal(outcome.changed, 1);
	assert_false(is_there(place->run, "70-nvmf-autoconnect.rules"));
	assert_true(is_there(place->run, "50-mine.rules"));
	assert_true(is_there(place->run, "empty.rules"));
}

static void test_foreign_is_never_touched(void **state)
{
	const struct place *place = *state;
	struct mask_outcome outcome;
	char path[256];
	char *text;
	size_t size;

	assert_int_equal(file_mkdirs(place->run, 0755), 0);
	put(place->run, "70-nvmf-autoconnect.rules", "# of nvme-stas\n");
	assert_int_equal(mask_set(&place->options, &outcome), 0);
	assert_int_equal(outcome.masked, 0);
	assert_int_equal(outcome.foreign, 1);
	assert_int_equal(mask_clear(place->run, &outcome), 0);
	assert_int_equal(outcome.changed, 0);
	snprintf(path, sizeof(path), "%s/70-nvmf-autoconnect.rules", place->run);
	assert_int_equal(file_read(path, 1000, &text, &size), 0);
	assert_string_equal(text, "# of nvme-stas\n");
	free(text);
}

static void test_no_way_out_of_the_folder(void **state)
{
	struct place *place = *state;
	struct mask_outcome outcome;

	put(place->root, "x.rules", "");
	place->rules[0] = (char *)"../x.rules";
	assert_int_equal(mask_set(&place->options, &outcome), 0);
	assert_int_equal(outcome.masked, 0);
	assert_int_equal(outcome.changed, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_set_and_clear),
		TEST(test_foreign_is_never_touched),
		TEST(test_no_way_out_of_the_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
