/* SPDX-License-Identifier: Apache-2.0 */
#include "core/hctl.h"

#include <stdio.h>

bool hctl_parse(const char *text, struct hctl *ret_address)
{
	struct hctl address;
	unsigned long long lun;
	int end = 0;

	if (sscanf(text, "%u:%u:%u:%llu%n", &address.host, &address.channel, &address.target, &lun,
		   &end) != 4 ||
	    text[end] != '\0')
		return false;
	address.lun = lun;
	*ret_address = address;
	return true;
}

bool hctl_is_valid(const char *text)
{
	struct hctl address;

	return hctl_parse(text, &address);
}
