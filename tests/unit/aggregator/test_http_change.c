/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aggregator/http/change.h"

#define ID "0190a000-0000-7000-8000-000000000001"

static ProtobufCMessage *parse(const char *method, const char *id, const char *body)
{
	struct errmsg err = { 0 };
	ProtobufCMessage *message = change_parse(method, id, body, strlen(body), &err);

	assert_true((message == NULL) == (err.text[0] != '\0'));
	return message;
}

static void refuse(const char *method, const char *id, const char *body)
{
	assert_null(parse(method, id, body));
}

static void test_submit(void **state)
{
	Pathbell__V1__SubmitCommandRequest *request =
		(void *)parse("SubmitCommand", NULL, " {\"envelope\": \"aGVsbG8=\"} ");

	assert_non_null(request);
	assert_int_equal(request->envelope.len, 5);
	assert_memory_equal(request->envelope.data, "hello", 5);
	protobuf_c_message_free_unpacked(&request->base, NULL);
	refuse("SubmitCommand", NULL, "{\"envelope\": \"aGVsbG8\"}");
	refuse("SubmitCommand", NULL, "{\"envelope\": \"aGVsbG9=\"}"); /* bits beyond the end */
	refuse("SubmitCommand", NULL, "{\"envelope\": \"aGVs bG8=\"}");
	refuse("SubmitCommand", NULL, "{\"envelope\": 7}");
	refuse("SubmitCommand", NULL, "{\"envelop\": \"aGVsbG8=\"}");
	refuse("SubmitCommand", NULL, "{\"envelope\": \"aGVsbG8=\"}x");
	refuse("SubmitCommand", NULL, "[]");
	refuse("SubmitCommand", NULL, "");
	refuse("SubmitCommand", NULL, "null");
	refuse("Nothing", NULL, "{}");
}

static void test_campaign(void **state)
{
	Pathbell__V1__SubmitCampaignRequest *request = (void *)parse(
		"SubmitCampaign", NULL, "{\"envelopes\": [\"YQ==\", \"YWI=\", \"YWJj\"]}");

	assert_non_null(request);
	assert_int_equal(request->n_envelopes, 3);
	assert_int_equal(request->envelopes[2].len, 3);
	protobuf_c_message_free_unpacked(&request->base, NULL);
	refuse("SubmitCampaign", NULL, "{\"envelopes\": []}");
	refuse("SubmitCampaign", NULL, "{\"envelopes\": [\"YQ==\", 1]}");
	refuse("SubmitCampaign", NULL, "{\"envelopes\": {}}");
}

static void test_control_and_cancel(void **state)
{
	Pathbell__V1__ControlCampaignRequest *request = (void *)parse(
		"ControlCampaign", ID, "{\"action\": \"halt\", \"reason\": \"enough\"}");
	Pathbell__V1__CancelCommandRequest *cancel;

	assert_non_null(request);
	assert_int_equal(request->action, PATHBELL__V1__CAMPAIGN_ACTION__CAMPAIGN_ACTION_HALT);
	assert_string_equal(request->reason, "enough");
	assert_int_equal(request->campaign_id.len, 16);
	protobuf_c_message_free_unpacked(&request->base, NULL);
	cancel = (void *)parse("CancelCommand", "0190a00000007000800000000000000a", "{}");
	assert_non_null(cancel);
	assert_int_equal(cancel->command_id.data[15], 10);
	protobuf_c_message_free_unpacked(&cancel->base, NULL);
	refuse("CancelCommand", "0190", "{}");
	refuse("CancelCommand", NULL, "{}");
	refuse("ControlCampaign", ID, "{\"action\": \"stop\"}");
	refuse("ControlCampaign", ID, "{\"action\": \"halt\", \"reason\": \"a\\u0000b\"}");
	refuse("ControlCampaign", ID, "{\"action\": \"halt\", \"reason\": 1}");
}

static void test_plan(void **state)
{
	Pathbell__V1__PlanCampaignRequest *request = (void *)parse(
		"PlanCampaign", NULL,
		"{\"host_globs\": [\"web*\", \"db1\"], \"target\": \"nqn.x\", \"array\": \"\","
		" \"degraded_only\": true, \"verb\": \"nvme.reset\"}");

	assert_non_null(request);
	assert_int_equal(request->selector->n_host_globs, 2);
	assert_string_equal(request->selector->host_globs[1], "db1");
	assert_string_equal(request->selector->target, "nqn.x");
	assert_string_equal(request->selector->array, "");
	assert_true(request->selector->degraded_only);
	assert_int_equal(request->verb, PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_NVME_RESET);
	protobuf_c_message_free_unpacked(&request->base, NULL);
	refuse("PlanCampaign", NULL, "{\"verb\": \"nvme.explode\"}");
	refuse("PlanCampaign", NULL, "{\"degraded_only\": \"yes\"}");
	refuse("PlanCampaign", NULL, "{\"host_globs\": [1]}");
	refuse("PlanCampaign", NULL, "{\"host_globs\": [\"a\", \"\"]}");
	refuse("PlanCampaign", NULL, "{\"host_globs\": [[[[[[1]]]]]]}");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_submit),
					    cmocka_unit_test(test_campaign),
					    cmocka_unit_test(test_control_and_cancel),
					    cmocka_unit_test(test_plan) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
