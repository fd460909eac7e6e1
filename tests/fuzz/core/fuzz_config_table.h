/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/config.h"

/* A table with every type of option, with and without limits and defaults, in sections and lists.
 */
struct fuzz_rule {
	char *kind;
	bool drop;
	struct config_strings hosts;
};

struct fuzz_config {
	bool enabled;
	uint64_t number, any_number, bytes, wait;
	char *name, *label, *path;
	int level;
	struct config_strings addresses;
	struct config_maps rules;
};

static const char *const fuzz_levels[] = { "error", "warning", "notice", NULL };

#define RULE(field)   .offset = offsetof(struct fuzz_rule, field)
#define OPTION(field) .offset = offsetof(struct fuzz_config, field)

static const struct config_option fuzz_rule_options[] = {
	{ "kind", CONFIG_STRING, RULE(kind), .min = 1, .max = 64, .required = true },
	{ "drop", CONFIG_BOOL, RULE(drop), "false" },
	{ "hosts", CONFIG_STRINGS, RULE(hosts), .max = 3 },
};
static const struct config_table fuzz_rule_table = { fuzz_rule_options, 3,
						     sizeof(struct fuzz_rule) };

static const struct config_option fuzz_section_options[] = {
	{ "bytes", CONFIG_SIZE, OPTION(bytes), "64MiB", 1024, UINT64_C(1) << 40 },
	{ "wait", CONFIG_DURATION, OPTION(wait), "30s", 0, 0 },
	{ "path", CONFIG_PATH, OPTION(path), "/var/lib/x" },
};
static const struct config_table fuzz_section_table = { fuzz_section_options, 3,
							sizeof(struct fuzz_config) };

static const struct config_option fuzz_options[] = {
	{ "enabled", CONFIG_BOOL, OPTION(enabled), "true" },
	{ "number", CONFIG_UINT, OPTION(number), "5", 1, 65535 },
	{ "any_number", CONFIG_UINT, OPTION(any_number) },
	{ "name", CONFIG_STRING, OPTION(name), .required = true },
	{ "label", CONFIG_STRING, OPTION(label), "", 0, 8 },
	{ "level", CONFIG_ENUM, OPTION(level), "warning", .names = fuzz_levels },
	{ "section", CONFIG_SECTION, .offset = 0, .element = &fuzz_section_table },
	{ "addresses", CONFIG_STRINGS, OPTION(addresses), "[\"127.0.0.1:1\"]", 1, 4 },
	{ "rules", CONFIG_MAPS, OPTION(rules), .max = 5, .element = &fuzz_rule_table },
};
static const struct config_table fuzz_config_table = { fuzz_options, 9,
						       sizeof(struct fuzz_config) };
