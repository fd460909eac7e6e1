/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "bytes.h"
#include "core/file.h"
#include "core/id.h"
#include "proto/envelope.h"

static char folder[] = "/tmp/pathbell-envelope-XXXXXX";

static int make_folder(void **state)
{
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	return rmdir(folder);
}

static const char *in_folder(const char *name)
{
	static char path[4][128];
	static unsigned next;

	next = (next + 1) % 4;
	snprintf(path[next], sizeof(path[next]), "%s/%s", folder, name);
	return path[next];
}

/* The key with this seed (RFC 8032 5.1.5), through a file, as users have it. */
static struct envelope_key *key_of_seed(const char *hex)
{
	const char *path = in_folder("seed");
	struct envelope_key *key = NULL;
	struct errmsg err = { 0 };
	uint8_t seed[32];
	EVP_PKEY *pkey;
	FILE *file;

	assert_true(id_unhex(hex, seed, sizeof(seed)));
	pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, sizeof(seed));
	assert_non_null(pkey);
	file = fopen(path, "we");
	assert_non_null(file);
	assert_int_equal(fchmod(fileno(file), 0600), 0);
	assert_int_equal(PEM_write_PKCS8PrivateKey(file, pkey, NULL, NULL, 0, NULL, NULL), 1);
	fclose(file);
	EVP_PKEY_free(pkey);
	if (envelope_key_load(path, &key, &err) < 0)
		fail_msg("%s", err.text);
	unlink(path);
	return key;
}

static const char seed_1[] = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
static const char seed_2[] = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
static const char seed_3[] = "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7";

struct vector {
	const char *seed, *public_key, *message, *signature;
};

/* RFC 8032 section 7.1, TEST 1 to 3. */
static void test_rfc8032(void **state)
{
	static const struct vector vectors[] = {
		{ seed_1, "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
		  "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
		  "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b" },
		{ seed_2, "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
		  "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
		  "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00" },
		{ seed_3, "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
		  "af82",
		  "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
		  "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a" },
	};

	for (size_t n = 0; n < sizeof(vectors) / sizeof(vectors[0]); n++) {
		struct envelope_key *key = key_of_seed(vectors[n].seed);
		size_t size = strlen(vectors[n].message) / 2;
		uint8_t public_key[32], signature[64], message[8] = { 0 };
		char hex[129];

		envelope_key_public(key, public_key);
		id_hex(public_key, 32, hex);
		assert_string_equal(hex, vectors[n].public_key);
		if (size > 0)
			assert_true(id_unhex(vectors[n].message, message, size));
		assert_int_equal(envelope_key_sign(key, message, size, signature), 0);
		id_hex(signature, 64, hex);
		assert_string_equal(hex, vectors[n].signature);
		envelope_key_free(key);
	}
}

static struct envelope_trusted trust(const struct envelope_key *key)
{
	struct envelope_trusted trusted;

	envelope_key_public(key, trusted.public_key);
	envelope_key_id(trusted.public_key, trusted.key_id);
	return trusted;
}

/* The command of docs/formats/signature.md. */
static void sign_example(const struct envelope_key *key, struct buf *out)
{
	Pathbell__V1__Command command = PATHBELL__V1__COMMAND__INIT;
	Pathbell__V1__ProbeArgs probe = PATHBELL__V1__PROBE_ARGS__INIT;
	Pathbell__V1__CommandTarget target = PATHBELL__V1__COMMAND_TARGET__INIT;
	char *hosts[] = { (char *)"a" };
	uint8_t id[16];

	assert_true(id_parse("019376b0-7c00-7000-8000-000000000001", id));
	command.id.data = id;
	command.id.len = 16;
	command.verb = PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_PROBE;
	command.host_ids = hosts;
	command.n_host_ids = 1;
	command.not_before_unix_ms = 1763688600000;
	command.expires_unix_ms = 1763689200000;
	command.issuer = (char *)"alice";
	command.args_case = PATHBELL__V1__COMMAND__ARGS_PROBE;
	command.probe = &probe;
	probe.target = &target;
	target.name = (char *)"loop0";
	assert_int_equal(envelope_sign(key, &command, out, NULL), 0);
}

static int verify(const struct buf *envelope, const struct envelope_trusted *trusted, size_t n,
		  unsigned required)
{
	struct envelope_result result;

	return envelope_verify(envelope->data, envelope->size, trusted, n, required, &result);
}

