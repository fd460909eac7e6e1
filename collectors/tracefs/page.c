/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/tracefs/page.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "collectors/tracefs/format.h"

/*
 * A page is: time stamp of its first record, commit word, records.
 *
 * Commit word (kernel/trace/ring_buffer.c, 6.12): bits 0-29 bytes of records, bit 31
 * RB_MISSED_EVENTS, bit 30 RB_MISSED_STORED: the count follows as one long behind the records. The
 * kernel stores it only where it fits, so a page that is full to the last byte says "missed"
 * without saying how many.
 *
 * A record begins with 32 bits: 5 bits type_len and 27 bits time delta
 * (include/linux/ring_buffer.h; a C bit field, so its halves swap on big-endian machines). 1..28
 * type_len * 4 bytes of payload follow 0      the next word is the length of itself and the payload
 *   29     padding: delta 0 = nothing more on this page; else a discarded record, the next word as
 * for 0. Its delta counts, because the deltas behind it were taken from it. 30     time extend: the
 * next word is the upper part of the delta 31     absolute time: the same as a time stamp of 59
 * bits; the upper 5 come from the page's
 */
#define PAGE_MISSED_EVENTS (UINT32_C(1) << 31)
#define PAGE_MISSED_STORED (UINT32_C(1) << 30)
#define PAGE_LENGTH_MASK   (PAGE_MISSED_STORED - 1)
#define PAGE_DELTA_BITS	   27
#define PAGE_DELTA_MASK	   ((UINT32_C(1) << PAGE_DELTA_BITS) - 1)
#define PAGE_TIME_MSB	   (UINT64_C(0xf8) << 56) /* TS_MSB, kernel/trace/ring_buffer.c 6.12 */
#define PAGE_MAX_SIZE	   (1U << 20)
#define PAGE_WORD	   4

static uint32_t page_u32(const uint8_t *data)
{
	uint32_t value;

	memcpy(&value, data, sizeof(value));
	return value;
}

static uint64_t page_long(const uint8_t *data, size_t size)
{
	uint64_t value;

	if (size == PAGE_WORD)
		return page_u32(data);
	memcpy(&value, data, sizeof(value));
	return value;
}

/* Finds "KEY ... == NUMBER" on one line. */
static bool page_find_type(const char *text, size_t len, const char *key, uint32_t *ret_value)
{
	const char *pos = memmem(text, len, key, strlen(key)), *end = text + len;
	uint32_t value = 0;

	if (pos == NULL)
		return false;
	while (pos < end && *pos != '=' && *pos != '\n')
		pos++;
	while (pos < end && (*pos == '=' || *pos == ' '))
		pos++;
	if (pos == end || !isdigit((unsigned char)*pos))
		return false;
	while (pos < end && isdigit((unsigned char)*pos) && value < 1000)
		value = value * 10 + (uint32_t)(*pos++ - '0');
	*ret_value = value;
	return value < 32;
}

static bool page_layout_entry(const char *text, size_t len, struct page_layout *layout)
{
	return page_find_type(text, len, "padding", &layout->type_padding) &&
	       page_find_type(text, len, "time_extend", &layout->type_extend) &&
	       page_find_type(text, len, "time_stamp", &layout->type_absolute) &&
	       page_find_type(text, len, "data max type_len", &layout->type_max) &&
	       layout->type_max < layout->type_padding &&
	       memmem(text, len, "27 bits", strlen("27 bits")) != NULL;
}

static bool page_layout_head(const struct format *format, struct page_layout *layout)
{
	const struct format_field *timestamp = format_find(format, "timestamp"),
				  *commit = format_find(format, "commit"),
				  *data = format_find(format, "data");

	if (timestamp == NULL || commit == NULL || data == NULL || timestamp->size != 8 ||
	    (commit->size != 8 && commit->size != PAGE_WORD))
		return false;
	layout->timestamp_offset = timestamp->offset;
	layout->commit_offset = commit->offset;
	layout->commit_size = commit->size;
	layout->data_offset = data->offset;
	layout->size = data->offset + data->size;
	return timestamp->offset + timestamp->size <= data->offset &&
	       commit->offset + commit->size <= data->offset && data->offset % PAGE_WORD == 0 &&
	       data->size >= 64;
}

