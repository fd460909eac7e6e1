/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "collectors/tracefs/format.h"
#include "collectors/uevent/uevent.h"
#include "core/errmsg.h"

/*
 * Uevents of the subsystems nvme (nvme_class_uevent and nvme_change_uevent,
 * drivers/nvme/host/core.c) and fc (nvme_fc_signal_discovery_scan, drivers/nvme/host/fc.c), and
 * records of the trace event nvme_async_event (drivers/nvme/host/trace.h), Linux 5.10 to 6.12.
 * Pure. No uevent names the subsystem's NQN.
 */
enum decode_kind {
	DECODE_OTHER, /* not of the subsystems above, or says nothing that is known */
	DECODE_ADDED,
	DECODE_REMOVED,
	DECODE_CONNECTED,  /* NVME_EVENT=connected, 5.18+ */
	DECODE_REDISCOVER, /* NVME_EVENT=rediscover */
	DECODE_AEN,
	DECODE_CHANGED,	     /* any other change of a controller */
	DECODE_FC_DISCOVERY, /* fc: a remote port offers discovery */
};

/* Strings point into the uevent; "" where the kernel has none. */
struct decode_notice {
	enum decode_kind kind;
	const char *name; /* nvme0 */
	const char *transport, *traddr, *trsvcid, *host_traddr, *host_iface;
	uint32_t major, minor;
	uint32_t aen;
	uint64_t seqnum;
};

/* 0, or -EBADMSG: of ours, but without a controller's name or with an AEN that is no number. */
int decode_uevent(const struct uevent *uevent, struct decode_notice *ret_notice);

struct decode_trace {
	uint16_t type;
	struct format_field common_type, ctrl_id, result;
};

/* 0, or -EBADMSG with @err: the event lacks a field that is needed. */
int decode_trace_init(struct decode_trace *trace, const struct format *format, struct errmsg *err);

#define DECODE_E_OTHER_EVENT 1
/* 0, DECODE_E_OTHER_EVENT (a record of another event), -EBADMSG (too short, or no such number). */
int decode_trace_record(const struct decode_trace *trace, const void *data, size_t size,
			uint32_t *ret_instance, uint32_t *ret_aen);

/*
 * The attribute `address` of a fabrics controller: traddr=..,trsvcid=..,host_traddr=..,
 * host_iface=..,src_addr=.. (nvmf_get_address, drivers/nvme/host/fabrics.c), only what is set. Some
 * drivers separated by blanks. Each text is cut to its size.
 */
#define DECODE_TEXT 256
struct decode_address {
	char traddr[DECODE_TEXT], trsvcid[DECODE_TEXT], host_traddr[DECODE_TEXT];
	char host_iface[DECODE_TEXT], src_addr[DECODE_TEXT];
};

/* How many of these keys were found; others are passed over. */
size_t decode_address(const char *text, struct decode_address *ret_address);
