/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/errmsg.h"

/*
 * Pages of the kernel's trace ring buffer as read(2) of per_cpu/cpuN/trace_pipe_raw gives them.
 * Pure. The layout comes from the running kernel: events/header_page and events/header_event
 * (kernel/trace/ring_buffer.c: ring_buffer_print_page_header,
 * ring_buffer_print_entry_header, 6.12).
 */
struct page_layout {
	uint32_t timestamp_offset;
	uint32_t commit_offset, commit_size; /* 8 bytes, 4 on 32-bit kernels */
	uint32_t data_offset;
	uint32_t size; /* of the whole (sub-)page, at least data_offset */
	uint32_t type_padding, type_extend, type_absolute, type_max;
};

/* 0 or -EBADMSG with @err. Texts need not be terminated. */
int page_layout_parse(const char *header_page, size_t page_len, const char *header_event,
		      size_t event_len, struct page_layout *ret_layout, struct errmsg *err);

struct page_reader {
	const struct page_layout *layout;
	const uint8_t *data;
	size_t pos, end;
	uint64_t timestamp;
	bool missed;	     /* the kernel says: records before this page were lost */
	bool missed_counted; /* and how many */
	uint64_t missed_count;
};

struct page_record {
	const uint8_t *data;
	size_t size;
	uint64_t timestamp; /* of the instance's trace_clock */
};

#define PAGE_E_END 1

/* @data is borrowed until the last page_next. 0 or -EBADMSG. */
int page_open(struct page_reader *reader, const struct page_layout *layout, const void *data,
	      size_t size);
/* 0, PAGE_E_END, or -EBADMSG: the rest of the page cannot be read; what came before was sound. */
int page_next(struct page_reader *reader, struct page_record *ret_record);
