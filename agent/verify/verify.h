/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"

/*
 * What pathbelld and pathbell-verify say to each other: one request on standard input, one reply of
 * fixed size on standard output. Little endian. Pure.
 *
 * request:  "PBVQ" u32 version u32 required u32 n_keys { key[32] }* u32 envelope_size envelope
 * reply:    "PBVR" u32 version u32 outcome u32 n_signers u32 signers[4] u32 offset u32 size
 *           sha256[32] key_ids[4][32] u32 has_id id[16] u32 verb
 * outcome: 0 or ENVELOPE_E_* (proto/envelope.h); offset and size: the signed bytes within the
 * envelope; sha256 over them; key_ids: of the signers, terminated; id and verb: as the envelope
 * claims them, also where nobody vouches for it, so that a refusal can name what it refuses.
 */
#define VERIFY_VERSION	    1
#define VERIFY_MAX_KEYS	    64
#define VERIFY_MAX_ENVELOPE 131072
#define VERIFY_MAX_SIGNERS  4
#define VERIFY_REQUEST_MAX  (16 + VERIFY_MAX_KEYS * 32 + 4 + VERIFY_MAX_ENVELOPE)
#define VERIFY_REPLY_SIZE   (40 + 32 + VERIFY_MAX_SIGNERS * 32 + 24)

struct verify_request {
	uint32_t required;
	size_t n_keys;
	const uint8_t *keys; /* 32 bytes each */
	const uint8_t *envelope;
	size_t envelope_size;
};

struct verify_reply {
	uint32_t outcome;
	uint32_t n_signers;
	uint32_t signers[VERIFY_MAX_SIGNERS]; /* < n_keys, different */
	uint32_t offset, size;
	uint8_t sha256[32];
	char key_ids[VERIFY_MAX_SIGNERS][32];
	uint32_t has_id;
	uint8_t id[16];
	uint32_t verb;
};

/* 0, -EMSGSIZE (a limit) or the error of buf_append. */
int verify_request_encode(const struct verify_request *request, struct buf *out);
/* Pointers go into @data. 0 or -EBADMSG. */
int verify_request_decode(const uint8_t *data, size_t size, struct verify_request *ret_request);

void verify_reply_encode(const struct verify_reply *reply, uint8_t ret_data[VERIFY_REPLY_SIZE]);
/* Checked against the request that it answers: the program is not trusted to be right. 0 or
 * -EBADMSG. */
int verify_reply_decode(const uint8_t *data, size_t size, const struct verify_request *request,
			struct verify_reply *ret_reply);
