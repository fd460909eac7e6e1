/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "handlers/target_ports.h"

/* Page 83h: a T10 vendor id, NAA, relative target port, target port group 0x0101. */
static const uint8_t page[] = {
	0,    0x83, 0, 36,					       /* header */
	2,    0x01, 0, 8,  'V',	 'E',  'N',  'D',  'O', 'R', ' ', ' ', /* T10 */
	1,    0x03, 0, 4,  0x50, 0x05, 0x07, 0x68,		       /* NAA, cut short */
	0x61, 0x94, 0, 4,  0,	 0,    0,    5,			       /* relative target port */
	0x61, 0x95, 0, 4,  0,	 0,    0x01, 0x01,		       /* target port group */
};
/* Two groups: 0x0100 optimized and preferred with two ports, 0x0101 in standby with one. */
static const uint8_t report[] = {
	0,    0,    0,	  28,					       /* length */
	0x80, 0xaf, 0x01, 0x00, 0, 0x02, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, /* first */
	0x02, 0xaf, 0x01, 0x01, 0, 0x02, 0, 1, 0, 0, 0, 3,	       /* second */
};

static void reads_the_inquiry(void **state)
{
	uint8_t data[96] = { [5] = 0x30 };
	struct target_ports ports = { 0 };

	assert_int_equal(target_ports_read_inquiry(&ports, data, sizeof(data)), 0);
	assert_int_equal(ports.modes, TARGET_PORTS_IMPLICIT | TARGET_PORTS_EXPLICIT);
	data[5] = 0xdf; /* SCCS, ACC and others around it */
	assert_int_equal(target_ports_read_inquiry(&ports, data, sizeof(data)), 0);
	assert_int_equal(ports.modes, TARGET_PORTS_IMPLICIT);
	assert_int_equal(target_ports_read_inquiry(&ports, data, 5), -EBADMSG);
}

static void reads_the_group(void **state)
{
	struct target_ports ports = { 0 };
	uint8_t other[sizeof(page)];

	assert_int_equal(target_ports_read_page(&ports, page, sizeof(page)), 0);
	assert_int_equal(ports.group, 0x0101);
	memcpy(other, page, sizeof(page));
	other[1] = 0x80;
	assert_int_equal(target_ports_read_page(&ports, other, sizeof(other)), -EBADMSG);
	/* the header says that it ends before the group */
	other[1] = 0x83;
	other[3] = 28;
	assert_int_equal(target_ports_read_page(&ports, other, sizeof(other)), -ENOENT);
	/* a group of another length is none */
	other[3] = 36;
	other[sizeof(other) - 5] = 3;
	assert_int_equal(target_ports_read_page(&ports, other, sizeof(other)), -ENOENT);
}

static void reads_the_state(void **state)
{
	struct target_ports ports = { .group = 0x0101 };

	assert_int_equal(target_ports_read_report(&ports, report, sizeof(report)), 0);
	assert_int_equal(ports.state, TARGET_PORTS_STANDBY);
	assert_false(ports.preferred);
	ports.group = 0x0100;
	assert_int_equal(target_ports_read_report(&ports, report, sizeof(report)), 0);
	assert_int_equal(ports.state, TARGET_PORTS_OPTIMIZED);
	assert_true(ports.preferred);
	ports.group = 7;
	assert_int_equal(target_ports_read_report(&ports, report, sizeof(report)), -ENOENT);
}

/* Whatever the answers say of their length, nothing behind their end is read (ASan watches), and
 * what was cut off is not made up. */
static void reads_no_further_than_the_end(void **state)
{
	for (size_t n = 0; n < sizeof(report); n++) {
		struct target_ports ports = { .group = 0x0101, .state = 99 };
		uint8_t *cut = malloc(n ? n : 1);

		assert_non_null(cut);
		memcpy(cut, report, n);
		if (target_ports_read_report(&ports, cut, n) == 0)
			assert_true(n >= 28);
		else
			assert_int_equal(ports.state, 99);
		free(cut);
	}
	for (size_t n = 0; n < sizeof(page); n++) {
		struct target_ports ports = { 0 };
		uint8_t *cut = malloc(n ? n : 1);

		assert_non_null(cut);
		memcpy(cut, page, n);
		assert_int_not_equal(target_ports_read_page(&ports, cut, n), 0);
		free(cut);
	}
}

/* The table of alua_stpg: modes, state, preferred, optimize, and what follows. */
static void decides_as_the_kernel(void **state)
{
	static const struct {
		unsigned modes, state;
		bool preferred, optimize;
		enum target_ports_step next;
	} rows[] = {
		{ 1, TARGET_PORTS_OPTIMIZED, false, false, TARGET_PORTS_READY },
		{ 3, TARGET_PORTS_OPTIMIZED, true, true, TARGET_PORTS_READY },
		{ 1, TARGET_PORTS_NON_OPTIMIZED, false, false, TARGET_PORTS_READY },
		{ 1, TARGET_PORTS_STANDBY, false, false, TARGET_PORTS_WAIT },
		{ 1, TARGET_PORTS_UNAVAILABLE, false, false, TARGET_PORTS_WAIT },
		{ 2, TARGET_PORTS_NON_OPTIMIZED, false, false, TARGET_PORTS_SET },
		{ 2, TARGET_PORTS_NON_OPTIMIZED, false, true, TARGET_PORTS_SET },
		{ 3, TARGET_PORTS_NON_OPTIMIZED, false, false, TARGET_PORTS_SET },
		{ 3, TARGET_PORTS_NON_OPTIMIZED, false, true, TARGET_PORTS_READY },
		{ 3, TARGET_PORTS_NON_OPTIMIZED, true, true, TARGET_PORTS_SET },
		{ 2, TARGET_PORTS_STANDBY, false, false, TARGET_PORTS_SET },
		{ 3, TARGET_PORTS_UNAVAILABLE, false, true, TARGET_PORTS_SET },
		{ 2, TARGET_PORTS_TRANSITIONING, false, false, TARGET_PORTS_WAIT },
		{ 1, TARGET_PORTS_TRANSITIONING, false, false, TARGET_PORTS_WAIT },
		{ 3, TARGET_PORTS_OFFLINE, false, false, TARGET_PORTS_FAIL },
		{ 3, TARGET_PORTS_LBA_DEPENDENT, false, false, TARGET_PORTS_FAIL },
		{ 3, 9, false, false, TARGET_PORTS_FAIL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct target_ports ports = { .modes = rows[i].modes,
						    .state = rows[i].state,
						    .preferred = rows[i].preferred };

		assert_int_equal(target_ports_next(&ports, rows[i].optimize), rows[i].next);
	}
}

static void names_states(void **state)
{
	assert_string_equal(target_ports_state_name(TARGET_PORTS_STANDBY), "standby");
	assert_string_equal(target_ports_state_name(9), "in an unknown state");
}

static void puts_the_parameter_list(void **state)
{
	static const uint8_t expected[] = { 0, 0, 0, 0, 0, 0, 0x01, 0x02 };
	const struct target_ports ports = { .group = 0x0102, .state = TARGET_PORTS_STANDBY };
	uint8_t data[TARGET_PORTS_SET_SIZE];

	memset(data, 0xff, sizeof(data));
	target_ports_put_set(&ports, data);
	assert_memory_equal(data, expected, sizeof(expected));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_the_inquiry),
		cmocka_unit_test(reads_the_group),
		cmocka_unit_test(reads_the_state),
		cmocka_unit_test(reads_no_further_than_the_end),
		cmocka_unit_test(decides_as_the_kernel),
		cmocka_unit_test(names_states),
		cmocka_unit_test(puts_the_parameter_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
