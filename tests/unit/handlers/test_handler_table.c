/* SPDX-License-Identifier: Apache-2.0 */
/* Every row of every table, written down a second time from the facts. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "handlers/handlers.h"

#define F HANDLER_FAIL_PATH
#define E HANDLER_ERROR_IO

static unsigned judge(const char *name, const struct handler_error *error)
{
	struct handler_verdict verdict = { 99, NULL };

	handlers_builtin(name)->error(error, &verdict);
	assert_non_null(verdict.reason);
	return verdict.flags;
}

static unsigned judge_sense(const char *name, unsigned key, unsigned asc, unsigned ascq)
{
	const struct handler_error error = { .source = HANDLER_FROM_SENSE,
					     .sense_key = (uint8_t)key,
					     .asc = (uint8_t)asc,
					     .ascq = (uint8_t)ascq };

	return judge(name, &error);
}

/* The default mapping of the 2005 design; 6 is F but for 04/01. */
static const unsigned keys[16] = { 0, 0, F, E, F, E, F, E, E, F, E, F, E, E, E, E };

static void default_by_sense_key(void **state)
{
	for (unsigned key = 0; key < 16; key++) {
		for (unsigned asc = 0; asc < 256; asc++) {
			for (unsigned ascq = 0; ascq < 256; ascq++) {
				unsigned want = key == 6 && asc == 4 && ascq == 1 ? 0 : keys[key];

				assert_int_equal(judge_sense("scsi", key, asc, ascq), want);
			}
		}
	}
}

static const struct {
	const char *handler;
	unsigned key, asc, ascq, flags;
} rows[] = {
	{ "alua", 2, 0x04, 0x0a, 0 },  { "alua", 6, 0x04, 0x0a, 0 },  { "alua", 2, 0x04, 0x0b, F },
	{ "alua", 2, 0x04, 0x0c, F },  { "alua", 6, 0x29, 0x00, 0 },  { "alua", 6, 0x29, 0x04, 0 },
	{ "alua", 6, 0x29, 0x01, F },  { "alua", 6, 0x2a, 0x01, 0 },  { "alua", 6, 0x2a, 0x06, 0 },
	{ "alua", 6, 0x2a, 0x07, 0 },  { "alua", 6, 0x2a, 0x09, F },  { "alua", 6, 0x3f, 0x03, 0 },
	{ "alua", 6, 0x3f, 0x0e, 0 },  { "alua", 3, 0x11, 0x00, E },  { "rdac", 2, 0x04, 0x01, 0 },
	{ "rdac", 2, 0x04, 0x81, F },  { "rdac", 2, 0x04, 0xa1, 0 },  { "rdac", 2, 0xa1, 0x02, 0 },
	{ "rdac", 5, 0x94, 0x01, F },  { "rdac", 5, 0x24, 0x00, E },  { "rdac", 6, 0x29, 0x00, 0 },
	{ "rdac", 6, 0x8b, 0x02, 0 },  { "rdac", 2, 0x04, 0x03, F },  { "emc", 2, 0x04, 0x03, F },
	{ "emc", 5, 0x25, 0x01, E },   { "emc", 6, 0x29, 0x00, 0 },   { "emc", 6, 0x2a, 0x06, F },
	{ "hp_sw", 2, 0x04, 0x02, F }, { "hp_sw", 6, 0x29, 0x00, 0 }, { "hp_sw", 6, 0x3f, 0x0e, 0 },
};

static void every_row_of_the_handlers(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(
			judge_sense(rows[i].handler, rows[i].key, rows[i].asc, rows[i].ascq),
			rows[i].flags);
}

/* Rows change only the answers that they name: a count for each handler. */
static void rows_reach_no_further(void **state)
{
	static const struct {
		const char *handler;
		unsigned changed;
	} expected[] = { { "alua", 9 },	      { "rdac", 6 }, { "emc", 1 },
			 { "hp_sw", 0xffff }, { "nvme", 0 }, { "none", 0 } };

	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		unsigned n = 0;

		for (unsigned code = 0; code < 16U << 16; code++)
			n += judge_sense(expected[i].handler, code >> 16, code >> 8 & 255,
					 code & 255) !=
			     judge_sense("scsi", code >> 16, code >> 8 & 255, code & 255);
		assert_int_equal(n, expected[i].changed);
	}
}

static void errnos_follow_blk_path_error(void **state)
{
	static const int ours[] = { EOPNOTSUPP, ENOSPC, EREMOTEIO, EBADE, ENODATA, EILSEQ };

	for (int error = 0; error < 134; error++) {
		unsigned want = F;
		struct handler_error what = { .source = HANDLER_FROM_ERRNO, .error = error };

		for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
			want = ours[i] == error ? E : want;
		assert_int_equal(judge("none", &what), want);
		what.error = -error;
		assert_int_equal(judge("alua", &what), want);
	}
	assert_int_equal(judge("none", &(struct handler_error){ .source = HANDLER_FROM_ERRNO,
								.error = INT32_MIN }),
			 F);
}

static void host_bytes_and_statuses(void **state)
{
	static const unsigned hosts[0x16] = { 0, F, F, F, F, F, F, F, F, F, 0,
					      0, 0, 0, F, F, E, E, E, E, F, F };
	static const uint8_t statuses[][2] = { { 0, 0 },    { 2, F },	 { 4, 0 },
					       { 8, 0 },    { 0x18, E }, { 0x28, 0 },
					       { 0x30, F }, { 0x40, F }, { 0x66, F } };
	struct handler_error what = { .source = HANDLER_FROM_STATUS };

	for (size_t i = 1; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		what.host_byte = (uint8_t)i;
		assert_int_equal(judge("scsi", &what), hosts[i]);
	}
	what.host_byte = 0;
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		what.status = statuses[i][0];
		assert_int_equal(judge("scsi", &what), statuses[i][1]);
	}
	what.source = HANDLER_UNDECODABLE;
	assert_int_equal(judge("scsi", &what), F);
}

static void nvme_statuses(void **state)
{
	static const uint16_t io[] = { 0x001, 0x002, 0x00b, 0x021, 0x080, 0x081, 0x082,
				       0x083, 0x180, 0x181, 0x182, 0x183, 0x280, 0x281,
				       0x282, 0x283, 0x284, 0x285, 0x286, 0x287 };

	for (unsigned status = 0; status < 0x800; status++) {
		unsigned want = status == 0 ? 0 : F;
		struct handler_error what = { .source = HANDLER_FROM_NVME,
					      .nvme_status = (uint16_t)(status | 0x4000) };

		for (size_t i = 0; i < sizeof(io) / sizeof(io[0]); i++)
			want = io[i] == status ? E : want;
		assert_int_equal(judge("nvme", &what), want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(default_by_sense_key),
		cmocka_unit_test(every_row_of_the_handlers),
		cmocka_unit_test(rows_reach_no_further),
		cmocka_unit_test(nvme_statuses),
		cmocka_unit_test(errnos_follow_blk_path_error),
		cmocka_unit_test(host_bytes_and_statuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
