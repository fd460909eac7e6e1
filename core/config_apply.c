/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks a tree and its table together and fills the struct. The depth is that of the table, which
 * we wrote. A list is built aside and takes the place of the old one when all of it is good: a
 * later file replaces lists and never leaves half of one.
 */
#include "core/config_apply.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/config_value.h"

#define CONFIG_MAX_FILES     65
#define CONFIG_PATH_TEXT_MAX 160
#define CONFIG_MAX_OPTIONS   128

/* Where in the document: links from the inside out, for messages. */
struct config_place {
	const struct config_place *up;
	const char *name; /* NULL: element `index` of the list above */
	size_t index;
};

struct config_source {
	const char *file;
	struct errmsg *err;
};

static int config_apply_map(const struct config_source *source, const struct config_table *table,
			    const struct config_node *node, void *target,
			    const struct config_place *place);

static size_t config_place_format(const struct config_place *place, char *text, size_t size)
{
	size_t used;
	int n;

	if (!place)
		return 0;
	used = config_place_format(place->up, text, size);
	if (used >= size)
		return used;
	if (place->name)
		n = snprintf(text + used, size - used, "%s%s", used ? "." : "", place->name);
	else
		n = snprintf(text + used, size - used, "[%zu]", place->index);
	return used + (size_t)n;
}

static int config_refuse(const struct config_source *source, unsigned line, unsigned column,
			 const struct config_place *place, const char *what)
{
	char path[CONFIG_PATH_TEXT_MAX] = "";

	config_place_format(place, path, sizeof(path));
	errmsg_at(source->err, source->file, line, column, "%s%s%s", path, path[0] ? ": " : "",
		  what);
	return CONFIG_E_INVALID;
}

static int config_no_memory(const struct config_source *source)
{
	errmsg_at(source->err, source->file, 0, 0, "out of memory");
	return -ENOMEM;
}

