/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aggregator/metrics.h"

/* Each name has its HELP and TYPE exactly once, in front of all its samples. */
static void test_exposition(void **state)
{
	static struct metrics metrics;
	struct buf out = { 0 };
	char *save = NULL, name[128], last[128] = "";
	unsigned n_types = 0, n_samples = 0;

	counter_set(&metrics.commit_ns, 1500000000);
	assert_int_equal(metrics_render(&out, &metrics), 0);
	assert_int_equal(buf_append(&out, "", 1), 0);
	assert_non_null(strstr((char *)out.data, "commit_seconds_sum 1.500000000\n"));
	for (char *line = strtok_r((char *)out.data, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		if (sscanf(line, "# TYPE %127s", name) == 1) {
			assert_string_not_equal(name, last);
			memcpy(last, name, sizeof(last));
			n_types++;
		} else if (line[0] != '#') {
			assert_memory_equal(line, last, strlen(last));
			n_samples++;
		}
	}
	assert_true(n_types > 40 && n_samples > n_types);
	buf_deinit(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_exposition) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
