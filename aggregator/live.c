/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/live.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int live_settings_init(struct live_settings *live, const struct settings *settings)
{
	const struct role_entry *from = settings->roles.items;

	memset(live, 0, sizeof(*live));
	live->ingest = settings->ingest;
	live->watch = settings->watch;
	live->commands = settings->commands;
	live->default_role = (enum role)settings->default_role;
	live->roles = calloc(settings->roles.n_items + 1, sizeof(*live->roles));
	if (!live->roles)
		return -ENOMEM;
	for (size_t i = 0; i < settings->roles.n_items; i++) {
		live->roles[i].role = from[i].role;
		live->roles[i].name = strdup(from[i].name);
		if (!live->roles[i].name) {
			live_settings_deinit(live);
			return -ENOMEM;
		}
		live->n_roles++;
	}
	return 0;
}

void live_settings_deinit(struct live_settings *live)
{
	for (size_t i = 0; i < live->n_roles; i++)
		free(live->roles[i].name);
	free(live->roles);
	memset(live, 0, sizeof(*live));
}
