/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "pathbell/v1/event.pb-c.h"

/*
 * Fabric Performance Impact Notifications: netlink family NETLINK_SCSITRANSPORT, struct fc_nl_event
 * (include/uapi/scsi/scsi_netlink_fc.h), its data an FPIN ELS frame with descriptors in big endian
 * (FC-LS-5 4.2.53; include/uapi/scsi/fc/fc_els.h). Linux 6.12. Pure; every message of a datagram
 * and every descriptor of a frame is told.
 */
#define FPIN_MAX_PORTS	   64
#define FPIN_MAX_UNDECODED 256

struct fpin_reader {
	const uint8_t *datagram;
	size_t size, next; /* of messages in the datagram */
	uint16_t host;
	uint32_t event_num;
	uint64_t seconds;
	const uint8_t *frame; /* descriptors of the message in hand */
	size_t frame_size, at;
	uint64_t malformed; /* messages and descriptors that could not be read */
};

struct fpin {
	Pathbell__V1__FcFpin fpin; /* host is left to the caller */
	uint16_t host;
	uint32_t event_num;
	uint64_t seconds;   /* CLOCK_REALTIME */
	uint32_t n_ports;   /* as told; port_names has at most FPIN_MAX_PORTS */
	const uint8_t *raw; /* of a descriptor that is not known; else NULL */
	size_t raw_size;
	uint64_t ports[FPIN_MAX_PORTS];
};

/* @datagram is borrowed until the last fpin_next. */
void fpin_open(struct fpin_reader *reader, const void *datagram, size_t size);
#define FPIN_E_END 1
/* 0 or FPIN_E_END. Messages about other things are passed over. */
int fpin_next(struct fpin_reader *reader, struct fpin *ret_fpin);

Pathbell__V1__Severity fpin_severity(const Pathbell__V1__FcFpin *fpin);
