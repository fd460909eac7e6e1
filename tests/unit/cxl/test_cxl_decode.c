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

#include "collectors/cxl/decode.h"
#include "core/file.h"

#define KIND(x)	    PATHBELL__V1__EVENT_KIND__EVENT_KIND_CXL_##x
#define SEVERITY(x) PATHBELL__V1__SEVERITY__SEVERITY_##x

/* A record as the kernel lays it out: fixed fields by the format file, texts behind them. */
static struct {
	struct format format;
	struct cxl_decoder decoder;
	struct cxl_record record;
	uint8_t data[1024];
	size_t size;
} t;

static void load(const char *event, const char *version)
{
	_cleanup_free_ char *text = NULL;
	struct errmsg err = { 0 };
	char path[512];
	size_t len;

	memset(&t, 0, sizeof(t));
	snprintf(path, sizeof(path), "%s/cxl/%s-%s.format", PATHBELL_TEST_DATA, event, version);
	assert_int_equal(file_read(path, 65536, &text, &len), 0);
	assert_int_equal(format_parse(text, len, &t.format, &err), 0);
	assert_non_null(cxl_event_find(event));
	assert_int_equal(cxl_decoder_init(&t.decoder, cxl_event_find(event), &t.format, &err), 0);
	for (size_t i = 0; i < t.format.n_fields; i++) {
		size_t end = t.format.fields[i].offset + t.format.fields[i].size;

		t.size = end > t.size ? end : t.size;
	}
	memcpy(t.data, &t.format.id, 2);
}

static void set(const char *name, uint64_t value)
{
	const struct format_field *field = format_find(&t.format, name);

	assert_non_null(field);
	memcpy(t.data + field->offset, &value, field->size < 8 ? field->size : 8);
}

static void set_bytes(const char *name, uint8_t first)
{
	const struct format_field *field = format_find(&t.format, name);

	assert_non_null(field);
	for (uint32_t i = 0; i < field->size; i++)
		t.data[field->offset + i] = (uint8_t)(first + i);
}

static void set_text(const char *name, const char *text)
{
	size_t size = strlen(text) + 1;

	set(name, (uint64_t)size << 16 | t.size);
	memcpy(t.data + t.size, text, size);
	t.size += size;
}

static const Pathbell__V1__CxlMemEvent *decode(void)
{
	assert_int_equal(cxl_decode(&t.decoder, t.data, t.size, &t.record), 0);
	return &t.record.mem;
}

static const char *extra(const char *key)
{
	for (size_t i = 0; i < t.record.n_extra; i++) {
		if (strcmp(t.record.extra[i]->key, key) == 0)
			return t.record.extra[i]->value;
	}
	return NULL;
}

static void head(void)
{
	set_text("memdev", "mem1");
	set_text("host", "cxl_mem.0");
	set("log", 2);
	set_bytes("hdr_uuid", 0x40);
	set("serial", 0x1234);
	set("hdr_flags", 1U << 2);
	set("hdr_handle", 4);
	set("hdr_related_handle", 0xa5b6);
	set("hdr_timestamp", 123456789);
	set("hdr_length", 128);
	set("hdr_maint_op_class", 2);
}

static void is_head(const Pathbell__V1__CxlMemEvent *mem)
{
	assert_string_equal(mem->memdev, "mem1");
	assert_string_equal(mem->host_bridge, "cxl_mem.0");
	assert_int_equal(mem->log, 3);
	assert_int_equal(mem->uuid.len, 16);
	assert_int_equal(mem->uuid.data[15], 0x4f);
	assert_int_equal(mem->serial, 0x1234);
	assert_int_equal(mem->flags, 4);
	assert_int_equal(mem->handle, 4);
	assert_int_equal(mem->related_handle, 0xa5b6);
	assert_int_equal(mem->device_timestamp, 123456789);
	assert_int_equal(mem->maintenance_class, 2);
	assert_false(t.record.partial);
}

/* Offsets written by hand from the format file of cxl_test on 6.12: the helpers above read them
 * with the same parser as the decoder does. */
