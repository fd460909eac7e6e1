/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/certificate.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/file.h"

#define DAY (86400 * CLOCK_NS_PER_S)

static char folder[64];
static uint64_t now;

static int make(enum certificate_role role, const char *name, uint64_t days, bool force,
		struct errmsg *err)
{
	static const char *const sans[] = { "127.0.0.1", "::1", "agg.example.org" };
	struct certificate_request request = { .role = role,
					       .dir = folder,
					       .name = name,
					       .now_ns = now,
					       .not_after_ns = now + days * DAY,
					       .force = force };
	struct certificate_files files;
	struct errmsg local = { 0 };

	if (role == CERTIFICATE_AGGREGATOR) {
		request.sans = sans;
		request.n_sans = 3;
	}
	return certificate_make(&request, &files, err ? err : &local);
}

static void path_of(const char *name, char ret_path[128])
{
	snprintf(ret_path, 128, "%s/%s", folder, name);
}

static X509 *load(const char *name)
{
	char path[128];
	FILE *file;
	X509 *certificate;

	path_of(name, path);
	file = fopen(path, "r");
	assert_non_null(file);
	certificate = PEM_read_X509(file, NULL, NULL, NULL);
	fclose(file);
	assert_non_null(certificate);
	return certificate;
}

/* As a TLS peer would: chain, purpose, strict about RFC 5280. */
static int verify(const char *name, int purpose)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *context = X509_STORE_CTX_new();
	X509 *ca = load("ca.pem");
	X509 *leaf = load(name);
	int error;

	X509_STORE_add_cert(store, ca);
	X509_STORE_CTX_init(context, store, leaf, NULL);
	X509_STORE_CTX_set_purpose(context, purpose);
	X509_STORE_CTX_set_flags(context, X509_V_FLAG_X509_STRICT);
	error = X509_verify_cert(context) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(context);
	X509_free(leaf);
	X509_free(ca);
	X509_STORE_CTX_free(context);
	X509_STORE_free(store);
	return error;
}

static void openssl_verify(const char *options, const char *name, bool expected)
{
	char command[512];

	snprintf(command, sizeof(command),
		 "openssl verify -x509_strict %s -CAfile %s/ca.pem %s/%s >/dev/null 2>&1", options,
		 folder, folder, name);
	assert_int_equal(system(command) == 0, expected);
}

static int setup(void **state)
{
	strcpy(folder, "/tmp/pathbell-pki.XXXXXX");
	assert_non_null(mkdtemp(folder));
	now = clock_realtime_ns();
	assert_int_equal(make(CERTIFICATE_CA, "example.org", 3650, false, NULL), 0);
	assert_int_equal(make(CERTIFICATE_AGGREGATOR, "agg", 30, false, NULL), 0);
	assert_int_equal(make(CERTIFICATE_HOST, "web17", 30, false, NULL), 0);
	assert_int_equal(make(CERTIFICATE_OPERATOR, "alice", 30, false, NULL), 0);
	return 0;
}

