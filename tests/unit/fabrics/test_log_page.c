/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "page.h"

static void test_header(void **state)
{
	uint8_t page[LOG_PAGE_UNIT];
	struct log_page_header header;

	page_put_header(page, 0x1122334455667788, 3);
	assert_int_equal(log_page_header(page, sizeof(page), &header), 0);
	assert_true(header.genctr == 0x1122334455667788 && header.numrec == 3);
	assert_int_equal(log_page_header(page, sizeof(page) - 1, &header), -EBADMSG);
	page[16] = 1;
	assert_int_equal(log_page_header(page, sizeof(page), &header), -EBADMSG);
}

static void test_entry(void **state)
{
	uint8_t page[LOG_PAGE_UNIT];
	struct log_page_entry entry;

	page_put_entry(page, 3, LOG_PAGE_NVM, "nqn.2026-01.lab:s1", "::ffff:10.0.0.1", "4420");
	page[3] = 2;
	page[4] = 7;
	page[10] = LOG_PAGE_DUPRETINFO | LOG_PAGE_EPCSD;
	page[768] = 2;
	assert_int_equal(log_page_entry(page, sizeof(page), &entry), 0);
	assert_string_equal(entry.tid.transport, "tcp");
	assert_string_equal(entry.tid.traddr, "10.0.0.1");
	assert_string_equal(entry.tid.trsvcid, "4420");
	assert_string_equal(entry.tid.nqn, "nqn.2026-01.lab:s1");
	assert_false(entry.tid.discovery);
	assert_int_equal(entry.portid, 7);
	assert_int_equal(entry.cntlid, 0xffff);
	assert_int_equal(entry.eflags, 3);
	assert_int_equal(entry.tls, 2);

	page_put_entry(page, 2, LOG_PAGE_REFERRAL, TID_WELL_KNOWN_DISCOVERY, "nn-0x1:pn-0x2", "");
	assert_int_equal(log_page_entry(page, sizeof(page), &entry), 0);
	assert_string_equal(entry.tid.transport, "fc");
	assert_string_equal(entry.tid.trsvcid, "");
	assert_true(entry.tid.discovery);
	assert_int_equal(entry.subtype, LOG_PAGE_REFERRAL);
}

/* nvmet writes "none" where a port has no service. */
static void test_loop_entry(void **state)
{
	uint8_t page[LOG_PAGE_UNIT];
	struct log_page_entry entry;

	page_put_entry(page, 254, LOG_PAGE_NVM, "nqn.a", "", "none");
	assert_int_equal(log_page_entry(page, sizeof(page), &entry), 0);
	assert_string_equal(entry.tid.transport, "loop");
	assert_string_equal(entry.tid.traddr, "");
	assert_string_equal(entry.tid.trsvcid, "");
}

static void test_what_cannot_be_connected(void **state)
{
	uint8_t page[LOG_PAGE_UNIT];
	struct log_page_entry entry;

	page_put_entry(page, 0, LOG_PAGE_NVM, "nqn.a", "0000:01:00.0", "");
	assert_int_equal(log_page_entry(page, sizeof(page), &entry), LOG_PAGE_E_SKIP);
	page_put_entry(page, 3, 4, "nqn.a", "10.0.0.1", "4420");
	assert_int_equal(log_page_entry(page, sizeof(page), &entry), LOG_PAGE_E_SKIP);
	page_put_entry(page, 3, LOG_PAGE_NVM, "iqn.a", "10.0.0.1", "4420");
	assert_int_equal(log_page_entry(page, sizeof(page), &entry), -EBADMSG);
	page_put_entry(page, 3, LOG_PAGE_NVM, "nqn.a", "10.0.0.1,x=y", "4420");
	assert_int_equal(log_page_entry(page, sizeof(page), &entry), -EBADMSG);
	page_put_entry(page, 3, LOG_PAGE_NVM, "nqn.a", "10.0.0.1", "4420");
	memset(page + 256, 'n', 256); /* an NQN without an end */
	memcpy(page + 256, "nqn.", 4);
	assert_int_equal(log_page_entry(page, sizeof(page), &entry), -EBADMSG);
	assert_int_equal(log_page_entry(page, sizeof(page) - 1, &entry), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_entry),
		cmocka_unit_test(test_loop_entry),
		cmocka_unit_test(test_what_cannot_be_connected),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
