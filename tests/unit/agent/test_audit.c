/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/commands/audit.h"
#include "agent/commands/audit_file.h"
#include "core/id.h"
#include "pathbell/v1/event.pb-c.h"
#include "support.h"

/* computed by another program, as docs/formats/audit.md describes it */
#define EXAMPLE_HASH "7d971916a079ae535641c423c1633b91ea4066143a1d6367af24de32374c254a"
#define NOW	     UINT64_C(1700000000000)

struct bench {
	char *dir;
	const char *path;
	struct audit *audit;
	int done, error;
	uint64_t wanted;
};

static void open_audit(struct bench *bench, uint64_t max_bytes)
{
	struct audit_options options = { .dir = bench->dir, .max_bytes = max_bytes, .n_files = 2 };

	assert_int_equal(audit_open(&bench->audit, ev_default_loop(0), &options, NOW), 0);
}

static bool is_written(void *data)
{
	struct bench *bench = data;
	return audit_head(bench->audit)->seq >= bench->wanted;
}

static void wait_for(struct bench *bench, uint64_t seq)
{
	bench->wanted = seq;
	assert_true(support_run(is_written, bench));
}

static int setup(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));

	bench->dir = support_dir();
	bench->path = support_path(bench->dir, "audit.log");
	bench->path = strdup(bench->path);
	*state = bench;
	return 0;
}

static int teardown(void **state)
{
	struct bench *bench = *state;

	audit_close(bench->audit);
	free((char *)bench->path);
	free(bench);
	return 0;
}

/* The first line that does not fit, 0 = all do; *ret_why says how. */
static unsigned check_text(const char *text, struct audit_link *link, int *ret_why)
{
	unsigned number = 0;

	*ret_why = 0;
	while (*text) {
		size_t len = strcspn(text, "\n");

		number++;
		*ret_why = audit_check_line(text, len, link);
		if (*ret_why)
			return number;
		text += len + (text[len] == '\n');
	}
	return 0;
}

static unsigned check_file(const char *path, struct audit_link *link, int *ret_why)
{
	char *text = support_read(path);
	unsigned bad = check_text(text, link, ret_why);

	free(text);
	return bad;
}

/* The worked example of docs/formats/audit.md. */
static void worked_example(void **state)
{
	static const char want[] =
		"1 2023-11-14T22:13:20.000000000Z begin "
		"prev=0000000000000000000000000000000000000000000000000000000000000000 ";
	struct audit_link link = { 0 }, again = { 0 };
	struct buf out = { 0 };
	int why;

	assert_int_equal(
		audit_put_line(&out, &link, NOW,
			       "begin prev=000000000000000000000000000000000000000000000000"
			       "0000000000000000"),
		0);
	assert_int_equal(audit_put_line(&out, &link, NOW + 1, "agent what=start version=0.1.0"), 0);
	assert_int_equal(buf_append(&out, "", 1), 0);
	assert_int_equal(strncmp((char *)out.data, want, strlen(want)), 0);
	assert_int_equal(check_text((char *)out.data, &again, &why), 0);
	assert_int_equal(again.seq, 2);
	assert_non_null(strstr((char *)out.data, EXAMPLE_HASH));
	buf_deinit(&out);
}

static void tampering_shows(void **state)
{
	struct audit_link link = { 0 }, start = { 0 };
	struct buf out = { 0 };
	char *lines[4];
	int why;

	for (uint64_t i = 0; i < 4; i++) {
		size_t before = out.size;
		char body[64];

		snprintf(body, sizeof(body), "refused id=%llu", (unsigned long long)i);
		assert_int_equal(audit_put_line(&out, &link, NOW + i, body), 0);
		lines[i] = strndup((char *)out.data + before, out.size - before - 1);
	}
	assert_int_equal(audit_check_line(lines[0], strlen(lines[0]), &start), 0);
	/* every changed byte of a line */
	for (size_t i = 0; i < strlen(lines[1]); i++) {
		struct audit_link at = start;

		lines[1][i] ^= 1;
		assert_int_not_equal(audit_check_line(lines[1], strlen(lines[1]), &at), 0);
		lines[1][i] ^= 1;
		assert_int_equal(at.seq, 1);
	}
	/* one left out, two swapped, one twice */
	link = start;
	assert_int_equal(audit_check_line(lines[2], strlen(lines[2]), &link), AUDIT_E_SEQ);
	assert_int_equal(audit_check_line(lines[1], strlen(lines[1]), &link), 0);
	assert_int_equal(audit_check_line(lines[1], strlen(lines[1]), &link), AUDIT_E_SEQ);
	/* cut and chained anew from there: another hash than the one that went out */
	assert_int_equal(audit_check_line(lines[2], strlen(lines[2]), &link), 0);
	buf_reset(&out);
	start = link;
	assert_int_equal(audit_put_line(&out, &start, NOW, "refused id=x"), 0);
	assert_int_equal(check_text(lines[3], &link, &why), 0);
	assert_memory_not_equal(start.hash, link.hash, 32);
	for (int i = 0; i < 4; i++)
		free(lines[i]);
	buf_deinit(&out);
}

