/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/errmsg.h"
#include "fabrics/connect.h"
#include "fabrics/tid.h"

/*
 * What the files of /etc/nvme want to be connected. Three formats, one list. What is wrong is told
 * with file and line and left out; the rest counts.
 *
 *   discovery.conf	one discovery controller a line, as options of nvme-cli: --transport=tcp -a
 *... config.json	nvme-cli 2's JSON: hosts, their subsystems, their ports nvme-fabrics.conf
 *(and nvme-fabrics.conf.d) nvme-cli 3's sections: [Host], [Discovery Controller Defaults], [I/O
 *Controller Defaults], [Discovery Controller], [Subsystem] with repeated `controller =`
 */
#define CONF_DIR "/etc/nvme"
#define CONF_MAX 1024 /* connections of all files */

enum conf_source { CONF_DISCOVERY_CONF, CONF_CONFIG_JSON, CONF_FABRICS_CONF };

struct conf_entry {
	struct tid tid; /* normalised; host_nqn "" = the host's */
	struct connect_options options;
	bool is_discovery;
	enum conf_source source;
};

struct conf {
	struct conf_entry *items;
	size_t n;
	size_t n_bad;		/* what was told and left out */
	char host_nqn[TID_NQN]; /* hostnqn and hostid of the folder; "" = none */
	char host_id[40];
	void (*tell)(void *data, const struct errmsg *err); /* may be NULL */
	void *data;
};

/* Everything in @dir; @conf zeroed but for tell and data. Files that are not there are no error. 0
 * or -ENOMEM. */
int conf_read(struct conf *conf, const char *dir);
void conf_deinit(struct conf *conf);
const char *conf_source_name(enum conf_source source);

/* Pure, for one file each. 0 or -ENOMEM. */
int conf_parse_discovery(struct conf *conf, const char *name, const char *text, size_t size);
int conf_parse_json(struct conf *conf, const char *name, const char *text, size_t size);
int conf_parse_fabrics(struct conf *conf, const char *name, const char *text, size_t size);

/* For the parts. Tells one thing that is wrong. */
void conf_tell(struct conf *conf, const char *file, unsigned line, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* One option by name, of the address or of the connection. False: told. */
bool conf_set(struct conf *conf, struct conf_entry *entry, const char *file, unsigned line,
	      const char *key, const char *value);
/* Normalises, checks and appends; told and left out where it is not a connection. */
int conf_add(struct conf *conf, const struct conf_entry *entry, const char *file, unsigned line);
