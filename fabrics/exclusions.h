/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/errmsg.h"
#include "fabrics/tid.h"

/*
 * What nobody may connect or disconnect by itself: /etc/nvme/exclusions.conf and the *.conf of
 * exclusions.conf.d, as nvme-cli 3 reads them:
 *
 *	exclusion = transport=tcp;traddr=10.0.0.1;nqn=nqn...;host-iface=eth0
 *
 * All keys that a line gives must match. A key that is not known never matches, so that line
 * excludes nothing; it is told. Comments begin with # or ;, sections in [] are passed over.
 */
#define EXCLUSIONS_FILE "/etc/nvme/exclusions.conf"
#define EXCLUSIONS_MAX	1024

struct exclusion {
	struct tid tid; /* as given */
	char file[128];
	unsigned line;
};

struct exclusions {
	struct exclusion *items;
	size_t n;
	size_t n_bad; /* lines that exclude nothing, or did not fit */
};

/* Reads @path and the *.conf in @path.d in order of name. What is wrong is told to @tell (may be
 * NULL) and left out: it fails open. 0 (also: no such file), -ENOMEM. */
int exclusions_read(struct exclusions *exclusions, const char *path,
		    void (*tell)(void *data, const struct errmsg *err), void *data);
/* Pure: one file's text. */
int exclusions_parse(struct exclusions *exclusions, const char *name, const char *text, size_t size,
		     void (*tell)(void *data, const struct errmsg *err), void *data);
/* The exclusion that covers @tid (normalised), or NULL. */
const struct exclusion *exclusions_find(const struct exclusions *exclusions, const struct tid *tid);
void exclusions_deinit(struct exclusions *exclusions);
