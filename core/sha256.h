/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * SHA-256 (FIPS 180-4 section 6.2), so that the privileged agent names keys and chains its audit
 * without mapping libcrypto. Nothing secret is ever hashed: no care is taken of timing.
 */
#define SHA256_SIZE 32

struct sha256 {
	uint32_t state[8];
	uint64_t size; /* bytes so far */
	uint8_t block[64];
};

void sha256_init(struct sha256 *sha256);
void sha256_add(struct sha256 *sha256, const void *data, size_t size);
void sha256_end(struct sha256 *sha256, uint8_t ret_hash[SHA256_SIZE]);