/* The worked example of docs/formats/signature.md is these bytes. */
static void test_worked_example(void **state)
{
	struct envelope_key *key = key_of_seed(seed_1);
	struct envelope_trusted trusted = trust(key);
	struct envelope_result result;
	struct buf out = { 0 };
	size_t size;
	char *want, *hex;

	sign_example(key, &out);
	assert_int_equal(
		file_read(PATHBELL_TEST_DATA "/proto/signed_command.hex", 4096, &want, &size), 0);
	want[strcspn(want, "\n")] = '\0';
	hex = malloc(2 * out.size + 1);
	id_hex(out.data, out.size, hex);
	assert_string_equal(hex, want);
	assert_int_equal(envelope_verify(out.data, out.size, &trusted, 1, 1, &result), 0);
	assert_int_equal(result.n_signers, 1);
	assert_int_equal(result.signers[0], 0);
	assert_true(result.command > out.data && result.command < out.data + out.size);
	assert_string_equal(trusted.key_id, "ed25519:21fe31dfa154a261");
	free(hex);
	free(want);
	buf_deinit(&out);
	envelope_key_free(key);
}

/* No byte of the envelope can be changed, in any bit, without the verification failing. */
static void test_every_altered_bit_fails(void **state)
{
	struct envelope_key *key = key_of_seed(seed_1);
	struct envelope_trusted trusted = trust(key);
	struct buf out = { 0 };

	sign_example(key, &out);
	assert_int_equal(verify(&out, &trusted, 1, 1), 0);
	for (size_t bit = 0; bit < out.size * 8; bit++) {
		out.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_true(verify(&out, &trusted, 1, 1) > 0);
		out.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t size = 0; size < out.size; size++) {
		struct buf cut = { .data = malloc(size ? size : 1), .size = size };

		memcpy(cut.data, out.data, size);
		assert_true(verify(&cut, &trusted, 1, 1) > 0);
		free(cut.data);
	}
	assert_int_equal(verify(&out, &trusted, 1, 1), 0);
	buf_deinit(&out);
	envelope_key_free(key);
}

/* An envelope around @command with a signature over @context (with its NUL) and the command. */
static void sign_with_context(const struct envelope_key *key, const char *context,
			      size_t context_size, struct bytes *out)
{
	static const uint8_t command[2] = { 0x10, 0x01 };
	struct envelope_trusted self = trust(key);
	uint8_t input[256], signature[64], data[256];
	struct bytes inner = { data, 0, sizeof(data) };

	memcpy(input, context, context_size);
	memcpy(input + context_size, command, sizeof(command));
	assert_int_equal(envelope_key_sign(key, input, context_size + 2, signature), 0);
	bytes_text(&inner, 1, self.key_id);
	bytes_bytes(&inner, 2, signature, sizeof(signature));
	bytes_bytes(out, 1, command, sizeof(command));
	bytes_bytes(out, 2, inner.data, inner.size);
}

static void test_context(void **state)
{
	struct envelope_key *key = key_of_seed(seed_1);
	struct envelope_trusted trusted = trust(key);
	uint8_t data[512];
	struct bytes out = { data, 0, sizeof(data) };
	struct envelope_result result;

	sign_with_context(key, "pathbell-command-v1", 20, &out);
	assert_int_equal(envelope_verify(data, out.size, &trusted, 1, 1, &result), 0);
	assert_int_equal(result.command_size, 2);
	out.size = 0;
	sign_with_context(key, "pathbell-command-v1", 19, &out); /* without NUL */
	assert_int_equal(envelope_verify(data, out.size, &trusted, 1, 1, &result),
			 ENVELOPE_E_BAD_SIGNATURE);
	out.size = 0;
	sign_with_context(key, "pathbell-command-v2", 20, &out);
	assert_int_equal(envelope_verify(data, out.size, &trusted, 1, 1, &result),
			 ENVELOPE_E_BAD_SIGNATURE);
	out.size = 0;
	sign_with_context(key, "", 0, &out);
	assert_int_equal(envelope_verify(data, out.size, &trusted, 1, 1, &result),
			 ENVELOPE_E_BAD_SIGNATURE);
	envelope_key_free(key);
}

