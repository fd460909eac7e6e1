/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/commands/keys.h"
#include "agent/commands/keys_watch.h"
#include "core/config.h"
#include "core/id.h"
#include "core/sha256.h"
#include "pathbell/v1/command.pb-c.h"
#include "support.h"

/* TEST 1 of RFC 8032 section 7.1 and its id, as docs/formats/signature.md has them. */
#define KEY_A	   "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
#define ID_A	   "ed25519:21fe31dfa154a261"
#define KEY_B	   "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define KEY_C	   "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define VERB(name) PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_##name

static struct keys keys, last;

static void hash_is(const char *text, size_t repeat, const char *want)
{
	struct sha256 sha256;
	uint8_t hash[SHA256_SIZE];
	char hex[2 * SHA256_SIZE + 1];

	sha256_init(&sha256);
	for (size_t i = 0; i < repeat; i++)
		sha256_add(&sha256, text, strlen(text));
	sha256_end(&sha256, hash);
	id_hex(hash, sizeof(hash), hex);
	assert_string_equal(hex, want);
}

/* The examples of FIPS 180-2 appendix B, and the empty message. */
static void sha256_vectors(void **state)
{
	hash_is("", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	hash_is("abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	hash_is("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
		"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	hash_is("a", 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void one_file(void **state)
{
	struct errmsg err = { 0 };
	struct key key;

	assert_int_equal(keys_parse("f",
				    "name: alice\nkey: " KEY_A "\nrole: operator\nverbs: [probe]\n"
				    "not_after: 2027-01-31T12:00:00Z\n",
				    &key, &err),
			 0);
	assert_string_equal(key.key_id, ID_A);
	assert_int_equal(key.role, ROLE_OPERATOR);
	assert_true(key.not_after_ms == UINT64_C(1801396800000));
	assert_true(keys_may(&key, VERB(PROBE), false, 1));
	assert_false(keys_may(&key, VERB(PROBE), true, 1));
	assert_false(keys_may(&key, VERB(HALT), false, 1));
	assert_false(keys_may(&key, VERB(PROBE), false, key.not_after_ms));
	assert_int_equal(keys_parse("f", "name: a\nkey: " KEY_A "\n", &key, &err), 0);
	assert_int_equal(key.role, ROLE_VIEWER); /* a file gives no more than it says */
}

static void bad_file(const char *text, const char *want)
{
	struct errmsg err = { 0 };
	struct key key;
	char out[512];

	assert_int_equal(keys_parse("keys.d/f.yaml", text, &key, &err), CONFIG_E_INVALID);
	errmsg_format(&err, out, sizeof(out));
	if (!strstr(out, want) || !strstr(out, "keys.d/f.yaml:"))
		fail_msg("\"%s\" instead of \"%s\"", out, want);
}

static void bad_files(void **state)
{
	bad_file("", "empty");
	bad_file("name: a\n", "key");
	bad_file("name: a\nkey: " KEY_A "\nrole: king\n", ":3:");
	bad_file("name: a\nkey: " KEY_A "\nverbs: [dance]\n", "no verb \"dance\"");
	bad_file("name: a\nkey: " KEY_A "\nnot_after: soon\n", "not_after");
	bad_file("name: a\nkey: \"!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!=\"\n", "base64");
}

static void revocation_lines(void **state)
{
	struct errmsg err = { 0 };

	memset(&keys, 0, sizeof(keys));
	assert_int_equal(keys_parse_revoked("r",
					    "# lost laptops\n\n  " ID_A " since May\r\n"
					    "ed25519:0000000000000000#x\n",
					    &keys, &err),
			 0);
	assert_int_equal(keys.n_revoked, 2);
	assert_string_equal(keys.revoked[0], ID_A);
	/* a bad line does not save the ones behind it */
	memset(&keys, 0, sizeof(keys));
	assert_int_equal(keys_parse_revoked("r", "nonsense\n" ID_A, &keys, &err), CONFIG_E_INVALID);
	assert_int_equal(err.line, 1);
	assert_int_equal(keys.n_revoked, 1);
}

static struct settings_key trusted = { .name = (char *)"yaml", .key = (char *)KEY_B, .role = 2 };

static struct settings_commands settings_for(char *dir)
{
	return (struct settings_commands){ .trusted_keys = { &trusted, 1 }, .keys_dir = dir };
}

static void put(const char *dir, const char *name, const char *text)
{
	support_write(dir, name, text, strlen(text));
}

static void merging(void **state)
{
	char *dir = support_dir();
	struct settings_commands settings = settings_for(dir);

	put(dir, "a.yaml", "name: alice\nkey: " KEY_A "\nrole: admin\n");
	put(dir, "again.yaml", "name: mallory\nkey: " KEY_A "\nrole: admin\n");
	put(dir, "ignored.txt", "nonsense");
	keys_read(&settings, NULL, &keys);
	assert_int_equal(keys.n_keys, 2); /* one key under two names counts once */
	assert_string_equal(keys.keys[0].name, "yaml");
	assert_string_equal(keys.keys[1].name, "alice");
	assert_non_null(
		strstr(keys.error, "again.yaml: \"mallory\" has the same key as \"alice\""));
	unlink(support_path(dir, "again.yaml"));

	put(dir, "x.revoked", ID_A "\n");
	keys_read(&settings, &keys, &last);
	assert_string_equal(last.error, "");
	assert_true(last.keys[1].revoked);
	assert_int_equal(keys_n_valid(&last, 1), 1);
	assert_false(keys_equal(&keys, &last));
	keys_read(&settings, &last, &keys);
	assert_true(keys_equal(&keys, &last));
	unlink(support_path(dir, "x.revoked"));
	keys_read(&settings, &last, &keys);
	assert_int_equal(keys_n_valid(&keys, 1), 2);
}

static void bad_files_keep_the_last(void **state)
{
	char *dir = support_dir();
	struct settings_commands settings = settings_for(dir);

	put(dir, "a.yaml", "name: alice\nkey: " KEY_A "\nrole: operator\n");
	keys_read(&settings, NULL, &last);
	put(dir, "a.yaml", "name: alice\nkey: " KEY_A "\nrole: emperor\n");
	put(dir, "c.yaml", "name: carol\nkey: " KEY_C "\nrole: viewer\n");
	keys_read(&settings, &last, &keys);
	assert_int_equal(keys.n_keys, 3);
	assert_int_equal(keys.keys[1].role, ROLE_OPERATOR);
	assert_string_equal(keys.keys[2].name, "carol");
	assert_non_null(strstr(keys.error, "a.yaml:3:"));
	/* but a revocation always counts */
	put(dir, "z.revoked", ID_A "\n");
	keys_read(&settings, &keys, &last);
	assert_true(last.keys[1].revoked);
	/* others may write it: not trusted, and at the first start nothing was there before */
	put(dir, "a.yaml", "name: alice\nkey: " KEY_A "\nrole: admin\n");
	assert_int_equal(chmod(support_path(dir, "a.yaml"), 0666), 0);
	keys_read(&settings, NULL, &keys);
	assert_int_equal(keys.n_keys, 2);
	assert_non_null(strstr(keys.error, "others than root can write it"));
}

static void on_changed(void *data)
{
	(*(unsigned *)data)++;
}

static bool has_changed(void *data)
{
	return *(unsigned *)data > 0;
}

static void watching(void **state)
{
	char *dir = support_dir(), path[256];
	struct keys_watch watch;
	unsigned changes = 0;

	snprintf(path, sizeof(path), "%s/keys.d", dir);
	keys_watch_init(&watch, ev_default_loop(0), &changes, on_changed);
	keys_watch_set(&watch, path); /* not there yet */
	assert_int_equal(mkdir(path, 0755), 0);
	assert_true(support_run(has_changed, &changes));
	changes = 0;
	keys_watch_set(&watch, path);
	put(path, "a.yaml", "x");
	assert_true(support_run(has_changed, &changes));
	changes = 0;
	unlink(support_path(path, "a.yaml"));
	assert_true(support_run(has_changed, &changes));
	keys_watch_set(&watch, "/nonexistent/folder/keys.d");
	keys_watch_deinit(&watch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha256_vectors), cmocka_unit_test(one_file),
		cmocka_unit_test(bad_files),	  cmocka_unit_test(revocation_lines),
		cmocka_unit_test(merging),	  cmocka_unit_test(bad_files_keep_the_last),
		cmocka_unit_test(watching),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
