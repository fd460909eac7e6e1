/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * Hash map of intrusive nodes, keyed by bytes that the owner of the node keeps. Grows by doubling;
 * zero-initialise; map_deinit frees the table, not the nodes. Keys of hosts come from certificates,
 * so the hash (FNV-1a) needs no secret.
 */
struct map_node {
	struct map_node *next; /* of one bucket */
	const void *key;
	size_t key_size;
	uint64_t hash;
};

struct map {
	struct map_node **buckets;
	size_t n_buckets, n_nodes; /* n_buckets: 0 or a power of two */
};

struct map_node *map_find(const struct map *map, const void *key, size_t key_size);
/* The key must not be in the map, and must live as long as the node. 0 or -ENOMEM. */
int map_add(struct map *map, struct map_node *node, const void *key, size_t key_size);
void map_remove(struct map *map, struct map_node *node);
/* Calls @each for all; it may remove (and free) the node that it gets, no other. */
void map_each(struct map *map, void (*each)(struct map_node *node, void *data), void *data);
void map_deinit(struct map *map);
