/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/commands/halt.h"
#include "agent/commands/limits.h"
#include "agent/commands/peek.h"
#include "agent/commands/roles.h"
#include "agent/commands/steady.h"
#include "core/clock.h"
#include "pathbell/v1/command.pb-c.h"
#include "pathbell/v1/event.pb-c.h"

#define NOW	   UINT64_C(1700000000000)
#define HOUR	   UINT64_C(3600000)
#define VERB(name) PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_##name
#define LIFE(name) PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_##name

static struct entry entries[64];
static size_t n_entries;
static struct settings_commands settings;
static char detail[LIMITS_DETAIL_SIZE];

static const struct entry *at(const void *data, size_t index)
{
	return index < n_entries ? &entries[index] : NULL;
}

static void happened(unsigned verb, const char *object, unsigned life, uint64_t started_ms)
{
	struct entry *entry = &entries[n_entries++];

	memset(entry, 0, sizeof(*entry));
	entry->verb = verb;
	entry->life = life;
	entry->started_ms = started_ms;
	entry->duration_ms = 1000;
	strcpy(entry->object, object); // NOLINT(clang-analyzer-security.insecureAPI.strcpy)
}

static bool allow(unsigned verb, const char *object)
{
	const struct limits_source source = { NULL, at };

	detail[0] = 0;
	return limits_allow(&settings, &source, verb, object, NOW, detail);
}

static int setup(void **state)
{
	n_entries = 0;
	settings = (struct settings_commands){ .host_per_hour = 10,
					       .object_per_hour = 4,
					       .object_cooldown_ns = 10 * CLOCK_NS_PER_S,
					       .object_attempts = 3 };
	return 0;
}

static void cooldown(void **state)
{
	assert_true(allow(VERB(NVME_RESET), "nvme-a"));
	happened(VERB(NVME_RESET), "nvme-a", LIFE(SUCCEEDED), NOW - 10999);
	assert_false(allow(VERB(NVME_RESET), "nvme-a"));
	/* started 10.999 s ago, took 1 s, rests 10 s */
	assert_non_null(strstr(detail, "it may again at 2023-11-14T22:13:20.001"));
	assert_false(allow(VERB(NVME_DISCONNECT), "nvme-a")); /* any verb on the object */
	assert_true(allow(VERB(NVME_RESET), "nvme-b"));
	assert_true(allow(VERB(PROBE), "nvme-a"));
	entries[0].started_ms = NOW - 11000;
	assert_true(allow(VERB(NVME_RESET), "nvme-a"));
}

static void per_object_and_host(void **state)
{
	for (uint64_t i = 0; i < 4; i++)
		happened(VERB(NVME_RESET), "nvme-a", LIFE(SUCCEEDED), NOW - HOUR + 1 + i);
	assert_false(allow(VERB(NVME_RESET), "nvme-a"));
	assert_non_null(strstr(detail, "nvme-a was acted on 4 times in an hour"));
	assert_true(allow(VERB(NVME_RESET), "nvme-b"));
	entries[0].started_ms = NOW - HOUR; /* an hour is over for the first */
	assert_true(allow(VERB(NVME_RESET), "nvme-a"));
	for (int i = 0; i < 7; i++)
		happened(VERB(NVME_RESET), "other", LIFE(SUCCEEDED), NOW - 60000);
	assert_false(allow(VERB(NVME_RESET), "nvme-b"));
	assert_non_null(strstr(detail, "this host has acted 10 times"));
	assert_true(allow(VERB(HALT), ""));
	assert_true(allow(VERB(RESUME), ""));
	settings.host_per_hour = 0;
	assert_true(allow(VERB(NVME_RESET), "nvme-b"));
}

static void what_does_not_count(void **state)
{
	for (int i = 0; i < 20; i++)
		happened(VERB(PROBE), "nvme-a", LIFE(SUCCEEDED), NOW - 1);
	happened(VERB(NVME_RESET), "nvme-a", LIFE(REJECTED), 0);
	happened(VERB(NVME_RESET), "nvme-a", LIFE(SUCCEEDED), NOW - 1);
	entries[n_entries - 1].dry_run = true;
	assert_true(allow(VERB(NVME_RESET), "nvme-a"));
}

