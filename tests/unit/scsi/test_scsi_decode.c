/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collectors/scsi/decode.h"
#include "core/file.h"

#define SEVERITY(x) PATHBELL__V1__SEVERITY__SEVERITY_##x

/* Layout of Debian's 6.12: a READ(10) of 8 blocks at 2048 on 2:0:1:5 that ends with 3/11/00. */
static uint8_t record_6_12[74] = {
	0xfb, 0x05, 0, 0,    1, 0, 0,  0,  2,  0, 0, 0,	   0, 0, 0,    0, 1, 0, 0, 0, 5, 0, 0, 0, 2,
	0,    0,    0, 0x28, 0, 0, 0,  10, 0,  0, 0, 1,	   0, 0, 0,    1, 0, 0, 0, 1, 0, 0, 0, 0, 0,
	0,    0,    0, 0,    0, 0, 64, 0,  10, 0, 3, 0x11, 0, 0, 0x28, 0, 0, 0, 8, 0, 0, 0, 8, 0,
};

static void load(const char *name, struct scsi_decoder *decoder)
{
	_cleanup_free_ char *text = NULL;
	char path[512];
	struct errmsg err = { 0 };
	struct format format;
	size_t len;

	snprintf(path, sizeof(path), "%s/scsi/%s", PATHBELL_TEST_DATA, name);
	assert_int_equal(file_read(path, 65536, &text, &len), 0);
	assert_int_equal(format_parse(text, len, &format, &err), 0);
	assert_int_equal(scsi_decoder_init(decoder, &format, &err), 0);
	memcpy(record_6_12, &(uint16_t){ (uint16_t)format.id }, 2);
}

static void reads_a_record_of_6_12(void **state)
{
	Pathbell__V1__ScsiCommandError error;
	struct scsi_decoder decoder;
	struct handler_error question;
	struct scsi_record record;

	load("scsi_dispatch_cmd_done-6.12.format", &decoder);
	assert_int_equal(scsi_decode(&decoder, record_6_12, sizeof(record_6_12), &record), 0);
	assert_int_equal(record.host, 2);
	assert_int_equal(record.id, 1);
	assert_int_equal(record.lun, 5);
	scsi_describe(&record, false, "2:0:1:5", &error);
	assert_int_equal(error.opcode, 0x28);
	assert_int_equal(error.status, 2);
	assert_true(error.sense_valid);
	assert_int_equal(error.sense_key, 3);
	assert_int_equal(error.asc, 0x11);
	assert_int_equal(error.ascq, 0);
	assert_int_equal(error.lba, 2048);
	assert_int_equal(error.transfer_length, 8);
	assert_true(scsi_question(&record, false, &question));
	assert_int_equal(question.source, HANDLER_FROM_SENSE);
	assert_int_equal(scsi_severity(&record, false), SEVERITY(ERROR));
}

/* The same bytes by the layout of 6.1 have no sense; then nobody can judge a check condition. */
static void reads_the_layout_of_6_1(void **state)
{
	struct scsi_decoder decoder;
	struct handler_error question;
	struct scsi_record record;

	load("scsi_dispatch_cmd_done-6.1.format", &decoder);
	assert_int_equal(scsi_decode(&decoder, record_6_12, sizeof(record_6_12), &record), 0);
	assert_false(record.tells_sense || record.sense_valid);
	assert_false(scsi_question(&record, false, &question));
	assert_true(scsi_question(&record, true, &question));
	assert_int_equal(question.host_byte, 3);
	record.host_byte = 1;
	assert_true(scsi_question(&record, false, &question));
	assert_int_equal(question.source, HANDLER_FROM_STATUS);
	assert_int_equal(question.host_byte, 1);
}

static void every_cut_is_refused_or_sound(void **state)
{
	struct scsi_decoder decoder;
	struct scsi_record record;

	load("scsi_dispatch_cmd_timeout-6.12.format", &decoder);
	for (size_t size = 0; size <= sizeof(record_6_12); size++) {
		uint8_t *copy = malloc(size + 1);
		int r;

		memcpy(copy, record_6_12, size);
		r = scsi_decode(&decoder, copy, size, &record);
		assert_int_equal(r, size < 63 ? -EBADMSG : 0);
		if (r == 0 && size < sizeof(record_6_12))
			assert_int_equal(record.lba, 0);
		free(copy);
	}
	record_6_12[26] = 0x0e; /* DID_TRANSPORT_DISRUPTED */
	record_6_12[27] = 0x06; /* DRIVER_TIMEOUT, of kernels before 5.14 */
	assert_int_equal(scsi_decode(&decoder, record_6_12, sizeof(record_6_12), &record), 0);
	assert_int_equal(record.host_byte, 0x0e);
	assert_int_equal(record.driver_byte, 0x06);
	assert_int_equal(record.status, 2);
	record_6_12[26] = record_6_12[27] = 0;
	record_6_12[0]++;
	assert_int_equal(scsi_decode(&decoder, record_6_12, sizeof(record_6_12), &record),
			 SCSI_E_OTHER_EVENT);
}

