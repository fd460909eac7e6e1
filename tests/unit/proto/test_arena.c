/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/arena.h"

static void test_cap_is_exact(void **state)
{
	struct arena *arena;
	uint8_t *p, *q;

	assert_int_equal(arena_new(&arena, 0), -EINVAL);
	assert_int_equal(arena_new(&arena, (size_t)2 << 30), -EINVAL);
	assert_int_equal(arena_new(&arena, 64), 0);
	p = arena_alloc(arena, 1);
	q = arena_alloc(arena, 40);
	assert_non_null(p);
	assert_non_null(q);
	assert_int_equal((uintptr_t)p % 16, 0);
	assert_int_equal((uintptr_t)q % 16, 0);
	memset(p, 1, 1);
	memset(q, 2, 40);
	assert_int_equal(arena_used(arena), 64);
	assert_null(arena_alloc(arena, 1));
	assert_null(arena_alloc(arena, 0));
	assert_null(arena_alloc(arena, SIZE_MAX));
	assert_null(arena_alloc(arena, SIZE_MAX - 14));
	assert_int_equal(arena_used(arena), 64);
	arena_reset(arena);
	assert_int_equal(arena_used(arena), 0);
	assert_non_null(arena_alloc(arena, 64));
	assert_null(arena_free(arena));
	assert_null(arena_free(NULL));
}

static void test_large_reset_gives_memory_back(void **state)
{
	const size_t size = (size_t)8 << 20;
	struct arena *arena;
	uint8_t *p;

	assert_int_equal(arena_new(&arena, size), 0);
	for (int round = 0; round < 3; round++) {
		p = arena_alloc(arena, size);
		assert_non_null(p);
		/* Beyond the resident part it comes back zeroed: the kernel had it. */
		assert_int_equal(p[size - 1], 0);
		memset(p, 0xaa, size);
		arena_reset(arena);
	}
	arena_free(arena);
}

static void test_strdup(void **state)
{
	struct arena *arena;

	assert_int_equal(arena_new(&arena, 32), 0);
	assert_string_equal(arena_strdup(arena, "fifteen letters"), "fifteen letters");
	assert_null(arena_strdup(arena, "a text of twenty"));
	assert_string_equal(arena_strdup(arena, ""), "");
	arena_free(arena);
}

static void test_allocator(void **state)
{
	struct arena *arena;
	ProtobufCAllocator *allocator;
	void *p;

	assert_int_equal(arena_new(&arena, 32), 0);
	allocator = arena_allocator(arena);
	p = allocator->alloc(allocator->allocator_data, 32);
	assert_non_null(p);
	allocator->free(allocator->allocator_data, p);
	assert_null(allocator->alloc(allocator->allocator_data, 1));
	arena_free(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cap_is_exact),
		cmocka_unit_test(test_large_reset_gives_memory_back),
		cmocka_unit_test(test_strdup),
		cmocka_unit_test(test_allocator),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
