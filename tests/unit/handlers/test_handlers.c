/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "handlers/handler.h"

static struct handlers handlers;
static char story[4096]; /* what happened, in order */

static void tell(const char *text, unsigned flags)
{
	size_t len = strlen(story);

	snprintf(story + len, sizeof(story) - len, "%s%u ", text, flags);
}

static struct handler_action last;
static int act_result;
static struct handler *inside; /* answers from inside act, which is forbidden */

static int act(void *data, const struct handler_action *action)
{
	last = *action;
	tell(action->delayed ? "act-later" : "act", action->attempt);
	if (inside != NULL) {
		assert_int_equal(handler_action_done(inside, action->ticket, HANDLER_OK), -EBUSY);
		assert_int_equal(handler_pg_init_complete(inside, 0), -EBUSY);
	}
	return act_result;
}

static void done(void *data, unsigned flags)
{
	tell("done", flags);
}

static void run(void *data, unsigned flags)
{
	tell(data, flags);
}

static int setup(void **state)
{
	handlers_init(&handlers);
	memset(story, 0, sizeof(story));
	act_result = 0;
	inside = NULL;
	return 0;
}

static struct handler *make(const char *name, unsigned retries)
{
	struct handler_options options = { .act = act, .pg_init_retries = retries };
	struct errmsg err = { 0 };
	struct handler *handler = NULL;

	assert_int_equal(handler_new(&handler, &handlers, name, &options, &err), 0);
	return handler;
}

static void own_error(const struct handler_error *error, struct handler_verdict *ret_verdict)
{
	*ret_verdict = (struct handler_verdict){ HANDLER_BYPASS_PG, "own" };
}

static const struct handler_type own = { .name = "own", .error = own_error };

static void registers_and_counts_uses(void **state)
{
	const struct handler_type twin = { .name = "own", .error = own_error };

	assert_int_equal(handlers_unregister(&handlers, &own), -EINVAL);
	assert_null(handlers_get(&handlers, "own"));
	assert_int_equal(handlers_register(&handlers, &own), 0);
	assert_int_equal(handlers_register(&handlers, &own), -EEXIST);
	assert_int_equal(handlers_register(&handlers, &twin), -EEXIST);
	assert_int_equal(handlers_unregister(&handlers, &twin), -EINVAL);
	assert_ptr_equal(handlers_get(&handlers, "own"), &own);
	assert_ptr_equal(handlers_get(&handlers, "own"), &own);
	assert_int_equal(handlers_uses(&handlers, "own"), 2);
	assert_int_equal(handlers_unregister(&handlers, &own), -ETXTBSY);
	assert_int_equal(handlers_put(&handlers, &own), 0);
	assert_int_equal(handlers_unregister(&handlers, &own), -ETXTBSY);
	assert_int_equal(handlers_put(&handlers, &own), 0);
	assert_int_equal(handlers_put(&handlers, &own), -EINVAL);
	assert_int_equal(handlers_unregister(&handlers, &own), 0);
	assert_int_equal(handlers_put(&handlers, &own), -EINVAL);
	assert_int_equal(handlers_put(&handlers, NULL), 0);
}

static void refuses_what_is_no_type(void **state)
{
	const struct handler_type none[] = { { .error = own_error },
					     { .name = "", .error = own_error },
					     { .name = "sixteen-letters-", .error = own_error },
					     { .name = "two words", .error = own_error },
					     { .name = "mute" } };
	static char names[HANDLERS_MAX][8];
	static struct handler_type types[HANDLERS_MAX];
	int n = 0, r;

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_int_equal(handlers_register(&handlers, &none[i]), -EINVAL);
	assert_int_equal(handlers_register(&handlers, NULL), -EINVAL);
	do {
		snprintf(names[n], sizeof(names[n]), "t%d", n);
		types[n] = (struct handler_type){ .name = names[n], .error = own_error };
		r = handlers_register(&handlers, &types[n++]);
	} while (r == 0);
	assert_int_equal(r, -ENOSPC);
	assert_int_equal(n, HANDLERS_MAX - HANDLERS_N_BUILTIN + 1);
}

