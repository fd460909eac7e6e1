/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/verify/verify.h"
#include "core/fd.h"
#include "proto/codec.h"
#include "proto/envelope.h"

/*
 * pathbell-verify: checks the signatures of one command. A program of its own so that the
 * privileged agent never maps libcrypto and never parses an envelope that nobody vouches for. It
 * gets one request on standard input, gives one reply on standard output, and holds no privilege,
 * network or file. Exit: 0 with a reply, 2 for a request that it does not understand, 1 for
 * anything else.
 */
static void verify_read_id(const struct verify_request *request, struct verify_reply *reply)
{
	Pathbell__V1__SignedCommand *envelope;
	Pathbell__V1__Command *command = NULL;

	envelope = codec_unpack(&pathbell__v1__signed_command__descriptor, &scan_limits_request,
				NULL, request->envelope, request->envelope_size, NULL);
	if (envelope)
		command = codec_unpack(&pathbell__v1__command__descriptor, &scan_limits_request,
				       NULL, envelope->command.data, envelope->command.len, NULL);
	if (command && command->id.len == sizeof(reply->id)) {
		reply->has_id = 1;
		memcpy(reply->id, command->id.data, sizeof(reply->id));
		reply->verb = command->verb;
	}
	if (command)
		protobuf_c_message_free_unpacked(&command->base, NULL);
	if (envelope)
		protobuf_c_message_free_unpacked(&envelope->base, NULL);
}

static void verify_answer(const struct verify_request *request, struct verify_reply *ret_reply)
{
	struct envelope_trusted trusted[VERIFY_MAX_KEYS];
	struct envelope_result result = { 0 };

	for (size_t i = 0; i < request->n_keys; i++) {
		memcpy(trusted[i].public_key, request->keys + i * 32, 32);
		envelope_key_id(trusted[i].public_key, trusted[i].key_id);
	}
	memset(ret_reply, 0, sizeof(*ret_reply));
	verify_read_id(request, ret_reply);
	ret_reply->outcome =
		(uint32_t)envelope_verify(request->envelope, request->envelope_size, trusted,
					  request->n_keys, request->required, &result);
	if (ret_reply->outcome != 0 && ret_reply->outcome != ENVELOPE_E_TOO_FEW)
		return;
	ret_reply->offset = (uint32_t)(result.command - request->envelope);
	ret_reply->size = (uint32_t)result.command_size;
	SHA256(result.command, result.command_size, ret_reply->sha256);
	for (size_t i = 0; i < result.n_signers && i < VERIFY_MAX_SIGNERS; i++) {
		ret_reply->signers[i] = (uint32_t)result.signers[i];
		memcpy(ret_reply->key_ids[i], trusted[result.signers[i]].key_id,
		       sizeof(ret_reply->key_ids[i]));
		ret_reply->n_signers++;
	}
}

int main(int argc, char **argv)
{
	static uint8_t input[VERIFY_REQUEST_MAX + 1];
	uint8_t output[VERIFY_REPLY_SIZE];
	struct verify_request request;
	struct verify_reply reply;
	ssize_t n;

	if (argc > 1) {
		printf("pathbell-verify " PATHBELL_VERSION ": started by pathbelld, not by hand\n");
		return strcmp(argv[1], "--version") == 0 ? 0 : 2;
	}
	n = fd_read_all(STDIN_FILENO, input, sizeof(input));
	if (n < 0)
		return 1;
	if (verify_request_decode(input, (size_t)n, &request))
		return 2;
	verify_answer(&request, &reply);
	verify_reply_encode(&reply, output);
	return fd_write_all(STDOUT_FILENO, output, sizeof(output)) ? 1 : 0;
}
