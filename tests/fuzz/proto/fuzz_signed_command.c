/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "fuzz_message.h"
#include "proto/codec.h"
#include "proto/envelope.h"

/* TEST 1 of RFC 8032; nobody here has the private key, but the seed corpus holds one good envelope.
 */
static const struct envelope_trusted trusted = {
	.key_id = "ed25519:21fe31dfa154a261",
	.public_key = { 0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe,
			0xd3, 0xc9, 0x64, 0x07, 0x3a, 0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6,
			0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a },
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct envelope_result result = { 0 };
	int r;

	(void)fuzz_message(&pathbell__v1__signed_command__descriptor, &scan_limits_request, data,
			   size);
	r = envelope_verify(data, size, &trusted, 1, 1, &result);
	if (r < 0 || (r == 0) != (result.n_signers > 0))
		abort();
	if (r == ENVELOPE_E_MALFORMED)
		return 0;
	if (result.command < data || result.command + result.command_size > data + size)
		abort();
	(void)fuzz_message(&pathbell__v1__command__descriptor, &scan_limits_request, result.command,
			   result.command_size);
	return 0;
}
