/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The status lines of the dm target "multipath", without start, length and target name:
 * multipath_status, drivers/md/dm-mpath.c, the same grammar from Linux 5.10 to 7.2. Pure.
 *
 *   INFO   F feature...  H handler-status...  G current  G * { state S selector-status...  P A
 *          P * { major:minor ok fails arg[A] } }
 *   TABLE  F feature...  H [handler arg...]   G initial  G * { selector S arg...  P A
 *          P * { major:minor arg[A] } }
 *
 * Every list is read by its count, so that features, handlers and selectors that are not known here
 * are skipped over and what follows is still found.
 */
#define STATUS_MAX_GROUPS 32
#define STATUS_MAX_PATHS  1024 /* of all groups */
#define STATUS_NAME_SIZE  32

struct status_path {
	uint32_t major, minor;
	bool active;	     /* INFO: A, else F */
	uint32_t fail_count; /* INFO: since the table was loaded */
};

struct status_group {
	char state;			 /* INFO: A active, E enabled, D disabled (bypassed) */
	char selector[STATUS_NAME_SIZE]; /* TABLE */
	size_t first_path, n_paths;
};

struct status {
	/* INFO */
	bool queue_io; /* I/O waits for the path group's initialisation */
	uint32_t pg_init_count;
	/* TABLE */
	bool queue_if_no_path, retain_attached_hw_handler, queue_mode_bio;
	uint32_t pg_init_retries, pg_init_delay_ms;
	char handler[STATUS_NAME_SIZE]; /* "" = none */
	uint32_t n_unknown_features;

	uint32_t group; /* INFO: in use, TABLE: initial; 1-based, 0 = no group */
	size_t n_groups, n_paths;
	bool has_more; /* words after the last path: a grammar newer than this */
	struct status_group groups[STATUS_MAX_GROUPS];
	struct status_path paths[STATUS_MAX_PATHS];
};

/* 0; -EBADMSG: not of that grammar; -E2BIG: more groups or paths than the limits. *ret_status is
 * undefined after an error. */
int status_parse_info(const char *text, struct status *ret_status);
int status_parse_table(const char *text, struct status *ret_status);
/* "8:16" (dm_dev.name, drivers/md/dm-table.c). 0 or -EBADMSG. */
int status_parse_device(const char *text, uint32_t *ret_major, uint32_t *ret_minor);