static void finds_address_and_length(void **state)
{
	static const struct {
		uint8_t cdb[SCSI_CDB_MAX];
		size_t size;
		uint64_t lba;
		uint32_t length;
	} rows[] = {
		{ { 0x08, 0xff, 2, 3, 4 }, 6, 0x1f0203, 4 },
		{ { 0x0a, 0, 0, 1, 0 }, 6, 1, 256 },
		{ { 0x2a, 0, 0, 0, 8, 0, 0, 1, 0 }, 10, 0x800, 256 },
		{ { 0xa8, 0, 1, 0, 0, 0, 0, 0, 0, 9 }, 12, 0x1000000, 9 },
		{ { 0x88, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 7 }, 16, 0x100000002, 7 },
		{ { 0x7f, 0, 0, 0, 0, 0, 0, 24, 0, 9, 0, 0, 0, 0, 0, 1,
		    0,	  0, 0, 0, 0, 0, 0, 0,	0, 0, 0, 0, 0, 0, 0, 5 },
		  32,
		  0x100000000,
		  5 },
		{ { 0x12, 1, 0x80, 0, 255 }, 6, 0, 0 },
		{ { 0x28, 0, 0, 0, 8 }, 6, 0, 0 },
		{ { 0 }, 0, 0, 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t lba = 99;
		uint32_t length = 99;

		scsi_decode_cdb(rows[i].cdb, rows[i].size, &lba, &length);
		assert_int_equal(lba, rows[i].lba);
		assert_int_equal(length, rows[i].length);
	}
}

static void severities(void **state)
{
	static const struct {
		struct scsi_record record;
		bool timed_out;
		Pathbell__V1__Severity severity;
	} rows[] = {
		{ { .sense_valid = true, .sense_key = 6 }, false, SEVERITY(NOTICE) },
		{ { .sense_valid = true, .sense_key = 1 }, false, SEVERITY(WARNING) },
		{ { .sense_valid = true, .sense_key = 5 }, false, SEVERITY(NOTICE) },
		{ { .sense_valid = true, .sense_key = 5, .length = 8 }, false, SEVERITY(ERROR) },
		{ { .sense_valid = true, .sense_key = 4 }, false, SEVERITY(ERROR) },
		{ { .sense_valid = true, .sense_key = 6, .host_byte = 1 }, false, SEVERITY(ERROR) },
		{ { .status = 0x18 }, false, SEVERITY(WARNING) },
		{ { .status = 0 }, true, SEVERITY(ERROR) },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(scsi_severity(&rows[i].record, rows[i].timed_out),
				 rows[i].severity);
}

static void attentions_and_addresses(void **state)
{
	static const char *const names[] = {
		"INQUIRY_DATA_HAS_CHANGED",	  "CAPACITY_DATA_HAS_CHANGED",
		"MODE_PARAMETERS_CHANGED",	  "THIN_PROVISIONING_SOFT_THRESHOLD_REACHED",
		"REPORTED_LUNS_DATA_HAS_CHANGED", "ASYMMETRIC_ACCESS_STATE_CHANGED",
		"POWER_ON_RESET_OCCURRED",
	};
	static const uint8_t codes[][2] = { { 0x3f, 3 },   { 0x2a, 9 }, { 0x2a, 1 }, { 0x38, 7 },
					    { 0x3f, 0xe }, { 0x2a, 6 }, { 0x29, 0 } };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const struct scsi_attention *attention = scsi_attention_find(names[i]);

		assert_non_null(attention);
		assert_int_equal(attention->asc, codes[i][0]);
		assert_int_equal(attention->ascq, codes[i][1]);
	}
	assert_null(scsi_attention_find("SOMETHING_NEW"));
	assert_string_equal(scsi_address_of("/devices/pseudo_0/adapter0/host0/target0:0:0/0:0:0:1"),
			    "0:0:0:1");
	assert_null(scsi_address_of("/devices/pseudo_0/adapter0/host0"));
	assert_null(scsi_address_of(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_a_record_of_6_12),
		cmocka_unit_test(reads_the_layout_of_6_1),
		cmocka_unit_test(every_cut_is_refused_or_sound),
		cmocka_unit_test(finds_address_and_length),
		cmocka_unit_test(severities),
		cmocka_unit_test(attentions_and_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
