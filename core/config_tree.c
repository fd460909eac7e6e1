/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libyaml's events become a tree with a mark on every node. A cursor (the open collection) replaces
 * recursion: the depth that a stranger chose never becomes our stack. libyaml's own composer is not
 * used because it loses the place of a duplicate key and follows aliases.
 */
#include "core/config_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "core/config.h"

struct config_builder {
	const char *name;
	struct errmsg *err;
	yaml_parser_t parser;
	struct config_node *root, *open; /* open: the innermost collection, NULL outside of all */
	char *key;			 /* waiting for its value */
	unsigned key_line, key_column;
	unsigned depth, n_documents;
	size_t n_nodes;
	bool done;
};

#define config_tree_refuse(builder, mark, ...)                                 \
	(errmsg_at((builder)->err, (builder)->name, (unsigned)(mark).line + 1, \
		   (unsigned)(mark).column + 1, __VA_ARGS__),                  \
	 CONFIG_E_INVALID)

static int config_tree_no_memory(const struct config_builder *builder)
{
	errmsg_at(builder->err, builder->name, 0, 0, "out of memory");
	return -ENOMEM;
}

static void config_tree_free_one(struct config_node *node)
{
	free(node->key);
	free(node->text);
	free(node);
}

struct config_node *config_tree_free(struct config_node *root)
{
	struct config_node *node = root;

	while (node) {
		struct config_node *parent = node->parent, *next = node->next;

		if (node->first) {
			node = node->first;
			continue;
		}
		/* The last child gone, its parent is a leaf. */
		if (parent)
			parent->first = next;
		config_tree_free_one(node);
		node = next ? next : parent;
	}
	return NULL;
}

const struct config_node *config_tree_find(const struct config_node *map, const char *key)
{
	if (!map || map->type != CONFIG_NODE_MAP)
		return NULL;
	for (const struct config_node *child = map->first; child; child = child->next) {
		if (strcmp(child->key, key) == 0)
			return child;
	}
	return NULL;
}

bool config_tree_is_null(const struct config_node *node)
{
	return node->type == CONFIG_NODE_SCALAR && node->plain &&
	       (node->text[0] == '\0' || strcmp(node->text, "~") == 0 ||
		strcmp(node->text, "null") == 0);
}

/* Links @node as the next value at the cursor. */
static void config_tree_attach(struct config_builder *builder, struct config_node *node)
{
	struct config_node *parent = builder->open;

	if (!parent) {
		builder->root = node;
		return;
	}
	node->parent = parent;
	node->key = builder->key;
	node->key_line = builder->key_line;
	node->key_column = builder->key_column;
	builder->key = NULL;
	if (parent->last)
		parent->last->next = node;
	else
		parent->first = node;
	parent->last = node;
	parent->n_children++;
}

static int config_tree_add(struct config_builder *builder, enum config_node_type type,
			   const yaml_mark_t *mark, struct config_node **ret_node)
{
	struct config_node *node;

	if (++builder->n_nodes > CONFIG_TREE_MAX_NODES)
		return config_tree_refuse(builder, *mark, "more than %d values in one file",
					  CONFIG_TREE_MAX_NODES);
	node = calloc(1, sizeof(*node));
	if (!node)
		return config_tree_no_memory(builder);
	node->type = type;
	node->line = (unsigned)mark->line + 1;
	node->column = (unsigned)mark->column + 1;
	config_tree_attach(builder, node);
	*ret_node = node;
	return 0;
}

/* A scalar where a map wants its next key. */
static bool config_tree_wants_key(const struct config_builder *builder)
{
	return builder->open && builder->open->type == CONFIG_NODE_MAP && !builder->key;
}

static int config_tree_take_key(struct config_builder *builder, const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	const struct config_node *other = config_tree_find(builder->open, text);

	if (event->data.scalar.length == 0)
		return config_tree_refuse(builder, event->start_mark, "empty key");
	if (other)
		return config_tree_refuse(builder, event->start_mark,
					  "duplicate key \"%.64s\", first on line %u", text,
					  other->key_line);
	if (builder->open->n_children >= CONFIG_TREE_MAX_KEYS)
		return config_tree_refuse(builder, event->start_mark,
					  "more than %d keys in one map", CONFIG_TREE_MAX_KEYS);
	builder->key = strdup(text);
	if (!builder->key)
		return config_tree_no_memory(builder);
	builder->key_line = (unsigned)event->start_mark.line + 1;
	builder->key_column = (unsigned)event->start_mark.column + 1;
	return 0;
}

