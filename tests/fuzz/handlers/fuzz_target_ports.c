/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of an array: every reader over the same bytes, then what follows from them. */
#include <stdlib.h>

#include "handlers/target_ports.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct target_ports ports = { 0 };
	uint8_t set[TARGET_PORTS_SET_SIZE];

	(void)target_ports_read_inquiry(&ports, data, size);
	(void)target_ports_read_page(&ports, data, size);
	if (target_ports_read_report(&ports, data, size) != 0)
		return 0;
	if (ports.state > 15 || ports.group > 0xffff || ports.modes > 3 ||
	    target_ports_state_name(ports.state)[0] == '\0')
		abort();
	if (target_ports_next(&ports, false) == TARGET_PORTS_SET &&
	    !(ports.modes & TARGET_PORTS_EXPLICIT))
		abort();
	target_ports_put_set(&ports, set);
	return 0;
}
