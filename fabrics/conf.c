/* SPDX-License-Identifier: Apache-2.0 */
#include "fabrics/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "fabrics/conf_parts.h"

void conf_tell(struct conf *conf, const char *file, unsigned line, const char *format, ...)
{
	struct errmsg err;
	char text[sizeof(err.text)];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	errmsg_at(&err, file, line, 0, "%s", text);
	conf->n_bad++;
	if (conf->tell)
		conf->tell(conf->data, &err);
}

void conf_tell_line(void *data, const struct errmsg *err)
{
	struct conf_lines *lines = data;

	conf_tell(lines->conf, err->file, err->line, "%s", err->text);
}

const char *conf_source_name(enum conf_source source)
{
	static const char *const names[] = { "discovery.conf", "config.json", "nvme-fabrics.conf" };

	return names[source];
}

bool conf_set(struct conf *conf, struct conf_entry *entry, const char *file, unsigned line,
	      const char *key, const char *value)
{
	int r = tid_set(&entry->tid, key, value);

	if (r == TID_E_KEY)
		r = connect_options_set(&entry->options, key, value);
	if (r == 0)
		return true;
	/* Never the value: it may be a secret. */
	conf_tell(conf, file, line,
		  r > 0		       ? "the option \"%.64s\" is not known"
		  : r == -ENAMETOOLONG ? "the value of \"%.64s\" is too long"
				       : "the value of \"%.64s\" is not one that it may have",
		  key);
	return false;
}

int conf_add(struct conf *conf, const struct conf_entry *entry, const char *file, unsigned line)
{
	struct conf_entry *items = conf->items;
	struct conf_entry copy = *entry;
	struct errmsg err = { 0 };

	if (copy.is_discovery && !copy.tid.nqn[0])
		snprintf(copy.tid.nqn, sizeof(copy.tid.nqn), "%s", TID_WELL_KNOWN_DISCOVERY);
	copy.tid.discovery = copy.is_discovery;
	tid_normalise(&copy.tid);
	/* An FC address needs the host's port: without one it is for every port, which the
	 * kickstart finds. */
	if (tid_check(&copy.tid, &err) < 0) {
		conf_tell(conf, file, line, "%s", err.text);
		return 0;
	}
	if (conf->n == CONF_MAX) {
		conf_tell(conf, file, line, "more than %d connections: this one is left out",
			  CONF_MAX);
		return 0;
	}
	if ((conf->n & (conf->n - 1)) == 0) {
		items = reallocarray(items, conf->n ? conf->n * 2 : 1, sizeof(*items));
		if (!items)
			return -ENOMEM;
		conf->items = items;
	}
	items[conf->n++] = copy;
	return 0;
}

static void conf_read_identity(struct conf *conf, const char *dir, const char *file, char *ret_text,
			       size_t size)
{
	char path[4096], line[256];
	int r;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	r = file_read_line(AT_FDCWD, path, line, sizeof(line));
	if (r == 0 && strlen(line) < size)
		snprintf(ret_text, size, "%s", line);
	else if (r != -ENOENT)
		conf_tell(conf, path, 1, "%s", r ? strerror(-r) : "the line is too long");
}

static int conf_read_json(struct conf *conf, const char *dir)
{
	char path[4096];
	_cleanup_free_ char *text = NULL;
	size_t size;
	int r;

	snprintf(path, sizeof(path), "%s/config.json", dir);
	r = file_read(path, LINES_MAX_FILE, &text, &size);
	if (r == 0)
		return conf_parse_json(conf, path, text, size);
	if (r != -ENOENT)
		conf_tell(conf, path, 0, "%s", strerror(-r));
	return r == -ENOMEM ? r : 0;
}

int conf_read(struct conf *conf, const char *dir)
{
	char path[4096];
	int r;

	conf_read_identity(conf, dir, "hostnqn", conf->host_nqn, sizeof(conf->host_nqn));
	conf_read_identity(conf, dir, "hostid", conf->host_id, sizeof(conf->host_id));
	snprintf(path, sizeof(path), "%s/discovery.conf", dir);
	r = conf_read_discovery_file(conf, path);
	if (r == 0)
		r = conf_read_json(conf, dir);
	snprintf(path, sizeof(path), "%s/nvme-fabrics.conf", dir);
	if (r == 0)
		r = conf_read_fabrics_files(conf, path);
	return r;
}

void conf_deinit(struct conf *conf)
{
	/* Secrets. */
	if (conf->items)
		explicit_bzero(conf->items, conf->n * sizeof(*conf->items));
	free(conf->items);
	conf->items = NULL;
	conf->n = 0;
}
