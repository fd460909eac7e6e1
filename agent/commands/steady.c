/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/commands/steady.h"

bool steady_check(struct steady *steady, uint64_t realtime_ms, uint64_t boottime_ms,
		  bool synchronised, uint64_t max_ms, int64_t *ret_step_ms)
{
	int64_t offset = (int64_t)(realtime_ms - boottime_ms);
	int64_t step = offset - steady->offset_ms;
	bool small = step < 0 ? (uint64_t)-step <= max_ms : (uint64_t)step <= max_ms;

	if (!steady->anchored || (!small && synchronised)) {
		steady->anchored = true;
		steady->offset_ms = offset;
		return true;
	}
	*ret_step_ms = step;
	return small;
}
