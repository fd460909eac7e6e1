/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/file.h"
#include "pathbell/v1/ingest.pb-c.h"
#include "proto/kind.h"

static void test_every_kind_is_named(void **state)
{
	const ProtobufCEnumDescriptor *schema = &pathbell__v1__event_kind__descriptor;
	const unsigned *all;
	size_t n_all;

	all = kind_all(&n_all);
	assert_int_equal(n_all, schema->n_values - 1);
	for (unsigned n = 1; n < schema->n_values; n++) {
		unsigned number = (unsigned)schema->values[n].value;
		const char *name = kind_name(number);

		assert_int_equal(all[n - 1], number);
		assert_int_equal(kind_from_name(name), number); /* so names are unique, too */
		for (const char *c = name; *c; c++)
			assert_true(islower((unsigned char)*c) || *c == '.' || *c == '_');
	}
	assert_string_equal(kind_name(99999), "unknown.99999");
	assert_string_equal(kind_name(0), "unknown.0");
	assert_int_equal(kind_from_name("no.such"), 0);
	assert_int_equal(kind_from_name(NULL), 0);
}

/* "  EVENT_KIND_X = 100; // storage.block.error: ..." -> the dotted word, or "" */
static void dotted(const char *line, char *ret_word, size_t size)
{
	const char *comment = strstr(line, "// ");
	size_t len = 0;

	if (comment)
		len = strspn(comment + 3, "abcdefghijklmnopqrstuvwxyz0123456789._-");
	assert_true(len < size);
	if (comment)
		memcpy(ret_word, comment + 3, len);
	ret_word[len] = '\0';
	if (len > 0 && ret_word[len - 1] == '.')
		ret_word[len - 1] = '\0';
}

/* Compares every enumerator with @prefix in the .proto text with @name(number). Returns how many.
 */
static size_t compare_comments(const char *file, const char *prefix, const char *(*name)(unsigned))
{
	char path[512], word[128];
	char *text, *save = NULL;
	size_t size, n = 0;

	snprintf(path, sizeof(path), "%s/pathbell/v1/%s", PATHBELL_PROTO_ROOT, file);
	assert_int_equal(file_read(path, 1 << 20, &text, &size), 0);
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		const char *start = line + strspn(line, " ");
		const char *equals = strstr(line, "= ");
		unsigned long number;

		if (strncmp(start, prefix, strlen(prefix)) != 0 || !equals)
			continue;
		number = strtoul(equals + 2, NULL, 10);
		if (number == 0)
			continue;
		dotted(line, word, sizeof(word));
		assert_string_equal(name((unsigned)number), word);
		n++;
	}
	free(text);
	return n;
}

static void test_names_are_those_of_the_proto_comments(void **state)
{
	size_t n_all;

	kind_all(&n_all);
	assert_int_equal(compare_comments("event.proto", "EVENT_KIND_", kind_name), n_all);
	assert_int_equal(compare_comments("command.proto", "COMMAND_VERB_", command_verb_name),
			 pathbell__v1__command_verb__descriptor.n_values - 1);
}

static void change_case(const char *text, bool upper, char *ret_text, size_t size)
{
	size_t n;

	for (n = 0; text[n] && n + 1 < size; n++)
		ret_text[n] = text[n];
	for (size_t i = 0; !upper && i < n; i++)
		ret_text[i] = (char)(tolower)((unsigned char)text[i]);
	ret_text[n] = '\0';
}

/* Each enumerator's name is the enumerator without its prefix, in @upper or lower case. */
static void compare_enum(const ProtobufCEnumDescriptor *schema, const char *prefix,
			 const char *(*name)(unsigned), bool upper)
{
	char want[128];

	for (unsigned n = 0; n < schema->n_values; n++) {
		assert_true(strncmp(schema->values[n].name, prefix, strlen(prefix)) == 0);
		change_case(schema->values[n].name + strlen(prefix), upper, want, sizeof(want));
		assert_string_equal(name((unsigned)schema->values[n].value), want);
	}
	assert_string_equal(name(77777), "unknown");
}