static void offsets_of_6_12(void **state)
{
	load("cxl_dram", "6.12");
	head();
	memcpy(t.data + 72, (uint8_t[]){ 0, 0x80, 0, 0, 0, 0, 0, 0 }, 8);
	t.data[80] = 2;
	t.data[83] = 1;
	memcpy(t.data + 86, (uint8_t[]){ 0xde, 0xad }, 2);
	t.data[153] = 5;
	t.data[154] = 2;
	set_text("region_name", "region0");
	is_head(decode());
	assert_int_equal(t.record.mem.dpa, 0x8000);
	assert_int_equal(t.record.mem.descriptor, 2);
	assert_int_equal(t.record.mem.channel, 1);
	assert_int_equal(t.record.mem.column, 44510);
	assert_int_equal(t.record.mem.bank_group, 5);
	assert_int_equal(t.record.mem.bank, 2);
	assert_int_equal(t.record.mem.correction_mask.len, 32);
	assert_string_equal(t.record.mem.region, "region0");
}

static void general_media(const char *version, bool region, bool counts)
{
	const Pathbell__V1__CxlMemEvent *mem;

	load("cxl_general_media", version);
	head();
	set("dpa", 0x2000);
	set("descriptor", 1);
	set("type", 3);
	set("transaction_type", 2);
	set("channel", 1);
	set("rank", 30);
	set("device", 0x010203);
	set_bytes("comp_id", 0x10);
	set("validity_flags", 3);
	set("dpa_flags", 2);
	if (region) {
		set("hpa", 0xf010004000);
		set_text("region_name", "region0");
		set_bytes("region_uuid", 0x20);
	}
	if (counts) {
		set("cme_count", 78);
		set("sub_type", 2);
		set("cme_threshold_ev_flags", 3);
		set("hpa_alias0", 0xa0);
		set("hdr_maint_op_sub_class", 4);
		set("hdr_ld_id", 9);
		set("hdr_head_id", 1);
	}
	mem = decode();
	is_head(mem);
	assert_string_equal(t.decoder.notice, "");
	assert_string_equal(mem->record, "cxl_general_media");
	assert_int_equal(mem->dpa, 0x2000);
	assert_int_equal(mem->type, 3);
	assert_int_equal(mem->transaction_type, 2);
	assert_int_equal(mem->rank, 30);
	assert_int_equal(mem->device, 0x010203);
	assert_int_equal(mem->component_id.data[0], 0x10);
	assert_int_equal(mem->hpa, region ? 0xf010004000 : UINT64_MAX);
	assert_string_equal(mem->region, region ? "region0" : "");
	assert_int_equal(mem->event_count, counts ? 78 : 0);
	assert_int_equal(mem->sub_type, counts ? 2 : 0);
	assert_int_equal(mem->maintenance_sub_class, counts ? 4 : 0);
	assert_int_equal(cxl_severity(t.decoder.event, mem), SEVERITY(ERROR));
	if (counts) {
		assert_string_equal(extra("hdr_ld_id"), "9");
		assert_string_equal(extra("cme_threshold_ev_flags"), "3");
	}
}

static void media_of_all_kernels(void **state)
{
	general_media("6.3", false, false);
	general_media("6.12", true, false);
	general_media("7.2", true, true);
}

static void dram_of_7_2(void **state)
{
	load("cxl_dram", "7.2");
	head();
	set("row", 0xabcdef);
	set("nibble_mask", 0x3b00b2);
	set("cvme_count", 94);
	set("sub_channel", 5);
	set_bytes("comp_id", 1);
	set_bytes("cor_mask", 0x21);
	is_head(decode());
	assert_string_equal(t.decoder.notice, "");
	assert_int_equal(t.record.mem.row, 0xabcdef);
	assert_int_equal(t.record.mem.nibble_mask, 0x3b00b2);
	assert_int_equal(t.record.mem.event_count, 94);
	assert_int_equal(t.record.mem.sub_channel, 5);
	assert_int_equal(t.record.mem.component_id.len, 16);
	assert_int_equal(t.record.mem.correction_mask.data[31], 0x40);
}

static void memory_module(void **state)
{
	static const char *const versions[] = { "6.12", "7.2" };

	for (size_t i = 0; i < 2; i++) {
		load("cxl_memory_module", versions[i]);
		head();
		set("event_type", 3);
		set("health_status", 2);
		set("media_status", 3);
		set("life_used", 8);
		set("device_temp", (uint16_t)-21026);
		set("dirty_shutdown_cnt", 33);
		set("cor_vol_err_cnt", 25);
		set("cor_per_err_cnt", 45);
		set("add_status", 0x36);
		is_head(decode());
		assert_string_equal(t.decoder.notice, "");
		assert_int_equal(t.record.mem.type, 3);
		assert_int_equal(t.record.mem.temperature_celsius, -21026);
		assert_int_equal(t.record.mem.life_used_percent, 8);
		assert_int_equal(t.record.mem.dirty_shutdown_count, 33);
		assert_int_equal(t.record.mem.corrected_volatile_errors, 25);
		assert_int_equal(t.record.mem.corrected_persistent_errors, 45);
		assert_int_equal(t.record.mem.add_status, 0x36);
		/* All data lost. */
		assert_int_equal(cxl_severity(t.decoder.event, &t.record.mem), SEVERITY(CRITICAL));
	}
}

