/* SPDX-License-Identifier: Apache-2.0 */
/* On a made-up sysfs: a SCSI disk with two paths, a map over them, NVMe over TCP, a loop device. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collectors/topology/sysfs.h"
#include "collectors/topology/topology.h"
#include "core/file.h"
#include "core/hctl.h"

#define SCSI "devices/pci0000:00/host2/target2:0:0/2:0:0:5"
#define SDB  "devices/pci0000:00/host3/target3:0:0/3:0:0:5"
#define NVME "devices/virtual/nvme-fabrics/ctl/nvme0"

static char root[64];
static struct topology *topology;

static void put(const char *path, const char *text)
{
	char full[512], folder[512];
	int fd;

	snprintf(full, sizeof(full), "%s/%s", root, path);
	snprintf(folder, sizeof(folder), "%s", full);
	*strrchr(folder, '/') = '\0';
	assert_int_equal(file_mkdirs(folder, 0700), 0);
	fd = open(full, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void put_link(const char *path, const char *target)
{
	char full[512], folder[512];

	snprintf(full, sizeof(full), "%s/%s", root, path);
	snprintf(folder, sizeof(folder), "%s", full);
	*strrchr(folder, '/') = '\0';
	assert_int_equal(file_mkdirs(folder, 0700), 0);
	assert_int_equal(symlink(target, full), 0);
}

/* The folder @path is a block device with this number. */
static void put_device(const char *path, const char *number, const char *diskseq)
{
	char file[512], target[512];
	const char *name = strrchr(path, '/') + 1;

	snprintf(file, sizeof(file), "%s/dev", path);
	snprintf(target, sizeof(target), "%s\n", number);
	put(file, target);
	if (diskseq != NULL) {
		snprintf(file, sizeof(file), "%s/diskseq", path);
		put(file, diskseq);
	}
	snprintf(target, sizeof(target), "../../%s", path);
	snprintf(file, sizeof(file), "dev/block/%s", number);
	put_link(file, target);
	snprintf(file, sizeof(file), "class/block/%s", name);
	put_link(file, target);
}

static void put_scsi(const char *device, const char *name, const char *number, const char *diskseq)
{
	char path[256], file[512];

	snprintf(path, sizeof(path), "%s/block/%s", device, name);
	put_device(path, number, diskseq);
	snprintf(file, sizeof(file), "%s/device", path);
	put_link(file, strcmp(name, "sda") == 0 ? "../../../2:0:0:5" : "../../../3:0:0:5");
	snprintf(file, sizeof(file), "%s/wwid", device);
	put(file, "naa.600140512345678\n");
	snprintf(file, sizeof(file), "%s/model", device);
	put(file, "VIRTUAL-DISK    \n");
	snprintf(file, sizeof(file), "%s/vendor", device);
	put(file, "LIO-ORG \n");
	snprintf(file, sizeof(file), "%s/rev", device);
	put(file, "4.0 \n");
	snprintf(file, sizeof(file), "%s/state", device);
	put(file, "running\n");
	snprintf(file, sizeof(file), "%s/ioerr_cnt", device);
	put(file, "0x1f\n");
	snprintf(file, sizeof(file), "%s/vpd_pg80", device);
	put(file, "\x01\x80\x01\x08SER-1234");
	snprintf(file, sizeof(file), "%s/size", path);
	put(file, "2048\n");
	snprintf(file, sizeof(file), "%s/ro", path);
	put(file, "1\n");
	snprintf(file, sizeof(file), "%s/inflight", path);
	put(file, "       2        3\n");
	snprintf(file, sizeof(file), "%s/slaves/.keep", path);
	put(file, "");
}

static void put_map(void)
{
	put_device("devices/virtual/block/dm-0", "253:0", "33\n");
	put("devices/virtual/block/dm-0/dm/name", "mpatha\n");
	put("devices/virtual/block/dm-0/dm/uuid", "mpath-3600140512345678\n");
	put_link("devices/virtual/block/dm-0/slaves/sda", "../../../../../" SCSI "/block/sda");
	put_link("devices/virtual/block/dm-0/slaves/sdb", "../../../../../" SDB "/block/sdb");
	put_link(SCSI "/block/sda/holders/dm-0", "../../../../../../../virtual/block/dm-0");
	put_link(SDB "/block/sdb/holders/dm-0", "../../../../../../../virtual/block/dm-0");
}