static void instances_hold_their_type(void **state)
{
	struct handler *first = make("rdac", 0), *second = make("rdac", 0);

	assert_int_equal(handlers_uses(&handlers, "rdac"), 2);
	assert_int_equal(handlers_unregister(&handlers, handler_type(first)), -ETXTBSY);
	assert_null(handler_free(first));
	assert_null(handler_free(second));
	assert_null(handler_free(NULL));
	assert_int_equal(handlers_uses(&handlers, "rdac"), 0);
}

static void checks_the_arguments(void **state)
{
	static const struct {
		const char *name;
		size_t argc;
		const char *argv[HANDLER_MAX_ARGS + 1];
		int r;
		const char *info, *table;
	} rows[] = {
		{ "emc", 2, { "1", "0" }, 0, "2 1 0 ", "3 emc 1 0 " },
		{ "emc", 0, { NULL }, 0, "2 0 0 ", "3 emc 0 0 " },
		{ "emc", 1, { "1" }, -EINVAL, NULL, NULL },
		{ "emc", 2, { "1", "yes" }, -EINVAL, NULL, NULL },
		{ "alua", 1, { "1" }, 0, "1 1 ", "2 alua 1 " },
		{ "alua", 2, { "1", "1" }, -EINVAL, NULL, NULL },
		{ "rdac", 0, { NULL }, 0, "0 ", "1 rdac " },
		{ "rdac", 1, { "x" }, -EINVAL, NULL, NULL },
		{ "alua", 9, { "1", "1", "1", "1", "1", "1", "1", "1", "1" }, -EINVAL, NULL, NULL },
		{ "gone", 0, { NULL }, -ENOENT, NULL, NULL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct handler_options options = { .argc = rows[i].argc, .argv = rows[i].argv };
		struct handler *handler = NULL;
		struct errmsg err = { 0 };
		char text[64];

		assert_int_equal(handler_new(&handler, &handlers, rows[i].name, &options, &err),
				 rows[i].r);
		if (rows[i].r < 0) {
			assert_string_not_equal(err.text, "");
			assert_int_equal(handlers_uses(&handlers, rows[i].name), 0);
			continue;
		}
		handler_status(handler, HANDLER_INFO, text, sizeof(text));
		assert_string_equal(text, rows[i].info);
		handler_status(handler, HANDLER_TABLE, text, sizeof(text));
		assert_string_equal(text, rows[i].table);
		handler_free(handler);
	}
}

static void completes_later_and_in_order(void **state)
{
	struct handler *handler = make("emc", 0);

	assert_int_equal(handler_queue(handler, run, (void *)"before"), 0);
	inside = handler;
	assert_int_equal(handler_pg_init(handler, false, "sda", done, NULL), 0);
	assert_string_equal(story, "before0 act0 ");
	assert_int_equal(last.command, HANDLER_TRESPASS);
	assert_string_equal(last.path, "sda");
	assert_true(handler_is_initialising(handler));
	assert_int_equal(handler_pg_init(handler, false, "sdb", done, NULL), -EBUSY);
	assert_int_equal(handler_queue(handler, run, (void *)"one"), 0);
	assert_int_equal(handler_queue(handler, run, (void *)"two"), 0);
	assert_int_equal(handler_action_done(handler, last.ticket + 1, HANDLER_OK), -EINVAL);
	assert_int_equal(handler_action_done(handler, last.ticket, HANDLER_OK), 0);
	assert_string_equal(story, "before0 act0 done0 one0 two0 ");
	assert_int_equal(handler_action_done(handler, last.ticket, HANDLER_OK), -EINVAL);
	assert_int_equal(handler_pg_init_complete(handler, 0), -EINVAL);
	handler_free(handler);
}

static void every_result_becomes_flags(void **state)
{
	static const struct {
		enum handler_result result;
		unsigned flags;
	} rows[] = { { HANDLER_OK, 0 },
		     { HANDLER_NOSYS, HANDLER_FAIL_PATH },
		     { HANDLER_DEV_TEMP_BUSY, HANDLER_BYPASS_PG },
		     { HANDLER_RETRY, HANDLER_FAIL_PATH },
		     { HANDLER_IMM_RETRY, HANDLER_FAIL_PATH },
		     { HANDLER_RES_TEMP_UNAVAIL, HANDLER_FAIL_PATH },
		     { HANDLER_FAILED, HANDLER_FAIL_PATH } };
	struct handler *handler = make("alua", 0);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (unsigned bypassed = 0; bypassed < 2; bypassed++) {
			char expected[64];
			unsigned flags = rows[i].flags | (bypassed ? HANDLER_FAIL_PATH : 0);

			memset(story, 0, sizeof(story));
			assert_int_equal(handler_pg_init(handler, bypassed, "sda", done, NULL), 0);
			assert_int_equal(handler_action_done(handler, last.ticket, rows[i].result),
					 0);
			snprintf(expected, sizeof(expected), "act0 done%u ", flags);
			assert_string_equal(story, expected);
		}
	}
	handler_free(handler);
}