static void generic_and_sparing(void **state)
{
	load("cxl_generic_event", "6.12");
	head();
	set_bytes("data", 1);
	is_head(decode());
	assert_int_equal(t.decoder.event->kind, KIND(GENERIC));
	assert_int_equal(t.record.mem.data.len, 80);
	assert_int_equal(t.record.mem.data.data[79], 80);

	load("cxl_memory_sparing", "7.2");
	head();
	set("result", 7);
	set("res_avail", 300);
	set("bank", 3);
	set("row", 66);
	is_head(decode());
	assert_string_equal(t.decoder.notice, "");
	assert_int_equal(t.record.mem.bank, 3);
	assert_int_equal(t.record.mem.row, 66);
	assert_string_equal(extra("result"), "7");
	assert_string_equal(extra("res_avail"), "300");
}

static void poison(void **state)
{
	static const char *const versions[] = { "6.4", "6.12", "7.2" };
	static const char *const types[] = { "list", "inject", "clear" };
	static const unsigned severities[] = { SEVERITY(WARNING), SEVERITY(NOTICE),
					       SEVERITY(INFO) };

	for (size_t i = 0; i < 3; i++) {
		load("cxl_poison", versions[i]);
		set_text("memdev", "mem0");
		set_text("host", "cxl_mem.1");
		set_text("region", "region5");
		set("serial", 1);
		set("trace_type", i);
		set("dpa", 0x1000);
		set("dpa_length", 0x40);
		set("source", 3);
		set("flags", 1);
		set_bytes("uuid", 0x80);
		decode();
		assert_string_equal(t.decoder.notice, "");
		assert_string_equal(t.record.mem.poison_trace_type, types[i]);
		assert_string_equal(t.record.mem.region, "region5");
		assert_int_equal(t.record.mem.region_uuid.data[0], 0x80);
		assert_int_equal(t.record.mem.dpa, 0x1000);
		assert_int_equal(t.record.mem.dpa_length, 0x40);
		assert_int_equal(t.record.mem.poison_source, 3);
		assert_int_equal(t.record.mem.poison_flags, 1);
		assert_int_equal(t.record.mem.hpa, i == 0 ? UINT64_MAX : 0);
		assert_int_equal(cxl_severity(t.decoder.event, &t.record.mem), severities[i]);
	}
}

static void overflow(void **state)
{
	load("cxl_overflow", "6.12");
	set_text("memdev", "mem1");
	set_text("host", "cxl_mem.0");
	set("log", 0);
	set("first_ts", 100);
	set("last_ts", 200);
	set("count", 17);
	decode();
	assert_int_equal(t.record.mem.overflow_count, 17);
	assert_int_equal(t.record.mem.overflow_first_timestamp, 100);
	assert_int_equal(t.record.mem.overflow_last_timestamp, 200);
	assert_int_equal(t.record.mem.log, 1);
	assert_int_equal(cxl_severity(t.decoder.event, &t.record.mem), SEVERITY(WARNING));
}

static void aer(void **state)
{
	Pathbell__V1__Subject subject;
	struct cxl_names names;

	load("cxl_aer_uncorrectable_error", "6.12");
	set_text("memdev", "mem0");
	set_text("host", "0000:0c:00.0");
	set("serial", 0xabc);
	set("status", 0x81);
	set("first_error", 1);
	set_bytes("header_log", 0);
	decode();
	assert_true(t.record.mem.uncorrectable);
	assert_int_equal(t.record.mem.aer_status, 0x81);
	assert_int_equal(t.record.mem.aer_first_error, 1);
	assert_int_equal(t.record.mem.aer_header_log.len, 64);
	assert_int_equal(cxl_severity(t.decoder.event, &t.record.mem), SEVERITY(ERROR));
	cxl_subject(t.decoder.event, &t.record, &names, &subject);
	assert_string_equal(subject.id, "serial:abc");
	assert_string_equal(subject.name, "mem0");
	assert_string_equal(subject.bus_address, "0000:0c:00.0");
	assert_int_equal(subject.type, PATHBELL__V1__SUBJECT_TYPE__SUBJECT_TYPE_CXL_MEMDEV);

	/* "device" is the port here, and a number in cxl_general_media. */
	load("cxl_port_aer_correctable_error", "7.2");
	set_text("device", "0000:0c:00.0");
	set_text("host", "pci0000:0c");
	set("status", 4);
	decode();
	assert_false(t.record.mem.uncorrectable);
	assert_string_equal(t.record.mem.memdev, "0000:0c:00.0");
	assert_int_equal(cxl_severity(t.decoder.event, &t.record.mem), SEVERITY(WARNING));
	cxl_subject(t.decoder.event, &t.record, &names, &subject);
	assert_string_equal(subject.id, "pci:0000:0c:00.0");

	load("cxl_aer_correctable_error", "future");
	set_text("device", "mem7");
	set_text("host", "0000:0d:00.0");
	decode();
	assert_string_equal(t.record.mem.memdev, "mem7");
	assert_string_equal(t.decoder.notice, "");
}