int page_layout_parse(const char *header_page, size_t page_len, const char *header_event,
		      size_t event_len, struct page_layout *ret_layout, struct errmsg *err)
{
	struct page_layout layout = { 0 };
	struct format format;
	int r = format_parse_fields(header_page, page_len, &format, err);

	if (r < 0)
		return r;
	if (!page_layout_head(&format, &layout)) {
		errmsg_set(err, "events/header_page describes an unknown page layout");
		return -EBADMSG;
	}
	if (!page_layout_entry(header_event, event_len, &layout)) {
		errmsg_set(err, "events/header_event describes an unknown record layout");
		return -EBADMSG;
	}
	*ret_layout = layout;
	return 0;
}

int page_open(struct page_reader *reader, const struct page_layout *layout, const void *data,
	      size_t size)
{
	uint32_t commit, length;

	*reader = (struct page_reader){ .layout = layout, .data = data };
	if (size < layout->data_offset || size > PAGE_MAX_SIZE)
		return -EBADMSG;
	commit = (uint32_t)page_long(reader->data + layout->commit_offset, layout->commit_size);
	length = commit & PAGE_LENGTH_MASK;
	if (length > size - layout->data_offset)
		return -EBADMSG;
	reader->timestamp = page_long(reader->data + layout->timestamp_offset, 8);
	reader->pos = layout->data_offset;
	reader->end = reader->pos + length;
	reader->missed = (commit & PAGE_MISSED_EVENTS) != 0;
	if ((commit & PAGE_MISSED_STORED) == 0)
		return 0;
	if (size - reader->end < layout->commit_size)
		return -EBADMSG;
	reader->missed_counted = true;
	reader->missed_count = page_long(reader->data + reader->end, layout->commit_size);
	return 0;
}

static void page_split(uint32_t head, uint32_t *ret_type, uint32_t *ret_delta)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	*ret_type = head >> PAGE_DELTA_BITS;
	*ret_delta = head & PAGE_DELTA_MASK;
#else
	*ret_type = head & 31;
	*ret_delta = head >> 5;
#endif
}

/* Only 59 bits are stored; the page's own stamp gives the rest (rb_fix_abs_ts, ring_buffer.c 6.12).
 */
static uint64_t page_absolute(uint64_t stored, uint64_t before)
{
	if ((before & PAGE_TIME_MSB) == 0)
		return stored;
	stored |= before & PAGE_TIME_MSB;
	if (stored < before)
		stored += UINT64_C(1) << 59;
	return stored;
}

/* One entry at pos. 0 = a record, PAGE_E_END = nothing to hand out yet (time or padding). */
static int page_entry(struct page_reader *reader, struct page_record *ret_record)
{
	const struct page_layout *layout = reader->layout;
	const uint8_t *data = reader->data + reader->pos;
	size_t left = reader->end - reader->pos, size;
	uint32_t type, delta;

	if (left < PAGE_WORD)
		return -EBADMSG;
	page_split(page_u32(data), &type, &delta);
	if (type == layout->type_padding && delta == 0) {
		reader->pos = reader->end;
		return PAGE_E_END;
	}
	if (type > 0 && type <= layout->type_max) {
		size = (size_t)type * PAGE_WORD;
		data += PAGE_WORD;
	} else {
		if (left < (size_t)2 * PAGE_WORD)
			return -EBADMSG;
		size = page_u32(data + PAGE_WORD);
		data += (size_t)2 * PAGE_WORD;
	}
	if (type == layout->type_extend || type == layout->type_absolute) {
		uint64_t time = ((uint64_t)size << PAGE_DELTA_BITS) | delta;

		reader->timestamp = type == layout->type_extend
					    ? reader->timestamp + time
					    : page_absolute(time, reader->timestamp);
		reader->pos += (size_t)2 * PAGE_WORD;
		return PAGE_E_END;
	}
	if (size < PAGE_WORD || size > left - PAGE_WORD || (type == 0 && size > PAGE_LENGTH_MASK))
		return -EBADMSG;
	reader->timestamp += delta;
	reader->pos += PAGE_WORD + ((size + PAGE_WORD - 1) & ~(size_t)(PAGE_WORD - 1));
	if (reader->pos > reader->end)
		reader->pos = reader->end;
	if (type == layout->type_padding)
		return PAGE_E_END;
	if (type > layout->type_max)
		return -EBADMSG;
	ret_record->data = data;
	ret_record->size = type == 0 ? size - PAGE_WORD : size;
	ret_record->timestamp = reader->timestamp;
	return 0;
}

int page_next(struct page_reader *reader, struct page_record *ret_record)
{
	while (reader->pos < reader->end) {
		int r = page_entry(reader, ret_record);

		if (r < 0)
			reader->pos = reader->end;
		if (r != PAGE_E_END)
			return r;
	}
	return PAGE_E_END;
}
