/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "core/counter.h"

struct values {
	counter_value captured, gone_age, gone_budget, depth;
};

static const struct counter_desc table[] = {
	{ "pathbell_events_captured_total", "Events captured.", NULL, COUNTER_TYPE_COUNTER,
	  offsetof(struct values, captured) },
	{ "pathbell_gone_total", "Lost\nin \\ \"all\".", "reason=\"age\"", COUNTER_TYPE_COUNTER,
	  offsetof(struct values, gone_age) },
	{ "pathbell_gone_total", "Lost.", "reason=\"budget\"", COUNTER_TYPE_COUNTER,
	  offsetof(struct values, gone_budget) },
	{ "pathbell_depth", "Depth.", NULL, COUNTER_TYPE_GAUGE, offsetof(struct values, depth) },
};

static const char expected[] = "# HELP pathbell_events_captured_total Events captured.\n"
			       "# TYPE pathbell_events_captured_total counter\n"
			       "pathbell_events_captured_total 7\n"
			       "# HELP pathbell_gone_total Lost\\nin \\\\ \"all\".\n"
			       "# TYPE pathbell_gone_total counter\n"
			       "pathbell_gone_total{reason=\"age\"} 0\n"
			       "pathbell_gone_total{reason=\"budget\"} 18446744073709551615\n"
			       "# HELP pathbell_depth Depth.\n"
			       "# TYPE pathbell_depth gauge\n"
			       "pathbell_depth 3\n";

static void test_table_renders(void **state)
{
	struct buf out = { 0 };
	struct values values = { 0 };

	(void)state;
	counter_add(&values.captured, 3);
	counter_add(&values.captured, 4);
	counter_set(&values.gone_budget, UINT64_MAX);
	counter_set(&values.depth, 3);
	assert_int_equal(counter_render(&out, table, 4, &values), 0);
	assert_int_equal(out.size, strlen(expected));
	assert_memory_equal(out.data, expected, out.size);
	buf_deinit(&out);
}

static void test_labels_are_escaped(void **state)
{
	const char *const labels[] = { "host", "a\\b\"c\nd", "kind", "k", NULL };
	static const char text[] = "x{host=\"a\\\\b\\\"c\\nd\",kind=\"k\"} 5\ny 6\n";
	struct buf out = { 0 };

	(void)state;
	assert_int_equal(counter_render_sample(&out, "x", labels, 5), 0);
	assert_int_equal(counter_render_sample(&out, "y", NULL, 6), 0);
	assert_int_equal(out.size, strlen(text));
	assert_memory_equal(out.data, text, out.size);
	buf_deinit(&out);
}

/* Whatever the limit, the text ends with a whole line. */
static void test_limit_never_cuts_a_line(void **state)
{
	struct values values = { 0 };

	(void)state;
	counter_set(&values.captured, 7);
	counter_set(&values.gone_budget, UINT64_MAX);
	counter_set(&values.depth, 3);
	for (size_t max = 1; max < strlen(expected); max++) {
		struct buf out = { .max = max };

		assert_int_equal(counter_render(&out, table, 4, &values), -ENOBUFS);
		assert_true(out.size == 0 || out.data[out.size - 1] == '\n');
		assert_memory_equal(out.size ? (const char *)out.data : "", expected, out.size);
		buf_deinit(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table_renders),
		cmocka_unit_test(test_labels_are_escaped),
		cmocka_unit_test(test_limit_never_cuts_a_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
