/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "actions/action.h"
#include "core/file.h"

/* Plan, apply and verify of the verbs over a sysfs tree of files. */
struct bench {
	char dir[64];
	struct action_host host;
	struct action_result result;
	Pathbell__V1__Command command;
	Pathbell__V1__ProbeArgs probe;
	Pathbell__V1__ResyncArgs resync;
	Pathbell__V1__UplinkReconnectArgs reconnect;
	Pathbell__V1__CommandTarget target;
	int find, may_reconnect, can_reconnect;
	bool reconnected;
	unsigned snapshots;
	char *names[1];
};

static struct device disk = {
	.type = 1, .major = 8, .minor = 16, .id = "wwid:naa.5", .name = "sdb"
};

static int host_find(void *data, const Pathbell__V1__CommandTarget *target,
		     struct device *ret_device)
{
	struct bench *bench = data;

	if (bench->find == 0)
		*ret_device = disk;
	return bench->find;
}

static int host_resync(void *data, char *const *names, size_t n, size_t *ret_n,
		       const char **ret_name)
{
	struct bench *bench = data;

	*ret_n = bench->snapshots;
	*ret_name = n ? names[0] : "";
	return n && strcmp(names[0], "block") != 0 ? ACTION_E_UNKNOWN : 0;
}

static int host_may_reconnect(void *data, const char *address)
{
	return ((struct bench *)data)->may_reconnect;
}

static int host_reconnect(void *data, const char *address, uint64_t *ret_token)
{
	*ret_token = 1;
	return ((struct bench *)data)->can_reconnect;
}

static bool host_is_reconnected(void *data, uint64_t token)
{
	return ((struct bench *)data)->reconnected;
}

static void put(struct bench *bench, const char *path, const char *text)
{
	char full[256], *slash;

	snprintf(full, sizeof(full), "%s/devices/sdb/%s", bench->dir, path);
	slash = strrchr(full, '/');
	*slash = 0;
	assert_int_equal(file_mkdirs(full, 0700), 0);
	*slash = '/';
	assert_int_equal(file_replace(full, text, strlen(text), 0600), 0);
}

static int setup(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	char path[128];

	strcpy(bench->dir, "/tmp/pathbell-actions-XXXXXX");
	assert_non_null(mkdtemp(bench->dir));
	snprintf(path, sizeof(path), "%s/dev/block", bench->dir);
	assert_int_equal(file_mkdirs(path, 0700), 0);
	put(bench, "size", "4096\n");
	put(bench, "ro", "0\n");
	put(bench, "removable", "1\n");
	put(bench, "inflight", "       2       3\n");
	put(bench, "device/state", "running\n");
	put(bench, "device/ioerr_cnt", "0x1f\n");
	put(bench, "queue/logical_block_size", "512\n");
	snprintf(path, sizeof(path), "%s/dev/block/8:16", bench->dir);
	assert_int_equal(symlink("../../devices/sdb", path), 0);
	bench->host = (struct action_host){ .data = bench,
					    .sysfs = bench->dir,
					    .dev = bench->dir,
					    .nvme_conf = bench->dir,
					    .nvme_registry = bench->dir,
					    .find = host_find,
					    .resync = host_resync,
					    .may_reconnect = host_may_reconnect,
					    .reconnect = host_reconnect,
					    .is_reconnected = host_is_reconnected };
	pathbell__v1__command__init(&bench->command);
	pathbell__v1__probe_args__init(&bench->probe);
	pathbell__v1__resync_args__init(&bench->resync);
	pathbell__v1__uplink_reconnect_args__init(&bench->reconnect);
	pathbell__v1__command_target__init(&bench->target);
	bench->target.id = (char *)"wwid:naa.5";
	bench->probe.target = &bench->target;
	*state = bench;
	return 0;
}

