/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const titles[] = { "HOST", "STATE", "REASON" };

static char *print(unsigned width)
{
	char *text = NULL;
	size_t size = 0;
	struct output output = { .file = open_memstream(&text, &size), .width = width };
	struct table table;

	table_init(&table, titles, 3);
	table_cell(&table, "%s", "alpha");
	table_cell(&table, "%s", "up");
	table_cell(&table, "%s", "a long reason that does not fit everywhere");
	table_cell(&table, "%s", "b\xc3\xa9ta");
	table_cell(&table, "%s", "down\n");
	table_cell(&table, "%d", 7);
	table_print(&table, &output);
	table_deinit(&table);
	fclose(output.file);
	return text;
}

static void test_columns_align(void **state)
{
	char *text = print(0);

	assert_string_equal(text, "HOST   STATE   REASON\n"
				  "alpha  up      a long reason that does not fit everywhere\n"
				  "b\xc3\xa9ta   down\\n  7\n");
	free(text);
}

static void test_lines_fit_the_terminal(void **state)
{
	for (unsigned width = 30; width < 70; width++) {
		char *text = print(width);

		for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
			assert_true(output_columns(line, strlen(line)) <= width);
		free(text);
	}
}

static void test_what_is_cut_says_so(void **state)
{
	char *text = print(30);

	assert_non_null(strstr(text, "a long reason \xe2\x80\xa6\n"));
	free(text);
}

static void test_a_tiny_terminal_does_no_harm(void **state)
{
	for (unsigned width = 1; width < 30; width++)
		free(print(width));
}

static void test_ids_stay_whole(void **state)
{
	static const char id[] = "01a21ec5-5245-7ae2-8239-456bd89f75ad";
	size_t size = 0;
	char *text = NULL;
	struct output output = { .file = open_memstream(&text, &size), .width = 50 };
	struct table table;

	table_init(&table, titles, 3);
	table.whole = 0x2;
	table_cell(&table, "a text that is longer than its place");
	table_cell(&table, "%s", id);
	table_cell(&table, "another text that is longer than its place");
	table_print(&table, &output);
	table_deinit(&table);
	fclose(output.file);
	assert_non_null(strstr(text, id));
	assert_null(strstr(text, "longer"));
	free(text);
}

static void test_growth_has_a_limit(void **state)
{
	struct output output = { .file = fopen("/dev/null", "w") };
	struct table table;

	table_init(&table, titles, 3);
	for (size_t i = 0; i < TABLE_MAX_CELLS + 10; i++)
		table_cell(&table, "x");
	assert_int_equal(table.n_cells, TABLE_MAX_CELLS);
	assert_int_equal(table.refused, 10);
	table_print(&table, &output);
	table_deinit(&table);
	fclose(output.file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_columns_align),
		cmocka_unit_test(test_lines_fit_the_terminal),
		cmocka_unit_test(test_what_is_cut_says_so),
		cmocka_unit_test(test_a_tiny_terminal_does_no_harm),
		cmocka_unit_test(test_ids_stay_whole),
		cmocka_unit_test(test_growth_has_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
