/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "collectors/collector.h"

/* Device-mapper multipath maps: path events, event numbers and status; see multipath.c. */
struct multipath_config {
	uint64_t receive_buffer; /* bytes of the uevent socket */
	uint64_t survey_timeout; /* ns */
	uint64_t damping_limit;	 /* penalty, 0 = off */
	uint64_t damping_half_life;
};

extern const struct config_table multipath_config_table;
extern const struct collector_ops multipath_collector;
