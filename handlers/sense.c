/* SPDX-License-Identifier: Apache-2.0 */
#include "handlers/sense.h"

#include <errno.h>

/* SPC-5 table 28, 4.4.2, 4.4.3. */
#define SENSE_DESCRIPTOR_FORMAT	     0x72
#define SENSE_HEADER_SIZE	     8
#define SENSE_DESCRIPTOR_INFORMATION 0x00
#define SENSE_DESCRIPTOR_FRU	     0x03
#define SENSE_DESCRIPTOR_STREAM	     0x04
#define SENSE_DESCRIPTOR_BLOCK	     0x05

struct sense_bytes {
	const uint8_t *data;
	size_t size;
};

static uint64_t sense_be(const uint8_t *data, size_t n)
{
	uint64_t value = 0;

	for (size_t i = 0; i < n; i++)
		value = value << 8 | data[i];
	return value;
}

static uint8_t sense_byte(const struct sense_bytes *bytes, size_t at)
{
	return at < bytes->size ? bytes->data[at] : 0;
}

/* The bytes that are there and that the additional length counts. */
static void sense_cut(struct sense_bytes *bytes)
{
	size_t total;

	if (bytes->size < SENSE_HEADER_SIZE)
		return;
	total = (size_t)SENSE_HEADER_SIZE + bytes->data[7];
	if (total < bytes->size)
		bytes->size = total;
}

static void sense_parse_flags(uint8_t byte, struct sense *sense)
{
	sense->filemark = byte & 0x80;
	sense->end_of_medium = byte & 0x40;
	sense->incorrect_length = byte & 0x20;
}

static void sense_parse_fixed(const struct sense_bytes *bytes, struct sense *sense)
{
	uint8_t flags = sense_byte(bytes, 2);

	sense->key = flags & 0x0f;
	sense_parse_flags(flags, sense);
	if (bytes->data[0] & 0x80 && bytes->size >= 7) {
		sense->has_information = true;
		sense->information = sense_be(bytes->data + 3, 4);
	}
	sense->asc = sense_byte(bytes, 12);
	sense->ascq = sense_byte(bytes, 13);
	sense->fru = sense_byte(bytes, 14);
}

/* @data: one whole descriptor of @size bytes. */
static void sense_parse_descriptor(const uint8_t *data, size_t size, struct sense *sense)
{
	switch (data[0]) {
	case SENSE_DESCRIPTOR_INFORMATION:
		/* Byte 2 bit 7: VALID. */
		if (size >= 12 && data[2] & 0x80) {
			sense->has_information = true;
			sense->information = sense_be(data + 4, 8);
		}
		break;
	case SENSE_DESCRIPTOR_FRU:
		if (size >= 4)
			sense->fru = data[3];
		break;
	case SENSE_DESCRIPTOR_STREAM:
		if (size >= 4)
			sense_parse_flags(data[3], sense);
		break;
	case SENSE_DESCRIPTOR_BLOCK:
		if (size >= 4)
			sense->incorrect_length = data[3] & 0x20;
		break;
	default:
		break;
	}
}

static void sense_parse_descriptors(const struct sense_bytes *bytes, struct sense *sense)
{
	size_t at = SENSE_HEADER_SIZE;

	sense->key = sense_byte(bytes, 1) & 0x0f;
	sense->asc = sense_byte(bytes, 2);
	sense->ascq = sense_byte(bytes, 3);
	while (at + 2 <= bytes->size) {
		size_t size = (size_t)bytes->data[at + 1] + 2;

		if (size > bytes->size - at)
			return;
		sense_parse_descriptor(bytes->data + at, size, sense);
		at += size;
	}
}

int sense_parse(const void *data, size_t size, struct sense *ret_sense)
{
	struct sense_bytes bytes = { .data = data, .size = size };
	struct sense sense = { 0 };

	if (size == 0 || (bytes.data[0] & 0x70) != 0x70)
		return -EBADMSG;
	sense.response_code = bytes.data[0] & 0x7f;
	sense.deferred = sense.response_code == 0x71 || sense.response_code == 0x73;
	sense_cut(&bytes);
	if (sense.response_code >= SENSE_DESCRIPTOR_FORMAT) {
		if (size < 2)
			return -EBADMSG;
		sense_parse_descriptors(&bytes, &sense);
	} else {
		if (size < 3)
			return -EBADMSG;
		sense_parse_fixed(&bytes, &sense);
	}
	*ret_sense = sense;
	return 0;
}

const char *sense_key_name(uint8_t key)
{
	static const char *const names[16] = {
		"no sense",	   "recovered error", "not ready",	"medium error",
		"hardware error",  "illegal request", "unit attention", "data protect",
		"blank check",	   "vendor specific", "copy aborted",	"aborted command",
		"reserved key Ch", "volume overflow", "miscompare",	"completed",
	};

	return names[key & 0x0f];
}
