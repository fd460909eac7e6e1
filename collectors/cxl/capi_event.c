/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/cxl/capi_event.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Sizes with the header: 8 + sizeof of the three structs of include/uapi/misc/cxl.h 6.12. */
#define CAPI_INTERRUPT_SIZE    16
#define CAPI_DATA_STORAGE_SIZE 40
#define CAPI_ERROR_SIZE	       24

#define CAPI_KIND(x)	 PATHBELL__V1__EVENT_KIND__EVENT_KIND_CAPI_AFU_##x
#define CAPI_SEVERITY(x) PATHBELL__V1__SEVERITY__SEVERITY_##x

const char *const capi_decoder_names[] = { "none", "text", "hex-words", NULL };

static uint64_t capi_number(const uint8_t *data, size_t size, bool big_endian)
{
	uint64_t value = 0;

	for (size_t i = 0; i < size; i++)
		value = value << 8 | data[big_endian ? i : size - 1 - i];
	return value;
}

static uint16_t capi_u16(const uint8_t *data, bool big_endian)
{
	return (uint16_t)capi_number(data, 2, big_endian);
}

bool capi_event_is_driver(const void *data, size_t size, bool big_endian)
{
	return size >= CAPI_HEADER_SIZE && capi_u16(data, big_endian) == CAPI_AFU_DRIVER;
}

static size_t capi_least_size(uint16_t type)
{
	switch (type) {
	case CAPI_AFU_INTERRUPT:
		return CAPI_INTERRUPT_SIZE;
	case CAPI_DATA_STORAGE:
		return CAPI_DATA_STORAGE_SIZE;
	case CAPI_AFU_ERROR:
		return CAPI_ERROR_SIZE;
	default:
		return CAPI_HEADER_SIZE;
	}
}

int capi_event_decode(const void *data, size_t size, bool big_endian, struct capi_event *ret_event)
{
	const uint8_t *bytes = data;

	*ret_event = (struct capi_event){ 0 };
	if (size < CAPI_HEADER_SIZE)
		return -EBADMSG;
	ret_event->type = capi_u16(bytes, big_endian);
	ret_event->process_element = capi_u16(bytes + 4, big_endian);
	if (capi_u16(bytes + 2, big_endian) != size || size < capi_least_size(ret_event->type))
		return -EBADMSG;
	switch (ret_event->type) {
	case CAPI_AFU_INTERRUPT:
		ret_event->flags = capi_u16(bytes + 8, big_endian);
		ret_event->irq = capi_u16(bytes + 10, big_endian);
		break;
	case CAPI_DATA_STORAGE:
		ret_event->flags = capi_u16(bytes + 8, big_endian);
		ret_event->address = capi_number(bytes + 16, 8, big_endian);
		ret_event->dsisr = capi_number(bytes + 24, 8, big_endian);
		break;
	case CAPI_AFU_ERROR:
		ret_event->flags = capi_u16(bytes + 8, big_endian);
		ret_event->error = capi_number(bytes + 16, 8, big_endian);
		break;
	default:
		ret_event->data = bytes + CAPI_HEADER_SIZE;
		ret_event->data_size = size - CAPI_HEADER_SIZE;
		break;
	}
	return 0;
}

Pathbell__V1__EventKind capi_event_kind(const struct capi_event *event)
{
	switch (event->type) {
	case CAPI_AFU_INTERRUPT:
		return CAPI_KIND(IRQ);
	case CAPI_DATA_STORAGE:
		return CAPI_KIND(DATA_STORAGE);
	case CAPI_AFU_ERROR:
		return CAPI_KIND(ERROR);
	default:
		return CAPI_KIND(DRIVER);
	}
}

Pathbell__V1__Severity capi_event_severity(const struct capi_event *event)
{
	switch (event->type) {
	case CAPI_AFU_INTERRUPT:
		return CAPI_SEVERITY(INFO);
	case CAPI_DATA_STORAGE:
		return CAPI_SEVERITY(WARNING);
	case CAPI_AFU_ERROR:
		return CAPI_SEVERITY(ERROR);
	default:
		return CAPI_SEVERITY(NOTICE);
	}
}

void capi_event_describe(const struct capi_event *event, Pathbell__V1__CapiAfuEvent *ret_afu)
{
	pathbell__v1__capi_afu_event__init(ret_afu);
	ret_afu->type = event->type;
	ret_afu->process_element = event->process_element;
	ret_afu->flags = event->flags;
	ret_afu->irq = event->irq;
	ret_afu->address = event->address;
	ret_afu->dsisr = event->dsisr;
	ret_afu->error = event->error;
	ret_afu->driver_data.data = (uint8_t *)event->data;
	ret_afu->driver_data.len = event->data_size;
}

static void capi_tell_text(const struct capi_event *event, char *value)
{
	size_t len = 0;

	for (size_t i = 0; i < event->data_size && len < CAPI_TEXT_SIZE - 1; i++) {
		uint8_t c = event->data[i];

		if (c == '\0')
			break;
		value[len++] = (char)(c >= ' ' && c <= '~' ? c : '?');
	}
	value[len] = '\0';
}

/* Words of 32 bits; the bytes of a last part word as they are. */
static void capi_tell_words(const struct capi_event *event, bool big_endian, char *value)
{
	size_t len = 0;

	value[0] = '\0';
	for (size_t i = 0; i < event->data_size && len + 10 < CAPI_TEXT_SIZE; i += 4) {
		size_t n = event->data_size - i < 4 ? event->data_size - i : 4;

		len += (size_t)snprintf(value + len, CAPI_TEXT_SIZE - len, "%s%0*" PRIx64,
					i == 0 ? "" : " ", (int)n * 2,
					capi_number(event->data + i, n, big_endian));
	}
}

bool capi_event_tell(const struct capi_event *event, int decoder, bool big_endian,
		     struct capi_text *ret_text)
{
	if (event->data == NULL)
		return false;
	switch (decoder) {
	case CAPI_DECODER_TEXT:
		snprintf(ret_text->key, sizeof(ret_text->key), "text");
		capi_tell_text(event, ret_text->value);
		return true;
	case CAPI_DECODER_HEX_WORDS:
		snprintf(ret_text->key, sizeof(ret_text->key), "words");
		capi_tell_words(event, big_endian, ret_text->value);
		return true;
	default:
		return false;
	}
}
