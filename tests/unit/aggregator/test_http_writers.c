/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "aggregator/http/writers.h"

#define TOKEN_A "aaaaaaaaaabbbbbbbbbbccccccccccdd"
#define TOKEN_B "aaaaaaaaaabbbbbbbbbbccccccccccde"

static char folder[64], paths[2][128];
static struct http_writer items[2];
static struct settings_http settings;

static void put(size_t i, const char *text, mode_t mode)
{
	FILE *file = fopen(paths[i], "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	assert_int_equal(chmod(paths[i], mode), 0);
}

static int setup(void **state)
{
	static char joe[] = "joe", jane[] = "jane";

	strcpy(folder, "/tmp/pathbell-writers.XXXXXX");
	assert_non_null(mkdtemp(folder));
	for (size_t i = 0; i < 2; i++)
		snprintf(paths[i], sizeof(paths[i]), "%s/%zu", folder, i);
	items[0] = (struct http_writer){ joe, paths[0] };
	items[1] = (struct http_writer){ jane, paths[1] };
	settings.writers.items = items;
	settings.writers.n_items = 2;
	put(0, TOKEN_A "\n", 0600);
	put(1, TOKEN_B, 0400);
	return 0;
}

static int teardown(void **state)
{
	for (size_t i = 0; i < 2; i++)
		unlink(paths[i]);
	rmdir(folder);
	return 0;
}

static void refuse(const char *word)
{
	struct errmsg err = { 0 };

	assert_null(writers_new(&settings, &err));
	if (!strstr(err.text, word))
		fail_msg("\"%s\" lacks \"%s\"", err.text, word);
}

static void test_tokens(void **state)
{
	struct errmsg err = { 0 };
	struct writers *writers = writers_new(&settings, &err);

	assert_non_null(writers);
	assert_true(writers_any(writers));
	assert_string_equal(writers_find(writers, "Bearer " TOKEN_A), "joe");
	assert_string_equal(writers_find(writers, "bearer " TOKEN_B), "jane");
	assert_null(writers_find(writers, NULL));
	assert_null(writers_find(writers, ""));
	assert_null(writers_find(writers, "Bearer "));
	assert_null(writers_find(writers, "Basic " TOKEN_A));
	assert_null(writers_find(writers, "Bearer " TOKEN_A "x"));
	assert_null(writers_find(writers, "Bearer aaaaaaaaaabbbbbbbbbbccccccccccd"));
	writers_free(writers);
}

static void test_nobody(void **state)
{
	struct errmsg err = { 0 };
	struct writers *writers;

	settings.writers.n_items = 0;
	writers = writers_new(&settings, &err);
	assert_non_null(writers);
	assert_false(writers_any(writers));
	assert_null(writers_find(writers, "Bearer "));
	writers_free(writers);
}

static void test_what_is_refused(void **state)
{
	put(0, TOKEN_A, 0640);
	refuse("readable by group or others");
	put(0, "short", 0600);
	refuse("not one line of 32 to 512");
	put(0, TOKEN_A " with blanks", 0600);
	refuse("not one line of 32 to 512");
	put(0, TOKEN_B, 0600);
	refuse("twice");
	unlink(paths[0]);
	refuse("No such file");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_tokens, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nobody, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
