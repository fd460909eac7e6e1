/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/events.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fleet.h"

/*
 * --follow over streams that break: the server ends each after a few events and stores more
 * meanwhile. Afterwards every id was shown exactly once, in order, and the interrupt ended the
 * command with 0.
 */
static void interrupt(void *data)
{
	kill(getpid(), SIGINT);
}

static char *follow(struct fleet *fleet, struct events_query *query, int *ret_code)
{
	const struct cli_option config = { .name = "config" };
	struct cli cli = { .n_values = 1 };
	struct request request;
	char *text = NULL;
	size_t size = 0;

	cli.values[0] = (struct cli_value){ &config, fleet_config(fleet) };
	cli.out = (struct output){ .file = open_memstream(&text, &size), .json = true };
	*ret_code = request_begin(&cli, &request);
	if (*ret_code == CLI_OK)
		*ret_code = events_follow(&cli, request.client, query);
	request_end(&request);
	fclose(cli.out.file);
	return text;
}

static void assert_ids(const char *text, unsigned first, unsigned last)
{
	for (unsigned id = first; id <= last; id++) {
		char wanted[32];

		snprintf(wanted, sizeof(wanted), "{\"id\":%u,", id);
		if (strncmp(text, wanted, strlen(wanted)) != 0)
			fail_msg("wanted %s, got %.40s", wanted, text);
		text = strchr(text, '\n') + 1;
	}
	assert_string_equal(text, "");
}

static void drain_interrupt(void)
{
	sigset_t signals;
	struct timespec none = { 0, 0 };

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	while (sigtimedwait(&signals, NULL, &none) > 0)
		;
}

static void check(size_t stored, struct events_query *query, unsigned first)
{
	struct fleet *fleet = fleet_new();
	char *text;
	int code = -1;

	fleet_store(fleet, "alpha", stored);
	fleet_store_while_watching(fleet, 5);
	fleet_break_watch_after(fleet, 7);
	fleet_when_watched(fleet, stored + 20, interrupt, NULL);
	if (stored == 0)
		fleet_store(fleet, "alpha", 1);
	text = follow(fleet, query, &code);
	assert_int_equal(code, CLI_OK);
	drain_interrupt();
	/* The interrupt may overtake the last events of the stream: what was shown is without hole
	 * or duplicate. */
	assert_true(fleet_watches(fleet) >= 3);
	assert_true(strlen(text) > 0);
	char *last_line = text + strlen(text) - 1;

	while (last_line > text && last_line[-1] != '\n')
		last_line--;
	assert_ids(text, first, (unsigned)strtoul(last_line + 6, NULL, 10));
	free(text);
	fleet_free(fleet);
}

static void test_from_the_beginning(void **state)
{
	struct events_query query = { .filter = PATHBELL__V1__EVENT_FILTER__INIT,
				      .from_oldest = true };

	check(30, &query, 1);
}

static void test_with_the_newest_first(void **state)
{
	struct events_query query = { .filter = PATHBELL__V1__EVENT_FILTER__INIT, .limit = 4 };

	check(31, &query, 28);
}

static void test_from_a_point(void **state)
{
	struct events_query query = { .filter = PATHBELL__V1__EVENT_FILTER__INIT,
				      .from_oldest = true,
				      .after_id = 20 };

	check(33, &query, 21);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_from_the_beginning),
		cmocka_unit_test(test_with_the_newest_first),
		cmocka_unit_test(test_from_a_point),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
