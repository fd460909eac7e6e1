/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "collectors/nvme/aen.h"
#include "collectors/nvme/decode.h"
#include "collectors/nvme/twins.h"
#include "core/file.h"

#define SEVERITY(x) PATHBELL__V1__SEVERITY__SEVERITY_##x

static const struct {
	uint32_t word, type, info, log_page;
	const char *meaning;
	Pathbell__V1__Severity severity;
} aens[] = {
	{ 0x010000, 0, 0, 1, "error_invalid_doorbell_register", SEVERITY(ERROR) },
	{ 0x010100, 0, 1, 1, "error_invalid_doorbell_value", SEVERITY(ERROR) },
	{ 0x010200, 0, 2, 1, "error_diagnostic_failure", SEVERITY(ERROR) },
	{ 0x010300, 0, 3, 1, "error_persistent_internal", SEVERITY(CRITICAL) },
	{ 0x010400, 0, 4, 1, "error_transient_internal", SEVERITY(ERROR) },
	{ 0x010500, 0, 5, 1, "error_firmware_image_load", SEVERITY(ERROR) },
	{ 0x01ff00, 0, 0xff, 1, "error_unknown", SEVERITY(ERROR) },
	{ 0x020001, 1, 0, 2, "smart_subsystem_reliability", SEVERITY(CRITICAL) },
	{ 0x020101, 1, 1, 2, "smart_temperature_threshold", SEVERITY(WARNING) },
	{ 0x020201, 1, 2, 2, "smart_spare_below_threshold", SEVERITY(WARNING) },
	{ 0x020901, 1, 9, 2, "smart_unknown", SEVERITY(WARNING) },
	{ 0x040002, 2, 0, 4, "namespace_attributes_changed", SEVERITY(NOTICE) },
	{ 0x030102, 2, 1, 3, "firmware_activation_starting", SEVERITY(NOTICE) },
	{ 0x080202, 2, 2, 8, "telemetry_log_changed", SEVERITY(NOTICE) },
	{ 0x0c0302, 2, 3, 0xc, "ana_changed", SEVERITY(NOTICE) },
	{ 0x0b0402, 2, 4, 0xb, "predictable_latency_changed", SEVERITY(NOTICE) },
	{ 0x0e0502, 2, 5, 0xe, "lba_status_information", SEVERITY(WARNING) },
	{ 0x0f0602, 2, 6, 0xf, "endurance_group_changed", SEVERITY(NOTICE) },
	{ 0xbfef02, 2, 0xef, 0xbf, "zone_descriptor_changed", SEVERITY(NOTICE) },
	{ 0x70f002, 2, 0xf0, 0x70, "discovery_log_changed", SEVERITY(NOTICE) },
	{ 0x71f102, 2, 0xf1, 0x71, "host_discovery_log_changed", SEVERITY(NOTICE) },
	{ 0x72f202, 2, 0xf2, 0x72, "ave_discovery_log_changed", SEVERITY(NOTICE) },
	{ 0x73f302, 2, 0xf3, 0x73, "pull_model_ddc_request", SEVERITY(NOTICE) },
	{ 0x007702, 2, 0x77, 0, "notice_unknown", SEVERITY(NOTICE) },
	{ 0x000003, 3, 0, 0, "subsystem_shutdown", SEVERITY(NOTICE) },
	{ 0x020103, 3, 1, 2, "temperature_recovered", SEVERITY(INFO) },
	{ 0x000004, 4, 0, 0, "one_shot_unknown", SEVERITY(NOTICE) },
	{ 0x000005, 5, 0, 0, "reserved", SEVERITY(NOTICE) },
	{ 0x800006, 6, 0, 0x80, "reservation_log_available", SEVERITY(NOTICE) },
	{ 0x810106, 6, 1, 0x81, "sanitize_completed", SEVERITY(NOTICE) },
	{ 0x810206, 6, 2, 0x81, "sanitize_completed_deallocated", SEVERITY(WARNING) },
	{ 0xc01207, 7, 0x12, 0xc0, "vendor_specific", SEVERITY(NOTICE) },
};

static void test_aen_words(void **state)
{
	for (size_t i = 0; i < sizeof(aens) / sizeof(aens[0]); i++) {
		struct aen aen;

		aen_decode(aens[i].word, &aen);
		assert_int_equal(aen.type, aens[i].type);
		assert_int_equal(aen.info, aens[i].info);
		assert_int_equal(aen.log_page, aens[i].log_page);
		assert_string_equal(aen.meaning, aens[i].meaning);
		assert_int_equal(aen.severity, aens[i].severity);
	}
}

