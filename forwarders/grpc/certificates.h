/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "settings.h"

/*
 * Our own certificate, looked at before it is used: a wrong one would be refused far away, with
 * less to say. The name is what FRAME_ALARM carries.
 */
enum certificates_state {
	CERTIFICATES_OK,
	CERTIFICATES_EXPIRING, /* within 7 days, or the last fifth of its life */
	CERTIFICATES_EXPIRED,
	CERTIFICATES_MISMATCH,	 /* not this host's, or not a host's */
	CERTIFICATES_UNREADABLE, /* a file is missing, broken, not ECDSA P-256, or the pair does not
				    fit */
};

struct certificates {
	enum certificates_state state;
	uint64_t not_after_unix_ns; /* 0: unknown */
	uint64_t next_unix_ns;	    /* when the state changes by time alone; 0: never */
	char detail[640];
};

void certificates_check(const struct settings *settings, uint64_t now_unix_ns,
			struct certificates *ret_certificates);
bool certificates_is_usable(const struct certificates *certificates);
const char *certificates_state_name(enum certificates_state state);

/* A fingerprint of the files as stat(2) shows them: differs when one was replaced or written. */
uint64_t certificates_stamp(const struct settings *settings);
