/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "agent/verify/verify.h"
#include "proto/envelope.h"
#include "support.h"

/* pathbell-verify by itself: what it answers, and what it does with input that is none. */

/* Exit status; *ret_size bytes of standard output in @ret_output. */
static int run(const void *input, size_t size, uint8_t *ret_output, size_t *ret_size)
{
	char *dir = support_dir(), command[512];
	FILE *pipe;
	int status;

	support_write(dir, "in", input, size);
	snprintf(command, sizeof(command), TEST_VERIFY " < %s/in", dir);
	pipe = popen(command, "re"); // NOLINT(cert-env33-c)
	assert_non_null(pipe);
	*ret_size = fread(ret_output, 1, VERIFY_REPLY_SIZE + 1, pipe);
	status = pclose(pipe);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

struct keys {
	struct envelope_key *keys[3];
	uint8_t public_keys[3 * 32];
};

static int setup(void **state)
{
	struct keys *keys = calloc(1, sizeof(*keys));
	struct errmsg err;

	for (int i = 0; i < 3; i++) {
		assert_int_equal(envelope_key_new(&keys->keys[i], &err), 0);
		envelope_key_public(keys->keys[i], keys->public_keys + i * 32);
	}
	*state = keys;
	return 0;
}

static int teardown(void **state)
{
	struct keys *keys = *state;

	for (int i = 0; i < 3; i++)
		envelope_key_free(keys->keys[i]);
	free(keys);
	return 0;
}

static void make_envelope(const struct envelope_key *key, struct buf *out)
{
	Pathbell__V1__Command command = PATHBELL__V1__COMMAND__INIT;
	uint8_t id[16] = { 7 };
	struct errmsg err;

	command.id = (ProtobufCBinaryData){ 16, id };
	command.verb = PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_PROBE;
	command.expires_unix_ms = 5;
	assert_int_equal(envelope_sign(key, &command, out, &err), 0);
}

static void ask(const struct verify_request *request, struct verify_reply *ret_reply)
{
	uint8_t output[VERIFY_REPLY_SIZE + 1];
	struct buf input = { 0 };
	size_t size;

	assert_int_equal(verify_request_encode(request, &input), 0);
	assert_int_equal(run(input.data, input.size, output, &size), 0);
	assert_int_equal(verify_reply_decode(output, size, request, ret_reply), 0);
	buf_deinit(&input);
}

static void answers(void **state)
{
	struct keys *keys = *state;
	struct buf envelope = { 0 }, both = { 0 };
	struct verify_request request = { 1, 2, keys->public_keys, NULL, 0 };
	struct verify_reply reply;
	struct errmsg err;

	make_envelope(keys->keys[1], &envelope);
	request.envelope = envelope.data;
	request.envelope_size = envelope.size;
	ask(&request, &reply);
	assert_int_equal(reply.outcome, 0);
	assert_int_equal(reply.n_signers, 1);
	assert_int_equal(reply.signers[0], 1);
	assert_memory_equal(reply.key_ids[0], "ed25519:", 8);
	assert_true(reply.has_id && reply.id[0] == 7 && reply.verb == 1);

	request.required = 2;
	ask(&request, &reply);
	assert_int_equal(reply.outcome, ENVELOPE_E_TOO_FEW);
	assert_int_equal(envelope_cosign(keys->keys[0], envelope.data, envelope.size, &both, &err),
			 0);
	request.envelope = both.data;
	request.envelope_size = both.size;
	ask(&request, &reply);
	assert_int_equal(reply.outcome, 0);
	assert_int_equal(reply.n_signers, 2);

	request.n_keys = 0;
	request.required = 1;
	ask(&request, &reply);
	assert_int_equal(reply.outcome, ENVELOPE_E_UNKNOWN_KEY);
	assert_true(reply.has_id);
	request.envelope = (const uint8_t *)"junk";
	request.envelope_size = 4;
	ask(&request, &reply);
	assert_int_equal(reply.outcome, ENVELOPE_E_MALFORMED);
	assert_false(reply.has_id);
	buf_deinit(&envelope);
	buf_deinit(&both);
}

static void refuses_what_is_no_request(void **state)
{
	static uint8_t large[VERIFY_REQUEST_MAX + 100];
	struct keys *keys = *state;
	struct verify_request request = { 1, 2, keys->public_keys, (const uint8_t *)"abc", 3 };
	uint8_t output[VERIFY_REPLY_SIZE + 1];
	struct buf input = { 0 };
	size_t size;

	assert_int_equal(verify_request_encode(&request, &input), 0);
	assert_int_equal(run("", 0, output, &size), 2);
	assert_int_equal(run(large, sizeof(large), output, &size), 2);
	assert_int_equal(run(input.data, input.size - 1, output, &size), 2);
	memcpy(large, input.data, input.size);
	assert_int_equal(run(large, input.size + 1, output, &size), 2);
	assert_int_equal(size, 0);
	/* every cut and every count that does not fit */
	for (size_t cut = 0; cut < input.size; cut++)
		assert_int_equal(verify_request_decode(input.data, cut, &request), -EBADMSG);
	input.data[12] = 200;
	assert_int_equal(verify_request_decode(input.data, input.size, &request), -EBADMSG);
	buf_deinit(&input);
	request.n_keys = VERIFY_MAX_KEYS + 1;
	assert_int_equal(verify_request_encode(&request, &input), -EMSGSIZE);
}

/* The agent does not believe a reply that cannot be right. */
static void senseless_replies(void **state)
{
	struct keys *keys = *state;
	struct verify_request request = { 1, 2, keys->public_keys, (const uint8_t *)"abcdef", 6 };
	const struct verify_reply good = {
		.n_signers = 1, .signers = { 1 }, .offset = 2, .size = 4
	};
	struct verify_reply bad[8], reply;
	uint8_t data[VERIFY_REPLY_SIZE];

	for (size_t i = 0; i < 8; i++)
		bad[i] = good;
	bad[0].outcome = 5;
	bad[1].n_signers = 0;
	bad[2].n_signers = 5;
	bad[3].signers[0] = 2;
	bad[4].n_signers = 2, bad[4].signers[1] = 1;
	bad[5].size = 5;
	bad[6].offset = UINT32_MAX;
	bad[7].size = 0;
	verify_reply_encode(&good, data);
	assert_int_equal(verify_reply_decode(data, sizeof(data), &request, &reply), 0);
	assert_int_equal(verify_reply_decode(data, sizeof(data) - 1, &request, &reply), -EBADMSG);
	for (size_t i = 0; i < 8; i++) {
		verify_reply_encode(&bad[i], data);
		assert_int_equal(verify_reply_decode(data, sizeof(data), &request, &reply),
				 -EBADMSG);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(answers, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses_what_is_no_request, setup, teardown),
		cmocka_unit_test_setup_teardown(senseless_replies, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
