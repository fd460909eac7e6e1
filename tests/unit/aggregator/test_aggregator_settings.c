/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aggregator/settings.h"

static void test_defaults(void **state)
{
	struct settings settings;

	config_defaults(&settings_table, &settings);
	assert_string_equal(settings.listen, "0.0.0.0:7441");
	assert_string_equal(settings.http.listen, "127.0.0.1:7442");
	assert_int_equal(settings.default_role, ROLE_VIEWER);
	assert_int_equal(settings_log_level(&settings), LOG_LEVEL_INFO);
	assert_true(settings.store.retention_age_ns == UINT64_C(30) * 86400 * 1000000000);
	assert_null(settings.name);
	settings_free(&settings);
}

static int parse(const char *text, struct errmsg *err)
{
	struct settings settings;
	int r = config_parse(&settings_table, "test.yaml", text, strlen(text), &settings, err);

	if (r == 0)
		settings_free(&settings);
	return r;
}

static void test_what_is_required(void **state)
{
	struct errmsg err = { 0 };

	assert_int_equal(parse("trust_domain: td\n", &err), CONFIG_E_INVALID);
	assert_int_equal(
		parse("trust_domain: td\ncredentials:\n  ca_file: /a\n  certificate_file: /b\n"
		      "  key_file: /c\n",
		      &err),
		0);
	assert_int_equal(
		parse("trust_domain: td\ncredentials:\n  ca_file: /a\n  certificate_file: /b\n"
		      "  key_file: /c\nroles:\n  - name: x\n    role: king\n",
		      &err),
		CONFIG_E_INVALID);
	assert_int_equal(err.line, 8);
}

static void test_restart(void **state)
{
	struct settings a, b;

	config_defaults(&settings_table, &a);
	config_defaults(&settings_table, &b);
	assert_null(settings_needs_restart(&a, &b));
	b.ingest.max_hosts = 5;
	b.log_level = 4;
	assert_null(settings_needs_restart(&a, &b));
	b.store.cache_bytes++;
	assert_string_equal(settings_needs_restart(&a, &b), "store");
	free(b.listen);
	b.listen = strdup("x:1");
	assert_string_equal(settings_needs_restart(&a, &b), "listen");
	settings_free(&a);
	settings_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_defaults),
					    cmocka_unit_test(test_what_is_required),
					    cmocka_unit_test(test_restart) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
