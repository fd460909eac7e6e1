/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/spool/seqmap.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define N_SEQS 20000

struct model {
	uint8_t lane[N_SEQS], gone[N_SEQS];
};

static uint64_t test_random(uint64_t *state, uint64_t below)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (*state >> 9) % below;
}

static void test_compare(const struct seqmap *map, const struct model *model, uint64_t first,
			 uint64_t last, uint64_t from)
{
	uint64_t lanes = 0, gone = 0, live = 0, run = first;

	for (uint64_t seq = first; seq <= last; seq++) {
		lanes += model->lane[seq - from];
		gone += model->gone[seq - from];
		live += model->lane[seq - from] == 1 && !model->gone[seq - from];
	}
	while (run < last && model->gone[run + 1 - from] == model->gone[first - from])
		run++;
	assert_int_equal(seqmap_count(map, SEQMAP_LANE, first, last), lanes);
	assert_int_equal(seqmap_count(map, SEQMAP_GONE, first, last), gone);
	assert_int_equal(seqmap_count_lane(map, 1, first, last), live);
	assert_int_equal(seqmap_run(map, SEQMAP_GONE, first, last), run);
	assert_int_equal(seqmap_get(map, SEQMAP_LANE, first), model->lane[first - from]);
}

static void test_seqmap_against_model(void **state)
{
	struct model *model = calloc(1, sizeof(*model));
	struct seqmap map = { 0 };
	const uint64_t from = 1000003;
	uint64_t random = 12345, trimmed = from;

	for (uint64_t seq = from; seq < from + N_SEQS; seq++)
		assert_int_equal(seqmap_extend(&map, seq), 0);
	for (unsigned i = 0; i < 4000; i++) {
		uint64_t first = trimmed + test_random(&random, from + N_SEQS - trimmed);
		uint64_t last = first + test_random(&random, from + N_SEQS - first);
		unsigned what = (unsigned)test_random(&random, 10);
		uint64_t n, expected = 0;

		if (what < 4) {
			bool value = test_random(&random, 2);

			assert_int_equal(
				seqmap_set(&map, (enum seqmap_plane)(what % 2), first, last, value),
				0);
			memset((what % 2 ? model->gone : model->lane) + (first - from), value,
			       last - first + 1);
		} else if (what == 4) {
			for (uint64_t seq = first; seq <= last; seq++) {
				if (model->lane[seq - from] == 1 && !model->gone[seq - from]) {
					model->gone[seq - from] = 1;
					expected++;
				}
			}
			assert_int_equal(seqmap_drop_lane(&map, 1, first, last, &n), 0);
			assert_int_equal(n, expected);
		} else if (what == 5 && test_random(&random, 40) == 0) {
			seqmap_trim(&map, first);
			trimmed = first;
		}
		test_compare(&map, model, first, last, from);
	}
	seqmap_deinit(&map);
	free(model);
}

static void test_seqmap_is_small(void **state)
{
	struct seqmap map = { 0 };

	/* Ten million records of one lane: no bitmap stays. */
	for (uint64_t seq = 1; seq <= 10000000; seq++) {
		assert_int_equal(seqmap_extend(&map, seq), 0);
		assert_int_equal(seqmap_set(&map, SEQMAP_LANE, seq, seq, true), 0);
	}
	assert_true(map.n_pages < 2500);
	for (size_t i = 1; i + 1 < map.n_pages; i++)
		assert_null(map.pages[i].bits[SEQMAP_LANE]);
	assert_int_equal(seqmap_count_lane(&map, 1, 1, UINT64_MAX), 10000000);
	seqmap_deinit(&map);
}

static void test_seqmap_edges(void **state)
{
	struct seqmap map = { 0 };

	assert_false(seqmap_get(&map, SEQMAP_GONE, 5));
	assert_int_equal(seqmap_count(&map, SEQMAP_GONE, 1, UINT64_MAX), 0);
	assert_int_equal(seqmap_run(&map, SEQMAP_GONE, 1, 99), 99);
	seqmap_trim(&map, 1000);
	assert_int_equal(seqmap_extend(&map, 1), 0);
	assert_int_equal(seqmap_extend(&map, UINT64_C(1) << 40), -ERANGE);
	assert_int_equal(seqmap_set(&map, SEQMAP_GONE, 4090, 5000, true), 0);
	assert_int_equal(seqmap_count(&map, SEQMAP_GONE, 0, UINT64_MAX), 6);
	seqmap_trim(&map, UINT64_MAX);
	assert_int_equal(map.n_pages, 0);
	seqmap_deinit(&map);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_seqmap_against_model),
		cmocka_unit_test(test_seqmap_is_small),
		cmocka_unit_test(test_seqmap_edges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
