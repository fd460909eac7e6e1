/* SPDX-License-Identifier: Apache-2.0 */
/* Allocation 1, 2, 3, ... of config_parse and config_load is refused until the call succeeds. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/config.h"
#include "fuzz_config_table.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);
int __wrap_asprintf(char **ret_text, const char *format, ...);

static unsigned countdown; /* the one that reaches 0 is refused; 0: none */
static bool refused;

static bool refuse(void)
{
	if (countdown == 0 || --countdown > 0)
		return false;
	refused = true;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return refuse() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return refuse() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return refuse() ? NULL : __real_realloc(old, size);
}

char *__wrap_strdup(const char *text)
{
	return refuse() ? NULL : __real_strdup(text);
}

int __wrap_asprintf(char **ret_text, const char *format, ...)
{
	va_list args;
	int n;

	if (refuse())
		return -1;
	va_start(args, format);
	n = vasprintf(ret_text, format, args);
	va_end(args);
	return n;
}

static const char text[] =
	"enabled: false\nname: \"x\"\nlabel: y\nsection: { path: /z }\n"
	"addresses: [a, b]\nrules:\n  - kind: a\n    hosts: [h, i]\n  - kind: b\n";

static void sweep(const char *path)
{
	static const struct fuzz_config zero;
	struct fuzz_config config;
	unsigned n = 0;
	int r;

	do {
		struct errmsg err = { 0 };

		refused = false;
		countdown = ++n;
		r = path ? config_load(&fuzz_config_table, path, &config, &err)
			 : config_parse(&fuzz_config_table, "f", text, strlen(text), &config, &err);
		countdown = 0;
		assert_int_equal(r, refused ? -ENOMEM : 0);
		if (refused) {
			assert_non_null(strstr(err.text, "emory"));
			assert_memory_equal(&config, &zero, sizeof(config));
		}
	} while (refused);
	assert_true(n > 20);
	assert_non_null(config.name);
	config_free(&fuzz_config_table, &config);
}

static void test_parse(void **state)
{
	(void)state;
	sweep(NULL);
}

static void test_load(void **state)
{
	(void)state;
	sweep(PATHBELL_TEST_DATA "/config/good.yaml");
}

static void test_defaults(void **state)
{
	struct fuzz_config config;
	unsigned n = 0;

	(void)state;
	do {
		refused = false;
		countdown = ++n;
		config_defaults(&fuzz_config_table, &config);
		countdown = 0;
		assert_int_equal(config.number, refused ? 0 : 5);
		config_free(&fuzz_config_table, &config);
	} while (refused);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_load),
		cmocka_unit_test(test_defaults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
