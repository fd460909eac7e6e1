/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/scsi/fpin.h"

#include <linux/netlink.h>
#include <stdbool.h>
#include <string.h>

/* include/uapi/scsi/scsi_netlink.h, scsi_netlink_fc.h, Linux 6.12. The C headers come with neither
 * libc nor linux-libc-dev, so the offsets stand here. */
#define FPIN_NLMSG_TYPE	   (NLMSG_MIN_TYPE + 1) /* SCSI_TRANSPORT_MSG */
#define FPIN_VERSION	   1			/* SCSI_NL_VERSION */
#define FPIN_TRANSPORT_FC  1			/* SCSI_NL_TRANSPORT_FC */
#define FPIN_MAGIC	   0xA1B2		/* SCSI_NL_MAGIC */
#define FPIN_ASYNC_EVENT   0x0100		/* FC_NL_ASYNC_EVENT */
#define FPIN_EVENT_CODE	   0x501		/* FCH_EVT_LINK_FPIN */
#define FPIN_AT_TRANSPORT  1
#define FPIN_AT_MAGIC	   2
#define FPIN_AT_MSGTYPE	   4
#define FPIN_AT_SECONDS	   8
#define FPIN_AT_HOST	   24
#define FPIN_AT_DATALEN	   26
#define FPIN_AT_EVENT_NUM  28
#define FPIN_AT_EVENT_CODE 32
#define FPIN_AT_DATA	   36

/* FC-LS-5; include/uapi/scsi/fc/fc_els.h, Linux 6.12. */
#define FPIN_ELS	      0x16
#define FPIN_ELS_HEADER	      8
#define FPIN_TLV_HEADER	      8
#define FPIN_CONGESTION_ERROR 0xf7

static uint64_t fpin_be(const uint8_t *data, size_t n)
{
	uint64_t value = 0;

	for (size_t i = 0; i < n; i++)
		value = value << 8 | data[i];
	return value;
}

static uint16_t fpin_u16(const uint8_t *data)
{
	uint16_t value;

	memcpy(&value, data, sizeof(value));
	return value;
}

static uint32_t fpin_u32(const uint8_t *data)
{
	uint32_t value;

	memcpy(&value, data, sizeof(value));
	return value;
}

void fpin_open(struct fpin_reader *reader, const void *datagram, size_t size)
{
	*reader = (struct fpin_reader){ .datagram = datagram, .size = size };
}

/* The frame of one message: ELS header, then descriptors. */
static void fpin_open_frame(struct fpin_reader *reader, const uint8_t *data, size_t size)
{
	size_t told;

	if (size < FPIN_ELS_HEADER || data[0] != FPIN_ELS) {
		reader->malformed++;
		return;
	}
	told = (size_t)fpin_be(data + 4, 4);
	reader->frame = data + FPIN_ELS_HEADER;
	reader->frame_size = size - FPIN_ELS_HEADER;
	if (told < reader->frame_size)
		reader->frame_size = told;
	else if (told > reader->frame_size)
		reader->malformed++; /* cut short: what is there is read */
	reader->at = 0;
}

static void fpin_open_message(struct fpin_reader *reader, const uint8_t *data, size_t size)
{
	size_t told;

	if (size < FPIN_AT_DATA || data[0] != FPIN_VERSION ||
	    fpin_u16(data + FPIN_AT_MAGIC) != FPIN_MAGIC) {
		reader->malformed++;
		return;
	}
	if (data[FPIN_AT_TRANSPORT] != FPIN_TRANSPORT_FC ||
	    fpin_u16(data + FPIN_AT_MSGTYPE) != FPIN_ASYNC_EVENT ||
	    fpin_u32(data + FPIN_AT_EVENT_CODE) != FPIN_EVENT_CODE)
		return;
	told = fpin_u16(data + FPIN_AT_DATALEN);
	if (told > size - FPIN_AT_DATA) {
		told = size - FPIN_AT_DATA;
		reader->malformed++;
	}
	memcpy(&reader->seconds, data + FPIN_AT_SECONDS, sizeof(reader->seconds));
	reader->host = fpin_u16(data + FPIN_AT_HOST);
	reader->event_num = fpin_u32(data + FPIN_AT_EVENT_NUM);
	fpin_open_frame(reader, data + FPIN_AT_DATA, told);
}

/* False: the datagram has ended. */
static bool fpin_next_message(struct fpin_reader *reader)
{
	struct nlmsghdr header;
	size_t left = reader->size - reader->next;
	const uint8_t *message = reader->datagram + reader->next;

	if (left < sizeof(header)) {
		reader->malformed += left > 0;
		return false;
	}
	memcpy(&header, message, sizeof(header));
	if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > left) {
		reader->malformed++;
		return false;
	}
	reader->next += NLMSG_ALIGN(header.nlmsg_len) < left ? NLMSG_ALIGN(header.nlmsg_len) : left;
	if (header.nlmsg_type == FPIN_NLMSG_TYPE)
		fpin_open_message(reader, message + NLMSG_HDRLEN, header.nlmsg_len - NLMSG_HDRLEN);
	return true;
}

static void fpin_take_ports(struct fpin *fpin, const uint8_t *list, size_t size)
{
	size_t n = size / 8;

	if (fpin->n_ports < n)
		n = fpin->n_ports;
	if (n > FPIN_MAX_PORTS)
		n = FPIN_MAX_PORTS;
	for (size_t i = 0; i < n; i++)
		fpin->ports[i] = fpin_be(list + 8 * i, 8);
	fpin->fpin.port_names = fpin->ports;
	fpin->fpin.n_port_names = n;
}

