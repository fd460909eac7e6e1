/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/verify/verify.h"
#include "proto/envelope.h"

/* Standard input of pathbell-verify: the request, then the envelope in it; and a reply as the agent
 * reads it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct envelope_trusted trusted[VERIFY_MAX_KEYS];
	struct envelope_result result = { 0 };
	struct verify_request request;
	struct verify_reply reply;

	if (verify_request_decode(data, size, &request))
		return 0;
	if (verify_reply_decode(data, size, &request, &reply) == 0 &&
	    (size_t)reply.offset + reply.size > request.envelope_size)
		abort();
	for (size_t i = 0; i < request.n_keys; i++) {
		memcpy(trusted[i].public_key, request.keys + i * 32, 32);
		envelope_key_id(trusted[i].public_key, trusted[i].key_id);
	}
	if (envelope_verify(request.envelope, request.envelope_size, trusted, request.n_keys,
			    request.required, &result) == 0 &&
	    result.n_signers < request.required)
		abort();
	return 0;
}
