/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "fabrics/conf.h"

static char told[16][800];
static size_t n_told;

static void tell(void *data, const struct errmsg *err)
{
	assert_true(n_told < 16);
	errmsg_format(err, told[n_told++], sizeof(told[0]));
}

typedef int (*parser)(struct conf *conf, const char *name, const char *text, size_t size);

static struct conf parse(parser how, const char *text)
{
	struct conf conf = { .tell = tell };

	n_told = 0;
	assert_int_equal(how(&conf, "f", text, strlen(text)), 0);
	assert_int_equal(conf.n_bad, n_told);
	return conf;
}

static void expect(const struct conf *conf, size_t index, const char *address, const char *nqn,
		   bool is_discovery)
{
	char text[TID_TEXT];

	assert_true(index < conf->n);
	tid_format(&conf->items[index].tid, text, sizeof(text));
	assert_string_equal(text, address);
	assert_string_equal(conf->items[index].tid.nqn, nqn);
	assert_int_equal(conf->items[index].is_discovery, is_discovery);
}

static void test_discovery_conf(void **state)
{
	struct conf conf = parse(conf_parse_discovery,
				 "# x\n--transport=tcp --traddr=10.0.0.1 --trsvcid=8009 -p\n"
				 "-t tcp -a10.0.0.2 -f eth0 -l -1 --hdr-digest  -q nqn.h\n"
				 "-t fc -a nn-0x1:pn-0x2 -w nn-0x3:pn-0x4\n");

	assert_int_equal(n_told, 0);
	assert_int_equal(conf.n, 3);
	expect(&conf, 0, "transport=tcp traddr=10.0.0.1 trsvcid=8009", TID_WELL_KNOWN_DISCOVERY,
	       true);
	assert_true(conf.items[0].options.persistent);
	expect(&conf, 1, "transport=tcp traddr=10.0.0.2 trsvcid=8009 host_iface=eth0",
	       TID_WELL_KNOWN_DISCOVERY, true);
	assert_int_equal(conf.items[1].options.ctrl_loss_tmo, -1);
	assert_true(conf.items[1].options.hdr_digest);
	assert_string_equal(conf.items[1].tid.host_nqn, "nqn.h");
	expect(&conf, 2, "transport=fc traddr=nn-0x1:pn-0x2 host_traddr=nn-0x3:pn-0x4",
	       TID_WELL_KNOWN_DISCOVERY, true);
	conf_deinit(&conf);
}

static void test_discovery_conf_bad(void **state)
{
	struct conf conf = parse(conf_parse_discovery,
				 "-t tcp -a\n-t tcp\n-z x\nword\n--queue-size=9 -t tcp -a x\n"
				 "-t tcp -a good\n--dhchap-secret=a,b -t tcp -a x\n");

	assert_int_equal(conf.n, 1);
	assert_int_equal(n_told, 6);
	assert_string_equal(told[0], "f:1: \"traddr\" has no value");
	assert_string_equal(told[1], "f:2: no traddr is given");
	assert_string_equal(told[2], "f:3: \"-z\" is not an option");
	assert_string_equal(told[3], "f:4: \"word\" is not an option");
	assert_string_equal(told[4],
			    "f:5: the value of \"queue-size\" is not one that it may have");
	assert_null(strstr(told[5], "a,b")); /* a secret */
	conf_deinit(&conf);
}

