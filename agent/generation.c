/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/generation.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/clock.h"
#include "core/file.h"

#define GENERATION_MAX ((UINT64_C(1) << (64 - GENERATION_START_SHIFT)) - 1)

int generation_next(const char *dir, uint64_t *ret_start, bool *ret_first)
{
	char path[4096], line[32], *end;
	uint64_t start = 0;
	int r, len;

	snprintf(path, sizeof(path), "%s/generation", dir);
	r = file_read_line(AT_FDCWD, path, line, sizeof(line));
	if (r && r != -ENOENT)
		return r;
	*ret_first = r == -ENOENT;
	if (r == 0) {
		start = strtoull(line, &end, 10);
		if (*end || end == line || start >= GENERATION_MAX)
			/* Damaged: hours since 1970 are above any count of starts so far, and still
			 * grow. */
			start = clock_realtime_ns() / CLOCK_NS_PER_S / 3600;
	}
	start++;
	len = snprintf(line, sizeof(line), "%llu\n", (unsigned long long)start);
	r = file_replace(path, line, (size_t)len, 0600);
	if (r == 0)
		*ret_start = start;
	return r;
}