static int clean(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static int teardown(void **state)
{
	struct bench *bench = *state;

	nftw(bench->dir, clean, 8, FTW_DEPTH | FTW_PHYS);
	free(bench);
	return 0;
}

static void run(struct bench *bench, unsigned verb)
{
	struct action action = { .host = &bench->host,
				 .command = &bench->command,
				 .result = &bench->result };

	memset(&bench->result, 0, sizeof(bench->result));
	bench->command.verb = (Pathbell__V1__CommandVerb)verb;
	action_run(action_find(verb), &action);
}

static void run_probe(struct bench *bench)
{
	bench->command.args_case = PATHBELL__V1__COMMAND__ARGS_PROBE;
	bench->command.probe = &bench->probe;
	run(bench, PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_PROBE);
}

static void expect(const struct bench *bench, unsigned life, int error_number, const char *detail)
{
	if (bench->result.life != life || bench->result.error_number != error_number ||
	    !strstr(bench->result.detail, detail))
		fail_msg("life %u errno %d \"%s\"", bench->result.life, bench->result.error_number,
			 bench->result.detail);
}

#define SUCCEEDED   PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_SUCCEEDED
#define FAILED	    PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_FAILED
#define INEFFECTIVE PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_INEFFECTIVE

static void probe_reads_the_state(void **state)
{
	struct bench *bench = *state;
	const struct device_state *found = &bench->result.state;

	run_probe(bench);
	expect(bench, SUCCEEDED, 0, "sdb is present, 4096 sectors, running");
	assert_true(bench->result.has_device && found->present && found->removable);
	assert_false(found->read_only || found->read_tried);
	assert_int_equal(found->size_sectors, 4096);
	assert_int_equal(found->in_flight, 5);
	assert_int_equal(found->io_errors, 31);
	assert_string_equal(found->state, "running");
}

static void probe_says_what_is_wrong(void **state)
{
	struct bench *bench = *state;

	bench->find = ACTION_E_ABSENT;
	run_probe(bench);
	expect(bench, FAILED, ENODEV, "no device fits wwid:naa.5");
	bench->find = ACTION_E_AMBIGUOUS;
	run_probe(bench);
	expect(bench, FAILED, EEXIST, "more than one device fits");
	bench->find = -EIO;
	run_probe(bench);
	expect(bench, FAILED, EIO, "cannot look up");
	bench->probe.target = NULL;
	run_probe(bench);
	expect(bench, FAILED, EINVAL, "no target");
}

static void probe_sees_what_is_gone_or_recycled(void **state)
{
	struct bench *bench = *state;
	char path[128], other[128];

	snprintf(path, sizeof(path), "%s/dev/block/8:16", bench->dir);
	snprintf(other, sizeof(other), "%s/devices/sdz", bench->dir);
	assert_int_equal(mkdir(other, 0700), 0);
	unlink(path);
	run_probe(bench);
	expect(bench, FAILED, ENODEV, "is gone");
	assert_true(bench->result.has_device);
	assert_false(bench->result.state.present);
	assert_int_equal(symlink("../../devices/sdz", path), 0); /* 8:16 is another disk by now */
	run_probe(bench);
	expect(bench, FAILED, ENODEV, "is gone");
}

static void probe_does_not_take_a_file_for_a_device(void **state)
{
	struct bench *bench = *state;
	char path[128];

	snprintf(path, sizeof(path), "%s/sdb", bench->dir);
	assert_int_equal(file_replace(path, "x", 1, 0600), 0);
	bench->probe.read_sector = true;
	run_probe(bench);
	expect(bench, SUCCEEDED, 0, "reading one sector failed");
	assert_true(bench->result.state.read_tried);
	assert_true(bench->result.state.read_error < 0);
}

static void dry_runs_touch_nothing(void **state)
{
	struct bench *bench = *state;

	bench->command.dry_run = true;
	run_probe(bench);
	expect(bench, SUCCEEDED, 0, "dry run: would read sdb (8:16)");
	assert_false(bench->result.has_device);
	bench->command.args_case = PATHBELL__V1__COMMAND__ARGS__NOT_SET;
	run(bench, PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_RESYNC);
	expect(bench, SUCCEEDED, 0, "dry run: would take a snapshot of all");
	run(bench, PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_UPLINK_RECONNECT);
	expect(bench, SUCCEEDED, 0, "dry run: would reconnect to the next address");
}

static void resync_names_its_collectors(void **state)
{
	struct bench *bench = *state;

	bench->command.args_case = PATHBELL__V1__COMMAND__ARGS__NOT_SET;
	run(bench, PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_RESYNC);
	expect(bench, INEFFECTIVE, 0, "0 collectors");
	bench->snapshots = 2;
	run(bench, PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_RESYNC);
	expect(bench, SUCCEEDED, 0, "2 collectors");
	bench->command.args_case = PATHBELL__V1__COMMAND__ARGS_RESYNC;
	bench->command.resync = &bench->resync;
	bench->names[0] = (char *)"floppy";
	bench->resync.n_collectors = 1;
	bench->resync.collectors = bench->names;
	run(bench, PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_RESYNC);
	expect(bench, FAILED, ENOENT, "\"floppy\"");
}

static void reconnect_waits_for_the_session(void **state)
{
	struct bench *bench = *state;
	struct action action = { .host = &bench->host,
				 .command = &bench->command,
				 .result = &bench->result };
	const struct action_verb *verb =
		action_find(PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_UPLINK_RECONNECT);

	bench->command.args_case = PATHBELL__V1__COMMAND__ARGS_UPLINK_RECONNECT;
	bench->command.uplink_reconnect = &bench->reconnect;
	bench->reconnect.address = (char *)"evil:1";
	bench->may_reconnect = ACTION_E_UNKNOWN;
	run(bench, verb->verb);
	expect(bench, FAILED, EPERM, "evil:1 is not one");
	bench->may_reconnect = ACTION_E_ABSENT;
	run(bench, verb->verb);
	expect(bench, FAILED, ENOTCONN, "no uplink");
	bench->may_reconnect = 0;
	bench->can_reconnect = ACTION_E_ABSENT;
	run(bench, verb->verb);
	expect(bench, FAILED, ENOTCONN, "no uplink");
	bench->can_reconnect = 0;
	assert_int_equal(verb->plan(&action), 0);
	assert_int_equal(verb->apply(&action), 0);
	assert_int_equal(verb->verify(&action), ACTION_E_WAIT);
	bench->reconnected = true;
	assert_int_equal(verb->verify(&action), ACTION_E_DONE);
	expect(bench, SUCCEEDED, 0, "a new session is up");
}

static void unknown_verbs_are_not_found(void **state)
{
	assert_null(action_find(0));
	assert_null(action_find(999));
}

/* scsi.rescan: the attributes are ordinary files here, so what is written to them counts. */
static void rescan_of_a_device(void **state)
{
	struct bench *bench = *state;
	char path[512], line[16];

	bench->target.id = (char *)"wwid:naa.5";
	bench->command.target = &bench->target;
	run(bench, PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_SCSI_RESCAN);
	assert_int_equal(bench->result.life, PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_REJECTED);
	assert_int_equal(bench->result.refusal,
			 PATHBELL__V1__COMMAND_REFUSAL__COMMAND_REFUSAL_PRECONDITION);

	strcpy(disk.bus_address, "1:0:0:0");
	snprintf(path, sizeof(path), "%s/bus/scsi/devices/1:0:0:0", bench->dir);
	assert_int_equal(file_mkdirs(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/bus/scsi/devices/1:0:0:0/rescan", bench->dir);
	assert_int_equal(file_replace(path, "", 0, 0600), 0);
	run(bench, PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_SCSI_RESCAN);
	assert_int_equal(file_read_line(AT_FDCWD, path, line, sizeof(line)), 0);
	assert_string_equal(line, "1");
	/* there is no node in the test's /dev */
	disk.bus_address[0] = '\0';
	assert_int_equal(bench->result.life, PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_INEFFECTIVE);
	assert_true(bench->result.has_device);
}

static void rescan_of_a_host(void **state)
{
	struct bench *bench = *state;
	Pathbell__V1__ScsiRescanArgs args = PATHBELL__V1__SCSI_RESCAN_ARGS__INIT;
	char path[512], line[16];

	bench->command.args_case = PATHBELL__V1__COMMAND__ARGS_SCSI_RESCAN;
	bench->command.scsi_rescan = &args;
	args.host = 3 + 1;
	run(bench, PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_SCSI_RESCAN);
	assert_int_equal(bench->result.refusal,
			 PATHBELL__V1__COMMAND_REFUSAL__COMMAND_REFUSAL_TARGET_ABSENT);
	snprintf(path, sizeof(path), "%s/class/scsi_host/host3", bench->dir);
	assert_int_equal(file_mkdirs(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/class/scsi_host/host3/scan", bench->dir);
	assert_int_equal(file_replace(path, "", 0, 0600), 0);
	bench->command.dry_run = true;
	run(bench, PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_SCSI_RESCAN);
	assert_string_equal(bench->result.detail, "dry run: would rescan scsi_host:3");
	assert_int_equal(file_read_line(AT_FDCWD, path, line, sizeof(line)), 0);
	assert_string_equal(line, "");
	bench->command.dry_run = false;
	run(bench, PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_SCSI_RESCAN);
	assert_int_equal(bench->result.life, PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_SUCCEEDED);
	assert_int_equal(file_read_line(AT_FDCWD, path, line, sizeof(line)), 0);
	assert_string_equal(line, "- - -");
}

/* After a crash the command has started: that nothing fits any more is no refusal. */
static void a_lost_target_is_no_refusal(void **state)
{
	struct bench *bench = *state;
	struct action action = { .host = &bench->host,
				 .command = &bench->command,
				 .result = &bench->result };
	static const unsigned verbs[] = {
		PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_SCSI_RESCAN,
		PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_MULTIPATH_REINSTATE,
		PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_MULTIPATH_FAIL,
		PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_MULTIPATH_SWITCH_GROUP,
	};

	bench->target.map_uuid = (char *)"mpath-of-no-host";
	bench->target.name = (char *)"sdb";
	bench->target.group = 1;
	bench->command.target = &bench->target;
	bench->find = ACTION_E_ABSENT;
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		bench->result = (struct action_result){ 0 };
		assert_int_equal(action_find(verbs[i])->resolve(&action), ACTION_E_DONE);
		assert_int_equal(bench->result.life,
				 PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_FAILED);
		assert_true(bench->result.detail[0]);
	}
	/* the map is named, not its path; where the test may not look it can't tell */
	if (bench->result.refusal)
		assert_non_null(strstr(bench->result.detail, "mpath-of-no-host"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(probe_reads_the_state, setup, teardown),
		cmocka_unit_test_setup_teardown(probe_says_what_is_wrong, setup, teardown),
		cmocka_unit_test_setup_teardown(probe_sees_what_is_gone_or_recycled, setup,
						teardown),
		cmocka_unit_test_setup_teardown(probe_does_not_take_a_file_for_a_device, setup,
						teardown),
		cmocka_unit_test_setup_teardown(dry_runs_touch_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(resync_names_its_collectors, setup, teardown),
		cmocka_unit_test_setup_teardown(reconnect_waits_for_the_session, setup, teardown),
		cmocka_unit_test_setup_teardown(rescan_of_a_device, setup, teardown),
		cmocka_unit_test_setup_teardown(rescan_of_a_host, setup, teardown),
		cmocka_unit_test_setup_teardown(a_lost_target_is_no_refusal, setup, teardown),
		cmocka_unit_test(unknown_verbs_are_not_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
