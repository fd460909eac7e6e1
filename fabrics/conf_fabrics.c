/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "fabrics/conf_parts.h"

/*
 * nvme-fabrics.conf: sections of KEY = VALUE. Defaults hold for the controllers behind them, in
 * this file and in later ones. `controller = KEY=VALUE;...` makes one connection; what it gives
 * itself wins over the defaults.
 */
enum conf_section {
	CONF_NO_SECTION,
	CONF_HOST,
	CONF_DISCOVERY_DEFAULTS,
	CONF_IO_DEFAULTS,
	CONF_DISCOVERY,
	CONF_SUBSYSTEM,
	CONF_UNKNOWN_SECTION,
};

static const char *const conf_section_names[] = {
	"",
	"Host",
	"Discovery Controller Defaults",
	"I/O Controller Defaults",
	"Discovery Controller",
	"Subsystem",
};

static void conf_begin_section(struct conf_lines *lines, const char *file, unsigned number,
			       char *text)
{
	char *end = strchr(text, ']');

	lines->section = CONF_UNKNOWN_SECTION;
	lines->nqn[0] = '\0';
	if (end)
		*end = '\0';
	for (int i = CONF_HOST; end && i < CONF_UNKNOWN_SECTION; i++)
		if (strcmp(text + 1, conf_section_names[i]) == 0)
			lines->section = i;
	if (lines->section == CONF_UNKNOWN_SECTION)
		conf_tell(lines->conf, file, number, "the section \"%.64s\" is not known",
			  text + 1);
}

/* The host's identity is every controller's. */
static void conf_take_host(const struct conf_lines *lines, struct conf_entry *entry)
{
	if (!entry->tid.host_nqn[0])
		memcpy(entry->tid.host_nqn, lines->host.tid.host_nqn, TID_NQN);
	if (!entry->options.host_id[0])
		memcpy(entry->options.host_id, lines->host.options.host_id,
		       sizeof(entry->options.host_id));
}

static int conf_controller(struct conf_lines *lines, const char *file, unsigned number, char *value)
{
	bool is_discovery = lines->section == CONF_DISCOVERY;
	struct conf_entry entry = is_discovery ? lines->discovery_defaults : lines->io_defaults;

	entry.is_discovery = is_discovery;
	entry.source = CONF_FABRICS_CONF;
	if (!is_discovery)
		memcpy(entry.tid.nqn, lines->nqn, TID_NQN);
	for (char *rest = value, *word; (word = strsep(&rest, ";")) != NULL;) {
		char *equals = strchr(word, '=');

		word = lines_trim(word);
		if (!*word)
			continue;
		if (equals)
			*equals = '\0';
		if (!conf_set(lines->conf, &entry, file, number, lines_trim(word),
			      equals ? lines_trim(equals + 1) : ""))
			return 0;
	}
	conf_take_host(lines, &entry);
	return conf_add(lines->conf, &entry, file, number);
}

static int conf_key(struct conf_lines *lines, const char *file, unsigned number, const char *key,
		    char *value)
{
	struct conf_entry *entry = NULL;

	if (lines->section == CONF_HOST)
		entry = &lines->host;
	else if (lines->section == CONF_DISCOVERY_DEFAULTS)
		entry = &lines->discovery_defaults;
	else if (lines->section == CONF_IO_DEFAULTS)
		entry = &lines->io_defaults;
	if (entry) {
		(void)conf_set(lines->conf, entry, file, number, key, value);
		return 0;
	}
	if (strcmp(key, "controller") == 0)
		return conf_controller(lines, file, number, value);
	if (lines->section == CONF_SUBSYSTEM && strcmp(key, "nqn") == 0 && strlen(value) < TID_NQN)
		snprintf(lines->nqn, sizeof(lines->nqn), "%s", value);
	else
		conf_tell(lines->conf, file, number, "\"%.64s\" is not expected in [%s]", key,
			  conf_section_names[lines->section]);
	return 0;
}

static int conf_fabrics_line(void *data, const char *file, unsigned number, char *text)
{
	struct conf_lines *lines = data;
	char *equals = strchr(text, '=');

	if (*text == '[') {
		conf_begin_section(lines, file, number, text);
		return 0;
	}
	if (lines->section == CONF_UNKNOWN_SECTION)
		return 0; /* told already */
	if (!equals || lines->section == CONF_NO_SECTION) {
		conf_tell(lines->conf, file, number,
			  equals ? "it stands before the first section" : "it is not KEY = VALUE");
		return 0;
	}
	*equals = '\0';
	return conf_key(lines, file, number, lines_trim(text), lines_trim(equals + 1));
}

static void conf_lines_init(struct conf_lines *lines, struct conf *conf)
{
	*lines = (struct conf_lines){ .conf = conf };
	connect_options_init(&lines->host.options);
	connect_options_init(&lines->discovery_defaults.options);
	connect_options_init(&lines->io_defaults.options);
}

int conf_parse_fabrics(struct conf *conf, const char *name, const char *text, size_t size)
{
	struct conf_lines lines;
	const struct lines_reader reader = { &lines, conf_fabrics_line, conf_tell_line };

	conf_lines_init(&lines, conf);
	return lines_parse(&reader, name, text, size);
}

int conf_read_fabrics_files(struct conf *conf, const char *path)
{
	struct conf_lines lines;
	const struct lines_reader reader = { &lines, conf_fabrics_line, conf_tell_line };

	conf_lines_init(&lines, conf);
	return lines_read_all(&reader, path);
}