static void test_aen_from_old_trace(void **state)
{
	assert_int_equal(aen_from_trace(0x00), 0x040002);
	assert_int_equal(aen_from_trace(0x01), 0x030102);
	assert_int_equal(aen_from_trace(0x03), AEN_ANA_CHANGED);
	assert_int_equal(aen_from_trace(0xf0), AEN_DISCOVERY_LOG_CHANGED);
	assert_int_equal(aen_from_trace(0x020101), 0x020101);
}

static int notice(const char *bytes, size_t size, struct decode_notice *ret)
{
	static char message[1024];
	static struct uevent event;

	memcpy(message, bytes, size);
	assert_int_equal(uevent_parse(message, size, &event), 0);
	return decode_uevent(&event, ret);
}
#define NOTICE(literal, ret) notice(literal, sizeof(literal), ret)

static void test_uevents(void **state)
{
	struct decode_notice n;

	assert_int_equal(NOTICE("change@/c/nvme3\0ACTION=change\0SUBSYSTEM=nvme\0"
				"NVME_AEN=0x70f002\0MAJOR=245\0MINOR=3\0DEVNAME=nvme3\0"
				"NVME_TRTYPE=tcp\0NVME_TRADDR=127.0.0.1\0NVME_TRSVCID=4420\0"
				"NVME_HOST_TRADDR=none\0NVME_HOST_IFACE=none\0SEQNUM=794",
				&n),
			 0);
	assert_int_equal(n.kind, DECODE_AEN);
	assert_int_equal(n.aen, AEN_DISCOVERY_LOG_CHANGED);
	assert_string_equal(n.name, "nvme3");
	assert_string_equal(n.trsvcid, "4420");
	assert_string_equal(n.host_traddr, "");
	assert_int_equal(n.seqnum, 794);
	assert_int_equal(n.minor, 3);
	assert_int_equal(NOTICE("add@/c/nvme0\0ACTION=add\0SUBSYSTEM=nvme\0DEVNAME=nvme0\0"
				"NVME_TRTYPE=loop\0NVME_TRADDR=(null)",
				&n),
			 0);
	assert_int_equal(n.kind, DECODE_ADDED);
	assert_string_equal(n.traddr, "");
	assert_int_equal(NOTICE("change@/fc\0ACTION=change\0SUBSYSTEM=fc\0FC_EVENT=nvmediscovery\0"
				"NVMEFC_HOST_TRADDR=nn-0x1:pn-0x2\0NVMEFC_TRADDR=nn-0x3:pn-0x4",
				&n),
			 0);
	assert_int_equal(n.kind, DECODE_FC_DISCOVERY);
	assert_string_equal(n.traddr, "nn-0x3:pn-0x4");
	assert_int_equal(NOTICE("add@/b\0ACTION=add\0SUBSYSTEM=block\0DEVNAME=nvme0n1", &n), 0);
	assert_int_equal(n.kind, DECODE_OTHER);
}

static void test_bad_uevents(void **state)
{
	struct decode_notice n;

	assert_int_equal(NOTICE("add@/x\0ACTION=add\0SUBSYSTEM=nvme", &n), -EBADMSG);
	assert_int_equal(NOTICE("change@/x\0ACTION=change\0SUBSYSTEM=nvme\0DEVNAME=nvme0\0"
				"NVME_AEN=many",
				&n),
			 -EBADMSG);
	assert_int_equal(NOTICE("change@/x\0ACTION=change\0SUBSYSTEM=nvme\0DEVNAME=nvme0\0"
				"NVME_AEN=0x100000000",
				&n),
			 -EBADMSG);
}

/* All uevents of a recorded session; see tests/data/nvme/README. */
static void test_recorded(void **state)
{
	_cleanup_free_ char *text = NULL;
	size_t size, n[DECODE_FC_DISCOVERY + 1] = { 0 };

	assert_int_equal(file_read(PATHBELL_TEST_DATA "/nvme/uevents.txt", 1 << 20, &text, &size),
			 0);
	for (char *at = text, *end; *at != '\0'; at = end) {
		struct decode_notice decoded;
		char message[2048];
		size_t len;

		end = strstr(at, "\n\n");
		len = end != NULL ? (size_t)(end - at) : strlen(at);
		end = end != NULL ? end + 2 : at + len;
		if (at[len - 1] == '\n')
			len--;
		assert_true(len < sizeof(message));
		memcpy(message, at, len);
		message[len] = '\0';
		for (size_t i = 0; i < len; i++)
			message[i] = message[i] == '\n' ? '\0' : message[i];
		assert_int_equal(notice(message, len + 1, &decoded), 0);
		n[decoded.kind]++;
	}
	assert_int_equal(n[DECODE_ADDED], 3);
	assert_int_equal(n[DECODE_REMOVED], 2);
	assert_int_equal(n[DECODE_CONNECTED], 3);
	assert_int_equal(n[DECODE_AEN], 4);
	assert_int_equal(n[DECODE_FC_DISCOVERY], 2);
}

