/* SPDX-License-Identifier: Apache-2.0 */
#include "core/sha256.h"

#include <endian.h>
#include <string.h>

/* FIPS 180-4 section 4.2.2: fractional parts of the cube roots of the first 64 primes. */
static const uint32_t sha256_k[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
	0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
	0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
	0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
	0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
	0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
	0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
	0xc67178f2,
};

static uint32_t sha256_rotate(uint32_t x, unsigned n)
{
	return x >> n | x << (32 - n);
}

static void sha256_schedule(const uint8_t block[64], uint32_t w[64])
{
	for (size_t i = 0; i < 16; i++) {
		memcpy(&w[i], block + i * 4, 4);
		w[i] = be32toh(w[i]);
	}
	for (size_t i = 16; i < 64; i++) {
		uint32_t a = w[i - 15], b = w[i - 2];

		w[i] = w[i - 16] + w[i - 7] +
		       (sha256_rotate(a, 7) ^ sha256_rotate(a, 18) ^ a >> 3) +
		       (sha256_rotate(b, 17) ^ sha256_rotate(b, 19) ^ b >> 10);
	}
}

static void sha256_compress(uint32_t state[8], const uint8_t block[64])
{
	uint32_t w[64], s[8];

	sha256_schedule(block, w);
	memcpy(s, state, sizeof(s));
	for (size_t i = 0; i < 64; i++) {
		uint32_t choose = (s[4] & s[5]) ^ (~s[4] & s[6]);
		uint32_t majority = (s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]);
		uint32_t t1 = s[7] + choose + sha256_k[i] + w[i] +
			      (sha256_rotate(s[4], 6) ^ sha256_rotate(s[4], 11) ^
			       sha256_rotate(s[4], 25));
		uint32_t t2 = majority + (sha256_rotate(s[0], 2) ^ sha256_rotate(s[0], 13) ^
					  sha256_rotate(s[0], 22));

		memmove(s + 1, s, 7 * sizeof(s[0]));
		s[4] += t1;
		s[0] = t1 + t2;
	}
	for (size_t i = 0; i < 8; i++)
		state[i] += s[i];
}

void sha256_init(struct sha256 *sha256)
{
	/* section 5.3.3: fractional parts of the square roots of the first 8 primes */
	static const uint32_t initial[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
					     0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };

	memset(sha256, 0, sizeof(*sha256));
	memcpy(sha256->state, initial, sizeof(initial));
}

void sha256_add(struct sha256 *sha256, const void *data, size_t size)
{
	const uint8_t *bytes = data;

	while (size) {
		size_t used = sha256->size % 64, n = 64 - used < size ? 64 - used : size;

		memcpy(sha256->block + used, bytes, n);
		sha256->size += n;
		bytes += n;
		size -= n;
		if (sha256->size % 64 == 0)
			sha256_compress(sha256->state, sha256->block);
	}
}

/* Section 5.1.1: one bit, zeros, the length in bits. */
void sha256_end(struct sha256 *sha256, uint8_t ret_hash[SHA256_SIZE])
{
	static const uint8_t padding[64] = { 0x80 };
	uint64_t bits = htobe64(sha256->size * 8);
	size_t used = sha256->size % 64;

	sha256_add(sha256, padding, used < 56 ? 56 - used : 120 - used);
	sha256_add(sha256, &bits, sizeof(bits));
	for (size_t i = 0; i < 8; i++) {
		uint32_t word = htobe32(sha256->state[i]);

		memcpy(ret_hash + i * 4, &word, 4);
	}
}
