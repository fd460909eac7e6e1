/* SPDX-License-Identifier: Apache-2.0 */
/* The datagrams are made by hand after the uapi headers: no virtual fabric sends FPINs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collectors/scsi/fpin.h"
#include "core/file.h"

#define SEVERITY(x) PATHBELL__V1__SEVERITY__SEVERITY_##x

static char *load(const char *name, size_t *ret_size)
{
	char path[512], *data = NULL;

	snprintf(path, sizeof(path), "%s/scsi/%s", PATHBELL_TEST_DATA, name);
	assert_int_equal(file_read(path, 65536, &data, ret_size), 0);
	return data;
}

static void tells_every_kind(void **state)
{
	_cleanup_free_ char *data = NULL;
	struct fpin_reader reader;
	struct fpin fpin;
	size_t size;

	data = load("fpin-all.bin", &size);
	fpin_open(&reader, data, size);

	assert_int_equal(fpin_next(&reader, &fpin), 0);
	assert_string_equal(fpin.fpin.descriptor, "link_integrity");
	assert_int_equal(fpin.host, 7);
	assert_int_equal(fpin.event_num, 42);
	assert_int_equal(fpin.fpin.detecting_port_name, 0x2001000533000001);
	assert_int_equal(fpin.fpin.attached_port_name, 0x500a098100000001);
	assert_int_equal(fpin.fpin.event_type, 4);
	assert_int_equal(fpin.fpin.event_modifier, 2);
	assert_int_equal(fpin.fpin.event_threshold_ms, 600);
	assert_int_equal(fpin.fpin.event_count, 30);
	assert_int_equal(fpin.fpin.n_port_names, 2);
	assert_int_equal(fpin.fpin.port_names[1], 0x500a098100000002);
	assert_int_equal(fpin_severity(&fpin.fpin), SEVERITY(WARNING));

	assert_int_equal(fpin_next(&reader, &fpin), 0);
	assert_string_equal(fpin.fpin.descriptor, "delivery");
	assert_int_equal(fpin.fpin.attached_port_name, 2);
	assert_int_equal(fpin.fpin.reason_code, 3);
	assert_int_equal(fpin.fpin.n_port_names, 0);

	assert_int_equal(fpin_next(&reader, &fpin), 0);
	assert_string_equal(fpin.fpin.descriptor, "peer_congestion");
	assert_int_equal(fpin.fpin.event_type, 2);
	assert_int_equal(fpin.fpin.event_period_ms, 5000);
	assert_int_equal(fpin.fpin.port_names[0], 0x33);

	assert_int_equal(fpin_next(&reader, &fpin), 0);
	assert_string_equal(fpin.fpin.descriptor, "congestion");
	assert_int_equal(fpin.fpin.event_period_ms, 250);
	assert_int_equal(fpin.fpin.severity, 0xf7);
	assert_int_equal(fpin_severity(&fpin.fpin), SEVERITY(ERROR));
	fpin.fpin.event_type = 0;
	assert_int_equal(fpin_severity(&fpin.fpin), SEVERITY(NOTICE));

	assert_int_equal(fpin_next(&reader, &fpin), 0);
	assert_string_equal(fpin.fpin.descriptor, "unknown");
	assert_int_equal(fpin.raw_size, 8 + 9);
	assert_memory_equal(fpin.raw + 8, "new stuff", 9);
	assert_int_equal(fpin_next(&reader, &fpin), FPIN_E_END);
	assert_int_equal(reader.malformed, 0);
}

static void tells_every_message(void **state)
{
	_cleanup_free_ char *data = NULL;
	struct fpin_reader reader;
	struct fpin fpin;
	size_t size;

	data = load("fpin-two.bin", &size);
	fpin_open(&reader, data, size);
	assert_int_equal(fpin_next(&reader, &fpin), 0);
	assert_int_equal(fpin.host, 7);
	/* a link-up stands between them */
	assert_int_equal(fpin_next(&reader, &fpin), 0);
	assert_int_equal(fpin.host, 8);
	assert_int_equal(fpin.event_num, 43);
	assert_int_equal(fpin_next(&reader, &fpin), FPIN_E_END);
	assert_int_equal(reader.malformed, 0);
}

static void ports_are_bounded(void **state)
{
	_cleanup_free_ char *data = NULL;
	struct fpin_reader reader;
	struct fpin fpin;
	size_t size;

	data = load("fpin-many-ports.bin", &size);
	fpin_open(&reader, data, size);
	assert_int_equal(fpin_next(&reader, &fpin), 0);
	assert_int_equal(fpin.n_ports, 100);
	assert_int_equal(fpin.fpin.n_port_names, FPIN_MAX_PORTS);
	assert_int_equal(fpin.fpin.port_names[63], 63);
}

/* Cut anywhere: what is whole is told, and that something is not is counted. */
static void survives_every_cut(void **state)
{
	_cleanup_free_ char *data = NULL;
	size_t whole;

	data = load("fpin-all.bin", &whole);
	for (size_t size = 0; size < whole; size++) {
		uint32_t len = (uint32_t)size;
		char *copy = malloc(size + 1);
		struct fpin_reader reader;
		struct fpin fpin;
		int n = 0;

		memcpy(copy, data, size);
		if (size >= 4) /* the header agrees with the cut */
			memcpy(copy, &len, sizeof(len));
		fpin_open(&reader, copy, size);
		while (fpin_next(&reader, &fpin) == 0)
			n++;
		assert_true(n <= 5);
		if (n < 5 && size > 0)
			assert_true(reader.malformed > 0);
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_every_kind),
		cmocka_unit_test(tells_every_message),
		cmocka_unit_test(ports_are_bounded),
		cmocka_unit_test(survives_every_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
