/* SPDX-License-Identifier: Apache-2.0 */
/* A store of each older schema opens, keeps what it has and takes what is new. SQLite only. */
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "aggregator/store/sqlite_schema.h"
#include "fixture.h"

static const uint8_t id_one[16] = "command-one....";

static void run(sqlite3 *db, const char *sql)
{
	char *error = NULL;

	if (sqlite3_exec(db, sql, NULL, NULL, &error) != SQLITE_OK)
		fail_msg("%s: %s", sql, error);
}

static void make_version_1(const char *path)
{
	char sql[128];
	sqlite3 *db;

	remove(path);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	run(db, sqlite_migrations[0]);
	run(db, "INSERT INTO hosts(host_id, first_seen, last_seen) VALUES ('h1', 1, 1)");
	run(db,
	    "INSERT INTO commands(id, verb, issuer, submitted_by, reason, target, submitted,"
	    " not_before, expires, envelope) VALUES (CAST('command-one....' || char(0) AS BLOB),"
	    " 'probe', 'joe', 'joe', '', '', 1, 0, 9, x'00')");
	run(db,
	    "INSERT INTO command_hosts(command, host_id, life, changed) VALUES (1, 'h1', 11, 1)");
	snprintf(sql, sizeof(sql), "PRAGMA application_id=%d; PRAGMA user_version=1",
		 SQLITE_APPLICATION_ID);
	run(db, sql);
	sqlite3_close(db);
}

static bool count(void *data, const struct store_command *command)
{
	(*(unsigned *)data)++;
	assert_memory_equal(command->id, id_one, 16);
	assert_false(command->has_campaign);
	assert_int_equal(command->cancelled_unix_ns, 0);
	return true;
}

static void test_version_1(void **state)
{
	static const struct store_audit audit = { .action = "refused" };
	struct store_write write = { .type = STORE_AUDIT, .now_unix_ns = 5, .audit = &audit };
	struct store_command_query query = { .id = id_one, .limit = 1 };
	struct store_write *writes = &write;
	struct fixture *f = *state;
	unsigned n = 0;

	fixture_close(f);
	make_version_1(f->path);
	fixture_open(f); /* fails the test with the reason */
	assert_int_equal(store_commands(f->reader, &query, count, &n), 0);
	assert_int_equal(n, 1);
	/* TIMED_OUT is an end; version 1 took it for unfinished. */
	n = 0;
	query = (struct store_command_query){ .unfinished = true, .limit = 10 };
	assert_int_equal(store_commands(f->reader, &query, count, &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(store_write(f->writer, &writes, 1), 0);
	fixture_reopen(f);
}

static void test_a_newer_one_is_refused(void **state)
{
	struct store_options options = { .cache_bytes = 1u << 20, .busy_ms = 100 };
	struct fixture *f = *state;
	struct store *store = NULL;
	struct errmsg err = { 0 };
	sqlite3 *db;

	fixture_close(f);
	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	run(db, "PRAGMA user_version=99");
	sqlite3_close(db);
	options.path = f->path;
	assert_int_equal(store_open(f->ops, &options, STORE_WRITE, &store, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "99"));
	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	run(db, "PRAGMA user_version=2");
	sqlite3_close(db);
	fixture_open(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_version_1, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_a_newer_one_is_refused, fixture_setup,
						fixture_teardown),
	};

	return fixture_run("migrate", tests, sizeof(tests) / sizeof(tests[0]));
}
