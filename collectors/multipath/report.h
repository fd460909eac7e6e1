/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What the child of a survey writes into its pipe: records one behind the other, the last one an
 * END. Fixed part in host order (it never leaves the machine), then four strings with their NULs.
 * Pure.
 */
enum report_kind {
	REPORT_MAP = 1,	 /* a multipath map with its two status lines */
	REPORT_SAME = 2, /* one whose event_nr is the known one */
	REPORT_END = 3,	 /* error: 0 or the negative errno that ended the survey */
};

#define REPORT_RECORD_MAX (1 << 20)

struct report_record {
	uint32_t kind;
	uint32_t major, minor, event_nr;
	uint32_t suspended;
	int32_t error;				/* MAP: of its status, then info and table are "" */
	const char *name, *uuid, *info, *table; /* never NULL after report_next */
};

/* Bytes written, or 0: more than @size. */
size_t report_encode(const struct report_record *record, void *out, size_t size);
/* The record at *offset, which then moves on. Strings point into @data. 0; REPORT_E_PARTIAL: the
 * rest of it is not there; -EBADMSG. */
#define REPORT_E_PARTIAL 1
int report_next(const void *data, size_t size, size_t *offset, struct report_record *ret_record);
