/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file.h"
#include "fabrics/connect.h"

static void test_options(void **state)
{
	struct connect_options options;

	connect_options_init(&options);
	assert_int_equal(options.ctrl_loss_tmo, CONNECT_DEFAULT);
	assert_int_equal(connect_options_set(&options, "ctrl-loss-tmo", "-1"), 0);
	assert_int_equal(options.ctrl_loss_tmo, -1);
	assert_int_equal(connect_options_set(&options, "kato", "30"), 0);
	assert_int_equal(options.keep_alive_tmo, 30);
	assert_int_equal(connect_options_set(&options, "hdr_digest", ""), 0);
	assert_true(options.hdr_digest);
	assert_int_equal(connect_options_set(&options, "hdr-digest", "false"), 0);
	assert_false(options.hdr_digest);
	assert_int_equal(connect_options_set(&options, "dhchap_key", "DHHC-1:00:abc:"), 0);
	assert_string_equal(options.dhchap_secret, "DHHC-1:00:abc:");

	assert_int_equal(connect_options_set(&options, "queue_size", "15"), -EINVAL);
	assert_int_equal(connect_options_set(&options, "queue_size", "1025"), -EINVAL);
	assert_int_equal(connect_options_set(&options, "queue_size", "64x"), -EINVAL);
	assert_int_equal(connect_options_set(&options, "queue_size", ""), -EINVAL);
	assert_int_equal(connect_options_set(&options, "data_digest", "maybe"), -EINVAL);
	/* would be an option more */
	assert_int_equal(connect_options_set(&options, "hostid", "a,transport=tcp"), -EINVAL);
	assert_int_equal(
		connect_options_set(&options, "hostid", "0123456789012345678901234567890123456789"),
		-ENAMETOOLONG);
	assert_int_equal(connect_options_set(&options, "queue-sized", "64"), CONNECT_E_KEY);
	assert_int_equal(connect_options_set(&options, "", "64"), CONNECT_E_KEY);
}

static void test_line(void **state)
{
	struct connect_options options;
	struct tid tid;
	struct errmsg err = { 0 };
	char line[CONNECT_LINE];

	assert_int_equal(tid_parse("transport=tcp traddr=10.0.0.1 trsvcid=4420 host_iface=eth0 "
				   "nqn=nqn.a hostnqn=nqn.h",
				   &tid, &err),
			 0);
	connect_options_init(&options);
	options.ctrl_loss_tmo = -1;
	options.fast_io_fail_tmo = 5;
	options.data_digest = true;
	options.persistent = true;
	strcpy(options.host_id, "id");
	assert_int_equal(connect_line(&tid, &options,
				      ",traddr,trsvcid,host_iface,hostnqn,ctrl_loss_tmo,"
				      "fast_io_fail_tmo,data_digest,hostid,",
				      line, sizeof(line), &err),
			 0);
	assert_string_equal(line, "nqn=nqn.a,transport=tcp,traddr=10.0.0.1,trsvcid=4420,"
				  "host_iface=eth0,hostnqn=nqn.h,ctrl_loss_tmo=-1,"
				  "fast_io_fail_tmo=5,data_digest,hostid=id");

	/* an old kernel: what tunes is left out, what makes it another connection is refused */
	assert_int_equal(connect_line(&tid, &options, "", line, sizeof(line), &err), -EOPNOTSUPP);
	assert_string_equal(err.text,
			    "this kernel's nvme-fabrics does not know the option host_iface");
	tid.host_iface[0] = '\0';
	assert_int_equal(connect_line(&tid, &options, "", line, sizeof(line), &err), 0);
	assert_null(strstr(line, "fast_io_fail_tmo"));
	assert_non_null(strstr(line, "data_digest"));
	strcpy(options.dhchap_secret, "DHHC-1:00:abc:");
	assert_int_equal(connect_line(&tid, &options, "", line, sizeof(line), &err), -EOPNOTSUPP);
	options.dhchap_secret[0] = '\0';
	assert_int_equal(connect_line(&tid, &options, "", line, 64, &err), -ENOBUFS);
	tid.nqn[0] = '\0';
	assert_int_equal(connect_line(&tid, &options, "", line, sizeof(line), &err), -EINVAL);
}

static void write_file(const char *dir, const char *name, const char *text)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(file_replace(path, text, strlen(text), 0644), 0);
}

static void test_supported(void **state)
{
	char dir[] = "/tmp/pathbell-connect.XXXXXX", path[128], names[2048];

	assert_non_null(mkdtemp(dir));
	write_file(dir, "new", "instance=-1,cntlid=-1\n");
	write_file(dir, "list", "transport=%s,traddr=%s,duplicate_connect,tls\n");
	write_file(dir, "empty", "");
	snprintf(path, sizeof(path), "%s/list", dir);
	assert_int_equal(connect_supported(path, names, sizeof(names)), 0);
	assert_string_equal(names, ",transport,traddr,duplicate_connect,tls,");
	assert_int_equal(connect_supported(path, names, 16), -ENOBUFS);
	snprintf(path, sizeof(path), "%s/empty", dir);
	assert_int_equal(connect_supported(path, names, sizeof(names)), CONNECT_E_UNKNOWN);
	snprintf(path, sizeof(path), "%s/none", dir);
	assert_int_equal(connect_supported(path, names, sizeof(names)), -ENOENT);
	snprintf(path, sizeof(path), "rm -rf %s", dir);
	assert_int_equal(system(path), 0);
}

/* The attributes are ordinary files here: what is written counts. */
static void test_attributes(void **state)
{
	char dir[] = "/tmp/pathbell-connect.XXXXXX", path[256], line[16];

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/class/nvme/nvme0", dir);
	assert_int_equal(file_mkdirs(path, 0755), 0);
	write_file(path, "reset_controller", "");
	assert_int_equal(connect_reset(dir, "nvme0"), 0);
	snprintf(path, sizeof(path), "%s/class/nvme/nvme0/reset_controller", dir);
	assert_int_equal(file_read_line(AT_FDCWD, path, line, sizeof(line)), 0);
	assert_string_equal(line, "1");
	assert_int_equal(connect_delete(dir, "nvme0"), -ENOENT);
	assert_int_equal(connect_rescan(dir, "nvme1"), -ENOENT);
	snprintf(path, sizeof(path), "rm -rf %s", dir);
	assert_int_equal(system(path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_line),
		cmocka_unit_test(test_supported),
		cmocka_unit_test(test_attributes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
