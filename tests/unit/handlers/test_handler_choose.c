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

#include "handlers/choose.h"

static char root[64];

static const char *chosen(const char *address, const char *vendor, const char *model)
{
	Pathbell__V1__Subject subject = PATHBELL__V1__SUBJECT__INIT;

	subject.bus_address = (char *)address;
	subject.vendor = (char *)vendor;
	subject.model = (char *)model;
	return choose_handler(root, &subject)->name;
}

static void set_state(const char *address, const char *text)
{
	char path[160];
	FILE *file;

	snprintf(path, sizeof(path), "%s/bus/scsi/devices/%s", root, address);
	mkdir(path, 0755);
	strcat(path, "/dh_state");
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static int setup(void **state)
{
	char path[128];

	strcpy(root, "/tmp/pathbell-choose-XXXXXX");
	assert_non_null(mkdtemp(root));
	snprintf(path, sizeof(path), "%s/bus", root);
	mkdir(path, 0755);
	strcat(path, "/scsi");
	mkdir(path, 0755);
	strcat(path, "/devices");
	return mkdir(path, 0755);
}

static int teardown(void **state)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/bus/scsi/devices/1:0:0:1/dh_state", root);
	unlink(path);
	for (char *slash; (slash = strrchr(path, '/')) > path + 5;) {
		*slash = '\0';
		rmdir(path);
	}
	return 0;
}

static void the_kernel_decides_first(void **state)
{
	set_state("1:0:0:1", "alua\n");
	assert_string_equal(chosen("1:0:0:1", "DGC     ", "RAID 5"), "alua");
	set_state("1:0:0:1", "detached\n");
	assert_string_equal(chosen("1:0:0:1", "DGC     ", "RAID 5"), "emc");
	assert_string_equal(chosen("1:0:0:1", "ATA", "disk"), "scsi");
	set_state("1:0:0:1", "");
	assert_string_equal(chosen("1:0:0:1", "ATA", "disk"), "scsi");
	assert_string_equal(chosen("9:0:0:1", "HP", "HSV100 x"), "hp_sw");
}

static void other_devices(void **state)
{
	Pathbell__V1__Subject subject = PATHBELL__V1__SUBJECT__INIT;

	assert_string_equal(choose_handler(root, &subject)->name, "none");
	subject.bus_address = (char *)"0000:00:1f.2";
	assert_string_equal(choose_handler(root, &subject)->name, "none");
	subject.name = (char *)"nvme0c0n1";
	assert_string_equal(choose_handler(root, &subject)->name, "nvme");
}

static void models_are_prefixes_vendors_are_not(void **state)
{
	assert_string_equal(choose_by_model("DELL", "MD32xx"), "rdac");
	assert_null(choose_by_model("DELLX", "MD32xx"));
	assert_null(choose_by_model("DELL", "MD"));
	assert_null(choose_by_model(NULL, NULL));
	assert_string_equal(choose_by_model("IBM     ", "1814      FAStT"), "rdac");
}

static void a_verdict_for_errno_alone(void **state)
{
	Pathbell__V1__Subject subject = PATHBELL__V1__SUBJECT__INIT;
	Pathbell__V1__ErrorVerdict verdict;

	choose_judge_errno(root, &subject, -ENODATA, &verdict);
	assert_string_equal(verdict.handler, "none");
	assert_true(verdict.error_io);
	assert_false(verdict.fail_path);
	assert_non_null(strstr(verdict.reason, "medium"));
	subject.bus_address = (char *)"9:0:0:1";
	choose_judge_errno(root, &subject, -ETIMEDOUT, &verdict);
	assert_string_equal(verdict.handler, "scsi");
	assert_true(verdict.fail_path && !verdict.error_io && !verdict.bypass_group);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_kernel_decides_first),
		cmocka_unit_test(other_devices),
		cmocka_unit_test(models_are_prefixes_vendors_are_not),
		cmocka_unit_test(a_verdict_for_errno_alone),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
