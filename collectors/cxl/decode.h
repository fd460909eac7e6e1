/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collectors/cxl/table.h"
#include "collectors/tracefs/format.h"
#include "core/errmsg.h"
#include "pathbell/v1/event.pb-c.h"

/*
 * A record of a trace event of system cxl (drivers/cxl/core/trace.h, 6.3 to 7.2) -> CxlMemEvent.
 * Pure. Fields are found by name in the format file of the running kernel: they are inserted in the
 * middle from one version to the next. What a kernel does not have is left at its default; what
 * this table does not know goes into `extra`.
 */
#define CXL_MAX_EXTRA	24
#define CXL_TEXT_SIZE	129
#define CXL_MAX_TEXTS	4
#define CXL_NOTICE_SIZE 224

struct cxl_decoder {
	const struct cxl_event *event;
	uint16_t type; /* common_type */
	struct format_field common_type;
	size_t n_fields;
	struct {
		const struct cxl_row *row; /* NULL: not known */
		struct format_field field;
	} fields[FORMAT_MAX_FIELDS];
	char notice[CXL_NOTICE_SIZE]; /* how the layout differs from all that are known; "" = not */
};

/* Everything that @mem and @extra point to is in here or in the record that was decoded. */
struct cxl_record {
	Pathbell__V1__CxlMemEvent mem;
	bool has_serial; /* mem.serial was in the record */
	bool partial;	 /* the record is shorter than its layout says */
	size_t n_texts, n_extra;
	char texts[CXL_MAX_TEXTS][CXL_TEXT_SIZE];
	char values[CXL_MAX_EXTRA][CXL_TEXT_SIZE];
	Pathbell__V1__Attribute attributes[CXL_MAX_EXTRA], *extra[CXL_MAX_EXTRA];
};

/* @format lives shorter than the decoder. 0, or -EBADMSG with @err. */
int cxl_decoder_init(struct cxl_decoder *decoder, const struct cxl_event *event,
		     const struct format *format, struct errmsg *err);

#define CXL_E_OTHER_EVENT 1
/* 0, CXL_E_OTHER_EVENT, -EBADMSG (not even a type). @record may hold rubbish before. */
int cxl_decode(const struct cxl_decoder *decoder, const void *data, size_t size,
	       struct cxl_record *record);

Pathbell__V1__Severity cxl_severity(const struct cxl_event *event,
				    const Pathbell__V1__CxlMemEvent *mem);

struct cxl_names {
	char id[96], serial[20];
};
/* Whom the record is about; points into @record and @names. */
void cxl_subject(const struct cxl_event *event, const struct cxl_record *record,
		 struct cxl_names *names, Pathbell__V1__Subject *ret_subject);
