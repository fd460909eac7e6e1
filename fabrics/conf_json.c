/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/config_tree.h"
#include "fabrics/conf_parts.h"

/*
 * config.json: [ { hostnqn, hostid, dhchap_key, subsystems: [ { nqn, ports: [ { transport, traddr,
 * ... } ] } ] } ], in newer versions under the key "hosts". JSON is read as YAML, of which it is a
 * part but for tabs between words, which become blanks first.
 */

static char *conf_json_as_yaml(const char *text, size_t size)
{
	char *copy = malloc(size + 1);
	bool is_string = false;

	if (!copy)
		return NULL;
	for (size_t i = 0; i < size; i++) {
		copy[i] = text[i];
		if (is_string && text[i] == '\\' && i + 1 < size) {
			copy[i + 1] = text[i + 1];
			i++;
		} else if (text[i] == '"') {
			is_string = !is_string;
		} else if (!is_string && (text[i] == '\t' || text[i] == '\r')) {
			copy[i] = ' ';
		}
	}
	copy[size] = '\0';
	return copy;
}

/* Keys that say nothing about a connection. */
static bool conf_json_is_other(const char *key)
{
	static const char *const keys[] = { "hostsymname",	 "persistent_discovery_ctrl",
					    "application",	 "ports",
					    "subsystems",	 "discovery",
					    "required",		 "dhchap_ctrl_key_id",
					    "tls_configured_key" };

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (strcmp(keys[i], key) == 0)
			return true;
	return false;
}

/* All scalars of a map into @entry. False: told. */
static bool conf_json_take(struct conf *conf, const char *name, const struct config_node *map,
			   struct conf_entry *entry)
{
	for (const struct config_node *node = map->first; node; node = node->next) {
		if (node->type != CONFIG_NODE_SCALAR || conf_json_is_other(node->key) ||
		    config_tree_is_null(node))
			continue;
		if (!conf_set(conf, entry, name, node->line, node->key, node->text))
			return false;
	}
	return true;
}

static bool conf_json_is_true(const struct config_node *map, const char *key)
{
	const struct config_node *node = config_tree_find(map, key);

	return node && node->type == CONFIG_NODE_SCALAR && strcmp(node->text, "true") == 0;
}

static int conf_json_port(struct conf *conf, const char *name, const struct config_node *port,
			  const struct conf_entry *subsystem)
{
	struct conf_entry entry = *subsystem;

	if (!conf_json_take(conf, name, port, &entry))
		return 0;
	/* Local controllers are in the file too, written by "nvme config --scan". */
	if (strcmp(entry.tid.transport, "pcie") == 0)
		return 0;
	entry.is_discovery =
		conf_json_is_true(port, "discovery") || tid_is_discovery_nqn(entry.tid.nqn);
	return conf_add(conf, &entry, name, port->line);
}

/* The children of a list that are maps; what else is there is told. */
static const struct config_node *conf_json_maps(struct conf *conf, const char *name,
						const struct config_node *list)
{
	if (!list)
		return NULL;
	if (list->type != CONFIG_NODE_LIST) {
		conf_tell(conf, name, list->line, "\"%s\" is not a list",
			  list->key ? list->key : "hosts");
		return NULL;
	}
	for (const struct config_node *node = list->first; node; node = node->next) {
		if (node->type == CONFIG_NODE_MAP)
			continue;
		conf_tell(conf, name, node->line, "an object is expected here");
		return NULL;
	}
	return list->first;
}

static int conf_json_host(struct conf *conf, const char *name, const struct config_node *host)
{
	struct conf_entry entry = { .source = CONF_CONFIG_JSON };
	const struct config_node *subsystem, *port;
	int r = 0;

	connect_options_init(&entry.options);
	if (!conf_json_take(conf, name, host, &entry))
		return 0;
	subsystem = conf_json_maps(conf, name, config_tree_find(host, "subsystems"));
	for (; r == 0 && subsystem; subsystem = subsystem->next) {
		struct conf_entry of_subsystem = entry;

		if (!conf_json_take(conf, name, subsystem, &of_subsystem))
			continue;
		port = conf_json_maps(conf, name, config_tree_find(subsystem, "ports"));
		for (; r == 0 && port; port = port->next)
			r = conf_json_port(conf, name, port, &of_subsystem);
	}
	return r;
}

static int conf_json_hosts(struct conf *conf, const char *name, const struct config_node *root)
{
	const struct config_node *host;
	int r = 0;

	if (root->type == CONFIG_NODE_MAP)
		root = config_tree_find(root, "hosts");
	host = conf_json_maps(conf, name, root);
	for (; r == 0 && host; host = host->next)
		r = conf_json_host(conf, name, host);
	return r;
}

int conf_parse_json(struct conf *conf, const char *name, const char *text, size_t size)
{
	char *yaml = conf_json_as_yaml(text, size);
	struct config_node *root = NULL;
	struct errmsg err = { 0 };
	int r = yaml ? config_tree_parse(name, yaml, size, &root, &err) : -ENOMEM;

	free(yaml);
	if (r == 0)
		r = conf_json_hosts(conf, name, root);
	else if (r != -ENOMEM) {
		conf_tell(conf, name, err.line, "%s", err.text);
		r = 0;
	}
	config_tree_free(root);
	return r;
}
