/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include <protobuf-c/protobuf-c.h>

/*
 * Bump allocator with a hard cap for protobuf-c: unpacking into it costs less than half of malloc's
 * time (tests/unit/proto/bench_codec.c), and it is the second line of defence behind the pre-scan.
 * Free is a no-op; arena_reset drops everything at once and keeps the memory (above 1 MiB it goes
 * back to the kernel, so that one large message does not stay resident). Not thread-safe.
 */
struct arena;

/* 0, -EINVAL (@max is 0 or above 1 GiB) or -ENOMEM. @max bytes are the cap, touched only as needed.
 */
int arena_new(struct arena **ret_arena, size_t max);
struct arena *arena_free(struct arena *arena); /* returns NULL */
void arena_reset(struct arena *arena);
ProtobufCAllocator *arena_allocator(struct arena *arena);
/* Bytes handed out since the last reset, rounding included; never above the cap. */
size_t arena_used(const struct arena *arena);
/* NULL above the cap. 16-byte aligned. */
void *arena_alloc(struct arena *arena, size_t size);
char *arena_strdup(struct arena *arena, const char *text);
