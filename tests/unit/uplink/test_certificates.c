/* SPDX-License-Identifier: Apache-2.0 */
#include "certificates.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "pki.h"

#define DAY (86400 * CLOCK_NS_PER_S)

struct fixture {
	struct pki pki;
	struct settings settings;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct frame_config config = { .backoff_base_ns = 1,
				       .backoff_cap_ns = 1,
				       .max_unacked_bytes = 1 << 20 };
	const char *paths[3];

	assert_non_null(f);
	pki_init(&f->pki);
	pki_ca(&f->pki, "ca");
	paths[0] = pki_path(&f->pki, "ca", ".pem");
	paths[1] = pki_path(&f->pki, "host", ".pem");
	paths[2] = pki_path(&f->pki, "host", ".key");
	config.host_id = (struct frame_text){ "h1", 2 };
	config.ca_file = (struct frame_text){ paths[0], strlen(paths[0]) };
	config.certificate_file = (struct frame_text){ paths[1], strlen(paths[1]) };
	config.key_file = (struct frame_text){ paths[2], strlen(paths[2]) };
	assert_int_equal(settings_copy(&config, &f->settings), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	settings_deinit(&f->settings);
	pki_deinit(&f->pki);
	free(f);
	return 0;
}

static void issue(struct fixture *f, const char *uri, int from_s, int to_s)
{
	const struct pki_leaf leaf = {
		.ca = "ca", .name = "host", .uri = uri, .from_s = from_s, .to_s = to_s
	};

	pki_issue(&f->pki, &leaf);
}

static void expect_at(struct fixture *f, uint64_t unix_ns, enum certificates_state state)
{
	struct certificates certificates;

	certificates_check(&f->settings, unix_ns, &certificates);
	if (certificates.state != state)
		fail_msg("%s: %s", certificates_state_name(certificates.state),
			 certificates.detail);
	assert_int_equal(certificates_is_usable(&certificates), state <= CERTIFICATES_EXPIRING);
	if (state == CERTIFICATES_OK || state == CERTIFICATES_EXPIRING)
		assert_true(certificates.next_unix_ns > unix_ns);
	if (state != CERTIFICATES_OK)
		assert_true(certificates.detail[0] != '\0');
}

static void test_a_year_long(void **state)
{
	struct fixture *f = *state;
	uint64_t now = clock_realtime_ns();

	issue(f, "spiffe://td/host/h1", -86400, 364 * 86400);
	expect_at(f, now - 2 * DAY, CERTIFICATES_EXPIRED); /* not yet valid: the clock is wrong */
	expect_at(f, now, CERTIFICATES_OK);
	expect_at(f, now + 356 * DAY, CERTIFICATES_OK);
	expect_at(f, now + 358 * DAY, CERTIFICATES_EXPIRING); /* within 7 days */
	expect_at(f, now + 365 * DAY, CERTIFICATES_EXPIRED);
	expect_at(f, 0, CERTIFICATES_EXPIRED); /* 1970, a host without a clock */
}

static void test_a_day_long(void **state)
{
	struct fixture *f = *state;
	uint64_t now = clock_realtime_ns();

	issue(f, "spiffe://td/host/h1", -3600, 23 * 3600);
	expect_at(f, now, CERTIFICATES_OK);
	expect_at(f, now + 17 * DAY / 24, CERTIFICATES_OK);
	expect_at(f, now + 19 * DAY / 24, CERTIFICATES_EXPIRING); /* the last fifth */
}

static void test_not_ours(void **state)
{
	static const char *const bad[] = { "spiffe://td/host/h2", "spiffe://td/operator/h1",
					   "https://td/host/h1", NULL };
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		issue(f, bad[i], 0, 0);
		expect_at(f, clock_realtime_ns(), CERTIFICATES_MISMATCH);
	}
}

static void test_unreadable_and_stamp(void **state)
{
	struct pki_leaf half = { .ca = "ca", .name = "host", .only_key_of = true };
	struct fixture *f = *state;
	uint64_t none = certificates_stamp(&f->settings), first;

	expect_at(f, clock_realtime_ns(), CERTIFICATES_UNREADABLE);
	issue(f, "spiffe://td/host/h1", 0, 0);
	first = certificates_stamp(&f->settings);
	assert_true(first != none);
	assert_true(first == certificates_stamp(&f->settings));
	expect_at(f, clock_realtime_ns(), CERTIFICATES_OK);
	pki_issue(&f->pki, &half);
	assert_true(first != certificates_stamp(&f->settings));
	expect_at(f, clock_realtime_ns(), CERTIFICATES_UNREADABLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_year_long, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_day_long, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_ours, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unreadable_and_stamp, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
