/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "pathbell/v1/event.pb-c.h"

/*
 * Asynchronous events of a controller: dword 0 of the completion of an Asynchronous Event Request
 * (NVM Express Base Specification 2.0, 5.2). Pure. Bits 2:0 type, 15:8 information, 23:16 the log
 * page to read.
 */
enum aen_type {
	AEN_ERROR = 0,
	AEN_SMART = 1,
	AEN_NOTICE = 2,
	AEN_IMMEDIATE = 3,
	AEN_ONE_SHOT = 4,
	AEN_IO_COMMAND_SET = 6,
	AEN_VENDOR = 7,
};

#define AEN_DISCOVERY_LOG_CHANGED 0x70f002
#define AEN_ANA_CHANGED		  0x0c0302

struct aen {
	uint32_t word;
	uint32_t type, info, log_page;
	const char *meaning; /* a constant, e.g. namespace_attributes_changed; never NULL */
	Pathbell__V1__Severity severity;
};

void aen_decode(uint32_t word, struct aen *ret_aen);

/*
 * The word of a trace record. Kernels before 5.19 recorded only the information of a notice
 * (nvme_handle_aen_notice, drivers/nvme/host/core.c, Linux 5.10); log page 0 is never asked for, so
 * that such a record can be told from a whole word, and is completed here.
 */
uint32_t aen_from_trace(uint32_t value);