static void fpin_take_link_integrity(struct fpin *fpin, const uint8_t *value, size_t size)
{
	fpin->fpin.event_threshold_ms = (uint32_t)fpin_be(value + 20, 4);
	fpin->fpin.event_count = (uint32_t)fpin_be(value + 24, 4);
	fpin->n_ports = (uint32_t)fpin_be(value + 28, 4);
	fpin_take_ports(fpin, value + 32, size - 32);
}

static void fpin_take_delivery(struct fpin *fpin, const uint8_t *value, size_t size)
{
	fpin->fpin.reason_code = (uint32_t)fpin_be(value + 16, 4);
}

static void fpin_take_peer_congestion(struct fpin *fpin, const uint8_t *value, size_t size)
{
	fpin->fpin.event_period_ms = (uint32_t)fpin_be(value + 20, 4);
	fpin->n_ports = (uint32_t)fpin_be(value + 24, 4);
	fpin_take_ports(fpin, value + 28, size - 28);
}

static void fpin_take_congestion(struct fpin *fpin, const uint8_t *value, size_t size)
{
	fpin->fpin.event_period_ms = (uint32_t)fpin_be(value + 4, 4);
	fpin->fpin.severity = value[8];
}

/* @ports: the value begins with detecting and attached port name. @event: offset of type and
 * modifier; 0xff = none. */
static const struct fpin_kind {
	uint32_t tag;
	const char *name;
	size_t min_size;
	bool has_ports;
	uint8_t event;
	void (*take)(struct fpin *fpin, const uint8_t *value, size_t size);
} fpin_kinds[] = {
	{ 0x00020001, "link_integrity", 32, true, 16, fpin_take_link_integrity },
	{ 0x00020002, "delivery", 20, true, 0xff, fpin_take_delivery },
	{ 0x00020003, "peer_congestion", 28, true, 16, fpin_take_peer_congestion },
	{ 0x00020004, "congestion", 12, false, 0, fpin_take_congestion },
};

static const struct fpin_kind *fpin_find(uint32_t tag)
{
	for (size_t i = 0; i < sizeof(fpin_kinds) / sizeof(fpin_kinds[0]); i++) {
		if (fpin_kinds[i].tag == tag)
			return &fpin_kinds[i];
	}
	return NULL;
}

static void fpin_decode(const struct fpin_kind *kind, const uint8_t *value, size_t size,
			struct fpin *fpin)
{
	fpin->fpin.descriptor = (char *)kind->name;
	if (kind->has_ports) {
		fpin->fpin.detecting_port_name = fpin_be(value, 8);
		fpin->fpin.attached_port_name = fpin_be(value + 8, 8);
	}
	if (kind->event != 0xff) {
		fpin->fpin.event_type = (uint32_t)fpin_be(value + kind->event, 2);
		fpin->fpin.event_modifier = (uint32_t)fpin_be(value + kind->event + 2, 2);
	}
	kind->take(fpin, value, size);
}

/* False: the frame has ended. */
static bool fpin_next_descriptor(struct fpin_reader *reader, struct fpin *fpin)
{
	const uint8_t *descriptor = reader->frame + reader->at;
	size_t left = reader->frame_size - reader->at, size;
	const struct fpin_kind *kind;

	if (left < FPIN_TLV_HEADER) {
		reader->malformed += left > 0;
		return false;
	}
	size = (size_t)fpin_be(descriptor + 4, 4);
	if (size > left - FPIN_TLV_HEADER) {
		reader->malformed++;
		return false;
	}
	reader->at += FPIN_TLV_HEADER + size;
	kind = fpin_find((uint32_t)fpin_be(descriptor, 4));
	fpin->host = reader->host;
	fpin->event_num = reader->event_num;
	fpin->seconds = reader->seconds;
	fpin->n_ports = 0;
	fpin->raw = NULL;
	fpin->raw_size = 0;
	pathbell__v1__fc_fpin__init(&fpin->fpin);
	if (kind != NULL && size >= kind->min_size) {
		fpin_decode(kind, descriptor + FPIN_TLV_HEADER, size, fpin);
		return true;
	}
	fpin->fpin.descriptor = (char *)"unknown";
	fpin->raw = descriptor;
	fpin->raw_size = FPIN_TLV_HEADER + size;
	if (fpin->raw_size > FPIN_MAX_UNDECODED)
		fpin->raw_size = FPIN_MAX_UNDECODED;
	return true;
}

int fpin_next(struct fpin_reader *reader, struct fpin *ret_fpin)
{
	do {
		if (reader->frame != NULL && fpin_next_descriptor(reader, ret_fpin))
			return 0;
		reader->frame = NULL;
	} while (fpin_next_message(reader));
	return FPIN_E_END;
}

Pathbell__V1__Severity fpin_severity(const Pathbell__V1__FcFpin *fpin)
{
	bool congestion = strstr(fpin->descriptor, "congestion") != NULL;

	/* FPIN_CONGN_CLEAR: it is over. */
	if (congestion && fpin->event_type == 0)
		return PATHBELL__V1__SEVERITY__SEVERITY_NOTICE;
	if (congestion && fpin->severity == FPIN_CONGESTION_ERROR)
		return PATHBELL__V1__SEVERITY__SEVERITY_ERROR;
	return PATHBELL__V1__SEVERITY__SEVERITY_WARNING;
}