static void texts_are_one_line(void **state)
{
	struct buf out = { 0 };

	assert_int_equal(audit_put_text(&out, "k", "a\"b\\c\nd\xc3\xa9", 100), 0);
	assert_int_equal(audit_put_text(&out, "l", "0123456789", 4), 0);
	assert_int_equal(buf_append(&out, "", 1), 0);
	assert_string_equal((char *)out.data, " k=\"a\\x22b\\x5cc\\x0ad\\xc3\\xa9\" l=\"0123...\"");
	buf_deinit(&out);
}

static void on_done(void *data, const uint8_t id[16], int error)
{
	struct bench *bench = data;

	assert_int_equal(id[0], 7);
	bench->done++;
	bench->error = error;
}

static bool is_done(void *data)
{
	return ((struct bench *)data)->done > 0;
}

static struct entry an_entry(void)
{
	struct entry entry = { .id = { 7 },
			       .verb = 1,
			       .life = PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_STARTED,
			       .issuer = "alice",
			       .object = "nqn.x",
			       .key_id = "ed25519:1" };
	return entry;
}

static void written_and_continued(void **state)
{
	struct bench *bench = *state;
	struct entry entry = an_entry();
	struct audit_link link = { 0 };
	const char *line;
	uint64_t seq;
	int why;

	open_audit(bench, 1 << 20);
	audit_set_via(bench->audit, "agg:7443");
	audit_entry(bench->audit, &entry, "ed25519:1,ed25519:2", NOW, on_done, bench);
	assert_true(support_run(is_done, bench));
	assert_int_equal(bench->error, 0);
	wait_for(bench, 3); /* begin, agent, command */
	bench->audit = audit_close(bench->audit);
	open_audit(bench, 1 << 20);
	wait_for(bench, 4);
	assert_int_equal(check_file(bench->path, &link, &why), 0);
	assert_int_equal(link.seq, 4);
	assert_memory_equal(link.hash, audit_head(bench->audit)->hash, 32);
	line = audit_recent(bench->audit, 2, &seq); /* also from before the restart */
	assert_int_equal(seq, 3);
	assert_non_null(strstr(line, "command id=07000000-0000-0000-0000-000000000000 life=STARTED "
				     "verb=probe keys=ed25519:1,ed25519:2 issuer=\"alice\" "
				     "object=\"nqn.x\" via=\"agg:7443\" "));
}

static void torn_tail_is_cut(void **state)
{
	struct bench *bench = *state;
	struct audit_link link = { 0 };
	FILE *file;
	int why;

	open_audit(bench, 1 << 20);
	wait_for(bench, 2);
	bench->audit = audit_close(bench->audit);
	file = fopen(bench->path, "ae");
	fputs("3 2023-11-14T22:13:20.000000000Z half a li", file);
	fclose(file);
	open_audit(bench, 1 << 20);
	wait_for(bench, 3);
	assert_int_equal(check_file(bench->path, &link, &why), 0);
	assert_int_equal(link.seq, 3);
}

