/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "forwarders/frame/frame.h"

/* One full frame of every type, for round trips: index 0 is the first type. */
#define FRAME_SAMPLES FRAME_STATS
void frame_sample(enum frame_type type, struct frame *ret_frame);
