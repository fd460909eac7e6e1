/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/envelope_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/id.h"
#include "pathbell/v1/fleet.pb-c.h"
#include "proto/envelope.h"

static struct envelope_key *key;

/* A signed command of campaign @campaign (0 = none). */
static void seal(uint8_t campaign, Pathbell__V1__CommandVerb verb, struct buf *out)
{
	Pathbell__V1__Command command = PATHBELL__V1__COMMAND__INIT;
	Pathbell__V1__CommandCampaign policy = PATHBELL__V1__COMMAND_CAMPAIGN__INIT;
	uint8_t id[ID_SIZE] = { campaign };
	uint8_t own[ID_SIZE];
	char *hosts[] = { (char *)"a", (char *)"b" };

	id_new(own);
	command.id = (ProtobufCBinaryData){ ID_SIZE, own };
	command.verb = verb;
	command.host_ids = hosts;
	command.n_host_ids = 2;
	policy.id = (ProtobufCBinaryData){ ID_SIZE, id };
	command.campaign = campaign ? &policy : NULL;
	assert_int_equal(envelope_sign(key, &command, out, NULL), 0);
}

static void request(const struct buf *envelopes, size_t n, struct buf *out)
{
	Pathbell__V1__SubmitCampaignRequest message = PATHBELL__V1__SUBMIT_CAMPAIGN_REQUEST__INIT;
	ProtobufCBinaryData list[4];

	for (size_t i = 0; i < n; i++)
		list[i] = (ProtobufCBinaryData){ envelopes[i].size, envelopes[i].data };
	message.envelopes = list;
	message.n_envelopes = n;
	assert_int_equal(
		buf_reserve(out,
			    pathbell__v1__submit_campaign_request__get_packed_size(&message) + 1),
		0);
	out->size = pathbell__v1__submit_campaign_request__pack(&message, out->data);
}

static void test_one_command(void **state)
{
	struct envelope_file file = { 0 };
	struct buf bytes = { 0 };

	seal(0, PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_HALT, &bytes);
	assert_int_equal(envelope_file_parse("x", bytes.data, bytes.size, &file), CLI_OK);
	assert_false(file.campaign);
	assert_int_equal(file.n, 1);
	assert_int_equal(envelope_file_n_hosts(&file), 2);
	assert_int_equal(file.items[0].size, bytes.size);
	assert_memory_equal(file.items[0].data, bytes.data, bytes.size);
	envelope_file_deinit(&file);
	/* whatever is cut off, it is refused and not taken for something else */
	for (size_t size = 0; size < bytes.size; size++)
		assert_int_equal(envelope_file_parse("x", bytes.data, size, &file), CLI_FAILED);
	buf_deinit(&bytes);
}

static void campaign(uint8_t second, Pathbell__V1__CommandVerb verb, int code)
{
	struct envelope_file file = { 0 };
	struct buf envelopes[2] = { 0 };
	struct buf bytes = { 0 };

	seal(1, PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_HALT, &envelopes[0]);
	seal(second, verb, &envelopes[1]);
	request(envelopes, 2, &bytes);
	assert_int_equal(envelope_file_parse("x", bytes.data, bytes.size, &file), code);
	if (code == CLI_OK) {
		assert_true(file.campaign);
		assert_int_equal(envelope_file_n_hosts(&file), 4);
		envelope_file_deinit(&file);
	}
	buf_deinit(&bytes);
	buf_deinit(&envelopes[0]);
	buf_deinit(&envelopes[1]);
}

static void test_campaigns(void **state)
{
	campaign(1, PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_HALT, CLI_OK);
	campaign(2, PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_HALT, CLI_FAILED);
	campaign(0, PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_HALT, CLI_FAILED);
	campaign(1, PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_RESUME, CLI_FAILED);
}

/* A command outside of a campaign does not become one by its file. */
static void test_a_campaign_of_a_lone_command(void **state)
{
	struct envelope_file file = { 0 };
	struct buf envelope = { 0 };
	struct buf bytes = { 0 };

	seal(0, PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_HALT, &envelope);
	request(&envelope, 1, &bytes);
	assert_int_equal(envelope_file_parse("x", bytes.data, bytes.size, &file), CLI_FAILED);
	buf_deinit(&envelope);
	buf_deinit(&bytes);
}

static int setup(void **state)
{
	return envelope_key_new(&key, NULL);
}

static int teardown(void **state)
{
	envelope_key_free(key);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_command),
		cmocka_unit_test(test_campaigns),
		cmocka_unit_test(test_a_campaign_of_a_lone_command),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