static int teardown(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

static void test_chains_verify_for_their_purpose_only(void **state)
{
	assert_int_equal(verify("aggregator-agg.pem", X509_PURPOSE_SSL_SERVER), X509_V_OK);
	assert_int_equal(verify("aggregator-agg.pem", X509_PURPOSE_SSL_CLIENT), X509_V_OK);
	assert_int_equal(verify("host-web17.pem", X509_PURPOSE_SSL_CLIENT), X509_V_OK);
	assert_int_equal(verify("operator-alice.pem", X509_PURPOSE_SSL_CLIENT), X509_V_OK);
	assert_int_equal(verify("host-web17.pem", X509_PURPOSE_SSL_SERVER),
			 X509_V_ERR_INVALID_PURPOSE);
	assert_int_equal(verify("operator-alice.pem", X509_PURPOSE_SSL_SERVER),
			 X509_V_ERR_INVALID_PURPOSE);
}

static void test_openssl_verify_agrees(void **state)
{
	if (system("openssl version >/dev/null 2>&1") != 0)
		skip();
	openssl_verify("-purpose sslserver -verify_ip 127.0.0.1", "aggregator-agg.pem", true);
	openssl_verify("-purpose sslserver -verify_hostname agg.example.org", "aggregator-agg.pem",
		       true);
	openssl_verify("-purpose sslserver -verify_hostname other.org", "aggregator-agg.pem",
		       false);
	openssl_verify("-purpose sslclient", "host-web17.pem", true);
	openssl_verify("-purpose sslserver", "host-web17.pem", false);
}

static void test_identity(void **state)
{
	struct certificate_info info;
	struct errmsg err = { 0 };
	char path[128];

	path_of("host-web17.pem", path);
	assert_int_equal(certificate_read(path, &info, &err), 0);
	assert_string_equal(info.uri, "spiffe://example.org/host/web17");
	assert_string_equal(info.key, "EC P-256");
	assert_string_equal(info.usage, "client");
	assert_false(info.ca);
	assert_int_equal(strlen(info.serial), 32);
	assert_int_equal(info.not_after_ns / CLOCK_NS_PER_S, (now + 30 * DAY) / CLOCK_NS_PER_S);
	assert_int_equal(info.not_before_ns / CLOCK_NS_PER_S,
			 now / CLOCK_NS_PER_S - CERTIFICATE_BACKDATE_S);
	path_of("aggregator-agg.pem", path);
	assert_int_equal(certificate_read(path, &info, &err), 0);
	assert_string_equal(info.uri, "spiffe://example.org/aggregator/agg");
	assert_string_equal(info.sans, "IP:127.0.0.1, IP:::1, DNS:agg.example.org");
	assert_string_equal(info.usage, "server, client");
	path_of("ca.pem", path);
	assert_int_equal(certificate_read(path, &info, &err), 0);
	assert_string_equal(info.uri, "spiffe://example.org");
	assert_true(info.ca);
}

static void test_ca_signs_leaves_only(void **state)
{
	X509 *ca = load("ca.pem");

	assert_int_equal(X509_get_pathlen(ca), 0);
	assert_int_equal(X509_get_key_usage(ca), KU_KEY_CERT_SIGN | KU_CRL_SIGN);
	assert_non_null(X509_get0_subject_key_id(ca));
	X509_free(ca);
	X509 *leaf = load("host-web17.pem");

	assert_int_equal(X509_get_key_usage(leaf), KU_DIGITAL_SIGNATURE);
	assert_non_null(X509_get0_authority_key_id(leaf));
	X509_free(leaf);
}

static void test_modes(void **state)
{
	static const struct {
		const char *name;
		mode_t mode;
	} files[] = { { "ca.key", 0600 },
		      { "ca.pem", 0644 },
		      { "host-web17.key", 0600 },
		      { "host-web17.pem", 0644 } };
	mode_t old = umask(0);

	assert_int_equal(make(CERTIFICATE_HOST, "web17", 30, true, NULL), 0);
	umask(old);
	for (size_t i = 0; i < 4; i++) {
		char path[128];
		struct stat st;

		path_of(files[i].name, path);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, files[i].mode);
	}
}

static void test_nothing_is_overwritten(void **state)
{
	struct errmsg err = { 0 };
	char path[128];
	char *before = NULL;
	char *after = NULL;
	size_t size = 0;

	path_of("ca.key", path);
	assert_int_equal(file_read(path, 65536, &before, &size), 0);
	assert_int_equal(make(CERTIFICATE_CA, "example.org", 3650, false, &err), -EEXIST);
	assert_non_null(strstr(err.text, "--force"));
	assert_int_equal(make(CERTIFICATE_HOST, "web17", 30, false, &err), -EEXIST);
	assert_int_equal(file_read(path, 65536, &after, &size), 0);
	assert_string_equal(before, after);
	free(before);
	free(after);
	/* A key alone is in the way too; a dangling link is no way around. */
	path_of("host-half.key", path);
	assert_int_equal(symlink("/nonexistent/x", path), 0);
	assert_int_equal(make(CERTIFICATE_HOST, "half", 30, false, &err), -EEXIST);
}

static void test_bad_names(void **state)
{
	static const char *const bad[] = { "",
					   ".",
					   "..",
					   "a/b",
					   "../x",
					   "a b",
					   "a\nb",
					   "h\xc3\xb6st",
					   "a,URI:spiffe://x/host/y",
					   "a;b",
					   "*" };
	char long_name[200];
	struct errmsg err = { 0 };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(make(CERTIFICATE_HOST, bad[i], 30, false, &err), -EINVAL);
		assert_int_equal(make(CERTIFICATE_OPERATOR, bad[i], 30, false, &err), -EINVAL);
	}
	memset(long_name, 'a', sizeof(long_name));
	long_name[CERTIFICATE_NAME_MAX + 1] = '\0';
	assert_int_equal(make(CERTIFICATE_HOST, long_name, 30, false, &err), -EINVAL);
	long_name[CERTIFICATE_NAME_MAX] = '\0';
	assert_int_equal(make(CERTIFICATE_HOST, long_name, 30, false, &err), 0);
	assert_false(certificate_trust_domain_is_valid("Example.org"));
	assert_false(certificate_trust_domain_is_valid("a/b"));
	assert_true(certificate_trust_domain_is_valid("a-b_c.d1"));
}