static void attempts(void **state)
{
	settings.object_per_hour = 0;
	for (uint64_t i = 0; i < 3; i++)
		happened(VERB(NVME_RESET), "a", LIFE(FAILED), NOW - 600000 + i * 60000);
	assert_false(allow(VERB(NVME_RESET), "a"));
	assert_non_null(strstr(detail, "3 attempts in a row on a have not succeeded"));
	assert_true(allow(VERB(NVME_CONNECT), "a"));
	happened(VERB(NVME_RESET), "a", LIFE(SUCCEEDED), NOW - 60000);
	assert_true(allow(VERB(NVME_RESET), "a"));
	happened(VERB(NVME_RESET), "a", LIFE(INEFFECTIVE), NOW - 50000);
	assert_true(allow(VERB(NVME_RESET), "a"));
}

static void roles(void **state)
{
	assert_int_equal(role_of_verb(VERB(PROBE)), ROLE_VIEWER);
	assert_int_equal(role_of_verb(VERB(HALT)), ROLE_OPERATOR);
	assert_int_equal(role_of_verb(VERB(RESUME)), ROLE_ADMIN);
	assert_int_equal(role_of_verb(999), ROLE_ADMIN);
	assert_false(role_is_change(VERB(HALT)));
	assert_true(role_is_change(VERB(MULTIPATH_FAIL)));
	assert_true(role_is_free_of_halt(VERB(RESUME)));
	assert_false(role_is_free_of_halt(VERB(RESYNC)));
	assert_string_equal(role_name(ROLE_ADMIN), "admin");
}

static void clock_steps(void **state)
{
	struct steady steady = { 0 };
	int64_t step = 0;

	assert_true(steady_check(&steady, NOW, 5000, false, 30000, &step));
	assert_true(steady_check(&steady, NOW + 100000, 105000, false, 30000, &step));
	assert_true(steady_check(&steady, NOW + 130000, 105000, false, 30000, &step));
	assert_false(steady_check(&steady, NOW + 130001, 105000, false, 30000, &step));
	assert_int_equal(step, 30001);
	assert_false(steady_check(&steady, NOW, 105000, false, 30000, &step));
	assert_true(step == -100000);
	assert_true(steady_check(&steady, NOW, 105000, true, 30000, &step)); /* vouched for */
	assert_true(steady_check(&steady, NOW + 1, 105001, false, 30000, &step));
}

static void halt_lines(void **state)
{
	const uint8_t id[16] = { 1, 2 };
	struct halt halt;

	halt_parse("1700000000000 01020000-0000-0000-0000-000000000000 alice b", &halt);
	assert_true(halt.active);
	assert_string_equal(halt.issuer, "alice b");
	assert_non_null(strstr(halt.reason, "halted by alice b since 2023-11-14T22:13:20"));
	halt_parse("", &halt);
	assert_true(halt.active);
	halt_parse("17 short", &halt);
	assert_true(halt.active);
	halt_load("/nonexistent/halted", &halt);
	assert_false(halt.active);
	halt_load("/", &halt); /* not readable as a file: someone wanted it */
	assert_true(halt.active);
	halt_begin(&halt, NOW, id, "carol");
	assert_string_equal(halt.id, "01020000-0000-0000-0000-000000000000");
	halt_end(&halt);
	assert_false(halt.active);
}

static void peeks(void **state)
{
	/* SignedCommand { command { verb: 41 } } */
	static const uint8_t halt[] = { 0x0a, 2, 0x10, 41 }, probe[] = { 0x0a, 2, 0x10, 1 };
	static const uint8_t both[] = { 0x0a, 4, 0x10, 41, 0x10, 1 }; /* the last one counts */

	assert_true(peek_is_halt(halt, sizeof(halt)));
	assert_false(peek_is_halt(probe, sizeof(probe)));
	assert_false(peek_is_halt(both, sizeof(both)));
	for (size_t i = 0; i < sizeof(halt); i++)
		assert_false(peek_is_halt(halt, i));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(cooldown, setup),
		cmocka_unit_test_setup(per_object_and_host, setup),
		cmocka_unit_test_setup(what_does_not_count, setup),
		cmocka_unit_test_setup(attempts, setup),
		cmocka_unit_test(roles),
		cmocka_unit_test(clock_steps),
		cmocka_unit_test(halt_lines),
		cmocka_unit_test(peeks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
