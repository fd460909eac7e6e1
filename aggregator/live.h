/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "aggregator/aggregator.h"

/* The settings of the gRPC thread. Makes a deep copy of what @settings says. 0 or -ENOMEM. */
int live_settings_init(struct live_settings *live, const struct settings *settings);
void live_settings_deinit(struct live_settings *live);
