/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/errmsg.h"

/*
 * The `format` file of a trace event (Documentation/trace/events.rst section 2.1, kernel 6.12):
 * which field is where in a record. Pure. Layouts change between kernels, so a decoder asks by
 * name.
 */
#define FORMAT_MAX_FIELDS  128
#define FORMAT_MAX_NAME	   64
#define FORMAT_MAX_RECORD  65536
#define FORMAT_COMMON_TYPE "common_type"

enum format_kind {
	FORMAT_PLAIN,	 /* the value, or an array of fixed size */
	FORMAT_DATA_LOC, /* u32: low half offset from the start of the record, high half length */
	FORMAT_REL_LOC,	 /* the same, offset from the end of this u32 (5.17+) */
};

struct format_field {
	char name[FORMAT_MAX_NAME];
	uint32_t offset, size; /* offset + size <= FORMAT_MAX_RECORD */
	enum format_kind kind;
	bool is_signed;
	bool is_array;
};

struct format {
	char event[FORMAT_MAX_NAME];
	uint32_t id;
	size_t n_fields;
	struct format_field fields[FORMAT_MAX_FIELDS];
};

/* 0 or -EBADMSG with @err (line and what is wrong). @text need not be terminated. */
int format_parse(const char *text, size_t text_len, struct format *ret_format, struct errmsg *err);
/* Only the `field:` lines, for header_page, which has neither name nor ID. */
int format_parse_fields(const char *text, size_t text_len, struct format *ret_format,
			struct errmsg *err);
/* NULL: this kernel has no such field. */
const struct format_field *format_find(const struct format *format, const char *name);

/* The readers are bounded by @size, the bytes of the record; false: outside of it, or not such a
 * type. */
bool format_uint(const struct format_field *field, const void *record, size_t size,
		 uint64_t *ret_value);
bool format_int(const struct format_field *field, const void *record, size_t size,
		int64_t *ret_value);
/* Bytes of an array or of a dynamic field, in place. */
bool format_bytes(const struct format_field *field, const void *record, size_t size,
		  const uint8_t **ret_data, size_t *ret_size);
/* The same up to the first NUL, copied, cut to @ret_size - 1 and terminated. */
bool format_string(const struct format_field *field, const void *record, size_t size,
		   char *ret_text, size_t ret_size);