static void unknown_fields_are_kept(void **state)
{
	load("cxl_general_media", "future");
	head();
	set("tilt", (uint32_t)-5);
	set("physical", 4096);
	set_bytes("blob", 0xa1);
	set_text("region", "region9");
	set_text("vendor", "acme\x01");
	is_head(decode());
	assert_string_equal(t.record.mem.region, "region9");
	assert_string_equal(extra("tilt"), "-5");
	assert_string_equal(extra("physical"), "4096");
	assert_string_equal(extra("blob"), "a1a2a3a4");
	assert_string_equal(extra("vendor"), "acme?");
	assert_string_equal(t.decoder.notice,
			    "new tilt, new physical, new blob, new vendor, missing dpa");
}

static void known_layouts_are_no_news(void **state)
{
	static const char *const versions[] = { "6.12", "7.2" };
	char path[512];

	for (size_t i = 0; i < CXL_N_EVENTS * 2; i++) {
		const struct cxl_event *event = &cxl_events[i / 2];
		_cleanup_free_ char *text = NULL;
		size_t len;

		snprintf(path, sizeof(path), "%s/cxl/%s-%s.format", PATHBELL_TEST_DATA, event->name,
			 versions[i % 2]);
		if (file_read(path, 65536, &text, &len) < 0)
			continue;
		load(event->name, versions[i % 2]);
		assert_string_equal(t.decoder.notice, "");
	}
}

/* Each record cut at each byte: the rest is told, nothing is read outside. */
static void short_records_are_partial(void **state)
{
	size_t full;

	load("cxl_dram", "6.12");
	head();
	set_text("region_name", "region0");
	full = t.size;
	for (size_t size = 0; size < full; size++) {
		uint8_t *copy = malloc(size + 1);
		int r;

		memcpy(copy, t.data, size);
		r = cxl_decode(&t.decoder, copy, size, &t.record);
		if (size < 2) {
			assert_int_equal(r, -EBADMSG);
		} else {
			assert_int_equal(r, 0);
			assert_true(t.record.partial);
			assert_string_equal(extra("partial"), "true");
			assert_int_equal(t.record.has_serial, size >= 48);
		}
		free(copy);
	}
	assert_int_equal(cxl_decode(&t.decoder, t.data, full, &t.record), 0);
	assert_false(t.record.partial);
}

static void other_events_are_left_alone(void **state)
{
	load("cxl_dram", "6.12");
	t.data[0]++;
	assert_int_equal(cxl_decode(&t.decoder, t.data, t.size, &t.record), CXL_E_OTHER_EVENT);
}

static void without_a_serial_number(void **state)
{
	Pathbell__V1__Subject subject;
	struct cxl_names names;

	load("cxl_dram", "6.12");
	head();
	set("serial", UINT64_MAX);
	decode();
	cxl_subject(t.decoder.event, &t.record, &names, &subject);
	assert_string_equal(subject.id, "memdev:mem1");
	assert_string_equal(subject.serial, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(offsets_of_6_12),
		cmocka_unit_test(media_of_all_kernels),
		cmocka_unit_test(dram_of_7_2),
		cmocka_unit_test(memory_module),
		cmocka_unit_test(generic_and_sparing),
		cmocka_unit_test(poison),
		cmocka_unit_test(overflow),
		cmocka_unit_test(aer),
		cmocka_unit_test(unknown_fields_are_kept),
		cmocka_unit_test(known_layouts_are_no_news),
		cmocka_unit_test(short_records_are_partial),
		cmocka_unit_test(other_events_are_left_alone),
		cmocka_unit_test(without_a_serial_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
