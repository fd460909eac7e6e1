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
#include "fabrics/exclusions.h"

static char told[8][800];
static size_t n_told;

static void tell(void *data, const struct errmsg *err)
{
	assert_true(n_told < 8);
	errmsg_format(err, told[n_told++], sizeof(told[0]));
}

static struct exclusions parse(const char *text)
{
	struct exclusions exclusions = { 0 };

	n_told = 0;
	assert_int_equal(exclusions_parse(&exclusions, "x.conf", text, strlen(text), tell, NULL),
			 0);
	assert_int_equal(exclusions.n_bad, n_told);
	return exclusions;
}

static unsigned find(const char *text, const char *address)
{
	struct exclusions exclusions = parse(text);
	const struct exclusion *found;
	struct tid tid;
	unsigned line;

	assert_int_equal(tid_parse(address, &tid, NULL), 0);
	tid_normalise(&tid);
	found = exclusions_find(&exclusions, &tid);
	line = found ? found->line : 0;
	exclusions_deinit(&exclusions);
	return line;
}

#define FILE_TEXT                                            \
	"# comment\n[Exclusions]\n"                          \
	"exclusion = transport=tcp;traddr=::ffff:10.0.0.1\n" \
	"exclusion=nqn=nqn.boot\n"                           \
	"  exclusion = host-iface=eth7 ; transport=tcp\n"    \
	"exclusion = transport=fc;traddr=NN-0xAA:PN-0xBB\n"

static void test_matches(void **state)
{
	assert_int_equal(find(FILE_TEXT, "transport=tcp traddr=10.0.0.1 nqn=nqn.a"), 3);
	assert_int_equal(find(FILE_TEXT, "transport=tcp traddr=10.0.0.1 trsvcid=9 nqn=nqn.a"), 3);
	assert_int_equal(find(FILE_TEXT, "transport=rdma traddr=10.0.0.1 nqn=nqn.a"), 0);
	assert_int_equal(find(FILE_TEXT, "transport=rdma traddr=10.0.0.9 nqn=nqn.boot"), 4);
	assert_int_equal(find(FILE_TEXT, "transport=tcp traddr=10.0.0.9 nqn=nqn.a host_iface=eth7"),
			 5);
	assert_int_equal(find(FILE_TEXT, "transport=tcp traddr=10.0.0.9 nqn=nqn.a"), 0);
	assert_int_equal(find(FILE_TEXT, "transport=fc traddr=nn-0xaa:pn-0xbb nqn=nqn.a"), 6);
	assert_int_equal(n_told, 0);
}

/* It fails open: a line that is not understood excludes nothing, and is told. */
static void test_fails_open(void **state)
{
	assert_int_equal(
		find("exclusion = traddr=10.0.0.1;colour=red\n", "transport=tcp traddr=10.0.0.1"),
		0);
	assert_int_equal(n_told, 1);
	assert_string_equal(told[0],
			    "x.conf:1: \"colour\" is not one of transport, traddr, trsvcid, "
			    "host_traddr, host_iface, nqn, hostnqn");
	assert_int_equal(find("\nexclusion =\nexclude = nqn=a\nnonsense\n", "transport=tcp"), 0);
	assert_int_equal(n_told, 3);
	assert_string_equal(told[0], "x.conf:2: the exclusion names nothing");
	assert_string_equal(told[1],
			    "x.conf:3: only lines like exclusion = KEY=VALUE;... are read");
}

static void test_limit(void **state)
{
	char *text = malloc(64 * 1200), *at = text;
	struct exclusions exclusions = { 0 };

	for (unsigned i = 0; i < EXCLUSIONS_MAX + 3; i++)
		at += sprintf(at, "exclusion = nqn=nqn.%u\n", i);
	assert_int_equal(exclusions_parse(&exclusions, "x", text, (size_t)(at - text), NULL, NULL),
			 0);
	assert_int_equal(exclusions.n, EXCLUSIONS_MAX);
	assert_int_equal(exclusions.n_bad, 3);
	exclusions_deinit(&exclusions);
	free(text);
}

static void test_files(void **state)
{
	char dir[] = "/tmp/pathbell-exclusions.XXXXXX", path[128], text[160];
	struct exclusions exclusions = { 0 };

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/e.conf", dir);
	assert_int_equal(exclusions_read(&exclusions, path, tell, NULL), 0);
	assert_int_equal(exclusions.n, 0);
	assert_int_equal(file_replace(path, "exclusion=nqn=nqn.1", 19, 0644), 0);
	snprintf(text, sizeof(text), "%s.d", path);
	assert_int_equal(file_mkdirs(text, 0755), 0);
	snprintf(text, sizeof(text), "%s.d/20.conf", path);
	assert_int_equal(file_replace(text, "exclusion=nqn=nqn.20", 20, 0644), 0);
	snprintf(text, sizeof(text), "%s.d/10.conf", path);
	assert_int_equal(file_replace(text, "exclusion=nqn=nqn.10", 20, 0644), 0);
	snprintf(text, sizeof(text), "%s.d/10.conf~", path);
	assert_int_equal(file_replace(text, "exclusion=nqn=nqn.no", 20, 0644), 0);
	assert_int_equal(exclusions_read(&exclusions, path, tell, NULL), 0);
	assert_int_equal(exclusions.n, 3);
	assert_string_equal(exclusions.items[1].tid.nqn, "nqn.10");
	assert_string_equal(exclusions.items[2].tid.nqn, "nqn.20");
	exclusions_deinit(&exclusions);
	snprintf(text, sizeof(text), "rm -rf %s", dir);
	assert_int_equal(system(text), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_matches),
		cmocka_unit_test(test_fails_open),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
