/* SPDX-License-Identifier: Apache-2.0 */
#include "handlers/target_ports.h"

#include <errno.h>
#include <string.h>

#define TARGET_PORTS_PAGE	0x83
#define TARGET_PORTS_DESIGNATOR 5 /* of the type "target port group" */

static unsigned target_ports_u16(const uint8_t *at)
{
	return (unsigned)at[0] << 8 | at[1];
}

int target_ports_read_inquiry(struct target_ports *ports, const uint8_t *data, size_t size)
{
	if (size < 6)
		return -EBADMSG;
	ports->modes = data[5] >> 4 & 3;
	return 0;
}

int target_ports_read_page(struct target_ports *ports, const uint8_t *data, size_t size)
{
	size_t end;

	if (size < 4 || data[1] != TARGET_PORTS_PAGE)
		return -EBADMSG;
	end = 4 + (size_t)target_ports_u16(data + 2);
	if (end > size)
		end = size;
	for (size_t at = 4; at + 8 <= end; at += 4 + (size_t)data[at + 3]) {
		if ((data[at + 1] & 0x0f) != TARGET_PORTS_DESIGNATOR || data[at + 3] != 4)
			continue;
		ports->group = target_ports_u16(data + at + 6);
		return 0;
	}
	return -ENOENT;
}

int target_ports_read_report(struct target_ports *ports, const uint8_t *data, size_t size)
{
	size_t end;

	if (size < 4)
		return -EBADMSG;
	end = 4 + ((size_t)target_ports_u16(data) << 16 | target_ports_u16(data + 2));
	if (end > size)
		end = size;
	/* Each group: 8 bytes, then 4 for each of its ports. */
	for (size_t at = 4; at + 8 <= end; at += 8 + 4 * (size_t)data[at + 7]) {
		if (target_ports_u16(data + at + 2) != ports->group)
			continue;
		ports->state = data[at] & 0x0f;
		ports->preferred = (data[at] & 0x80) != 0;
		return 0;
	}
	return -ENOENT;
}

const char *target_ports_state_name(unsigned state)
{
	switch (state) {
	case TARGET_PORTS_OPTIMIZED:
		return "active/optimized";
	case TARGET_PORTS_NON_OPTIMIZED:
		return "active/non-optimized";
	case TARGET_PORTS_STANDBY:
		return "standby";
	case TARGET_PORTS_UNAVAILABLE:
		return "unavailable";
	case TARGET_PORTS_LBA_DEPENDENT:
		return "LBA-dependent";
	case TARGET_PORTS_OFFLINE:
		return "offline";
	case TARGET_PORTS_TRANSITIONING:
		return "transitioning";
	default:
		return "in an unknown state";
	}
}

enum target_ports_step target_ports_next(const struct target_ports *ports, bool optimize)
{
	bool is_explicit = (ports->modes & TARGET_PORTS_EXPLICIT) != 0;
	bool moves = (ports->modes & TARGET_PORTS_IMPLICIT) != 0;

	switch (ports->state) {
	case TARGET_PORTS_OPTIMIZED:
		return TARGET_PORTS_READY;
	case TARGET_PORTS_NON_OPTIMIZED:
		if (!is_explicit || (optimize && moves && !ports->preferred))
			return TARGET_PORTS_READY;
		return TARGET_PORTS_SET;
	case TARGET_PORTS_STANDBY:
	case TARGET_PORTS_UNAVAILABLE:
		return is_explicit ? TARGET_PORTS_SET : TARGET_PORTS_WAIT;
	case TARGET_PORTS_TRANSITIONING:
		return TARGET_PORTS_WAIT;
	default:
		return TARGET_PORTS_FAIL;
	}
}

void target_ports_put_set(const struct target_ports *ports, uint8_t ret_data[TARGET_PORTS_SET_SIZE])
{
	memset(ret_data, 0, TARGET_PORTS_SET_SIZE);
	ret_data[4] = TARGET_PORTS_OPTIMIZED;
	ret_data[6] = (uint8_t)(ports->group >> 8);
	ret_data[7] = (uint8_t)ports->group;
}
