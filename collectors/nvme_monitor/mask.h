/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/config.h"

/*
 * The distribution's autoconnect rules and this monitor would answer the same events: while it
 * connects by itself, a file of the same name in /run/udev/rules.d takes the place of each
 * (udev(7): a file in /run replaces one of the same name in /usr/lib). A line in it says whose it
 * is; a file without that line is never touched. After SIGKILL the files stay, and the next start
 * removes them.
 */
struct mask_options {
	const char *dir;		    /* /run/udev/rules.d */
	const struct config_strings *from;  /* folders of the distribution's rules */
	const struct config_strings *rules; /* names of files */
};

struct mask_outcome {
	unsigned masked;  /* rules that ours replace now */
	unsigned changed; /* files made or removed by this call */
	unsigned foreign; /* somebody else's file is in that place, or one in /etc/udev/rules.d wins
			   */
};

/* Masks those rules that there are; reads the distribution's folders. 0 or -errno of the first file
 * that could not be made. */
int mask_set(const struct mask_options *options, struct mask_outcome *ret_outcome);
/* Removes what is ours. Reads only @dir. 0 (also without it) or -errno. */
int mask_clear(const char *dir, struct mask_outcome *ret_outcome);
/* Tells udevd, by `udevadm control --reload`. Does not return when there is such a program: to be
 * called in a child. udevd finds changed rules by itself too, but only some seconds later
 * (paths_check_timestamp, src/udev/udevd.c, systemd 252). */
void mask_reload(void);
