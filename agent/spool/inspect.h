/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/errmsg.h"

/*
 * Read-only look at a spool folder: safe while an agent uses it and on a damaged one. Opens nothing
 * for writing, takes no lock, follows no symbolic link. For `pathbell local spool check|dump`.
 */
struct inspect_record {
	uint8_t epoch[16];
	uint64_t seq;
	unsigned lane;
	const uint8_t *data;
	size_t size;
	const char *segment;
	uint64_t offset;
};

struct inspect_report {
	uint32_t segments, bad_segments;
	uint64_t records, corrupt_records, torn_bytes, bytes;
	uint64_t gaps; /* holes in seq that no tombstone explains */
};

struct inspect_callbacks {
	void *data;
	/* false stops. May be NULL. */
	bool (*record)(void *data, const struct inspect_record *record);
	/* one sentence for each finding, with file and offset */
	void (*finding)(void *data, const char *text);
};

/* Records come in seq order within an epoch. 0 or -errno with @err. */
int inspect_run(const char *dir, const struct inspect_callbacks *callbacks,
		struct inspect_report *ret_report, struct errmsg *err);
