/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pathbell/v1/command.pb-c.h"
#include "pathbell/v1/event.pb-c.h"
#include "pathbell/v1/fleet.pb-c.h"
#include "pathbell/v1/ingest.pb-c.h"
#include "proto/json.h"

static void equals(const ProtobufCMessage *message, const char *want)
{
	struct json_object *object = json_from_message(message);

	assert_non_null(object);
	assert_string_equal(
		json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN |
							       JSON_C_TO_STRING_NOSLASHESCAPE),
		want);
	json_object_put(object);
}

static void test_event(void **state)
{
	Pathbell__V1__Event event = PATHBELL__V1__EVENT__INIT;
	Pathbell__V1__Subject subject = PATHBELL__V1__SUBJECT__INIT;
	Pathbell__V1__BlockError error = PATHBELL__V1__BLOCK_ERROR__INIT;
	char *holders[] = { (char *)"dm-0", (char *)"dm-1" };
	uint8_t boot_id[16] = { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
				0,    1,    2,	  3,	4,    5,    6,	  7 };

	equals(&event.base, "{}");
	event.kind = PATHBELL__V1__EVENT_KIND__EVENT_KIND_STORAGE_BLOCK_ERROR;
	event.severity = PATHBELL__V1__SEVERITY__SEVERITY_ERROR;
	event.time_unix_ns = 1763688600123456789;
	event.boot_id.data = boot_id;
	event.boot_id.len = 16;
	event.subject = &subject;
	subject.type = PATHBELL__V1__SUBJECT_TYPE__SUBJECT_TYPE_DISK;
	subject.id = (char *)"wwid:naa.5000c500a1b2c3d4";
	subject.holders = holders;
	subject.n_holders = 2;
	event.payload_case = PATHBELL__V1__EVENT__PAYLOAD_BLOCK_ERROR;
	event.block_error = &error;
	error.error_class = PATHBELL__V1__BLOCK_ERROR_CLASS__BLOCK_ERROR_CLASS_CRITICAL_MEDIUM;
	error.error_number = -61;
	error.sector = UINT64_MAX;
	error.sector_count = UINT32_MAX;
	error.operation = PATHBELL__V1__BLOCK_OPERATION__BLOCK_OPERATION_READ;
	error.via_watch_queue = 1;
	equals(&event.base,
	       "{\"kind\":\"storage.block.error\",\"severity\":\"error\","
	       "\"time_unix_ns\":1763688600123456789,\"time\":\"2025-11-21T01:30:00.123456789Z\","
	       "\"boot_id\":\"01234567-89ab-cdef-0001-020304050607\","
	       "\"subject\":{\"type\":\"disk\",\"id\":\"wwid:naa.5000c500a1b2c3d4\","
	       "\"holders\":[\"dm-0\",\"dm-1\"]},"
	       "\"block_error\":{\"error_class\":\"critical_medium\",\"error_number\":-61,"
	       "\"sector\":18446744073709551615,\"sector_count\":4294967295,"
	       "\"operation\":\"read\",\"via_watch_queue\":true}}");
}

static void test_unknown_enum_is_a_number(void **state)
{
	Pathbell__V1__Event event = PATHBELL__V1__EVENT__INIT;

	event.kind = 4711;
	event.severity = 99;
	equals(&event.base, "{\"kind\":4711,\"severity\":99}");
}

static void test_empty_payload_is_there(void **state)
{
	Pathbell__V1__Event event = PATHBELL__V1__EVENT__INIT;
	Pathbell__V1__Gap gap = PATHBELL__V1__GAP__INIT;

	event.payload_case = PATHBELL__V1__EVENT__PAYLOAD_GAP;
	event.gap = &gap;
	equals(&event.base, "{\"gap\":{}}");
}

static void test_bytes(void **state)
{
	Pathbell__V1__Event event = PATHBELL__V1__EVENT__INIT;
	uint8_t raw[16] = { 0xde, 0xad };

	event.raw.data = raw;
	event.raw.len = 2;
	equals(&event.base, "{\"raw\":\"dead\"}");
	event.raw.len = 16; /* 16 bytes, but its name says no id */
	equals(&event.base, "{\"raw\":\"dead0000000000000000000000000000\"}");
	event.raw.len = 0;
	event.boot_id.data = raw;
	event.boot_id.len = 3; /* an id of the wrong size is shown as it is */
	equals(&event.base, "{\"boot_id\":\"dead00\"}");
}

static void test_hostile_text(void **state)
{
	Pathbell__V1__Attribute attribute = PATHBELL__V1__ATTRIBUTE__INIT;

	attribute.key = (char *)"\x1b[2J\"\\\n\t";
	attribute.value = (char *)"</script>'; DROP TABLE \xe2\x82\xac";
	equals(&attribute.base, "{\"key\":\"\\u001b[2J\\\"\\\\\\n\\t\","
				"\"value\":\"</script>'; DROP TABLE \xe2\x82\xac\"}");
}

static void test_commands_and_gone(void **state)
{
	Pathbell__V1__CommandRecord record = PATHBELL__V1__COMMAND_RECORD__INIT;
	Pathbell__V1__CommandHostState host = PATHBELL__V1__COMMAND_HOST_STATE__INIT;
	Pathbell__V1__CommandHostState *hosts[] = { &host };
	Pathbell__V1__Gone gone = PATHBELL__V1__GONE__INIT;
	uint8_t epoch[16] = { 0 };

	record.hosts = hosts;
	record.n_hosts = 1;
	record.submitted_unix_ns = 1;
	host.life = PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_REJECTED;
	host.refusal = PATHBELL__V1__COMMAND_REFUSAL__COMMAND_REFUSAL_BAD_SIGNATURE;
	equals(&record.base,
	       "{\"submitted_unix_ns\":1,\"submitted_time\":\"1970-01-01T00:00:00.000000001Z\","
	       "\"hosts\":[{\"life\":\"REJECTED\",\"refusal\":\"bad_signature\"}]}");
	gone.epoch.data = epoch;
	gone.epoch.len = 16;
	gone.first_seq = 9007199254740993; /* not exact as a double */
	gone.reason = PATHBELL__V1__GONE_REASON__GONE_REASON_SPOOL_AGE;
	equals(&gone.base, "{\"epoch\":\"00000000-0000-0000-0000-000000000000\","
			   "\"first_seq\":9007199254740993,\"reason\":\"spool_age\"}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_event),
		cmocka_unit_test(test_unknown_enum_is_a_number),
		cmocka_unit_test(test_empty_payload_is_there),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_hostile_text),
		cmocka_unit_test(test_commands_and_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
