/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "aggregator/store/records_campaign.h"

/*
 * Which storage a command goes to, from one host's point of view. The storage target is what hosts
 * share and what a campaign's cap counts: the subsystem's NQN, else the target port, else the map's
 * UUID. Pure.
 */
#define TARGET_SIZE 320

struct target_seen {
	char storage[TARGET_SIZE];
	uint32_t usable, total, n_objects;
};

bool target_fits(const struct store_target *target, const struct store_object *object);
/* Adds one object of the host where it fits. */
void target_see(struct target_seen *seen, const struct store_target *target,
		const struct store_object *object);
/* After the last one: what the store does not know comes from the command itself. */
void target_settle(struct target_seen *seen, const struct store_target *target);
/* "" where the object names none. */
const char *target_storage(const struct store_object *object);
