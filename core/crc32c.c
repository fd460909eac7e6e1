/* SPDX-License-Identifier: Apache-2.0 */
#include "core/crc32c.h"

#include <pthread.h>
#include <string.h>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

/* RFC 3720 section 12.1: polynomial 0x1EDC6F41; here with its bits reflected. */
#define CRC32C_POLYNOMIAL UINT32_C(0x82F63B78)

/* Eight tables of 256: eight bytes a step. Built on first use: 8 KiB that most hosts never touch.
 */
static uint32_t crc32c_tables[8][256];
static pthread_once_t crc32c_once = PTHREAD_ONCE_INIT;

static void crc32c_build_tables(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t crc = i;

		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (crc & 1 ? CRC32C_POLYNOMIAL : 0);
		crc32c_tables[0][i] = crc;
	}
	for (int table = 1; table < 8; table++) {
		for (int i = 0; i < 256; i++) {
			uint32_t crc = crc32c_tables[table - 1][i];

			crc32c_tables[table][i] = (crc >> 8) ^ crc32c_tables[0][crc & 0xff];
		}
	}
}

static uint32_t crc32c_step(uint32_t crc, uint8_t byte)
{
	return (crc >> 8) ^ crc32c_tables[0][(crc ^ byte) & 0xff];
}

uint32_t crc32c_portable(uint32_t crc, const void *data, size_t size)
{
	const uint8_t *p = data;

	pthread_once(&crc32c_once, crc32c_build_tables);
	crc = ~crc;
	for (; size >= 8; size -= 8, p += 8) {
		uint32_t low = crc ^ ((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
				      (uint32_t)p[3] << 24);

		crc = crc32c_tables[7][low & 0xff] ^ crc32c_tables[6][(low >> 8) & 0xff] ^
		      crc32c_tables[5][(low >> 16) & 0xff] ^ crc32c_tables[4][low >> 24] ^
		      crc32c_tables[3][p[4]] ^ crc32c_tables[2][p[5]] ^ crc32c_tables[1][p[6]] ^
		      crc32c_tables[0][p[7]];
	}
	for (; size > 0; size--)
		crc = crc32c_step(crc, *p++);
	return ~crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t crc, const void *data,
							       size_t size)
{
	const uint8_t *p = data;
	uint64_t state = (uint32_t)~crc;

	for (; size >= 8; size -= 8, p += 8) {
		uint64_t word;

		memcpy(&word, p, sizeof(word));
		state = _mm_crc32_u64(state, word);
	}
	for (; size > 0; size--)
		state = _mm_crc32_u8((uint32_t)state, *p++);
	return ~(uint32_t)state;
}

uint32_t crc32c(uint32_t crc, const void *data, size_t size)
{
	return __builtin_cpu_supports("sse4.2") ? crc32c_sse42(crc, data, size)
						: crc32c_portable(crc, data, size);
}
#else
uint32_t crc32c(uint32_t crc, const void *data, size_t size)
{
	return crc32c_portable(crc, data, size);
}
#endif
