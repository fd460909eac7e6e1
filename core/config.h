/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/errmsg.h"

/*
 * Configuration: YAML read by libyaml over tables of options. The same table parses, checks, dumps,
 * writes the commented sample and the JSON Schema. A target is a plain struct; a table says where
 * in it each option lives. All strings and lists are owned by the struct and freed by config_free.
 *
 * Refused, each with file:line:column: unknown key (with the nearest known one), duplicate key,
 * wrong type, value out of range, list longer than its limit, alias or anchor, more than 16 levels,
 * file above 1 MiB, bytes that are not UTF-8, an empty file, more than one document.
 */
enum config_type {
	CONFIG_BOOL,	 /* bool: true, false (yes, no, on, off are refused with a hint) */
	CONFIG_UINT,	 /* uint64_t within [min, max] */
	CONFIG_SIZE,	 /* uint64_t bytes: 64, 64KiB, 256MiB, 1GiB; within [min, max] */
	CONFIG_DURATION, /* uint64_t nanoseconds: 500ms, 30s, 10m, 24h, 7d; within [min, max] in ns
			  */
	CONFIG_STRING,	/* char *; length within [min, max]; NULL when absent and without default */
	CONFIG_PATH,	/* char *; absolute path */
	CONFIG_ENUM,	/* int; one of `names` (NULL-terminated), value = index */
	CONFIG_STRINGS, /* struct config_strings; number of elements within [min, max] */
	CONFIG_MAPS,	/* struct config_maps: a list of maps, each read by `element`; number within
			   [min, max] */
	CONFIG_SECTION, /* nested map: `element` table, same struct base + offset */
};

struct config_strings {
	char **items;
	size_t n_items;
};

/* A list of structs of `element->size` bytes, one behind the other. */
struct config_maps {
	void *items;
	size_t n_items;
};

struct config_table;

struct config_option {
	const char *name; /* key, snake_case */
	enum config_type type;
	size_t offset;
	const char *initial;		    /* default as the user would write it; NULL = none */
	uint64_t min, max;		    /* 0, 0 = no limit */
	const char *const *names;	    /* CONFIG_ENUM */
	const struct config_table *element; /* CONFIG_MAPS, CONFIG_SECTION */
	bool required;
	const char *help; /* sentences for sample, schema and manual; says unit and meaning */
};

struct config_table {
	const struct config_option *options;
	size_t n_options;
	size_t size; /* of the struct that is filled */
};

/*
 * Reads @path, then PATH.d/ *.yaml in order of name where that folder exists (later wins, lists
 * replace), into @ret_target (table->size bytes, any content; every option gets its default first).
 * 0; CONFIG_E_INVALID with @err; negative errno (also with @err) where a file cannot be read.
 * On any error the target is freed and zeroed.
 */
#define CONFIG_E_INVALID 1
int config_load(const struct config_table *table, const char *path, void *ret_target,
		struct errmsg *err);
/* The same from memory; @name is used in messages. */
int config_parse(const struct config_table *table, const char *name, const char *text,
		 size_t text_len, void *ret_target, struct errmsg *err);
/* Only the defaults. */
void config_defaults(const struct config_table *table, void *ret_target);
void config_free(const struct config_table *table, void *target);

/* YAML of all options with their values in effect. 0 or -errno. */
int config_dump(const struct config_table *table, const void *target, FILE *out);
/* Commented sample with the defaults; JSON Schema (draft 2020-12) with @title. */
int config_sample(const struct config_table *table, const char *heading, FILE *out);
int config_schema(const struct config_table *table, const char *title, FILE *out);

/* The value parsers, for the command line too. 0 or CONFIG_E_INVALID with err->text. */
int config_parse_duration(const char *text, uint64_t *ret_ns, struct errmsg *err);
int config_parse_size(const char *text, uint64_t *ret_bytes, struct errmsg *err);