static void test_json(void **state)
{
	struct conf conf = parse(
		conf_parse_json,
		"[\n\t{\"hostnqn\":\"nqn.h\",\"hostid\":\"id-1\",\"dhchap_key\":\"DHHC-1:00:x:\",\n"
		"  \"subsystems\":[{\"nqn\":\"nqn.2026-01.a\\/b\",\"ports\":[\n"
		"   {\"transport\":\"tcp\",\"traddr\":\"10.0.0.1\",\"trsvcid\":\"4420\","
		"\"ctrl_loss_tmo\":-1,\"host_iface\":null,\"persistent\":true},\n"
		"   {\"transport\":\"pcie\",\"traddr\":\"0000:01:00.0\"},\n"
		"   {\"transport\":\"tcp\",\"traddr\":\"fe80::1\",\"discovery\":true} ]},\n"
		"  {\"nqn\":\"" TID_WELL_KNOWN_DISCOVERY "\",\"ports\":[{\"transport\":\"tcp\","
		"\"traddr\":\"10.0.0.9\"}]}]}]\n");

	assert_int_equal(n_told, 0);
	assert_int_equal(conf.n, 3);
	expect(&conf, 0, "transport=tcp traddr=10.0.0.1 trsvcid=4420", "nqn.2026-01.a/b", false);
	assert_int_equal(conf.items[0].options.ctrl_loss_tmo, -1);
	assert_string_equal(conf.items[0].options.host_id, "id-1");
	assert_string_equal(conf.items[0].options.dhchap_secret, "DHHC-1:00:x:");
	assert_string_equal(conf.items[0].tid.host_nqn, "nqn.h");
	expect(&conf, 1, "transport=tcp traddr=fe80::1 trsvcid=4420", "nqn.2026-01.a/b", true);
	expect(&conf, 2, "transport=tcp traddr=10.0.0.9 trsvcid=8009", TID_WELL_KNOWN_DISCOVERY,
	       true);
	conf_deinit(&conf);

	conf = parse(conf_parse_json, "{\"hosts\":[{\"subsystems\":[{\"nqn\":\"nqn.a\",\"ports\":"
				      "[{\"transport\":\"loop\"}]}]}]}");
	assert_int_equal(conf.n, 1);
	conf_deinit(&conf);
}

static void test_json_bad(void **state)
{
	static const struct {
		const char *text;
		size_t n;
		const char *message;
	} rows[] = {
		{ "[{\"subsystems\":{}}]", 0, "f:1: \"subsystems\" is not a list" },
		{ "[\n1]", 0, "f:2: an object is expected here" },
		{ "[{\"subsystems\":[{\"nqn\":\"nqn.a\",\"ports\":[{\"transport\":\"tcp\",\n"
		  "\"trdddr\":\"x\"},{\"transport\":\"tcp\",\"traddr\":\"ok\"}]}]}]",
		  1, "f:2: the option \"trdddr\" is not known" },
		{ "[{\"subsystems\":[{\"nqn\":\"iqn.a\",\"ports\":[{\"transport\":\"tcp\","
		  "\"traddr\":\"x\"}]}]}]",
		  0, "f:1: \"iqn.a\" is not an NQN" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct conf conf = parse(conf_parse_json, rows[i].text);

		assert_int_equal(conf.n, rows[i].n);
		assert_int_equal(n_told, 1);
		assert_string_equal(told[0], rows[i].message);
		conf_deinit(&conf);
	}
	/* not JSON at all, deeper than anybody's file, empty */
	for (size_t i = 0; i < 3; i++) {
		static const char *const texts[] = { "[{\"a\":", "[[[[[[[[[[[[[[[[[[[[[[[[]]]]",
						     "" };
		struct conf conf = parse(conf_parse_json, texts[i]);

		assert_int_equal(conf.n, 0);
		assert_int_equal(n_told, 1);
		conf_deinit(&conf);
	}
}

static void test_fabrics_conf(void **state)
{
	struct conf conf =
		parse(conf_parse_fabrics,
		      "[Host]\nhostnqn = nqn.h\nhostid = id\n"
		      "[Discovery Controller Defaults]\nkeep-alive-tmo = 30\npersistent = true\n"
		      "[I/O Controller Defaults]\nctrl-loss-tmo = 600\n"
		      "[Discovery Controller]\n"
		      "controller = transport=tcp;traddr=10.0.0.1\n"
		      "[Subsystem]\nnqn = nqn.a\n"
		      "controller = transport=tcp; traddr=10.0.0.2; ctrl-loss-tmo=5\n"
		      "controller = transport=tcp;traddr=10.0.0.3;hostnqn=nqn.i\n");

	assert_int_equal(n_told, 0);
	assert_int_equal(conf.n, 3);
	expect(&conf, 0, "transport=tcp traddr=10.0.0.1 trsvcid=8009", TID_WELL_KNOWN_DISCOVERY,
	       true);
	assert_int_equal(conf.items[0].options.keep_alive_tmo, 30);
	assert_true(conf.items[0].options.persistent);
	assert_string_equal(conf.items[0].tid.host_nqn, "nqn.h");
	expect(&conf, 1, "transport=tcp traddr=10.0.0.2 trsvcid=4420", "nqn.a", false);
	assert_int_equal(conf.items[1].options.ctrl_loss_tmo, 5);
	assert_int_equal(conf.items[2].options.ctrl_loss_tmo, 600);
	assert_string_equal(conf.items[2].tid.host_nqn, "nqn.i");
	assert_string_equal(conf.items[2].options.host_id, "id");
	conf_deinit(&conf);
}

static void test_fabrics_conf_bad(void **state)
{
	struct conf conf =
		parse(conf_parse_fabrics,
		      "early = 1\n[Unknown]\nanything = goes\n[Subsystem]\ncolour = red\n"
		      "controller = transport=tcp;traddr=x\nno equals\n"
		      "nqn = nqn.a\ncontroller = transport=tcp;traddr=ok\n");

	assert_int_equal(conf.n, 1);
	assert_int_equal(n_told, 5);
	assert_string_equal(told[0], "f:1: it stands before the first section");
	assert_string_equal(told[1], "f:2: the section \"Unknown\" is not known");
	assert_string_equal(told[2], "f:5: \"colour\" is not expected in [Subsystem]");
	assert_string_equal(told[3], "f:6: no nqn is given");
	assert_string_equal(told[4], "f:7: it is not KEY = VALUE");
	conf_deinit(&conf);
}

static void put(const char *dir, const char *name, const char *text)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(file_replace(path, text, strlen(text), 0644), 0);
}

