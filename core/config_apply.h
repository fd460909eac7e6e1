/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "core/config.h"
#include "core/config_tree.h"

/*
 * Trees against tables. Private to core/config*.c. All: 0, CONFIG_E_INVALID or -ENOMEM with @err;
 * the target stays valid for config_free whatever they return.
 */

/* Zeroes @target and writes every default. */
int config_apply_defaults(const struct config_table *table, void *target, struct errmsg *err);
/* Writes what the document @root (from file @name) says over what is in @target. */
int config_apply_tree(const struct config_table *table, const char *name,
		      const struct config_node *root, void *target, struct errmsg *err);
/* Every required option is in one of the @n_roots documents. The first file is named in @err. */
int config_apply_check_required(const struct config_table *table, const char *name,
				const struct config_node *const *roots, size_t n_roots,
				struct errmsg *err);
