/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "fabrics/conf.h"
#include "fabrics/lines.h"

/* Between conf.c and the readers of the formats. */
struct conf_lines {
	struct conf *conf;
	/* nvme-fabrics.conf */
	int section; /* enum in conf_fabrics.c */
	struct conf_entry host, discovery_defaults, io_defaults;
	char nqn[TID_NQN]; /* of the [Subsystem] */
};

void conf_tell_line(void *data, const struct errmsg *err);
int conf_read_discovery_file(struct conf *conf, const char *path);
int conf_read_fabrics_files(struct conf *conf, const char *path);
