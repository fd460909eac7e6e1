/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/store/life.h"

#include "proto/kind.h"

bool life_may_become(uint32_t current, uint32_t next, enum life_teller teller)
{
	if (next <= PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_QUEUED || next == current)
		return false;
	if (teller == LIFE_AGGREGATOR) {
		/* Only while the host has said nothing. */
		return current == PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_QUEUED ||
		       (current == PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_DISPATCHED &&
			next != PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_DISPATCHED);
	}
	/* Ends that the aggregator may have assumed while the host had the command already. */
	if (current == PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_EXPIRED ||
	    current == PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_CANCELLED)
		return true;
	if (command_life_is_final(current))
		return false;
	if (command_life_is_final(next))
		return true;
	return next > current;
}
