/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "collectors/cxl/memdev.h"
#include "core/file.h"

static char folder[64];

static void put(const char *path, const char *text)
{
	char full[256], *slash;

	snprintf(full, sizeof(full), "%s/%s", folder, path);
	slash = strrchr(full, '/');
	*slash = '\0';
	assert_int_equal(file_mkdirs(full, 0700), 0);
	*slash = '/';
	assert_int_equal(file_replace(full, text, strlen(text), 0600), 0);
}

static int set_up(void **state)
{
	snprintf(folder, sizeof(folder), "/tmp/pathbell-memdev-XXXXXX");
	return mkdtemp(folder) == NULL;
}

static int tear_down(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r %s", folder);
	return system(command); /* NOLINT(cert-env33-c): a test's own folder */
}

#define DEVICE "devices/pci0000:0c/0000:0d:00.0/mem0"

static void reads_what_there_is(void **state)
{
	struct memdev_list list;
	struct memdev memdev;
	char link[256];

	put(DEVICE "/serial", "0x1a2b\n");
	put(DEVICE "/firmware_version", "BWFW VERSION 00\n");
	put(DEVICE "/ram/size", "0x10000000\n");
	put(DEVICE "/pmem/size", "0x10000000\n");
	put(DEVICE "/security/state", "disabled\n");
	put(DEVICE "/numa_node", "1\n");
	put("bus/cxl/devices/mem12/serial", "0xffffffffffffffff\n");
	put("bus/cxl/devices/memory/serial", "1\n");
	put("bus/cxl/devices/region0/size", "1\n");
	snprintf(link, sizeof(link), "%s/bus/cxl/devices/mem0", folder);
	assert_int_equal(symlink("../../../" DEVICE, link), 0);

	assert_int_equal(memdev_list(folder, &list), 0);
	assert_int_equal(list.n, 2);
	assert_int_equal(list.numbers[0], 0);
	assert_int_equal(list.numbers[1], 12);
	assert_int_equal(memdev_read(folder, 0, &memdev), 0);
	assert_string_equal(memdev.subject.id, "serial:1a2b");
	assert_string_equal(memdev.subject.name, "mem0");
	assert_string_equal(memdev.subject.firmware, "BWFW VERSION 00");
	assert_string_equal(memdev.subject.bus_address, "0000:0d:00.0");
	assert_string_equal(memdev.state.state, "disabled");
	assert_int_equal(memdev.state.size_sectors, 0x20000000 / 512);
	assert_int_equal(memdev.n_extra, 3);
	assert_string_equal(memdev.extra[2]->key, "numa_node");

	assert_int_equal(memdev_read(folder, 12, &memdev), 0);
	assert_string_equal(memdev.subject.id, "memdev:mem12");
	assert_int_equal(memdev.n_extra, 0);
	assert_int_equal(memdev_read(folder, 13, &memdev), -ENOENT);
}

static void no_bus_is_no_device(void **state)
{
	struct memdev_list list;

	assert_int_equal(memdev_list(folder, &list), 0);
	assert_int_equal(list.n, 0);
}

static void many_are_bounded(void **state)
{
	struct memdev_list list;
	char path[256];

	put("bus/cxl/devices/x", "");
	for (unsigned i = 0; i < MEMDEV_MAX + 10; i++) {
		snprintf(path, sizeof(path), "%s/bus/cxl/devices/mem%u", folder, i);
		assert_int_equal(mkdir(path, 0700), 0);
	}
	assert_int_equal(memdev_list(folder, &list), 0);
	assert_int_equal(list.n, MEMDEV_MAX);
	assert_int_equal(list.n_left_out, 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(reads_what_there_is, set_up, tear_down),
		cmocka_unit_test_setup_teardown(no_bus_is_no_device, set_up, tear_down),
		cmocka_unit_test_setup_teardown(many_are_bounded, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
