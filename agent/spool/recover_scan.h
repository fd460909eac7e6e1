/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/spool/layout.h"

/* Reading segment files as a crash or bad hardware left them. Only pread; used by recovery and
 * inspect. */
struct scan_callbacks {
	void *data;
	/* A record that passed its checks; false stops. */
	bool (*record)(void *data, const struct layout_record *record, uint64_t offset);
	/* Bytes that are none, before a record that is one. May be NULL. */
	void (*bad)(void *data, uint64_t offset, uint64_t size);
};

struct scan_result {
	uint64_t end;	/* behind the last good record */
	uint64_t torn;	/* bytes behind it up to the last that is not zero */
	uint64_t n_bad; /* stretches of bad bytes before it */
	bool stopped;
};

/* From @offset to @size. 0, -errno of pread, -ENOMEM. */
int scan_file(int fd, uint64_t offset, uint64_t size, uint32_t seed,
	      const struct scan_callbacks *callbacks, struct scan_result *ret_result);

/*
 * The seal at the end of a file of @size bytes. *ret_buffer is for free() and holds the runs. 0,
 * SCAN_E_NO_SEAL, -errno.
 */
#define SCAN_E_NO_SEAL 1
int scan_seal(int fd, uint64_t size, uint32_t seed, struct layout_seal *ret_seal,
	      uint8_t **ret_buffer);
/* The runs add up to what the seal says. */
bool scan_seal_is_sane(const struct layout_seal *seal);
