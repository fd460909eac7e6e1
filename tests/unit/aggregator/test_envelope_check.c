/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aggregator/envelope_check.h"

#define NOW_MS UINT64_C(1800000000000)

struct made {
	Pathbell__V1__Command command;
	Pathbell__V1__SignedCommand envelope;
	Pathbell__V1__Signature signatures[5];
	Pathbell__V1__Signature *pointers[5];
	uint8_t signature[64], body[4096], bytes[8192];
};

static char *one_host[] = { (char *)"h1" };

static void make(struct made *made)
{
	static uint8_t id[16] = "command-one....";

	memset(made, 0, sizeof(*made));
	pathbell__v1__command__init(&made->command);
	pathbell__v1__signed_command__init(&made->envelope);
	made->command.id.data = id;
	made->command.id.len = 16;
	made->command.verb = 1;
	made->command.host_ids = one_host;
	made->command.n_host_ids = 1;
	made->command.not_before_unix_ms = NOW_MS;
	made->command.expires_unix_ms = NOW_MS + 1000;
	for (size_t i = 0; i < 5; i++) {
		pathbell__v1__signature__init(&made->signatures[i]);
		made->signatures[i].signature.data = made->signature;
		made->signatures[i].signature.len = 64;
		made->pointers[i] = &made->signatures[i];
	}
	made->envelope.signatures = made->pointers;
	made->envelope.n_signatures = 1;
}

/* NULL: accepted. */
static const char *check(struct made *made)
{
	static struct errmsg err;
	Pathbell__V1__SignedCommand *envelope;
	Pathbell__V1__Command *command;
	size_t size;

	memset(&err, 0, sizeof(err));
	assert_true(pathbell__v1__command__get_packed_size(&made->command) <= sizeof(made->body));
	made->envelope.command.len = pathbell__v1__command__pack(&made->command, made->body);
	made->envelope.command.data = made->body;
	size = pathbell__v1__signed_command__pack(&made->envelope, made->bytes);
	if (envelope_check(made->bytes, size, NOW_MS, &envelope, &command, &err) < 0)
		return err.text;
	protobuf_c_message_free_unpacked(&envelope->base, NULL);
	protobuf_c_message_free_unpacked(&command->base, NULL);
	return NULL;
}

static void refused(struct made *made, const char *field)
{
	const char *text = check(made);

	if (!text || !strstr(text, field))
		fail_msg("%s: %s", field, text ? text : "accepted");
}

static void test_good(void **state)
{
	struct made made;

	make(&made);
	assert_null(check(&made));
	make(&made);
	made.command.verb = 999; /* the host refuses what it does not know */
	assert_null(check(&made));
	make(&made);
	made.envelope.n_signatures = 4;
	assert_null(check(&made));
}

static void test_refused(void **state)
{
	static char *twice[] = { (char *)"h1", (char *)"h2", (char *)"h1" };
	static char *evil[] = { (char *)"h1;rm" };
	char reason[600];
	struct made made;

	make(&made);
	made.command.id.len = 15;
	refused(&made, "command.id");
	make(&made);
	made.command.verb = 0;
	refused(&made, "command.verb");
	make(&made);
	made.command.n_host_ids = 0;
	refused(&made, "command.host_ids");
	make(&made);
	made.command.host_ids = twice;
	made.command.n_host_ids = 3;
	refused(&made, "command.host_ids");
	make(&made);
	made.command.host_ids = evil;
	refused(&made, "command.host_ids");
	make(&made);
	made.command.expires_unix_ms = 0;
	refused(&made, "command.expires_unix_ms");
	make(&made);
	made.command.expires_unix_ms = NOW_MS;
	refused(&made, "command.expires_unix_ms");
	make(&made);
	made.command.expires_unix_ms = NOW_MS + 86400001;
	refused(&made, "command.expires_unix_ms");
	make(&made);
	made.command.expires_unix_ms = UINT64_MAX;
	refused(&made, "command.expires_unix_ms");
	make(&made);
	memset(reason, 'r', sizeof(reason));
	reason[599] = '\0';
	made.command.reason = reason;
	refused(&made, "command.reason");
	make(&made);
	made.envelope.n_signatures = 0;
	refused(&made, "envelope.signatures");
	make(&made);
	made.envelope.n_signatures = 5;
	refused(&made, "signatures");
	make(&made);
	made.signatures[0].signature.len = 63;
	refused(&made, "envelope.signatures.signature");
}

static void test_truncated(void **state)
{
	Pathbell__V1__SignedCommand *envelope;
	Pathbell__V1__Command *command;
	struct errmsg err;
	struct made made;
	size_t size;

	make(&made);
	assert_null(check(&made));
	size = pathbell__v1__signed_command__get_packed_size(&made.envelope);
	for (size_t i = 0; i < size; i++)
		assert_true(envelope_check(made.bytes, i, NOW_MS, &envelope, &command, &err) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_good),
					    cmocka_unit_test(test_refused),
					    cmocka_unit_test(test_truncated) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