static void test_two_keys(void **state)
{
	struct envelope_key *alice = key_of_seed(seed_1), *bob = key_of_seed(seed_2);
	struct envelope_key *eve = key_of_seed(seed_3);
	struct envelope_trusted trusted[] = { trust(alice), trust(bob) };
	struct buf one = { 0 }, two = { 0 }, three = { 0 }, forged = { 0 };
	struct envelope_result result;
	struct errmsg err = { 0 };

	sign_example(alice, &one);
	assert_int_equal(verify(&one, trusted, 2, 0), 0); /* no required number means one */
	assert_int_equal(envelope_verify(one.data, one.size, trusted, 2, 2, &result),
			 ENVELOPE_E_TOO_FEW);
	assert_int_equal(result.n_signers, 1);
	assert_non_null(result.command);
	assert_int_equal(envelope_cosign(alice, one.data, one.size, &two, &err), -EEXIST);
	assert_int_equal(envelope_cosign(bob, one.data, one.size, &two, &err), 0);
	assert_int_equal(envelope_verify(two.data, two.size, trusted, 2, 2, &result), 0);
	assert_int_equal(result.n_signers, 2);
	assert_int_equal(result.signers[1], 1);
	assert_int_equal(verify(&two, trusted, 2, 3), ENVELOPE_E_TOO_FEW);

	/* A key that is not trusted neither helps nor harms. */
	assert_int_equal(envelope_cosign(eve, two.data, two.size, &three, &err), 0);
	assert_int_equal(verify(&three, trusted, 2, 2), 0);
	assert_int_equal(verify(&three, trusted, 2, 3), ENVELOPE_E_TOO_FEW);
	sign_example(eve, &forged);
	assert_int_equal(envelope_verify(forged.data, forged.size, trusted, 2, 1, &result),
			 ENVELOPE_E_UNKNOWN_KEY);
	assert_non_null(result.command);
	assert_int_equal(verify(&one, trusted, 0, 1), ENVELOPE_E_UNKNOWN_KEY);
	/* Eve under Alice's name. */
	memcpy(memmem(forged.data, forged.size, "ed25519:", 8), trusted[0].key_id, 24);
	assert_int_equal(verify(&forged, trusted, 2, 1), ENVELOPE_E_BAD_SIGNATURE);
	buf_deinit(&one);
	buf_deinit(&two);
	buf_deinit(&three);
	buf_deinit(&forged);
	envelope_key_free(alice);
	envelope_key_free(bob);
	envelope_key_free(eve);
}

/* One key that signs four times is one key; a fifth signature does not fit. */
static void test_same_key_counts_once(void **state)
{
	struct envelope_key *key = key_of_seed(seed_1), *other = key_of_seed(seed_2);
	struct envelope_trusted trusted = trust(key);
	uint8_t data[2048], copy[512];
	struct bytes out = { data, 0, sizeof(data) }, one = { copy, 0, sizeof(copy) };
	struct envelope_result result;
	struct buf more = { 0 };
	struct errmsg err = { 0 };

	sign_with_context(key, "pathbell-command-v1", 20, &one);
	bytes_raw(&out, one.data, one.size);
	for (int n = 0; n < 3; n++)
		bytes_raw(&out, one.data + 4, one.size - 4); /* the signature without the command */
	assert_int_equal(envelope_verify(data, out.size, &trusted, 1, 1, &result), 0);
	assert_int_equal(result.n_signers, 1);
	assert_int_equal(envelope_verify(data, out.size, &trusted, 1, 2, &result),
			 ENVELOPE_E_TOO_FEW);
	assert_int_equal(envelope_cosign(other, data, out.size, &more, &err), -EMSGSIZE);
	bytes_raw(&out, one.data + 4, one.size - 4);
	assert_int_equal(envelope_verify(data, out.size, &trusted, 1, 1, &result),
			 ENVELOPE_E_MALFORMED);
	buf_deinit(&more);
	envelope_key_free(key);
	envelope_key_free(other);
}

static void malformed(const struct bytes *out)
{
	struct envelope_result result;

	assert_int_equal(envelope_verify(out->data, out->size, NULL, 0, 1, &result),
			 ENVELOPE_E_MALFORMED);
}

static void test_malformed(void **state)
{
	struct envelope_key *key = key_of_seed(seed_1);
	uint8_t *data = calloc(1, 200000), small[256];
	struct bytes out = { data, 0, 200000 }, inner = { small, 0, sizeof(small) };
	struct envelope_result result;
	struct buf more = { 0 };
	struct errmsg err = { 0 };

	malformed(&out); /* nothing at all */
	assert_int_equal(envelope_cosign(key, data, 0, &more, &err), -EBADMSG);
	bytes_text(&out, 1, "x");
	assert_int_equal(envelope_verify(data, out.size, NULL, 0, 1, &result),
			 ENVELOPE_E_UNKNOWN_KEY);
	bytes_text(&out, 1, "x"); /* two commands: which one is signed? */
	malformed(&out);
	out.size = 0;
	bytes_text(&out, 1, "x");
	bytes_text(&inner, 1, "ed25519:0000000000000000");
	bytes_bytes(&inner, 2, data + 1000, 63);
	bytes_bytes(&out, 2, inner.data, inner.size);
	malformed(&out); /* signature of 63 bytes */
	out.size = 0;
	inner.size = 0;
	bytes_text(&out, 1, "x");
	bytes_bytes(&inner, 2, data + 1000, 64);
	bytes_bytes(&out, 2, inner.data, inner.size);
	malformed(&out); /* no key id */
	out.size = 0;
	bytes_bytes(&out, 1, data + 70000, 65537);
	malformed(&out);
	out.size = 131073;
	malformed(&out);
	assert_int_equal(envelope_cosign(key, "\x0b", 1, &more, &err), -EBADMSG);
	assert_int_equal(more.size, 0);
	buf_deinit(&more);
	envelope_key_free(key);
	free(data);
}

