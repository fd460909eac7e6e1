/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "fabrics/tid.h"

static struct tid parse(const char *text)
{
	struct tid tid;
	struct errmsg err = { 0 };

	if (tid_parse(text, &tid, &err) != 0)
		fail_msg("%s: %s", text, err.text);
	tid_normalise(&tid);
	return tid;
}

static void test_parse_and_format(void **state)
{
	struct tid tid = parse("transport=TCP,traddr=192.168.1.5;trsvcid=4420 "
			       "host-iface=eth0\tnqn=nqn.2014-08.com.example:a");
	char text[TID_TEXT];

	assert_string_equal(tid.transport, "tcp");
	assert_string_equal(tid.host_iface, "eth0");
	assert_string_equal(tid.nqn, "nqn.2014-08.com.example:a");
	tid_format(&tid, text, sizeof(text));
	assert_string_equal(text, "transport=tcp traddr=192.168.1.5 trsvcid=4420 host_iface=eth0");
	/* always terminated, however small */
	tid_format(&tid, text, 12);
	assert_string_equal(text, "transport=t");
	text[0] = 'x';
	tid_format(&tid, text, 0);
	assert_int_equal(text[0], 'x');
}

static void test_parse_says_what_is_wrong(void **state)
{
	static const struct {
		const char *text, *message;
	} rows[] = {
		{ "tcp", "\"tcp\" is not KEY=VALUE" },
		{ "trans=tcp", "\"trans\" is not one of transport, traddr, trsvcid, host_traddr, "
			       "host_iface, nqn, hostnqn" },
		{ "trsvcid=0123456789012345678901234567890123", "trsvcid is longer than 32 bytes" },
		{ "traddr=\x1b[2J",
		  "traddr has a character that it may not have (limit 255 bytes)" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tid tid = { .transport = "untouched" };
		struct errmsg err = { 0 };

		assert_int_equal(tid_parse(rows[i].text, &tid, &err), -EINVAL);
		assert_string_equal(err.text, rows[i].message);
		assert_string_equal(tid.transport, "untouched");
	}
}

/* As the kernel writes uevents (none, (null)) and the attribute `address`. */
static void test_kernel_spellings(void **state)
{
	struct tid tid = { 0 };

	assert_int_equal(tid_set(&tid, "NVME_TRTYPE", "tcp"), 0);
	assert_int_equal(tid_set(&tid, "NVME_TRADDR", "(null)"), 0);
	assert_int_equal(tid_set(&tid, "NVME_HOST_IFACE", "none"), 0);
	assert_int_equal(tid_set(&tid, "NVME_AEN", "0x70f002"), TID_E_KEY);
	assert_string_equal(tid.transport, "tcp");
	assert_string_equal(tid.traddr, "");
	assert_string_equal(tid.host_iface, "");
	tid_take_address("traddr=127.0.0.1,trsvcid=4420,src_addr=127.0.0.1,later=x", &tid);
	assert_string_equal(tid.traddr, "127.0.0.1");
	assert_string_equal(tid.source_addr, "127.0.0.1");
}

static void test_normalise(void **state)
{
	assert_string_equal(parse("transport=tcp traddr=::ffff:10.0.0.1").traddr, "10.0.0.1");
	assert_string_equal(parse("transport=tcp traddr=FE80:0:0::0001").traddr, "fe80::1");
	assert_string_equal(parse("transport=tcp traddr=array.example").traddr, "array.example");
	assert_string_equal(parse("transport=tcp traddr=a").trsvcid, "4420");
	assert_string_equal(parse("transport=tcp traddr=a nqn=" TID_WELL_KNOWN_DISCOVERY).trsvcid,
			    "8009");
	assert_string_equal(parse("transport=rdma traddr=a nqn=" TID_WELL_KNOWN_DISCOVERY).trsvcid,
			    "4420");
	assert_string_equal(parse("transport=fc traddr=nn-0x10AA:pn-0x20BB trsvcid=4420").trsvcid,
			    "");
	assert_string_equal(parse("transport=fc traddr=nn-0x10AA:pn-0x20BB").traddr,
			    "nn-0x10aa:pn-0x20bb");
	assert_string_equal(parse("transport=loop trsvcid=1").trsvcid, "");
}

static void test_check(void **state)
{
	static const struct {
		const char *text, *message;
	} rows[] = {
		{ "", "no transport is given" },
		{ "transport=pcie traddr=x nqn=nqn.a",
		  "transport \"pcie\" is not tcp, rdma, fc or loop" },
		{ "transport=tcp nqn=nqn.a", "no traddr is given" },
		{ "transport=tcp traddr=a", "no nqn is given" },
		{ "transport=tcp traddr=a nqn=a", "\"a\" is not an NQN" },
		{ "transport=fc traddr=a nqn=nqn.a", "fc needs a host_traddr" },
		{ "transport=loop nqn=nqn.a", NULL },
		{ "transport=tcp traddr=a nqn=nqn.a", NULL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tid tid = parse(rows[i].text);
		struct errmsg err = { 0 };

		assert_int_equal(tid_check(&tid, &err), rows[i].message ? -EINVAL : 0);
		if (rows[i].message)
			assert_string_equal(err.text, rows[i].message);
	}
}

#define A "transport=tcp traddr=10.0.0.1 trsvcid=4420 nqn=nqn.a "

/* Every row of the table in tid.h. */
static void test_matches(void **state)
{
	static const struct {
		const char *wanted, *existing;
		bool discovery, answer;
		const char *source_iface;
	} rows[] = {
		{ A, A, false, true, NULL },
		{ A, "transport=rdma traddr=10.0.0.1 trsvcid=4420 nqn=nqn.a", false, false, NULL },
		{ A, "transport=tcp traddr=10.0.0.2 trsvcid=4420 nqn=nqn.a", false, false, NULL },
		{ A, "transport=tcp traddr=10.0.0.1 trsvcid=4421 nqn=nqn.a", false, false, NULL },
		{ A, "transport=tcp traddr=10.0.0.1 trsvcid=4420 nqn=nqn.b", false, false, NULL },
		{ "transport=tcp traddr=a nqn=" TID_WELL_KNOWN_DISCOVERY,
		  "transport=tcp traddr=a trsvcid=8009 nqn=nqn.unique", true, true, NULL },
		{ "transport=tcp traddr=a nqn=" TID_WELL_KNOWN_DISCOVERY,
		  "transport=tcp traddr=a trsvcid=8009 nqn=nqn.unique", false, false, NULL },
		{ A, A "hostnqn=nqn.h", false, true, NULL },
		{ A "hostnqn=nqn.h", A "hostnqn=nqn.h", false, true, NULL },
		{ A "hostnqn=nqn.h", A "hostnqn=nqn.i", false, false, NULL },
		{ A, A "host_traddr=10.0.0.9 host_iface=eth9", false, true, NULL },
		{ A "host_traddr=10.0.0.9", A "host_traddr=10.0.0.9", false, true, NULL },
		{ A "host_traddr=10.0.0.9", A "host_traddr=10.0.0.8 src_addr=10.0.0.9", false,
		  false, NULL },
		{ A "host_traddr=10.0.0.9", A "src_addr=10.0.0.9", false, true, NULL },
		{ A "host_traddr=10.0.0.9", A "src_addr=10.0.0.8", false, false, NULL },
		{ A "host_traddr=10.0.0.9", A, false, false, NULL },
		{ A "host_iface=eth0", A "host_iface=eth0", false, true, NULL },
		{ A "host_iface=eth0", A "host_iface=eth1", false, false, "eth0" },
		{ A "host_iface=eth0", A, false, true, "eth0" },
		{ A "host_iface=eth0", A, false, false, "eth1" },
		{ A "host_iface=eth0", A, false, false, NULL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tid wanted = parse(rows[i].wanted), existing = parse(rows[i].existing);

		existing.discovery = rows[i].discovery;
		if (rows[i].source_iface)
			strcpy(existing.source_iface, rows[i].source_iface);
		if (tid_matches(&wanted, &existing) != rows[i].answer)
			fail_msg("row %zu: %s ~ %s", i, rows[i].wanted, rows[i].existing);
	}
}

static void test_is_same(void **state)
{
	struct tid a = parse(A "host_iface=eth0"), b = a;

	strcpy(b.source_addr, "10.0.0.7"); /* tells where it is, not what it is */
	assert_true(tid_is_same(&a, &b));
	strcpy(b.host_iface, "eth1");
	assert_false(tid_is_same(&a, &b));
}

static void test_source_iface(void **state)
{
	struct tid tid = { .source_addr = "127.0.0.1" };

	tid_fill_source_iface(&tid);
	assert_string_equal(tid.source_iface, "lo");
	strcpy(tid.source_addr, "192.0.2.1"); /* RFC 5737: nobody has it */
	tid_fill_source_iface(&tid);
	assert_string_equal(tid.source_iface, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_and_format),
		cmocka_unit_test(test_parse_says_what_is_wrong),
		cmocka_unit_test(test_kernel_spellings),
		cmocka_unit_test(test_normalise),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_matches),
		cmocka_unit_test(test_is_same),
		cmocka_unit_test(test_source_iface),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
