/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "pathbell/v1/event.pb-c.h"

/* What is known of the trace events of system cxl: events, their fields, and where each goes. */
enum cxl_event_id {
	CXL_GENERIC,
	CXL_GENERAL_MEDIA,
	CXL_DRAM,
	CXL_MEMORY_MODULE,
	CXL_MEMORY_SPARING,
	CXL_POISON,
	CXL_OVERFLOW,
	CXL_AER_CORRECTABLE,
	CXL_AER_UNCORRECTABLE,
	CXL_PORT_AER_CORRECTABLE,
	CXL_PORT_AER_UNCORRECTABLE,
	CXL_N_EVENTS,
};

struct cxl_event {
	enum cxl_event_id id;
	const char *name; /* of the trace event */
	Pathbell__V1__EventKind kind;
};

extern const struct cxl_event cxl_events[CXL_N_EVENTS];
/* NULL: no such trace event is known. */
const struct cxl_event *cxl_event_find(const char *name);

enum cxl_row_type {
	CXL_U32,
	CXL_U64,
	CXL_S32,
	CXL_LOG, /* u32, stored plus one */
	CXL_STRING,
	CXL_BYTES,
	CXL_TRACE_TYPE, /* number of poison's trace_type -> string */
	CXL_EXTRA,	/* known, but the payload has no place for it */
	CXL_SKIP,	/* known, and says nothing */
};

/* A field of a format file. Rows with the same offset are synonyms. */
struct cxl_row {
	const char *name;
	enum cxl_row_type type;
	size_t offset;	   /* in CxlMemEvent */
	size_t max;	   /* CXL_BYTES: bytes that mean something; CXL_S32: 0 */
	uint32_t events;   /* bits of enum cxl_event_id that have it in some version */
	uint32_t expected; /* those that have it (or a synonym) in every version */
};

extern const struct cxl_row cxl_rows[];
extern const size_t cxl_n_rows;