static void rotation_continues_the_chain(void **state)
{
	struct bench *bench = *state;
	struct audit_link link = { 0 };
	struct stat st;
	char older[256];
	int why;

	open_audit(bench, 300);
	for (uint64_t i = 0; i < 12; i++) {
		audit_note(bench->audit, NOW, "refused what=\"something that fills the file\"");
		wait_for(bench, audit_head(bench->audit)->seq + 1);
	}
	snprintf(older, sizeof(older), "%s.2", bench->path);
	assert_int_equal(check_file(older, &link, &why), 0);
	snprintf(older, sizeof(older), "%s.1", bench->path);
	assert_int_equal(check_file(older, &link, &why), 0);
	assert_int_equal(check_file(bench->path, &link, &why), 0);
	assert_int_equal(link.seq, audit_head(bench->audit)->seq);
	snprintf(older, sizeof(older), "%s.3", bench->path);
	assert_int_not_equal(stat(older, &st), 0); /* no more than wanted */
	/* each file by itself too */
	memset(&link, 0, sizeof(link));
	assert_int_equal(check_file(bench->path, &link, &why), 0);
}

static void crash_between_renames(void **state)
{
	struct bench *bench = *state;
	struct audit_link link = { 0 };
	char older[256];
	int why;

	open_audit(bench, 1 << 20);
	wait_for(bench, 2);
	bench->audit = audit_close(bench->audit);
	snprintf(older, sizeof(older), "%s.1", bench->path);
	assert_int_equal(rename(bench->path, older), 0);
	open_audit(bench, 1 << 20);
	wait_for(bench, 4);
	assert_int_equal(check_file(older, &link, &why), 0);
	assert_int_equal(check_file(bench->path, &link, &why), 0);
	assert_int_equal(link.seq, 4);
}

static bool is_well(void *data)
{
	return !audit_error(((struct bench *)data)->audit);
}

static void failure_is_told_and_mended(void **state)
{
	struct bench *bench = *state;
	struct entry entry = an_entry();
	struct audit_link link = { 0 };
	char aside[256];
	int why;

	snprintf(aside, sizeof(aside), "%s.dir", bench->dir);
	open_audit(bench, 1 << 20);
	wait_for(bench, 2);
	assert_int_equal(rename(bench->dir, aside), 0);
	audit_entry(bench->audit, &entry, NULL, NOW, on_done, bench);
	assert_true(support_run(is_done, bench));
	assert_int_not_equal(bench->error, 0);
	assert_non_null(audit_error(bench->audit));
	assert_int_equal(rename(aside, bench->dir), 0);
	assert_true(support_run(is_well, bench)); /* the retry is 5 s away */
	assert_int_equal(check_file(bench->path, &link, &why), 0);
	assert_int_equal(link.seq, 3); /* nothing was lost */
}

static void full_queue_is_counted(void **state)
{
	struct bench *bench = *state;
	struct audit_link link = { 0 };
	struct audit_stats stats;
	char body[1100], *text;
	int why;

	memset(body, 'x', sizeof(body) - 1);
	body[sizeof(body) - 1] = 0;
	open_audit(bench, 1 << 20);
	for (int i = 0; i < 1000; i++) /* the loop does not run: nothing is written meanwhile */
		audit_note(bench->audit, NOW, body);
	audit_stats(bench->audit, &stats);
	assert_true(stats.dropped > 100);
	assert_string_equal(audit_error(bench->audit), "its queue is full");
	wait_for(bench, 2);
	wait_for(bench, stats.records);
	audit_note(bench->audit, NOW, "refused");
	assert_true(support_run(is_well, bench));
	wait_for(bench, stats.records + 2);
	assert_int_equal(check_file(bench->path, &link, &why), 0);
	text = support_read(bench->path);
	assert_non_null(strstr(text, " dropped lines="));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(worked_example),
		cmocka_unit_test(tampering_shows),
		cmocka_unit_test(texts_are_one_line),
		cmocka_unit_test_setup_teardown(written_and_continued, setup, teardown),
		cmocka_unit_test_setup_teardown(torn_tail_is_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(rotation_continues_the_chain, setup, teardown),
		cmocka_unit_test_setup_teardown(crash_between_renames, setup, teardown),
		cmocka_unit_test_setup_teardown(failure_is_told_and_mended, setup, teardown),
		cmocka_unit_test_setup_teardown(full_queue_is_counted, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