static int config_refuse_unknown(const struct config_source *source,
				 const struct config_table *table, const struct config_node *node,
				 const struct config_place *place)
{
	const char *names[CONFIG_MAX_OPTIONS];
	const char *nearest;
	char text[256];
	size_t n = 0;

	for (; n < table->n_options && n < CONFIG_MAX_OPTIONS; n++)
		names[n] = table->options[n].name;
	nearest = config_value_nearest(node->key, names, n);
	snprintf(text, sizeof(text), "unknown option \"%.64s\"%s%s%s", node->key,
		 nearest ? ", did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
	return config_refuse(source, node->key_line, node->key_column, place, text);
}

static void config_free_strings(struct config_strings *strings)
{
	for (size_t i = 0; i < strings->n_items; i++)
		free(strings->items[i]);
	free(strings->items);
	*strings = (struct config_strings){ 0 };
}

static void config_free_maps(const struct config_table *element, struct config_maps *maps)
{
	for (size_t i = 0; i < maps->n_items; i++)
		config_free(element, (char *)maps->items + i * element->size);
	free(maps->items);
	*maps = (struct config_maps){ 0 };
}

static void config_free_options(const struct config_table *table, void *target)
{
	for (size_t i = 0; i < table->n_options; i++) {
		const struct config_option *option = &table->options[i];
		void *field = (char *)target + option->offset;

		if (option->type == CONFIG_STRING || option->type == CONFIG_PATH) {
			free(*(char **)field);
			*(char **)field = NULL;
		} else if (option->type == CONFIG_STRINGS) {
			config_free_strings(field);
		} else if (option->type == CONFIG_MAPS) {
			config_free_maps(option->element, field);
		} else if (option->type == CONFIG_SECTION) {
			config_free_options(option->element, field);
		}
	}
}

void config_free(const struct config_table *table, void *target)
{
	config_free_options(table, target);
	memset(target, 0, table->size);
}

static int config_apply_scalar(const struct config_source *source,
			       const struct config_option *option, const struct config_node *node,
			       void *field, const struct config_place *place)
{
	struct errmsg inner = { 0 };
	int r;

	if (node->type != CONFIG_NODE_SCALAR)
		return config_refuse(source, node->line, node->column, place,
				     node->type == CONFIG_NODE_MAP
					     ? "a single value is wanted here, not a map"
					     : "a single value is wanted here, not a list");
	if (config_tree_is_null(node))
		return config_refuse(source, node->line, node->column, place, "has no value");
	r = config_value_set(option, node->text, node->plain, field, &inner);
	if (r == CONFIG_E_INVALID)
		return config_refuse(source, node->line, node->column, place, inner.text);
	return r < 0 ? config_no_memory(source) : 0;
}

/* A list of the wanted length, or a refusal. */
static int config_check_list(const struct config_source *source, const struct config_option *option,
			     const struct config_node *node, const struct config_place *place)
{
	struct errmsg inner = { 0 };

	if (node->type != CONFIG_NODE_LIST)
		return config_refuse(
			source, node->line, node->column, place,
			"a list is wanted here, write [a, b] or lines that start with \"- \"");
	if (config_value_check_count(option, node->n_children, &inner) != 0)
		return config_refuse(source, node->line, node->column, place, inner.text);
	return 0;
}

static int config_fill_strings(const struct config_source *source, const struct config_node *node,
			       struct config_strings *strings, const struct config_place *place)
{
	static const struct config_option item = { .type = CONFIG_STRING };
	struct config_place here = { .up = place };

	assert(strings->items || !node->first);
	for (const struct config_node *child = node->first; child; child = child->next) {
		int r = config_apply_scalar(source, &item, child, &strings->items[strings->n_items],
					    &here);

		if (r != 0)
			return r;
		strings->n_items++;
		here.index++;
	}
	return 0;
}

static int config_apply_strings(const struct config_source *source,
				const struct config_option *option, const struct config_node *node,
				struct config_strings *field, const struct config_place *place)
{
	struct config_strings strings = { 0 };
	int r = config_check_list(source, option, node, place);

	if (r != 0)
		return r;
	if (node->n_children > 0) {
		strings.items = calloc(node->n_children, sizeof(*strings.items));
		if (!strings.items)
			return config_no_memory(source);
	}
	r = config_fill_strings(source, node, &strings, place);
	if (r != 0) {
		config_free_strings(&strings);
		return r;
	}
	config_free_strings(field);
	*field = strings;
	return 0;
}

static int config_fill_maps(const struct config_source *source, const struct config_table *element,
			    const struct config_node *node, struct config_maps *maps,
			    const struct config_place *place)
{
	struct config_place here = { .up = place };

	assert(maps->items || !node->first);
	for (const struct config_node *child = node->first; child; child = child->next) {
		void *item = (char *)maps->items + maps->n_items++ * element->size;
		int r = config_apply_defaults(element, item, source->err);

		if (r == 0)
			r = config_apply_map(source, element, child, item, &here);
		if (r == 0)
			r = config_apply_check_required(element, source->file, &child, 1,
							source->err);
		if (r != 0)
			return r;
		here.index++;
	}
	return 0;
}

static int config_apply_maps(const struct config_source *source, const struct config_option *option,
			     const struct config_node *node, struct config_maps *field,
			     const struct config_place *place)
{
	struct config_maps maps = { 0 };
	int r = config_check_list(source, option, node, place);

	if (r != 0)
		return r;
	if (node->n_children > 0) {
		maps.items = calloc(node->n_children, option->element->size);
		if (!maps.items)
			return config_no_memory(source);
	}
	r = config_fill_maps(source, option->element, node, &maps, place);
	if (r != 0) {
		config_free_maps(option->element, &maps);
		return r;
	}
	config_free_maps(option->element, field);
	*field = maps;
	return 0;
}

static int config_apply_option(const struct config_source *source,
			       const struct config_option *option, const struct config_node *node,
			       void *field, const struct config_place *place)
{
	switch (option->type) {
	case CONFIG_STRINGS:
		return config_apply_strings(source, option, node, field, place);
	case CONFIG_MAPS:
		return config_apply_maps(source, option, node, field, place);
	case CONFIG_SECTION:
		/* A section of which every line is commented out reads as null. */
		return config_tree_is_null(node)
			       ? 0
			       : config_apply_map(source, option->element, node, field, place);
	default:
		return config_apply_scalar(source, option, node, field, place);
	}
}

static const struct config_option *config_find_option(const struct config_table *table,
						      const char *name)
{
	for (size_t i = 0; i < table->n_options; i++) {
		if (strcmp(table->options[i].name, name) == 0)
			return &table->options[i];
	}
	return NULL;
}

static int config_apply_map(const struct config_source *source, const struct config_table *table,
			    const struct config_node *node, void *target,
			    const struct config_place *place)
{
	if (node->type != CONFIG_NODE_MAP)
		return config_refuse(source, node->line, node->column, place,
				     "a map is wanted here, lines of \"option: value\"");
	for (const struct config_node *child = node->first; child; child = child->next) {
		const struct config_option *option = config_find_option(table, child->key);
		struct config_place here = { .up = place, .name = child->key };
		int r;

		if (!option)
			return config_refuse_unknown(source, table, child, place);
		r = config_apply_option(source, option, child, (char *)target + option->offset,
					&here);
		if (r != 0)
			return r;
	}
	return 0;
}

int config_apply_tree(const struct config_table *table, const char *name,
		      const struct config_node *root, void *target, struct errmsg *err)
{
	struct config_source source = { .file = name, .err = err };

	return config_apply_map(&source, table, root, target, NULL);
}

/* The default is text that we wrote: the same parsers read it, so that sample and effect agree. */
static int config_apply_default(const struct config_option *option, void *field, struct errmsg *err)
{
	struct config_source source = { .file = "built-in default", .err = err };
	struct config_place place = { .name = option->name };
	struct config_node *root = NULL;
	struct config_node scalar = {
		.type = CONFIG_NODE_SCALAR, .plain = true, .line = 1, .column = 1
	};
	int r;

	if (option->type != CONFIG_STRINGS && option->type != CONFIG_MAPS) {
		scalar.text = (char *)option->initial;
		/* "" is a default as good as any, and not "no value". */
		scalar.plain = option->type != CONFIG_STRING;
		return config_apply_scalar(&source, option, &scalar, field, &place);
	}
	r = config_tree_parse(source.file, option->initial, strlen(option->initial), &root, err);
	if (r == 0)
		r = config_apply_option(&source, option, root, field, &place);
	config_tree_free(root);
	return r;
}

static int config_apply_option_defaults(const struct config_table *table, void *target,
					struct errmsg *err)
{
	for (size_t i = 0; i < table->n_options; i++) {
		const struct config_option *option = &table->options[i];
		void *field = (char *)target + option->offset;
		int r = 0;

		if (option->type == CONFIG_SECTION)
			r = config_apply_option_defaults(option->element, field, err);
		else if (option->initial)
			r = config_apply_default(option, field, err);
		if (r != 0)
			return r;
	}
	return 0;
}

int config_apply_defaults(const struct config_table *table, void *target, struct errmsg *err)
{
	memset(target, 0, table->size);
	return config_apply_option_defaults(table, target, err);
}

static int config_refuse_missing(const char *name, const struct config_option *option,
				 const struct config_node *map, struct errmsg *err)
{
	errmsg_at(err, name, map ? map->line : 1, map ? map->column : 1,
		  "required option \"%s\" is missing", option->name);
	return CONFIG_E_INVALID;
}

int config_apply_check_required(const struct config_table *table, const char *name,
				const struct config_node *const *roots, size_t n_roots,
				struct errmsg *err)
{
	const struct config_node *children[CONFIG_MAX_FILES];

	if (n_roots > CONFIG_MAX_FILES)
		n_roots = CONFIG_MAX_FILES;
	for (size_t i = 0; i < table->n_options; i++) {
		const struct config_option *option = &table->options[i];
		bool found = false;
		int r = 0;

		for (size_t j = 0; j < n_roots; j++) {
			children[j] = config_tree_find(roots[j], option->name);
			found = found || children[j];
		}
		if (option->type == CONFIG_SECTION)
			r = config_apply_check_required(option->element, name, children, n_roots,
							err);
		else if (option->required && !found)
			r = config_refuse_missing(name, option, roots[0], err);
		if (r != 0)
			return r;
	}
	return 0;
}
