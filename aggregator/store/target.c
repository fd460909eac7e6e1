/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/store/target.h"

#include <stdio.h>
#include <string.h>

static bool target_is(const char *wanted, const char *value)
{
	return wanted[0] && strcmp(wanted, value) == 0;
}

bool target_fits(const struct store_target *target, const struct store_object *object)
{
	if (target->nqn[0])
		return strcmp(target->nqn, object->nqn) == 0;
	return target_is(target->address, object->address) ||
	       target_is(target->address, object->port) ||
	       target_is(target->map_uuid, object->map_uuid) ||
	       target_is(target->wwid, object->wwid);
}

const char *target_storage(const struct store_object *object)
{
	if (object->nqn[0])
		return object->nqn;
	return object->port[0] ? object->port : object->map_uuid;
}

void target_see(struct target_seen *seen, const struct store_target *target,
		const struct store_object *object)
{
	if (!target_fits(target, object))
		return;
	if (!seen->storage[0])
		snprintf(seen->storage, sizeof(seen->storage), "%s", target_storage(object));
	seen->usable += object->usable;
	seen->total += object->total;
	seen->n_objects++;
}

void target_settle(struct target_seen *seen, const struct store_target *target)
{
	const char *names[] = { target->nqn, target->address, target->map_uuid, target->wwid };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && !seen->storage[0]; i++)
		snprintf(seen->storage, sizeof(seen->storage), "%s", names[i]);
}
