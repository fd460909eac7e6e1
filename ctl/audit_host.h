/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "ctl/audit_chain.h"

/* A host's audit, from its files or from the agent's memory, oldest line first. */
#define AUDIT_HOST_MAX_FILE (256U << 20)

struct audit_host {
	struct audit_head *lines; /* in order, without holes */
	size_t n, capacity;
	bool unchecked; /* what the first line goes on from is not here */
};

/* Each line of a file, without its line feed, as far as @on_line says CLI_OK. CLI_OK or printed. */
typedef int (*audit_on_line)(void *data, const char *name, const char *line, size_t len);
int audit_lines_read(const char *path, audit_on_line on_line, void *data);

/* Checks the chain of a file. CLI_OK or printed. */
int audit_host_read(const char *path, struct audit_host *ret_host);
/* One line (without its line feed) of @name. CLI_OK or printed. */
int audit_host_add(struct audit_host *host, const char *name, const char *line, size_t len);
void audit_host_deinit(struct audit_host *host);
/* Does the file agree with what the host told? A line that it does not have any more, or yet, says
 * nothing. */
bool audit_host_fits(const struct audit_host *host, const struct audit_head *told);
