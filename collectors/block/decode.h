/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collectors/tracefs/format.h"
#include "core/errmsg.h"
#include "pathbell/v1/event.pb-c.h"

/*
 * A record of block:block_rq_error or block:block_rq_complete (include/trace/events/block.h) ->
 * BlockError. Pure. Offsets come from the format file: they changed in 6.11 (ioprio) and again
 * by 6.18 (rwbs[10]).
 */
struct block_decoder {
	uint16_t type; /* common_type of the event */
	struct format_field common_type, dev, sector, nr_sector, error, rwbs;
	struct format_field ioprio; /* size 0: this kernel has none */
};

#define BLOCK_RWBS_SIZE 32

struct block_record {
	uint32_t major, minor;
	uint64_t sector; /* of 512 bytes */
	uint32_t n_sectors;
	int32_t error; /* negative errno */
	uint32_t ioprio;
	char rwbs[BLOCK_RWBS_SIZE];
};

/* 0, or -EBADMSG with @err: the event lacks a field that is needed. */
int block_decoder_init(struct block_decoder *decoder, const struct format *format,
		       struct errmsg *err);

#define BLOCK_E_OTHER_EVENT 1
/* 0, BLOCK_E_OTHER_EVENT (a record of another event), -EBADMSG (too short). */
int block_decode(const struct block_decoder *decoder, const void *data, size_t size,
		 struct block_record *ret_record);
/* Points into @record and to constants. */
void block_describe(const struct block_record *record, Pathbell__V1__BlockError *ret_error);

Pathbell__V1__BlockErrorClass block_class(int32_t error);
/* The other way round: negative errno of a class, 0 = none. */
int32_t block_class_error(Pathbell__V1__BlockErrorClass error_class);
Pathbell__V1__BlockOperation block_operation(const char *rwbs);
Pathbell__V1__Severity block_severity(Pathbell__V1__BlockErrorClass error_class);