static void test_address(void **state)
{
	struct decode_address address;

	assert_int_equal(
		decode_address("traddr=192.168.56.1,trsvcid=8009,host_iface=enp0s8", &address), 3);
	assert_string_equal(address.traddr, "192.168.56.1");
	assert_string_equal(address.trsvcid, "8009");
	assert_string_equal(address.host_iface, "enp0s8");
	assert_string_equal(address.host_traddr, "");
	assert_int_equal(
		decode_address("traddr=nn-0x1:pn-0x2 host_traddr=nn-0x3:pn-0x4\n", &address), 2);
	assert_string_equal(address.host_traddr, "nn-0x3:pn-0x4");
	assert_int_equal(decode_address("traddr=fe80::1%eth0,src_addr=fe80::2,new=1,=,", &address),
			 2);
	assert_string_equal(address.src_addr, "fe80::2");
	assert_int_equal(decode_address("0000:01:00.0", &address), 0);
	assert_int_equal(decode_address("", &address), 0);
}

static void test_long_address(void **state)
{
	struct decode_address address;
	char text[1024] = "traddr=";

	memset(text + 7, 'x', 600);
	assert_int_equal(decode_address(text, &address), 1);
	assert_int_equal(strlen(address.traddr), DECODE_TEXT - 1);
}

static void test_trace(void **state)
{
	static struct format format;
	struct decode_trace trace;
	struct errmsg err = { 0 };
	_cleanup_free_ char *text = NULL;
	uint8_t record[16] = { 0xfa, 0x05, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0x02, 0x03, 0x0c, 0 };
	uint32_t instance, aen;
	size_t size;

	assert_int_equal(
		file_read(PATHBELL_TEST_DATA "/nvme/nvme_async_event.format", 65536, &text, &size),
		0);
	assert_int_equal(format_parse(text, size, &format, &err), 0);
	assert_int_equal(decode_trace_init(&trace, &format, &err), 0);
	assert_int_equal(format.id, 0x5fa);
	assert_int_equal(decode_trace_record(&trace, record, 16, &instance, &aen), 0);
	assert_int_equal(instance, 2);
	assert_int_equal(aen, AEN_ANA_CHANGED);
	assert_int_equal(decode_trace_record(&trace, record, 12, &instance, &aen), -EBADMSG);
	record[11] = 0x80;
	assert_int_equal(decode_trace_record(&trace, record, 16, &instance, &aen), -EBADMSG);
	record[0]++;
	assert_int_equal(decode_trace_record(&trace, record, 16, &instance, &aen),
			 DECODE_E_OTHER_EVENT);
}

static void test_twins(void **state)
{
	struct twins twins = { 0 };

	assert_false(twins_is_told(&twins, TWINS_TRACE, "nvme0", 1, 10));
	assert_false(twins_is_told(&twins, TWINS_TRACE, "nvme0", 1, 11));
	assert_false(twins_is_told(&twins, TWINS_UEVENT, "nvme1", 1, 12));
	assert_false(twins_is_told(&twins, TWINS_UEVENT, "nvme0", 2, 13));
	assert_true(twins_is_told(&twins, TWINS_UEVENT, "nvme0", 1, 14));
	assert_true(twins_is_told(&twins, TWINS_UEVENT, "nvme0", 1, 15));
	assert_false(twins_is_told(&twins, TWINS_UEVENT, "nvme0", 1, 16));
	/* The other way round, and too late. */
	assert_true(twins_is_told(&twins, TWINS_TRACE, "nvme0", 1, 17));
	assert_false(twins_is_told(&twins, TWINS_TRACE, "nvme0", 2, 14 + TWINS_WINDOW_NS));
	for (uint32_t i = 0; i < 4 * TWINS_MAX; i++)
		assert_false(twins_is_told(&twins, TWINS_TRACE, "nvme5", i, 20));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_aen_words),    cmocka_unit_test(test_aen_from_old_trace),
		cmocka_unit_test(test_uevents),	     cmocka_unit_test(test_bad_uevents),
		cmocka_unit_test(test_recorded),     cmocka_unit_test(test_address),
		cmocka_unit_test(test_long_address), cmocka_unit_test(test_trace),
		cmocka_unit_test(test_twins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
