/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "aggregator/store/map.h"

#define N 1000

struct thing {
	struct map_node node; /* first */
	uint32_t key;
	unsigned seen;
};

static void visit(struct map_node *node, void *data)
{
	struct thing *thing = (struct thing *)node;

	thing->seen++;
	if (thing->key % 2)
		map_remove(data, node);
}

static void test_map(void **state)
{
	struct thing *things = calloc(N, sizeof(*things));
	struct map map = { 0 };
	uint32_t missing = N;

	assert_non_null(things);
	assert_null(map_find(&map, &missing, sizeof(missing)));
	for (uint32_t i = 0; i < N; i++) {
		things[i].key = i;
		assert_int_equal(map_add(&map, &things[i].node, &things[i].key, sizeof(uint32_t)),
				 0);
	}
	assert_int_equal(map.n_nodes, N);
	for (uint32_t i = 0; i < N; i++)
		assert_ptr_equal(map_find(&map, &i, sizeof(i)), &things[i]);
	assert_null(map_find(&map, &missing, sizeof(missing)));
	assert_null(map_find(&map, &missing, 1));
	map_each(&map, visit, &map);
	assert_int_equal(map.n_nodes, N / 2);
	for (uint32_t i = 0; i < N; i++) {
		assert_int_equal(things[i].seen, 1);
		assert_true((map_find(&map, &i, sizeof(i)) != NULL) == (i % 2 == 0));
	}
	map_deinit(&map);
	free(things);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_map) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
