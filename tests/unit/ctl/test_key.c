/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/key_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "core/file.h"
#include "ctl/registry.h"

static char folder[64];
static char public_text[64];
static char public_id[ENVELOPE_KEY_ID_SIZE];

static int run(const char *line)
{
	char copy[1024];
	char dir[96];
	char *argv[32] = { (char *)"pathbell" };
	int argc = 1;

	snprintf(dir, sizeof(dir), "%s/keys.d", folder);
	snprintf(copy, sizeof(copy), "%s", line);
	for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
		argv[argc++] = strcmp(word, "DIR") == 0	  ? dir
			       : strcmp(word, "PUB") == 0 ? public_text
			       : strcmp(word, "ID") == 0  ? public_id
							  : word;
	return cli_main(registry_commands, argc, argv);
}

static void read_dir(struct key_dir *dir)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/keys.d", folder);
	assert_int_equal(key_dir_read(path, dir), CLI_OK);
}

static void write_file(const char *name, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/keys.d/%s", folder, name);
	assert_int_equal(file_replace(path, text, strlen(text), 0644), 0);
}

static void test_authorize_and_revoke(void **state)
{
	struct key_dir dir;
	struct stat status;
	char path[128];

	assert_int_equal(run("key authorize PUB --role operator --name alice --dir DIR --verbs "
			     "nvme-reset,diag --verbs probe --not-after 2099-01-31T12:00:00Z"),
			 CLI_OK);
	read_dir(&dir);
	assert_int_equal(dir.n_entries, 1);
	assert_int_equal(dir.n_bad, 0);
	assert_string_equal(dir.entries[0].name, "alice");
	assert_string_equal(dir.entries[0].key_id, public_id);
	assert_string_equal(dir.entries[0].role, "operator");
	assert_int_equal(dir.entries[0].n_verbs, 3);
	assert_string_equal(dir.entries[0].verbs[0], "nvme.reset");
	assert_int_equal(dir.entries[0].not_after_unix_ms, UINT64_C(4073544000000));
	assert_false(dir.entries[0].revoked);
	key_dir_deinit(&dir);
	snprintf(path, sizeof(path), "%s/keys.d/alice.yaml", folder);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0644);
	/* not over it, not twice */
	assert_int_equal(run("key authorize PUB --role admin --name alice --dir DIR"), CLI_FAILED);
	assert_int_equal(run("key authorize PUB --role admin --name bob --dir DIR"), CLI_FAILED);
	assert_int_equal(run("key authorize PUB --role admin --name alice --dir DIR --force"),
			 CLI_OK);
	assert_int_equal(run("key list --dir DIR"), CLI_OK);
	/* revoked: for good */
	assert_int_equal(run("key revoke PUB --dir DIR --reason a\nb"), CLI_OK);
	assert_int_equal(run("key revoke ID --dir DIR"), CLI_OK);
	assert_int_equal(run("key authorize PUB --role admin --name alice --dir DIR --force"),
			 CLI_FAILED);
	read_dir(&dir);
	assert_int_equal(dir.n_revoked, 1);
	assert_int_equal(dir.n_bad, 0);
	assert_true(dir.entries[0].revoked);
	key_dir_deinit(&dir);
}

static void test_wrong_usage(void **state)
{
	static const char *const lines[] = {
		"key authorize PUB --name x --dir DIR",
		"key authorize PUB --role root --name x --dir DIR",
		"key authorize PUB --role admin --dir DIR",
		"key authorize PUB --role admin --name ../x --dir DIR",
		"key authorize PUB --role admin --name .x --dir DIR",
		"key authorize PUB --role admin --name x --verbs nvme.frob --dir DIR",
		"key authorize PUB --role admin --name x --verbs , --dir DIR",
		"key authorize PUB --role admin --name x --not-after 2020-01-01 --dir DIR",
		"key authorize PUB --role admin --name x --not-after soon --dir DIR",
		"key revoke ed25519:12 --dir DIR",
		"key revoke ed25519:ABCDEF0123456789 --dir DIR",
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		if (run(lines[i]) != CLI_USAGE)
			fail_msg("%s", lines[i]);
	}
	assert_int_equal(run("key authorize /nonexistent --role admin --name x --dir DIR"),
			 CLI_NOT_FOUND);
	assert_int_equal(run("key revoke /nonexistent --dir DIR"), CLI_NOT_FOUND);
}

static void test_bad_files_are_said(void **state)
{
	struct key_dir dir;

	write_file("bad.yaml", "nothing");
	write_file("bad.revoked", "# fine\n\n  ed25519:0123456789abcdef # old\nnonsense\n");
	write_file(".hidden.yaml", "nothing");
	write_file("other.txt", "nothing");
	read_dir(&dir);
	assert_int_equal(dir.n_bad, 2);
	assert_true(key_dir_is_revoked(&dir, "ed25519:0123456789abcdef"));
	key_dir_deinit(&dir);
	assert_int_equal(run("key list --dir DIR"), CLI_FAILED);
	assert_int_equal(run("key list --dir /nonexistent"), CLI_OK);
}

/* What is printed is read back the same, whatever the name holds. */
static void test_round_trip(void **state)
{
	struct key_entry entry = { .role = "viewer", .name = "a\"b\\c\td: #e" };
	struct key_entry again;
	struct errmsg err = { 0 };
	struct buf text = { 0 };

	assert_int_equal(envelope_public_parse(public_text, entry.public_key, NULL), 0);
	envelope_key_id(entry.public_key, entry.key_id);
	assert_int_equal(key_entry_print(&entry, &text), 0);
	assert_int_equal(buf_append(&text, "", 1), 0);
	if (key_entry_parse("x.yaml", (char *)text.data, &again, &err) != 0)
		fail_msg("%s in %s", err.text, (char *)text.data);
	assert_string_equal(again.name, entry.name);
	assert_string_equal(again.key_id, entry.key_id);
	assert_string_equal(again.role, "viewer");
	assert_int_equal(again.n_verbs, 0);
	assert_int_equal(again.not_after_unix_ms, 0);
	buf_deinit(&text);
	assert_int_not_equal(key_entry_parse("x", "name: a\nkey: \"AAAA\"\n", &again, &err), 0);
	assert_int_not_equal(key_entry_parse("x", "name: a\nrole: viewer\n", &again, &err), 0);
}

static int setup(void **state)
{
	uint8_t public_key[ENVELOPE_PUBLIC_KEY_SIZE];
	struct envelope_key *key = NULL;

	strcpy(folder, "/tmp/pathbell-keys.XXXXXX");
	assert_non_null(mkdtemp(folder));
	setenv("PATHBELL_CONFIG", "", 1);
	setenv("HOME", folder, 1);
	assert_int_equal(envelope_key_new(&key, NULL), 0);
	envelope_key_public(key, public_key);
	envelope_public_format(public_key, public_text);
	envelope_key_id(public_key, public_id);
	envelope_key_free(key);
	return 0;
}

static int teardown(void **state)
{
	char command[96];

	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_authorize_and_revoke),
		cmocka_unit_test(test_wrong_usage),
		cmocka_unit_test(test_bad_files_are_said),
		cmocka_unit_test(test_round_trip),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
