/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/commands/roles.h"

#include <stddef.h>

#include "pathbell/v1/command.pb-c.h"

#define VERB(name) PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_##name

const char *const role_names[] = { "viewer", "operator", "admin", NULL };

/*
 * halt is an operator's: it only takes away action, and the one who sees the fire must not look for
 * an admin. resume is an admin's: whoever lifts a halt answers for it.
 */
static const struct {
	unsigned verb;
	enum role role;
} role_table[] = {
	{ VERB(PROBE), ROLE_VIEWER },
	{ VERB(RESYNC), ROLE_VIEWER },
	{ VERB(DIAG), ROLE_VIEWER },
	{ VERB(UPLINK_RECONNECT), ROLE_OPERATOR },
	{ VERB(NVME_CONNECT), ROLE_OPERATOR },
	{ VERB(NVME_DISCOVER), ROLE_OPERATOR },
	{ VERB(NVME_RESET), ROLE_OPERATOR },
	{ VERB(NVME_RESCAN), ROLE_OPERATOR },
	{ VERB(MULTIPATH_REINSTATE), ROLE_OPERATOR },
	{ VERB(MULTIPATH_SWITCH_GROUP), ROLE_OPERATOR },
	{ VERB(SCSI_RESCAN), ROLE_OPERATOR },
	{ VERB(HALT), ROLE_OPERATOR },
	{ VERB(NVME_DISCONNECT), ROLE_ADMIN },
	{ VERB(MULTIPATH_FAIL), ROLE_ADMIN },
	{ VERB(RESUME), ROLE_ADMIN },
};

enum role role_of_verb(unsigned verb)
{
	for (size_t i = 0; i < sizeof(role_table) / sizeof(role_table[0]); i++)
		if (role_table[i].verb == verb)
			return role_table[i].role;
	return ROLE_ADMIN;
}

bool role_is_change(unsigned verb)
{
	return role_of_verb(verb) > ROLE_VIEWER && verb != VERB(HALT) && verb != VERB(RESUME);
}

bool role_is_free_of_halt(unsigned verb)
{
	return verb == VERB(HALT) || verb == VERB(RESUME) || verb == VERB(PROBE) ||
	       verb == VERB(DIAG);
}

const char *role_name(enum role role)
{
	return role == ROLE_NONE ? "none" : role_names[role - ROLE_VIEWER];
}