static void test_too_large_command(void **state)
{
	struct envelope_key *key = key_of_seed(seed_1);
	Pathbell__V1__Command command = PATHBELL__V1__COMMAND__INIT;
	struct errmsg err = { 0 };
	struct buf out = { 0 };
	char *reason = malloc(65537);

	assert_int_equal(envelope_sign(key, &command, &out, &err), -EMSGSIZE); /* empty */
	memset(reason, 'x', 65536);
	reason[65536] = '\0';
	command.reason = reason;
	assert_int_equal(envelope_sign(key, &command, &out, &err), -EMSGSIZE);
	assert_non_null(strstr(err.text, "limit 65536"));
	reason[65532] = '\0';
	assert_int_equal(envelope_sign(key, &command, &out, &err), 0);
	assert_int_equal(out.size, 1 + 3 + 65536 + 2 + 2 + 24 + 2 + 64);
	buf_deinit(&out);
	out = (struct buf){ .max = 100 };
	assert_int_equal(envelope_sign(key, &command, &out, &err), -ENOBUFS);
	free(reason);
	buf_deinit(&out);
	envelope_key_free(key);
}

static void test_key_files(void **state)
{
	const char *path = in_folder("key"), *public_path = in_folder("key.pub");
	struct envelope_key *key, *again;
	uint8_t public_key[32], read[32];
	struct errmsg err = { 0 };
	char text[64];
	struct stat st;

	assert_int_equal(envelope_key_new(&key, &err), 0);
	assert_int_equal(envelope_key_save(key, path, &err), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(envelope_key_save(key, path, &err), -EEXIST); /* never overwritten */
	assert_int_equal(envelope_key_load(path, &again, &err), 0);
	envelope_key_public(key, public_key);
	envelope_key_public(again, read);
	assert_memory_equal(public_key, read, 32);
	envelope_key_free(again);

	assert_int_equal(envelope_public_parse(public_path, read, &err), 0);
	assert_memory_equal(public_key, read, 32);
	envelope_public_format(public_key, text);
	assert_int_equal(strlen(text), 44);
	assert_int_equal(envelope_public_parse(text, read, &err), 0);
	assert_memory_equal(public_key, read, 32);

	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(envelope_key_load(path, &again, &err), -EACCES);
	assert_string_equal(err.file, path);
	assert_non_null(strstr(err.text, "chmod 600"));
	assert_int_equal(envelope_key_load(public_path, &again, &err), -EACCES);
	assert_int_equal(chmod(public_path, 0600), 0);
	assert_int_equal(envelope_key_load(public_path, &again, &err), -EINVAL);
	assert_int_equal(envelope_public_parse(path, read, &err), -EINVAL); /* the private one */
	assert_int_equal(envelope_key_load(in_folder("none"), &again, &err), -ENOENT);
	assert_int_equal(envelope_key_load(folder, &again, &err), -EINVAL);
	/* Where the .pub can't be made, the private key does not stay either. */
	unlink(path);
	assert_int_equal(envelope_key_save(key, path, &err), -EEXIST);
	assert_int_equal(stat(path, &st), -1);
	unlink(public_path);
	assert_null(envelope_key_free(key));
	assert_null(envelope_key_free(NULL));
}

static void test_fifo_does_not_hold_us(void **state)
{
	const char *path = in_folder("fifo");
	struct envelope_key *key;
	struct errmsg err = { 0 };

	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(envelope_key_load(path, &key, &err), -EINVAL);
	unlink(path);
}

static void test_public_text_is_canonical(void **state)
{
	static const char *const bad[] = {
		"",
		"x",
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=", /* unused bits set */
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==",
		" AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
		"AAAAAAAAAAAAAAAAAAAA AAAAAAAAAAAAAAAAAAAAAA=",
	};
	struct errmsg err = { 0 };
	uint8_t key[32];

	for (size_t n = 0; n < sizeof(bad) / sizeof(bad[0]); n++) {
		assert_int_equal(envelope_public_parse(bad[n], key, &err), -EINVAL);
		assert_non_null(strstr(err.text, "neither"));
	}
	assert_int_equal(
		envelope_public_parse("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", key, &err),
		0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rfc8032),
		cmocka_unit_test(test_worked_example),
		cmocka_unit_test(test_every_altered_bit_fails),
		cmocka_unit_test(test_context),
		cmocka_unit_test(test_two_keys),
		cmocka_unit_test(test_same_key_counts_once),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_too_large_command),
		cmocka_unit_test(test_key_files),
		cmocka_unit_test(test_fifo_does_not_hold_us),
		cmocka_unit_test(test_public_text_is_canonical),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