static int config_tree_on_scalar(struct config_builder *builder, const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	struct config_node *node;
	int r;

	if (memchr(text, '\0', event->data.scalar.length))
		return config_tree_refuse(builder, event->start_mark, "NUL character in a value");
	if (config_tree_wants_key(builder))
		return config_tree_take_key(builder, event);
	r = config_tree_add(builder, CONFIG_NODE_SCALAR, &event->start_mark, &node);
	if (r != 0)
		return r;
	node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	node->text = strdup(text);
	return node->text ? 0 : config_tree_no_memory(builder);
}

static int config_tree_on_start(struct config_builder *builder, const yaml_event_t *event,
				enum config_node_type type)
{
	struct config_node *node;
	int r;

	if (config_tree_wants_key(builder))
		return config_tree_refuse(builder, event->start_mark,
					  "a key must be a word, not a map or a list");
	if (++builder->depth > CONFIG_TREE_MAX_DEPTH)
		return config_tree_refuse(builder, event->start_mark, "more than %d levels",
					  CONFIG_TREE_MAX_DEPTH);
	r = config_tree_add(builder, type, &event->start_mark, &node);
	if (r == 0)
		builder->open = node;
	return r;
}

/* What an event carries beside its value: an anchor or a tag, which no option can use. */
static int config_tree_check_properties(const struct config_builder *builder,
					const yaml_event_t *event)
{
	const yaml_char_t *anchor = NULL, *tag = NULL;

	if (event->type == YAML_SCALAR_EVENT) {
		anchor = event->data.scalar.anchor;
		tag = event->data.scalar.tag;
	} else if (event->type == YAML_MAPPING_START_EVENT) {
		anchor = event->data.mapping_start.anchor;
		tag = event->data.mapping_start.tag;
	} else if (event->type == YAML_SEQUENCE_START_EVENT) {
		anchor = event->data.sequence_start.anchor;
		tag = event->data.sequence_start.tag;
	}
	if (anchor)
		return config_tree_refuse(builder, event->start_mark,
					  "anchors (&) are not supported");
	if (tag)
		return config_tree_refuse(builder, event->start_mark, "tags (!) are not supported");
	return 0;
}

static int config_tree_on_event(struct config_builder *builder, const yaml_event_t *event)
{
	int r = config_tree_check_properties(builder, event);

	if (r != 0)
		return r;
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (++builder->n_documents > 1)
			return config_tree_refuse(builder, event->start_mark,
						  "more than one document");
		return 0;
	case YAML_ALIAS_EVENT:
		return config_tree_refuse(builder, event->start_mark,
					  "aliases (*) are not supported");
	case YAML_SCALAR_EVENT:
		return config_tree_on_scalar(builder, event);
	case YAML_MAPPING_START_EVENT:
		return config_tree_on_start(builder, event, CONFIG_NODE_MAP);
	case YAML_SEQUENCE_START_EVENT:
		return config_tree_on_start(builder, event, CONFIG_NODE_LIST);
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		builder->open = builder->open->parent;
		builder->depth--;
		return 0;
	case YAML_STREAM_END_EVENT:
		builder->done = true;
		return 0;
	default:
		return 0;
	}
}

/* libyaml's words, at the place where its reader stood. */
static int config_tree_syntax_error(const struct config_builder *builder)
{
	const yaml_parser_t *parser = &builder->parser;

	if (parser->error == YAML_MEMORY_ERROR)
		return config_tree_no_memory(builder);
	return config_tree_refuse(builder, parser->problem_mark, "%s%s%s",
				  parser->problem ? parser->problem : "not YAML",
				  parser->context ? " " : "",
				  parser->context ? parser->context : "");
}

static int config_tree_read(struct config_builder *builder)
{
	while (!builder->done) {
		yaml_event_t event;
		int r;

		if (!yaml_parser_parse(&builder->parser, &event))
			return config_tree_syntax_error(builder);
		r = config_tree_on_event(builder, &event);
		yaml_event_delete(&event);
		if (r != 0)
			return r;
	}
	if (!builder->root || config_tree_is_null(builder->root)) {
		errmsg_at(builder->err, builder->name, 1, 1, "the file is empty");
		return CONFIG_E_INVALID;
	}
	return 0;
}

int config_tree_parse(const char *name, const char *text, size_t text_len,
		      struct config_node **ret_root, struct errmsg *err)
{
	struct config_builder builder = { .name = name, .err = err };
	int r = config_scan(name, text, text_len, err);

	if (r != 0)
		return r;
	if (!yaml_parser_initialize(&builder.parser))
		return config_tree_no_memory(&builder);
	yaml_parser_set_encoding(&builder.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&builder.parser, (const unsigned char *)text, text_len);
	r = config_tree_read(&builder);
	yaml_parser_delete(&builder.parser);
	free(builder.key);
	if (r != 0)
		builder.root = config_tree_free(builder.root);
	else
		*ret_root = builder.root;
	return r;
}
