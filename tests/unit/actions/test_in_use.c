/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/file.h"
#include "fabrics/in_use.h"

/* One disk with two partitions, and a /proc of files. */
static char root[64], sysfs[80], proc[80];
static const struct in_use_roots roots = { sysfs, proc, "/dev" };

static void put(const char *name, const char *text)
{
	char path[512], *slash;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	slash = strrchr(path, '/');
	*slash = '\0';
	assert_int_equal(file_mkdirs(path, 0755), 0);
	*slash = '/';
	assert_int_equal(file_replace(path, text, strlen(text), 0644), 0);
}

static int make(void **state)
{
	snprintf(root, sizeof(root), "/tmp/pathbell-in-use.XXXXXX");
	if (!mkdtemp(root))
		return -1;
	snprintf(sysfs, sizeof(sysfs), "%s/sys", root);
	snprintf(proc, sizeof(proc), "%s/proc", root);
	put("sys/block/nvme9n9/dev", "259:90\n");
	put("sys/block/nvme9n9/nvme9n9p1/dev", "259:91\n");
	put("sys/block/nvme9n9/nvme9n9p1/partition", "1\n");
	put("sys/block/nvme9n9/nvme9n9p2/dev", "259:92\n");
	put("sys/block/nvme9n9/nvme9n9p2/partition", "2\n");
	put("sys/block/nvme9n9/queue/nr_requests", "64\n");
	put("proc/1/mountinfo", "21 1 0:20 / /proc rw - proc proc rw\n"
				"30 1 259:1 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p1 rw\n");
	put("proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n/dev/dm-1 partition 1 0 -2\n");
	put("proc/4711/comm", "qemu-system-x86\n");
	put("proc/4711/fd/.keep", "");
	return 0;
}

static int clean(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", root);
	return system(command);
}

static void expect(const char *wanted)
{
	char text[300] = "";

	if (in_use_find(&roots, "nvme9n9", text, sizeof(text)) != (wanted != NULL) ||
	    (wanted && strcmp(text, wanted) != 0))
		fail_msg("\"%s\" instead of \"%s\"", text, wanted ? wanted : "(nothing)");
}

static void link_fd(const char *number, const char *target)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/4711/fd/%s", proc, number);
	assert_int_equal(symlink(target, path), 0);
}

static void test_unused(void **state)
{
	link_fd("0", "/dev/null");
	link_fd("1", "socket:[1]");
	link_fd("2", "/dev/nvme9n99");
	expect(NULL);
}

static void test_holders(void **state)
{
	put("sys/block/nvme9n9/holders/dm-3", "");
	expect("held by dm-3");
}

static void test_holder_of_a_partition(void **state)
{
	put("sys/block/nvme9n9/nvme9n9p2/holders/md127", "");
	expect("held by md127");
}

static void test_mounted_by_number(void **state)
{
	put("proc/1/mountinfo", "30 1 259:92 /sub /data rw shared:1 - ext4 /dev/mapper/x rw\n");
	expect("mounted on /data");
}

static void test_mounted_by_node(void **state)
{
	put("proc/1/mountinfo", "30 1 0:44 / /btr rw - btrfs /dev/nvme9n9 rw\n");
	expect("mounted on /btr");
}

static void test_mounted_seen_from_here(void **state)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/1/mountinfo", proc);
	assert_int_equal(unlink(path), 0);
	put("proc/self/mountinfo", "30 1 259:90 / /data rw - xfs /dev/nvme9n9 rw\n");
	expect("mounted on /data");
}

static void test_swap(void **state)
{
	put("proc/swaps",
	    "Filename\tType\tSize\tUsed\tPriority\n/dev/nvme9n9p1 partition 1 0 -2\n");
	expect("swap space");
}

static void test_open(void **state)
{
	link_fd("7", "/dev/nvme9n9p2");
	expect("open in process 4711 (qemu-system-x86)");
}

/* Nonsense is not a use, nor a crash. */
static void test_nonsense(void **state)
{
	put("proc/1/mountinfo", "\n - \nx y z\n30 1 259: / /data rw\n");
	put("proc/swaps", "");
	put("sys/block/nvme9n9/dev", "soon\n");
	expect(NULL);
	put("proc/1/mountinfo", "30 1 0:0 / /zero rw - tmpfs none rw\n");
	expect(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_unused, make, clean),
		cmocka_unit_test_setup_teardown(test_holders, make, clean),
		cmocka_unit_test_setup_teardown(test_holder_of_a_partition, make, clean),
		cmocka_unit_test_setup_teardown(test_mounted_by_number, make, clean),
		cmocka_unit_test_setup_teardown(test_mounted_by_node, make, clean),
		cmocka_unit_test_setup_teardown(test_mounted_seen_from_here, make, clean),
		cmocka_unit_test_setup_teardown(test_swap, make, clean),
		cmocka_unit_test_setup_teardown(test_open, make, clean),
		cmocka_unit_test_setup_teardown(test_nonsense, make, clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