static void test_other_enums(void **state)
{
	unsigned severity = 0;

	compare_enum(&pathbell__v1__severity__descriptor, "SEVERITY_", severity_name, false);
	compare_enum(&pathbell__v1__block_error_class__descriptor, "BLOCK_ERROR_CLASS_",
		     block_error_class_name, false);
	compare_enum(&pathbell__v1__command_life__descriptor, "COMMAND_LIFE_", command_life_name,
		     true);
	compare_enum(&pathbell__v1__command_refusal__descriptor, "COMMAND_REFUSAL_",
		     command_refusal_name, false);
	compare_enum(&pathbell__v1__gone_reason__descriptor, "GONE_REASON_", gone_reason_name,
		     false);

	assert_true(severity_from_name("error", &severity));
	assert_int_equal(severity, PATHBELL__V1__SEVERITY__SEVERITY_ERROR);
	assert_false(severity_from_name("fatal", &severity));
	assert_false(severity_from_name(NULL, &severity));
	assert_int_equal(severity, PATHBELL__V1__SEVERITY__SEVERITY_ERROR);
	assert_int_equal(command_verb_from_name("uplink.reconnect"), 3);
	assert_int_equal(command_verb_from_name("multipath.switch-group"), 22);
	assert_int_equal(command_verb_from_name("rm -rf"), 0);
	assert_int_equal(command_verb_from_name("unspecified"), 0);
}

static void test_final_states(void **state)
{
	unsigned final = 0;

	for (unsigned life = 0; life < 64; life++)
		final += command_life_is_final(life);
	assert_int_equal(final, 8);
	assert_true(command_life_is_final(PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_SUCCEEDED));
	assert_false(command_life_is_final(PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_INDETERMINATE));
	assert_false(command_life_is_final(PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_STARTED));
}

static void test_globs(void **state)
{
	unsigned error = kind_from_name("storage.block.error");

	assert_true(kind_matches(error, NULL));
	assert_true(kind_matches(error, ""));
	assert_true(kind_matches(error, "*"));
	assert_true(kind_matches(error, "storage.*"));
	assert_true(kind_matches(error, "*.error"));
	assert_true(kind_matches(error, "s*.b*k.e*r"));
	assert_true(kind_matches(error, "storage.block.erro?"));
	assert_true(kind_matches(error, "storage.block.error*"));
	assert_false(kind_matches(error, "storage.block.error?"));
	assert_false(kind_matches(error, "storage"));
	assert_false(kind_matches(error, "nvme.*"));
	assert_false(kind_matches(error, "*.error.*"));
	assert_true(kind_matches(4711, "unknown.*"));
	/* Many stars against a text that almost fits end soon. */
	assert_false(kind_matches(error, "*********************************x"));
}

static void test_importance(void **state)
{
	static const char *const important[] = {
		"command.started",
		"collector.gap",
		"collector.blind",
		"spool.degraded",
		"forwarder.down",
		"storage.device.all_paths_down",
		"storage.path.failed",
		"storage.path.reinstated",
		"nvme.controller.removed",
		"nvme.controller.reconnecting",
		"storage.device.permanent_loss",
		"capi.afu.error",
		"fc.fpin",
		"incident.opened",
	};
	static const char *const bulk[] = {
		"storage.block.error", "scsi.command.error", "scsi.command.timeout", "cxl.dram",
		"key.linked",	       "capi.afu.irq",
	};

	for (size_t n = 0; n < sizeof(important) / sizeof(important[0]); n++)
		if (!kind_is_important(kind_from_name(important[n])))
			fail_msg("%s should be important", important[n]);
	for (size_t n = 0; n < sizeof(bulk) / sizeof(bulk[0]); n++)
		if (kind_is_important(kind_from_name(bulk[n])))
			fail_msg("%s should be bulk", bulk[n]);
	assert_true(kind_is_important(54321));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_kind_is_named),
		cmocka_unit_test(test_names_are_those_of_the_proto_comments),
		cmocka_unit_test(test_other_enums),
		cmocka_unit_test(test_final_states),
		cmocka_unit_test(test_globs),
		cmocka_unit_test(test_importance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
