/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/store/map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAP_MIN_BUCKETS 64

/* FNV-1a, 64 bits: offset basis and prime of the IETF draft "The FNV Non-Cryptographic Hash
 * Algorithm". */
static uint64_t map_hash(const void *key, size_t key_size)
{
	const uint8_t *bytes = key;
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < key_size; i++)
		hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
	return hash;
}

static struct map_node **map_bucket(const struct map *map, uint64_t hash)
{
	return &map->buckets[hash & (map->n_buckets - 1)];
}

struct map_node *map_find(const struct map *map, const void *key, size_t key_size)
{
	uint64_t hash = map_hash(key, key_size);
	struct map_node *node = map->n_buckets ? *map_bucket(map, hash) : NULL;

	while (node && (node->hash != hash || node->key_size != key_size ||
			memcmp(node->key, key, key_size) != 0))
		node = node->next;
	return node;
}

static void map_link(struct map *map, struct map_node *node)
{
	struct map_node **bucket = map_bucket(map, node->hash);

	node->next = *bucket;
	*bucket = node;
}

static int map_grow(struct map *map)
{
	struct map bigger = { .n_buckets = map->n_buckets ? map->n_buckets * 2 : MAP_MIN_BUCKETS,
			      .n_nodes = map->n_nodes };

	bigger.buckets = calloc(bigger.n_buckets, sizeof(void *));
	if (!bigger.buckets)
		return -ENOMEM;
	for (size_t i = 0; i < map->n_buckets; i++) {
		struct map_node *node, *next;

		for (node = map->buckets[i]; node; node = next) {
			next = node->next;
			map_link(&bigger, node);
		}
	}
	free(map->buckets);
	*map = bigger;
	return 0;
}

int map_add(struct map *map, struct map_node *node, const void *key, size_t key_size)
{
	/* A table that cannot grow is slower, not wrong; only the first one is needed. */
	if (map->n_nodes >= map->n_buckets && map_grow(map) < 0 && map->n_buckets == 0)
		return -ENOMEM;
	node->key = key;
	node->key_size = key_size;
	node->hash = map_hash(key, key_size);
	map_link(map, node);
	map->n_nodes++;
	return 0;
}

void map_remove(struct map *map, struct map_node *node)
{
	struct map_node **link = map_bucket(map, node->hash);

	while (*link != node)
		link = &(*link)->next;
	*link = node->next;
	map->n_nodes--;
}

void map_each(struct map *map, void (*each)(struct map_node *node, void *data), void *data)
{
	for (size_t i = 0; i < map->n_buckets; i++) {
		struct map_node *node, *next;

		for (node = map->buckets[i]; node; node = next) {
			next = node->next;
			each(node, data);
		}
	}
}

void map_deinit(struct map *map)
{
	free(map->buckets);
	memset(map, 0, sizeof(*map));
}
