/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "fabrics/conf_parts.h"

/*
 * discovery.conf: nvme-cli's options for connect-all and discover, one controller a line. Short
 * options as its manual pages have them (nvme-connect-all, nvme-discover, 2.x).
 */
static const struct {
	char letter;
	const char *name;
	bool is_flag;
} conf_letters[] = {
	{ 't', "transport", false },
	{ 'n', "nqn", false },
	{ 'a', "traddr", false },
	{ 's', "trsvcid", false },
	{ 'w', "host-traddr", false },
	{ 'f', "host-iface", false },
	{ 'q', "hostnqn", false },
	{ 'I', "hostid", false },
	{ 'i', "nr-io-queues", false },
	{ 'W', "nr-write-queues", false },
	{ 'P', "nr-poll-queues", false },
	{ 'Q', "queue-size", false },
	{ 'k', "keep-alive-tmo", false },
	{ 'c', "reconnect-delay", false },
	{ 'l', "ctrl-loss-tmo", false },
	{ 'F', "fast_io_fail_tmo", false },
	{ 'T', "tos", false },
	{ 'S', "dhchap-secret", false },
	{ 'C', "dhchap-ctrl-secret", false },
	{ 'D', "duplicate-connect", true },
	{ 'd', "disable-sqflow", true },
	{ 'g', "hdr-digest", true },
	{ 'G', "data-digest", true },
	{ 'p', "persistent", true },
};
#define CONF_N_LETTERS (sizeof(conf_letters) / sizeof(conf_letters[0]))

struct conf_word {
	char name[64];
	const char *value; /* NULL: the next word has it */
	bool is_flag;
};

static bool conf_is_flag(const char *name)
{
	for (size_t i = 0; i < CONF_N_LETTERS; i++)
		if (conf_letters[i].is_flag && strcmp(conf_letters[i].name, name) == 0)
			return true;
	return strcmp(name, "tls") == 0;
}

/* "--name", "--name=value", "-x", "-xvalue". */
static bool conf_take_word(const char *word, struct conf_word *ret_word)
{
	if (word[0] != '-' || !word[1])
		return false;
	*ret_word = (struct conf_word){ 0 };
	if (word[1] == '-') {
		size_t len = strcspn(word + 2, "=");

		if (len >= sizeof(ret_word->name))
			return false;
		memcpy(ret_word->name, word + 2, len);
		ret_word->value = word[2 + len] ? word + 3 + len : NULL;
		ret_word->is_flag = conf_is_flag(ret_word->name);
		return len > 0;
	}
	for (size_t i = 0; i < CONF_N_LETTERS; i++) {
		if (conf_letters[i].letter != word[1])
			continue;
		snprintf(ret_word->name, sizeof(ret_word->name), "%s", conf_letters[i].name);
		ret_word->is_flag = conf_letters[i].is_flag;
		ret_word->value = word[2] ? word + 2 + (word[2] == '=') : NULL;
		return true;
	}
	return false;
}

static int conf_discovery_line(void *data, const char *file, unsigned number, char *text)
{
	struct conf_lines *lines = data;
	struct conf_entry entry = { .is_discovery = true, .source = CONF_DISCOVERY_CONF };

	connect_options_init(&entry.options);
	for (char *rest = text, *word; (word = strsep(&rest, " \t")) != NULL;) {
		struct conf_word option;

		if (!*word)
			continue;
		if (!conf_take_word(word, &option)) {
			conf_tell(lines->conf, file, number, "\"%.64s\" is not an option", word);
			return 0;
		}
		while (!option.value && !option.is_flag && rest) {
			option.value = strsep(&rest, " \t");
			if (!*option.value)
				option.value = NULL;
		}
		if (!option.value && !option.is_flag) {
			conf_tell(lines->conf, file, number, "\"%s\" has no value", option.name);
			return 0;
		}
		if (!conf_set(lines->conf, &entry, file, number, option.name,
			      option.value ? option.value : ""))
			return 0;
	}
	return conf_add(lines->conf, &entry, file, number);
}

int conf_parse_discovery(struct conf *conf, const char *name, const char *text, size_t size)
{
	struct conf_lines lines = { .conf = conf };
	const struct lines_reader reader = { &lines, conf_discovery_line, conf_tell_line };

	return lines_parse(&reader, name, text, size);
}

int conf_read_discovery_file(struct conf *conf, const char *path)
{
	struct conf_lines lines = { .conf = conf };
	const struct lines_reader reader = { &lines, conf_discovery_line, conf_tell_line };

	return lines_read(&reader, path);
}
