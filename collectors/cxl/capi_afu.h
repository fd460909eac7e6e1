/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collectors/cxl/capi_event.h"
#include "collectors/cxl/capi_queue.h"
#include "core/backoff.h"

/* One AFU device: opening, one event for each read, losing its link, being opened again. */
struct capi_afu_options {
	const char *sysfs_path;
	bool start_work;
	uint64_t wed;  /* work element descriptor */
	uint64_t irqs; /* 0: the AFU's minimum */
};

struct capi_afu {
	char path[256];
	struct capi_identity identity;
	int fd; /* -1: not open */
	struct backoff backoff;
	uint64_t retry_ns; /* CLOCK_MONOTONIC, while not open; UINT64_MAX: when its node appears */
	bool tell_down, tell_up; /* to be published */
	int error;		 /* why it went down */
};

/* 0, -errno (closed, with retry_ns set). @ret_what says what failed. */
int capi_afu_open(struct capi_afu *afu, const struct capi_afu_options *options,
		  const char **ret_what);
void capi_afu_init(struct capi_afu *afu, const char *path);
void capi_afu_close(struct capi_afu *afu);

#define CAPI_AFU_E_EMPTY    1
#define CAPI_AFU_E_DOWN	    2 /* EIO: link down, or context closed; closed and told */
#define CAPI_AFU_E_OVERSIZE 3 /* EFAULT: the driver had an event that does not fit; it is gone */
/* 0 with an event, one of the above, -errno: this is no AFU (closed). Never blocks. */
int capi_afu_read(struct capi_afu *afu, uint8_t buffer[CAPI_READ_SIZE], size_t *ret_size);

/* "capi:ID": the name of the lasting fault, raised when a link goes down. */
void capi_afu_fault_id(const struct capi_identity *identity, char *ret_text, size_t size);
