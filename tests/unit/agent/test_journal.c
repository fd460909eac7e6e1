/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/commands/journal.h"
#include "core/file.h"
#include "support.h"

#define NOW 1700000000000ull
#define DAY JOURNAL_MAX_LIFETIME_MS

struct written {
	unsigned n;
	int error;
};

static void on_written(void *data, const uint8_t id[16], int error)
{
	struct written *written = data;

	written->n++;
	written->error = error;
}

static struct journal *open_at(const char *dir, bool first_start, uint64_t now_ms, size_t compact)
{
	struct journal_options options = { .dir = dir,
					   .first_start = first_start,
					   .max_clock_error_ms = 30000,
					   .compact_bytes = compact };
	struct journal *journal = NULL;
	struct errmsg err = { 0 };

	assert_int_equal(journal_open(&journal, ev_default_loop(0), &options, now_ms, &err), 0);
	return journal;
}

static struct entry make_entry(unsigned n, uint64_t now_ms)
{
	struct entry entry = { .received_ms = now_ms,
			       .issued_ms = now_ms,
			       .not_before_ms = now_ms,
			       .expires_ms = now_ms + 60000,
			       .verb = 1,
			       .life = 5 };

	memset(entry.id, (int)n, sizeof(entry.id));
	entry.id[0] = (uint8_t)(n >> 8);
	memset(entry.sha256, (int)n + 1, sizeof(entry.sha256));
	snprintf(entry.detail, sizeof(entry.detail), "detail %u", n);
	snprintf(entry.issuer, sizeof(entry.issuer), "alice");
	return entry;
}

static unsigned wanted;

static bool enough_written(void *data)
{
	return ((struct written *)data)->n >= wanted;
}

static void record(struct journal *journal, const struct entry *entry, uint64_t now_ms)
{
	struct written written = { 0 };

	assert_int_equal(journal_record(journal, entry, now_ms, on_written, &written), 0);
	wanted = 1;
	assert_true(support_run(enough_written, &written));
	assert_int_equal(written.error, 0);
}

static void survives_a_restart(void **state)
{
	char *dir = support_dir();
	struct journal *journal = open_at(dir, true, NOW, 0);
	struct entry entry = make_entry(7, NOW);
	const struct entry *found;

	assert_null(journal_hold(journal, NOW));
	entry.command = (uint8_t *)strdup("args");
	entry.command_size = 4;
	record(journal, &entry, NOW);
	free(entry.command);
	entry.command = NULL;
	entry.command_size = 0;
	entry.life = 6;
	record(journal, &entry, NOW);
	journal_close(journal);

	journal = open_at(dir, false, NOW + 1, 0);
	found = journal_find(journal, entry.id);
	assert_non_null(found);
	assert_int_equal(found->life, 6);
	assert_string_equal(found->detail, "detail 7");
	assert_string_equal(found->issuer, "alice");
	assert_int_equal(found->command_size, 0);
	assert_null(journal_at(journal, 1));
	assert_null(journal_hold(journal, NOW));
	assert_int_equal(journal_floor_ms(journal), NOW);
	journal_close(journal);
}

/* Every cut of the file: what was whole before the cut is there, and nothing is held. */
static void torn_tail_is_cut(void **state)
{
	char *dir = support_dir();
	struct journal *journal = open_at(dir, true, NOW, 0);
	_cleanup_free_ char *data = NULL;
	size_t size, first;

	record(journal, &(struct entry){ 0 }, NOW); /* id of zeros */
	assert_int_equal(file_read(support_path(dir, "journal"), 1 << 20, &data, &first), 0);
	free(data);
	record(journal, &(struct entry){ .id = { 9 } }, NOW);
	journal_close(journal);
	assert_int_equal(file_read(support_path(dir, "journal"), 1 << 20, &data, &size), 0);

	for (size_t cut = first; cut < size; cut++) {
		support_write(dir, "journal", data, cut);
		journal = open_at(dir, false, NOW, 0);
		assert_null(journal_hold(journal, NOW));
		assert_non_null(journal_find(journal, (uint8_t[16]){ 0 }));
		assert_null(journal_find(journal, (uint8_t[16]){ 9 }));
		journal_close(journal);
	}
	/* it goes on behind the last whole record */
	journal = open_at(dir, false, NOW, 0);
	record(journal, &(struct entry){ .id = { 8 } }, NOW);
	journal_close(journal);
	journal = open_at(dir, false, NOW, 0);
	assert_non_null(journal_find(journal, (uint8_t[16]){ 8 }));
	journal_close(journal);
}

