/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aggregator/store/life.h"
#include "proto/kind.h"

#define LIFE(name) PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_##name

static void test_the_aggregator(void **state)
{
	assert_true(life_may_become(LIFE(QUEUED), LIFE(DISPATCHED), LIFE_AGGREGATOR));
	assert_true(life_may_become(LIFE(DISPATCHED), LIFE(RECEIVED), LIFE_AGGREGATOR));
	assert_true(life_may_become(LIFE(QUEUED), LIFE(EXPIRED), LIFE_AGGREGATOR));
	assert_false(life_may_become(LIFE(DISPATCHED), LIFE(DISPATCHED), LIFE_AGGREGATOR));
	assert_false(life_may_become(LIFE(RECEIVED), LIFE(EXPIRED), LIFE_AGGREGATOR));
	assert_false(life_may_become(LIFE(SUCCEEDED), LIFE(DISPATCHED), LIFE_AGGREGATOR));
	assert_false(life_may_become(LIFE(QUEUED), LIFE(UNSPECIFIED), LIFE_AGGREGATOR));
}

static void test_the_host(void **state)
{
	assert_true(life_may_become(LIFE(QUEUED), LIFE(SUCCEEDED), LIFE_HOST));
	assert_true(life_may_become(LIFE(STARTED), LIFE(INDETERMINATE), LIFE_HOST));
	assert_true(life_may_become(LIFE(INDETERMINATE), LIFE(SUCCEEDED), LIFE_HOST));
	assert_true(life_may_become(LIFE(EXPIRED), LIFE(ACCEPTED), LIFE_HOST));
	assert_false(life_may_become(LIFE(INDETERMINATE), LIFE(STARTED), LIFE_HOST));
	assert_false(life_may_become(LIFE(STARTED), LIFE(ACCEPTED), LIFE_HOST));
	assert_false(life_may_become(LIFE(SUCCEEDED), LIFE(FAILED), LIFE_HOST));
	assert_false(life_may_become(LIFE(REJECTED), LIFE(ACCEPTED), LIFE_HOST));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_the_aggregator),
					    cmocka_unit_test(test_the_host) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
