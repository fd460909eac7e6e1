/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pathbell/v1/event.pb-c.h"

/*
 * What one read of a CAPI AFU gives: struct cxl_event, include/uapi/misc/cxl.h 3.18 to 6.14 (API
 * version 3 since 4.8). Pure. A header of 8 bytes {u16 type, u16 size with the header, u16 process
 * element, u16 reserved}, then by type. The payload of an AFU driver event begins right behind the
 * header: the `data_size` of struct cxl_event_afu_driver_reserved is not in the stream
 * (afu_driver_event_copy, drivers/misc/cxl/file.c 6.12).
 */
#define CAPI_READ_SIZE	 4096 /* CXL_READ_MIN_SIZE: a smaller buffer is refused with EINVAL */
#define CAPI_HEADER_SIZE 8
#define CAPI_DATA_MAX	 (CAPI_READ_SIZE - CAPI_HEADER_SIZE)

enum capi_type {
	CAPI_AFU_INTERRUPT = 1,
	CAPI_DATA_STORAGE = 2,
	CAPI_AFU_ERROR = 3,
	CAPI_AFU_DRIVER = 4,
};

struct capi_event {
	uint16_t type; /* enum capi_type; others may come */
	uint16_t process_element, flags, irq;
	uint64_t address, dsisr, error;
	const uint8_t *data; /* AFU driver; into the record */
	size_t data_size;
};

/* 0, or -EBADMSG: too short, or the size in the header is not @size (the other byte order?). */
int capi_event_decode(const void *data, size_t size, bool big_endian, struct capi_event *ret_event);
/* Only the type, where there is a header: for sorting. */
bool capi_event_is_driver(const void *data, size_t size, bool big_endian);

Pathbell__V1__EventKind capi_event_kind(const struct capi_event *event);
Pathbell__V1__Severity capi_event_severity(const struct capi_event *event);
/* Points into the record. */
void capi_event_describe(const struct capi_event *event, Pathbell__V1__CapiAfuEvent *ret_afu);

/* How driver data is told besides: index into capi_decoder_names (NULL-terminated). */
enum capi_decoder { CAPI_DECODER_NONE, CAPI_DECODER_TEXT, CAPI_DECODER_HEX_WORDS };
extern const char *const capi_decoder_names[];

#define CAPI_TEXT_SIZE 1024
struct capi_text {
	char key[16], value[CAPI_TEXT_SIZE];
};
/* False: nothing to tell. What does not fit is left out; the bytes are in the payload. */
bool capi_event_tell(const struct capi_event *event, int decoder, bool big_endian,
		     struct capi_text *ret_text);