static int make_with_san(const char *san, struct errmsg *err)
{
	struct certificate_request request = { .role = CERTIFICATE_AGGREGATOR,
					       .dir = folder,
					       .name = "san",
					       .sans = &san,
					       .n_sans = san ? 1 : 0,
					       .now_ns = now,
					       .not_after_ns = now + DAY,
					       .force = true };
	struct certificate_files files;

	return certificate_make(&request, &files, err);
}

static void test_bad_sans(void **state)
{
	static const char *const bad[] = { "",		 "*.example.org",  "a b",
					   "x,DNS:evil", "URI:spiffe://x", "a_b",
					   "10.0.0.1/8", "[::1]" };
	struct errmsg err = { 0 };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (make_with_san(bad[i], &err) != -EINVAL)
			fail_msg("'%s' was taken", bad[i]);
	}
	assert_int_equal(make_with_san(NULL, &err), -EINVAL);
	assert_non_null(strstr(err.text, "--san"));
	assert_int_equal(make_with_san("fe80::1", &err), 0);
}

static void test_no_leaf_outlives_its_authority(void **state)
{
	struct errmsg err = { 0 };

	assert_int_equal(make(CERTIFICATE_HOST, "old", 4000, false, &err), -EINVAL);
	assert_non_null(strstr(err.text, "outlive"));
}

static void test_an_expired_certificate_can_be_made(void **state)
{
	struct certificate_request request = { .role = CERTIFICATE_HOST,
					       .dir = folder,
					       .name = "late",
					       .now_ns = now,
					       .not_after_ns = now - 10 * DAY };
	struct certificate_files files;

	assert_int_equal(certificate_make(&request, &files, NULL), 0);
	assert_int_equal(verify("host-late.pem", X509_PURPOSE_SSL_CLIENT),
			 X509_V_ERR_CERT_HAS_EXPIRED);
}

static void test_serials_and_keys_differ(void **state)
{
	struct certificate_info a;
	struct certificate_info b;
	char path[128];

	path_of("host-web17.pem", path);
	assert_int_equal(certificate_read(path, &a, NULL), 0);
	assert_int_equal(make(CERTIFICATE_HOST, "web17", 30, true, NULL), 0);
	assert_int_equal(certificate_read(path, &b, NULL), 0);
	assert_string_not_equal(a.serial, b.serial);
	assert_string_not_equal(a.fingerprint, b.fingerprint);
}

static void test_no_authority(void **state)
{
	struct certificate_request request = { .role = CERTIFICATE_HOST,
					       .dir = "/tmp/pathbell-no-such-folder",
					       .name = "x",
					       .now_ns = now,
					       .not_after_ns = now + DAY };
	struct certificate_files files;
	struct errmsg err = { 0 };

	assert_int_equal(certificate_make(&request, &files, &err), -ENOENT);
	assert_non_null(strstr(err.text, "pki init"));
	request.dir = "/";
	err = (struct errmsg){ 0 };
	assert_int_equal(certificate_make(&request, &files, &err), -ENOENT);
	assert_non_null(strstr(err.text, "pki init"));
}

static void test_a_foreign_key_is_refused(void **state)
{
	char key[128];
	char aside[128];
	char other[128];
	struct errmsg err = { 0 };

	path_of("ca.key", key);
	path_of("ca.key.aside", aside);
	path_of("host-web17.key", other);
	assert_int_equal(rename(key, aside), 0);
	assert_int_equal(link(other, key), 0);
	assert_int_equal(make(CERTIFICATE_HOST, "new", 30, false, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "not the key"));
	assert_int_equal(rename(aside, key), 0);
}

static void test_what_is_no_certificate(void **state)
{
	struct certificate_info info;
	struct errmsg err = { 0 };
	char path[128];

	path_of("ca.key", path);
	assert_int_equal(certificate_read(path, &info, &err), -EBADMSG);
	path_of("none.pem", path);
	assert_int_equal(certificate_read(path, &info, &err), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chains_verify_for_their_purpose_only),
		cmocka_unit_test(test_openssl_verify_agrees),
		cmocka_unit_test(test_identity),
		cmocka_unit_test(test_ca_signs_leaves_only),
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_nothing_is_overwritten),
		cmocka_unit_test(test_bad_names),
		cmocka_unit_test(test_bad_sans),
		cmocka_unit_test(test_no_leaf_outlives_its_authority),
		cmocka_unit_test(test_an_expired_certificate_can_be_made),
		cmocka_unit_test(test_serials_and_keys_differ),
		cmocka_unit_test(test_no_authority),
		cmocka_unit_test(test_a_foreign_key_is_refused),
		cmocka_unit_test(test_what_is_no_certificate),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
