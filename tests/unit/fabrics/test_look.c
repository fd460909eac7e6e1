/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

#include "core/file.h"
#include "fabrics/look.h"

static char root[64];

static void put(const char *name, const char *text)
{
	char path[512], *slash;

	snprintf(path, sizeof(path), "%s/class/nvme/%s", root, name);
	slash = strrchr(path, '/');
	*slash = '\0';
	assert_int_equal(file_mkdirs(path, 0755), 0);
	*slash = '/';
	assert_int_equal(file_replace(path, text, strlen(text), 0644), 0);
}

static int make(void **state)
{
	snprintf(root, sizeof(root), "/tmp/pathbell-look.XXXXXX");
	return mkdtemp(root) != NULL ? 0 : -1;
}

static int clean(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", root);
	return system(command);
}

static void put_tcp(const char *name, const char *state)
{
	const struct {
		const char *attribute, *text;
	} rows[] = { { "state", state },
		     { "transport", "tcp\n" },
		     { "address", "traddr=127.0.0.1,trsvcid=4420,src_addr=127.0.0.1\n" },
		     { "subsysnqn", "nqn.2026-01.lab.vm:s1\n" },
		     { "cntrltype", "io\n" },
		     { "cntlid", "3\n" },
		     { "kato", "5\n" },
		     { "dev", "245:3\n" },
		     { "ctrl_loss_tmo", "600\n" },
		     { "reconnect_delay", "10\n" } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char path[128];

		snprintf(path, sizeof(path), "%s/%s", name, rows[i].attribute);
		put(path, rows[i].text);
	}
}

static void test_no_driver(void **state)
{
	char names[2][LOOK_NAME];
	struct look look;
	size_t n, n_unseen;

	assert_int_equal(look_list(root, 2, names, &n, &n_unseen), 0);
	assert_int_equal(n, 0);
	assert_int_equal(look_read(root, "nvme0", &look), LOOK_E_GONE);
	assert_int_equal(look_read_state(root, "nvme0", names[0]), LOOK_E_GONE);
	assert_false(look_is_same(root, "nvme0", 1));
}

static void test_fabrics(void **state)
{
	struct look look;
	char text[LOOK_NAME];

	put_tcp("nvme3", "live\n");
	/* The first number is the subsystem's. */
	put("nvme3/nvme1c3n1/ana_state", "non-optimized\n");
	put("nvme3/nvme1c3n1/ana_grpid", "7\n");
	put("nvme3/hwmon0/ana_state", "no\n");
	assert_int_equal(look_read(root, "nvme3", &look), 0);
	assert_string_equal(look.state, "live");
	assert_string_equal(look.transport, "tcp");
	assert_string_equal(look.address, "traddr=127.0.0.1,trsvcid=4420,src_addr=127.0.0.1");
	assert_string_equal(look.nqn, "nqn.2026-01.lab.vm:s1");
	assert_int_equal(look.cntlid, 3);
	assert_int_equal(look.kato, 5);
	assert_int_equal(look.major, 245);
	assert_int_equal(look.minor, 3);
	assert_true(look.has_loss_timeout);
	assert_int_equal(look.ctrl_loss_tmo, 600);
	assert_int_equal(look.reconnect_delay, 10);
	assert_int_equal(look.n_paths, 1);
	assert_string_equal(look.paths[0].name, "nvme1c3n1");
	assert_string_equal(look.paths[0].state, "non-optimized");
	assert_int_equal(look.paths[0].group, 7);
	assert_true(look_is_same(root, "nvme3", look.inode));
	assert_false(look_is_same(root, "nvme3", look.inode + 1));
	assert_int_equal(look_read_state(root, "nvme3", text), 0);
	assert_string_equal(text, "live");
}

/* As they stand just after the add event, and when the loss time-out is off. */
static void test_lies(void **state)
{
	struct look look;

	put_tcp("nvme0", "connecting\n");
	put("nvme0/subsysnqn", "(efault)\n");
	put("nvme0/cntrltype", "reserved\n");
	put("nvme0/ctrl_loss_tmo", "off\n");
	put("nvme0/kato", "soon\n");
	put("nvme0/cntlid", "99999999999\n");
	assert_int_equal(look_read(root, "nvme0", &look), 0);
	assert_string_equal(look.nqn, "");
	assert_string_equal(look.address, "");
	assert_int_equal(look.ctrl_loss_tmo, LOOK_FOREVER);
	assert_int_equal(look.kato, 0);
	assert_int_equal(look.cntlid, 0);
	put("nvme0/ctrl_loss_tmo", "\n");
	assert_int_equal(look_read(root, "nvme0", &look), 0);
	assert_false(look.has_loss_timeout);
}

static void test_limits(void **state)
{
	char names[2][LOOK_NAME], path[128];
	struct look look;
	size_t n, n_unseen;

	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "nvme%d/state", i);
		put(path, "live\n");
	}
	put("other/state", "live\n");
	assert_int_equal(look_list(root, 2, names, &n, &n_unseen), 0);
	assert_int_equal(n, 2);
	assert_int_equal(n_unseen, 1);
	for (int i = 0; i < LOOK_MAX_PATHS + 3; i++) {
		snprintf(path, sizeof(path), "nvme0/nvme0c0n%d/ana_state", i + 1);
		put(path, "optimized\n");
	}
	assert_int_equal(look_read(root, "nvme0", &look), 0);
	assert_int_equal(look.n_paths, LOOK_MAX_PATHS);
	assert_int_equal(look.n_paths_unseen, 3);
}

/* The address is read in every state: who asks is a child. */
static void test_tid(void **state)
{
	struct look look;
	struct tid tid;

	put_tcp("nvme3", "connecting\n");
	put("nvme3/hostnqn", "nqn.host\n");
	assert_int_equal(look_read(root, "nvme3", &look), 0);
	look_tid(root, &look, &tid);
	assert_string_equal(tid.transport, "tcp");
	assert_string_equal(tid.traddr, "127.0.0.1");
	assert_string_equal(tid.trsvcid, "4420");
	assert_string_equal(tid.source_iface, "lo");
	assert_string_equal(tid.nqn, "nqn.2026-01.lab.vm:s1");
	assert_string_equal(tid.host_nqn, "nqn.host");
	assert_false(tid.discovery);
	put("nvme3/cntrltype", "discovery\n");
	assert_int_equal(look_read(root, "nvme3", &look), 0);
	look_tid(root, &look, &tid);
	assert_true(tid.discovery);

	put("nvme4/state", "live\n");
	put("nvme4/transport", "pcie\n");
	put("nvme4/address", "0000:00:04.0\n");
	assert_int_equal(look_read(root, "nvme4", &look), 0);
	look_tid(root, &look, &tid);
	assert_string_equal(tid.traddr, "0000:00:04.0");
	assert_string_equal(tid.host_nqn, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_no_driver, make, clean),
		cmocka_unit_test_setup_teardown(test_fabrics, make, clean),
		cmocka_unit_test_setup_teardown(test_lies, make, clean),
		cmocka_unit_test_setup_teardown(test_limits, make, clean),
		cmocka_unit_test_setup_teardown(test_tid, make, clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
