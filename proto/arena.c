/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/arena.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/*
 * One reserved mapping of the cap's size: the kernel backs pages when they are first touched, so an
 * arena costs address space, not memory, and there are no blocks whose ends are lost. Under
 * AddressSanitizer all that is not handed out is poisoned, so an overrun is found as with malloc.
 */
#if defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#endif

#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#define ARENA_POISON(address, size)   ASAN_POISON_MEMORY_REGION(address, size)
#define ARENA_UNPOISON(address, size) ASAN_UNPOISON_MEMORY_REGION(address, size)
#else
#define ARENA_POISON(address, size)   ((void)(address), (void)(size))
#define ARENA_UNPOISON(address, size) ((void)(address), (void)(size))
#endif

#define ARENA_ALIGN    ((size_t)16)
#define ARENA_MAX      ((size_t)1 << 30)
#define ARENA_RESIDENT ((size_t)1 << 20) /* kept over a reset */

struct arena {
	ProtobufCAllocator allocator;
	uint8_t *base;
	size_t max;  /* the cap */
	size_t used; /* multiple of ARENA_ALIGN, <= max */
	size_t peak; /* since memory was last given back */
};

static void *arena_on_alloc(void *allocator_data, size_t size)
{
	return arena_alloc((struct arena *)allocator_data, size);
}

static void arena_on_free(void *allocator_data, void *pointer)
{
	(void)allocator_data;
	(void)pointer;
}

int arena_new(struct arena **ret_arena, size_t max)
{
	struct arena *arena;

	if (max == 0 || max > ARENA_MAX)
		return -EINVAL;
	arena = calloc(1, sizeof(*arena));
	if (!arena)
		return -ENOMEM;
	arena->base = mmap(NULL, max, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (arena->base == MAP_FAILED) {
		free(arena);
		return -ENOMEM;
	}
	arena->max = max;
	arena->allocator.alloc = arena_on_alloc;
	arena->allocator.free = arena_on_free;
	arena->allocator.allocator_data = arena;
	ARENA_POISON(arena->base, max);
	*ret_arena = arena;
	return 0;
}

struct arena *arena_free(struct arena *arena)
{
	if (!arena)
		return NULL;
	ARENA_UNPOISON(arena->base, arena->max);
	munmap(arena->base, arena->max);
	free(arena);
	return NULL;
}

void arena_reset(struct arena *arena)
{
	if (arena->used > arena->peak)
		arena->peak = arena->used;
	ARENA_POISON(arena->base, arena->used);
	arena->used = 0;
	if (arena->peak <= ARENA_RESIDENT)
		return;
	/* Failure means only that the pages stay. */
	(void)madvise(arena->base + ARENA_RESIDENT, arena->peak - ARENA_RESIDENT, MADV_DONTNEED);
	arena->peak = 0;
}

ProtobufCAllocator *arena_allocator(struct arena *arena)
{
	return &arena->allocator;
}

size_t arena_used(const struct arena *arena)
{
	return arena->used;
}

void *arena_alloc(struct arena *arena, size_t size)
{
	size_t rounded = (size + ARENA_ALIGN - 1) & ~(ARENA_ALIGN - 1);
	uint8_t *address = arena->base + arena->used;

	/* size 0 has a place of its own, as with malloc; rounded < size is an overflow. */
	if (rounded == 0)
		rounded = ARENA_ALIGN;
	if (rounded < size || rounded > arena->max - arena->used)
		return NULL;
	ARENA_UNPOISON(address, size);
	arena->used += rounded;
	return address;
}

char *arena_strdup(struct arena *arena, const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = arena_alloc(arena, size);

	return copy ? memcpy(copy, text, size) : NULL;
}