/* One bit anywhere but in the last record: held, and what could be read is still known. */
static void corruption_holds(void **state)
{
	char *dir = support_dir();
	struct journal *journal = open_at(dir, true, NOW, 0);
	_cleanup_free_ char *data = NULL;
	size_t size, first;
	struct entry entries[2] = { make_entry(1, NOW), make_entry(2, NOW) };

	record(journal, &entries[0], NOW);
	assert_int_equal(file_read(support_path(dir, "journal"), 1 << 20, &data, &first), 0);
	free(data);
	record(journal, &entries[1], NOW);
	journal_close(journal);
	assert_int_equal(file_read(support_path(dir, "journal"), 1 << 20, &data, &size), 0);

	for (size_t i = 0; i < first; i++) {
		data[i] ^= 0x10;
		unlink(support_path(dir, "hold"));
		support_write(dir, "journal", data, size);
		journal = open_at(dir, false, NOW, 0);
		data[i] ^= 0x10;
		assert_non_null(journal_hold(journal, NOW));
		assert_true(journal_hold_is_new(journal));
		assert_false(journal_hold_is_new(journal));
		journal_close(journal);
		/* still held after another start, and until every old command has expired */
		journal = open_at(dir, false, NOW + DAY, 0);
		assert_non_null(journal_hold(journal, NOW + DAY));
		assert_null(journal_hold(journal, NOW + DAY + 30001));
		assert_int_equal(access(support_path(dir, "hold"), F_OK), -1);
		journal_close(journal);
	}
}

static void missing_journal_holds_unless_first(void **state)
{
	char *dir = support_dir();
	struct journal *journal = open_at(dir, false, NOW, 0);

	assert_string_equal(journal_hold(journal, NOW), "the command journal is missing");
	assert_int_equal(journal_floor_ms(journal), NOW);
	support_write(dir, "release-hold", "", 0);
	assert_true(journal_release(journal));
	assert_null(journal_hold(journal, NOW));
	assert_false(journal_release(journal));
	journal_close(journal);
}

static void old_entries_go_and_raise_the_floor(void **state)
{
	char *dir = support_dir();
	struct journal *journal = open_at(dir, true, NOW, 2048);
	uint64_t later = NOW + 3 * DAY;
	struct journal_stats stats;
	struct entry entry;

	for (unsigned i = 0; i < 20; i++) {
		entry = make_entry(i, NOW + i);
		entry.life = 7;
		entry.reported = i != 3;
		record(journal, &entry, NOW);
	}
	entry = make_entry(99, NOW);
	entry.reported = true;
	record(journal, &entry, later);
	journal_stats(journal, &stats);
	assert_true(stats.compactions > 0);
	journal_close(journal);

	/* the clock of this machine is far behind NOW + 48 h or beyond it: entries of 2023 are old
	 * by now */
	journal = open_at(dir, false, NOW, 2048);
	assert_null(journal_find(journal, make_entry(1, NOW).id));
	assert_non_null(journal_find(journal, make_entry(3, NOW).id)); /* never reported: kept */
	assert_true(journal_floor_ms(journal) >= NOW + 5);
	assert_null(journal_hold(journal, NOW));
	journal_close(journal);
}

static void group_commit_and_limits(void **state)
{
	char *dir = support_dir();
	struct journal *journal = open_at(dir, true, NOW, 0);
	struct written written = { 0 };
	struct journal_stats stats;
	unsigned accepted = 0;

	for (unsigned i = 0; i < 2 * JOURNAL_MAX_PENDING; i++) {
		struct entry entry = make_entry(i, NOW);

		accepted += journal_record(journal, &entry, NOW, on_written, &written) == 0;
	}
	assert_int_equal(accepted, JOURNAL_MAX_PENDING + 1); /* one flies, the rest waits */
	wanted = accepted;
	assert_true(support_run(enough_written, &written));
	journal_stats(journal, &stats);
	assert_int_equal(stats.writes, 2);
	assert_int_equal(stats.entries, accepted);
	journal_close(journal);
}

static void failed_write_is_told_and_undone(void **state)
{
	char *dir = support_dir();
	struct journal *journal = open_at(dir, true, NOW, 0);
	struct written written = { 0 };
	struct entry entry = make_entry(1, NOW);

	/* rewriting needs the folder: without it the write fails */
	journal_close(journal);
	journal = open_at(dir, false, NOW, 1);
	unlink(support_path(dir, "journal"));
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(journal_record(journal, &entry, NOW, on_written, &written), 0);
	wanted = 1;
	assert_true(support_run(enough_written, &written));
	assert_int_not_equal(written.error, 0);
	journal_forget(journal, entry.id);
	assert_null(journal_find(journal, entry.id));
	journal_close(journal);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(survives_a_restart),
		cmocka_unit_test(torn_tail_is_cut),
		cmocka_unit_test(corruption_holds),
		cmocka_unit_test(missing_journal_holds_unless_first),
		cmocka_unit_test(old_entries_go_and_raise_the_floor),
		cmocka_unit_test(group_commit_and_limits),
		cmocka_unit_test(failed_write_is_told_and_undone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