static void test_folder(void **state)
{
	char dir[] = "/tmp/pathbell-conf.XXXXXX", path[128];
	struct conf conf = { .tell = tell };

	n_told = 0;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(conf_read(&conf, dir), 0);
	assert_int_equal(conf.n, 0);
	put(dir, "hostnqn", "nqn.2014-08.org.nvmexpress:uuid:1\n");
	put(dir, "hostid", "1-2-3\n");
	put(dir, "discovery.conf", "-t tcp -a 10.0.0.1\n");
	put(dir, "config.json",
	    "[{\"subsystems\":[{\"nqn\":\"nqn.a\",\"ports\":[{\"transport\":"
	    "\"tcp\",\"traddr\":\"10.0.0.2\"}]}]}]");
	put(dir, "nvme-fabrics.conf", "[Host]\nhostid = other\n");
	snprintf(path, sizeof(path), "%s/nvme-fabrics.conf.d", dir);
	assert_int_equal(file_mkdirs(path, 0755), 0);
	put(path, "a.conf", "[Discovery Controller]\ncontroller = transport=tcp;traddr=10.0.0.3\n");
	assert_int_equal(conf_read(&conf, dir), 0);
	assert_int_equal(n_told, 0);
	assert_int_equal(conf.n, 3);
	assert_string_equal(conf.host_nqn, "nqn.2014-08.org.nvmexpress:uuid:1");
	assert_string_equal(conf.host_id, "1-2-3");
	assert_string_equal(conf_source_name(conf.items[1].source), "config.json");
	assert_string_equal(conf.items[2].options.host_id, "other");
	conf_deinit(&conf);
	snprintf(path, sizeof(path), "rm -rf %s", dir);
	assert_int_equal(system(path), 0);
}

static void test_limit(void **state)
{
	struct conf conf = { 0 };
	char *text = malloc(64 * (CONF_MAX + 8)), *at = text;

	for (unsigned i = 0; i < CONF_MAX + 2; i++)
		at += sprintf(at, "-t tcp -a 10.0.%u.%u\n", i / 256, i % 256);
	assert_int_equal(conf_parse_discovery(&conf, "f", text, (size_t)(at - text)), 0);
	assert_int_equal(conf.n, CONF_MAX);
	assert_int_equal(conf.n_bad, 2);
	conf_deinit(&conf);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_discovery_conf), cmocka_unit_test(test_discovery_conf_bad),
		cmocka_unit_test(test_json),	       cmocka_unit_test(test_json_bad),
		cmocka_unit_test(test_fabrics_conf),   cmocka_unit_test(test_fabrics_conf_bad),
		cmocka_unit_test(test_folder),	       cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
