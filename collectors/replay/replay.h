/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "collectors/collector.h"

/* Events of a recording, marked as replayed: the tests' source and the example to copy; see
 * replay.c. */
struct replay_config {
	char *file;
	uint64_t rate;	 /* events in a second; 0 = as fast as possible */
	uint64_t repeat; /* passes over the file */
	bool restamp;
};

extern const struct config_table replay_config_table;
extern const struct collector_ops replay_collector;