static void tries_again_as_often_as_told(void **state)
{
	struct handler *handler = make("rdac", 2);
	uint64_t first;

	assert_int_equal(handler_pg_init(handler, false, "sda", done, NULL), 0);
	first = last.ticket;
	assert_int_equal(handler_queue(handler, run, (void *)"work"), 0);
	assert_int_equal(handler_action_done(handler, last.ticket, HANDLER_IMM_RETRY), 0);
	assert_int_equal(handler_action_done(handler, first, HANDLER_OK), -EINVAL);
	assert_int_equal(handler_action_done(handler, last.ticket, HANDLER_RETRY), 0);
	assert_int_equal(last.command, HANDLER_REDUNDANT_CONTROLLER);
	assert_string_equal(last.path, "sda");
	assert_int_equal(handler_action_done(handler, last.ticket, HANDLER_RETRY), 0);
	assert_string_equal(story, "act0 act1 act-later2 done1 work1 ");
	handler_free(handler);
}

static void without_pg_init_a_group_is_ready(void **state)
{
	struct handler *handler = make("scsi", 0);

	assert_int_equal(handler_pg_init(handler, false, "sda", done, NULL), HANDLER_E_READY);
	assert_false(handler_is_initialising(handler));
	assert_string_equal(story, "");
	handler_free(handler);
}

static void what_cannot_start_is_told_at_once(void **state)
{
	struct handler *handler = make("hp_sw", 0);

	act_result = -ENOMEM;
	assert_int_equal(handler_pg_init(handler, false, "sda", done, NULL), -ENOMEM);
	assert_false(handler_is_initialising(handler));
	assert_int_equal(handler_pg_init(handler, false, "", done, NULL), -EINVAL);
	assert_int_equal(last.command, HANDLER_START_UNIT);
	act_result = 0;
	assert_int_equal(handler_pg_init(handler, false, "sda", done, NULL), 0);
	/* nobody is left waiting when the map goes */
	assert_int_equal(handler_queue(handler, run, (void *)"work"), 0);
	handler_free(handler);
	assert_string_equal(story, "act0 act0 done1 work1 ");
}

static void the_queue_is_bounded(void **state)
{
	struct handler *handler = make("alua", 0);

	assert_int_equal(handler_pg_init(handler, false, "sda", done, NULL), 0);
	for (int i = 0; i < HANDLER_MAX_QUEUED; i++)
		assert_int_equal(handler_queue(handler, run, (void *)"w"), 0);
	assert_int_equal(handler_queue(handler, run, (void *)"w"), -ENOSPC);
	assert_int_equal(handler_refused(handler), 1);
	handler_free(handler);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(registers_and_counts_uses, setup),
		cmocka_unit_test_setup(refuses_what_is_no_type, setup),
		cmocka_unit_test_setup(instances_hold_their_type, setup),
		cmocka_unit_test_setup(checks_the_arguments, setup),
		cmocka_unit_test_setup(completes_later_and_in_order, setup),
		cmocka_unit_test_setup(every_result_becomes_flags, setup),
		cmocka_unit_test_setup(tries_again_as_often_as_told, setup),
		cmocka_unit_test_setup(without_pg_init_a_group_is_ready, setup),
		cmocka_unit_test_setup(what_cannot_start_is_told_at_once, setup),
		cmocka_unit_test_setup(the_queue_is_bounded, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