static void put_nvme(void)
{
	put_device(NVME "/nvme0n1", "259:1", "44\n");
	put_link(NVME "/nvme0n1/device", "../../nvme0");
	put(NVME "/nvme0n1/wwid", "eui.0123456789abcdef\n");
	put(NVME "/subsysnqn", "nqn.2026-01.org.example:a\n");
	put(NVME "/transport", "tcp\n");
	put(NVME "/address", "traddr=192.0.2.7,trsvcid=4420\n");
	put(NVME "/serial", "NV1\n");
	put(NVME "/model", "Linux\n");
	put(NVME "/firmware_rev", "6.12\n");
	put(NVME "/state", "live\n");
}

static int set_up(void **state)
{
	struct topology_options options = { .sysfs_path = root, .max_devices = 4 };

	snprintf(root, sizeof(root), "/tmp/pathbell-sysfs-XXXXXX");
	assert_non_null(mkdtemp(root));
	put_scsi(SCSI, "sda", "8:0", "12\n");
	put_scsi(SDB, "sdb", "8:16", "13\n");
	put_device(SCSI "/block/sda/sda1", "8:1", NULL);
	put(SCSI "/block/sda/sda1/partition", "1\n");
	put(SCSI "/block/sda/sda1/holders/dm-7/dm/name", "vg-root\n");
	put_map();
	put_nvme();
	put_device("devices/virtual/block/loop0", "7:0", "5\n");
	put("devices/virtual/block/loop0/loop/backing_file", "/var/tmp/disk \xff.img\n");
	put_device("devices/virtual/block/loop1", "7:1", "6\n");
	put_device("devices/virtual/block/ram0", "1:0", "1\n");
	return topology_new(&topology, &options);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static int tear_down(void **state)
{
	topology = topology_free(topology);
	return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void a_scsi_disk(void **state)
{
	Pathbell__V1__Subject s;

	assert_int_equal(topology_fill_subject(topology, 8, 0, &s), TOPOLOGY_PRESENT);
	assert_int_equal(s.type, PATHBELL__V1__SUBJECT_TYPE__SUBJECT_TYPE_DISK);
	assert_string_equal(s.id, "wwid:naa.600140512345678");
	assert_string_equal(s.name, "sda");
	assert_string_equal(s.serial, "SER-1234");
	assert_string_equal(s.model, "VIRTUAL-DISK");
	assert_string_equal(s.vendor, "LIO-ORG");
	assert_string_equal(s.firmware, "4.0");
	assert_string_equal(s.bus_address, "2:0:0:5");
	assert_int_equal(s.generation, 12);
	assert_int_equal(s.major, 8);
	/* its own holder by kernel name and dm name, then that of its partition */
	assert_int_equal(s.n_holders, 4);
	assert_string_equal(s.holders[0], "dm-0");
	assert_string_equal(s.holders[1], "mpatha");
	assert_string_equal(s.holders[2], "dm-7");
	assert_string_equal(s.holders[3], "vg-root");
}

static void a_partition(void **state)
{
	Pathbell__V1__Subject s;

	assert_int_equal(topology_fill_subject(topology, 8, 1, &s), TOPOLOGY_PRESENT);
	assert_int_equal(s.type, PATHBELL__V1__SUBJECT_TYPE__SUBJECT_TYPE_PARTITION);
	assert_string_equal(s.id, "wwid:naa.600140512345678-part1");
	assert_int_equal(s.n_parents, 1);
	assert_string_equal(s.parents[0], "sda");
	assert_string_equal(s.serial, "SER-1234");
	assert_int_equal(s.generation, 12);
}

static void a_multipath_map(void **state)
{
	Pathbell__V1__Subject s;

	assert_int_equal(topology_fill_subject(topology, 253, 0, &s), TOPOLOGY_PRESENT);
	assert_int_equal(s.type, PATHBELL__V1__SUBJECT_TYPE__SUBJECT_TYPE_MULTIPATH_MAP);
	assert_string_equal(s.id, "uuid:mpath-3600140512345678");
	assert_string_equal(s.uuid, "mpath-3600140512345678");
	assert_int_equal(s.n_parents, 2);
}

static void an_nvme_namespace(void **state)
{
	Pathbell__V1__Subject s;

	assert_int_equal(topology_fill_subject(topology, 259, 1, &s), TOPOLOGY_PRESENT);
	assert_int_equal(s.type, PATHBELL__V1__SUBJECT_TYPE__SUBJECT_TYPE_NVME_NAMESPACE);
	assert_string_equal(s.id, "wwid:eui.0123456789abcdef");
	assert_string_equal(s.nqn, "nqn.2026-01.org.example:a");
	assert_string_equal(s.transport_address, "transport=tcp traddr=192.0.2.7 trsvcid=4420");
	assert_string_equal(s.firmware, "6.12");
	assert_string_equal(s.serial, "NV1");
}

static void a_loop_device_with_an_odd_file_name(void **state)
{
	Pathbell__V1__Subject s;

	assert_int_equal(topology_fill_subject(topology, 7, 0, &s), TOPOLOGY_PRESENT);
	assert_string_equal(s.id, "dev:7:0");
	assert_int_equal(s.n_parents, 1);
	assert_string_equal(s.parents[0], "/var/tmp/disk ?.img"); /* not UTF-8 */
}

static void an_unknown_number(void **state)
{
	Pathbell__V1__Subject s;
	struct topology_stats stats;

	for (int i = 0; i < 100; i++)
		assert_int_equal(topology_fill_subject(topology, 259, 99, &s), TOPOLOGY_UNKNOWN);
	assert_string_equal(s.id, "dev:259:99");
	topology_stats(topology, &stats);
	assert_true(stats.reads < 50); /* a storm does not become a storm of look-ups */
}

static void the_identity_outlives_the_device(void **state)
{
	Pathbell__V1__Subject s;
	char path[128];

	assert_int_equal(topology_fill_subject(topology, 8, 0, &s), TOPOLOGY_PRESENT);
	snprintf(path, sizeof(path), "%s/dev/block/8:0", root);
	assert_int_equal(unlink(path), 0);
	topology_invalidate(topology);
	assert_int_equal(topology_fill_subject(topology, 8, 0, &s), TOPOLOGY_GONE);
	assert_string_equal(s.id, "wwid:naa.600140512345678");
	assert_string_equal(s.serial, "SER-1234");
}

static void a_new_generation_is_a_new_device(void **state)
{
	Pathbell__V1__Subject s;

	assert_int_equal(topology_fill_subject(topology, 7, 0, &s), TOPOLOGY_PRESENT);
	put("devices/virtual/block/loop0/diskseq", "50\n");
	put("devices/virtual/block/loop0/loop/backing_file", "/other\n");
	topology_invalidate(topology);
	topology_fill_subject(topology, 7, 0, &s);
	assert_int_equal(s.generation, 50);
	assert_string_equal(s.parents[0], "/other");
}

static void the_cache_is_bounded(void **state)
{
	struct topology_stats stats;
	Pathbell__V1__Subject s;

	for (uint32_t i = 0; i < 20; i++) {
		topology_fill_subject(topology, 100, i, &s);
		topology_fill_subject(topology, 8, 0, &s);
	}
	topology_stats(topology, &stats);
	assert_int_equal(stats.n_devices, 4);
	assert_int_equal(stats.evicted, 17);
	assert_true(stats.hits >= 19); /* sda, always used again, was never the one to go */
}

static void finds_by_every_name(void **state)
{
	static const struct {
		const char *text;
		int r;
		const char *name;
	} rows[] = { { "sda", 0, "sda" },
		     { "/dev/sdb", 0, "sdb" },
		     { "sda1", 0, "sda1" },
		     { "8:16", 0, "sdb" },
		     { "dev:8:16", 0, "sdb" },
		     { "mpatha", 0, "dm-0" },
		     { "/dev/mapper/mpatha", 0, "dm-0" },
		     { "3600140512345678", 0, "dm-0" },
		     { "uuid:mpath-3600140512345678", 0, "dm-0" },
		     { "nqn.2026-01.org.example:a", 0, "nvme0n1" },
		     { "wwid:eui.0123456789abcdef", 0, "nvme0n1" },
		     { "NV1", 0, "nvme0n1" },
		     { "wwid:naa.600140512345678-part1", 0, "sda1" },
		     { "wwid:naa.600140512345678", TOPOLOGY_E_AMBIGUOUS, NULL },
		     { "SER-1234", TOPOLOGY_E_AMBIGUOUS, NULL },
		     { "nothing", TOPOLOGY_E_UNKNOWN, NULL },
		     { "", TOPOLOGY_E_UNKNOWN, NULL },
		     { "/dev/", TOPOLOGY_E_UNKNOWN, NULL },
		     { "../../etc", TOPOLOGY_E_UNKNOWN, NULL },
		     { "99:1", TOPOLOGY_E_UNKNOWN, NULL } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct topology_place place = { 0 };
		int r = topology_find(topology, rows[i].text, &place);

		if (r != rows[i].r ||
		    (rows[i].name != NULL && strcmp(place.name, rows[i].name) != 0))
			fail_msg("%s: %d %s", rows[i].text, r, place.name);
	}
}

static void lists_disks_that_hold_something(void **state)
{
	struct topology_disk *disks;
	size_t n;

	assert_int_equal(topology_list_disks(topology, &disks, &n), 0);
	assert_int_equal(n, 5); /* loop0, sda, sdb, dm-0, nvme0n1 */
	assert_int_equal(disks[0].major, 7);
	assert_int_equal(disks[0].minor, 0);
	free(disks);
}

static void reads_the_state(void **state)
{
	Pathbell__V1__DeviceState device = PATHBELL__V1__DEVICE_STATE__INIT;
	char text[64];

	topology_read_state(topology, 8, 0, text, &device);
	assert_true(device.present);
	assert_string_equal(device.state, "running");
	assert_int_equal(device.size_sectors, 2048);
	assert_true(device.read_only);
	assert_int_equal(device.io_errors, 31);
	assert_int_equal(device.in_flight, 5);
	topology_read_state(topology, 8, 200, text, &device);
	assert_false(device.present);
}

static void cleans_text(void **state)
{
	static const char *const rows[][2] = { { "  a b  ", "a b" },   { "\xff\xfe", "??" },
					       { "a\tb\n", "a b" },    { "\xc3\xa9", "\xc3\xa9" },
					       { "\xc0\x80", "??" },   { "\xed\xa0\x80", "???" },
					       { "x\xe2\x82", "x??" }, { "", "" },
					       { "\x01z\x7f", "?z?" } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[32];

		snprintf(text, sizeof(text), "%s", rows[i][0]);
		sysfs_clean(text);
		assert_string_equal(text, rows[i][1]);
	}
}

static void parses_addresses(void **state)
{
	uint32_t major, minor;

	assert_true(hctl_is_valid("2:0:0:5"));
	assert_true(hctl_is_valid("12:0:3:18446744073709551615"));
	assert_false(hctl_is_valid("nvme0"));
	assert_false(hctl_is_valid("2:0:0:5x"));
	assert_true(sysfs_parse_devt("259:1048575", &major, &minor));
	assert_int_equal(minor, 1048575);
	assert_false(sysfs_parse_devt("8:", &major, &minor));
	assert_false(sysfs_parse_devt("8:1 ", &major, &minor));
	assert_false(sysfs_parse_devt("", &major, &minor));
}

static void this_machine(void **state)
{
	struct topology *real;
	struct topology_disk *disks;
	size_t n;

	assert_int_equal(topology_new(&real, NULL), 0);
	if (topology_list_disks(real, &disks, &n) == 0) {
		for (size_t i = 0; i < n; i++) {
			Pathbell__V1__Subject s;

			topology_fill_subject(real, disks[i].major, disks[i].minor, &s);
			assert_true(s.id[0] != '\0');
			print_message("%s %s generation %llu\n", s.name, s.id,
				      (unsigned long long)s.generation);
		}
		free(disks);
	}
	topology_free(real);
}

#define TEST(x) cmocka_unit_test_setup_teardown(x, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_scsi_disk),
		TEST(a_partition),
		TEST(a_multipath_map),
		TEST(an_nvme_namespace),
		TEST(a_loop_device_with_an_odd_file_name),
		TEST(an_unknown_number),
		TEST(the_identity_outlives_the_device),
		TEST(a_new_generation_is_a_new_device),
		TEST(the_cache_is_bounded),
		TEST(finds_by_every_name),
		TEST(lists_disks_that_hold_something),
		TEST(reads_the_state),
		cmocka_unit_test(cleans_text),
		cmocka_unit_test(parses_addresses),
		cmocka_unit_test(this_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
