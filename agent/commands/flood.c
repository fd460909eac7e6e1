/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/commands/flood.h"

#define FLOOD_TELL_S 10.

static void flood_on_timer(EV_P_ struct ev_timer *timer, int revents)
{
	struct flood *flood = timer->data;
	uint64_t count = flood->untold;

	flood->untold = 0;
	flood->tell(flood->data, count);
}

void flood_init(struct flood *flood, struct ev_loop *loop, uint64_t per_minute, void *data,
		void (*tell)(void *data, uint64_t count))
{
	*flood = (struct flood){
		.loop = loop, .per_minute = per_minute, .data = data, .tell = tell
	};
	ev_timer_init(&flood->timer, flood_on_timer, FLOOD_TELL_S, 0.);
	flood->timer.data = flood;
}

void flood_deinit(struct flood *flood)
{
	if (flood->loop)
		ev_timer_stop(flood->loop, &flood->timer);
}

bool flood_pass(struct flood *flood, uint64_t now_ns)
{
	if (check_rate_take(&flood->rate, flood->per_minute, now_ns))
		return true;
	flood->untold++;
	if (!ev_is_active(&flood->timer)) {
		ev_now_update(flood->loop);
		ev_timer_set(&flood->timer, FLOOD_TELL_S, 0.);
		ev_timer_start(flood->loop, &flood->timer);
	}
	return false;
}
