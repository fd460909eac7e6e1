/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/errmsg.h"

/*
 * A YAML document as a tree of marked nodes, before any table is looked at. Everything that no
 * table could want (anchors, aliases, tags, two documents, ...) is refused here. For
 * core/config*.c, and readers of JSON files.
 */
#define CONFIG_TREE_MAX_BYTES (1u << 20)
#define CONFIG_TREE_MAX_DEPTH 16
#define CONFIG_TREE_MAX_NODES 65536
#define CONFIG_TREE_MAX_KEYS  256

enum config_node_type { CONFIG_NODE_SCALAR, CONFIG_NODE_MAP, CONFIG_NODE_LIST };

struct config_node {
	enum config_node_type type;
	unsigned line, column; /* 1-based, in characters */
	char *key;	       /* of this node in a map above; else NULL */
	unsigned key_line, key_column;
	char *text;				 /* scalar: no NUL inside */
	bool plain;				 /* scalar without quotes */
	struct config_node *first, *last, *next; /* children, and the sibling behind */
	struct config_node *parent;
	size_t n_children;
};

/*
 * *ret_root is for config_tree_free. 0, CONFIG_E_INVALID or -ENOMEM with @err; @name is the file in
 * messages.
 */
int config_tree_parse(const char *name, const char *text, size_t text_len,
		      struct config_node **ret_root, struct errmsg *err);
struct config_node *config_tree_free(struct config_node *root);

/* The child of a map with this key, or NULL; NULL is accepted as an empty map. */
const struct config_node *config_tree_find(const struct config_node *map, const char *key);
/* `key:` with nothing behind, ~ or null. */
bool config_tree_is_null(const struct config_node *node);

/* Characters that YAML or this module refuses, found before libyaml runs. 0 or CONFIG_E_INVALID. */
int config_scan(const char *name, const char *text, size_t text_len, struct errmsg *err);
