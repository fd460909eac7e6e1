/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "actions/action.h"
#include "core/clock.h"
#include "core/file.h"

/*
 * The NVMe verbs over a sysfs of files: which controller is meant, what is refused, what a dry run
 * says. Where a write must have an effect a FIFO stands in for the attribute, and a child that
 * reads it for the kernel. Connecting for real is tests/kernel/test_commands_nvme.py.
 */
#define LIFE(name)    PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_##name
#define REFUSAL(name) PATHBELL__V1__COMMAND_REFUSAL__COMMAND_REFUSAL_##name
#define VERB(name)    PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_NVME_##name
#define NQN	      "nqn.2026-01.lab.vm:s1"
#define ADDRESS	      "transport=tcp traddr=10.0.0.1"

static struct {
	char dir[64], sysfs[96], conf[96], registry[96], proc[96];
	struct action_host host;
	struct action_result result;
	Pathbell__V1__Command command;
	Pathbell__V1__CommandTarget target;
	Pathbell__V1__NvmeConnectArgs connect;
	Pathbell__V1__NvmeDiscoverArgs discover;
	struct tid told; /* to the monitor */
	int want, fifo;
} bench;

static void put(const char *name, const char *text)
{
	char path[512], *slash;

	snprintf(path, sizeof(path), "%s/%s", bench.dir, name);
	slash = strrchr(path, '/');
	*slash = '\0';
	assert_int_equal(file_mkdirs(path, 0755), 0);
	*slash = '/';
	assert_int_equal(file_replace(path, text, strlen(text), 0644), 0);
}

static void put_attribute(const char *controller, const char *attribute, const char *text)
{
	char name[256];

	snprintf(name, sizeof(name), "sys/class/nvme/%s/%s", controller, attribute);
	put(name, text);
}

static void put_controller(const char *name, const char *state, const char *address)
{
	put_attribute(name, "state", state);
	put_attribute(name, "transport", "tcp\n");
	put_attribute(name, "address", address);
	put_attribute(name, "subsysnqn", NQN "\n");
	put_attribute(name, "cntrltype", "io\n");
	put_attribute(name, "dev", "245:0\n");
	put_attribute(name, "reset_controller", "");
	put_attribute(name, "delete_controller", "");
	put_attribute(name, "rescan_controller", "");
}

/* Namespace 1 of subsystem 0, through @controller. */
static void put_path(const char *controller, const char *path, const char *ana)
{
	char name[64];

	snprintf(name, sizeof(name), "%s/ana_state", path);
	put_attribute(controller, name, ana);
}

static int host_want(void *data, const struct tid *tid)
{
	bench.told = *tid;
	return bench.want;
}

static void host_forget(void *data, const struct tid *tid)
{
	bench.told = *tid;
}

static int make(void **state)
{
	memset(&bench, 0, sizeof(bench));
	strcpy(bench.dir, "/tmp/pathbell-nvme-actions.XXXXXX");
	assert_non_null(mkdtemp(bench.dir));
	snprintf(bench.sysfs, sizeof(bench.sysfs), "%s/sys", bench.dir);
	snprintf(bench.conf, sizeof(bench.conf), "%s/etc", bench.dir);
	snprintf(bench.registry, sizeof(bench.registry), "%s/run", bench.dir);
	snprintf(bench.proc, sizeof(bench.proc), "%s/proc", bench.dir);
	bench.host = (struct action_host){ .sysfs = bench.sysfs,
					   .dev = bench.dir,
					   .nvme_conf = bench.conf,
					   .nvme_registry = bench.registry,
					   .proc = bench.proc,
					   .nvme_want = host_want,
					   .nvme_forget = host_forget };
	pathbell__v1__command__init(&bench.command);
	pathbell__v1__command_target__init(&bench.target);
	pathbell__v1__nvme_connect_args__init(&bench.connect);
	pathbell__v1__nvme_discover_args__init(&bench.discover);
	bench.command.target = &bench.target;
	bench.command.not_before_unix_ms = clock_realtime_ns() / CLOCK_NS_PER_MS;
	put("nvme-fabrics", "transport=%s,traddr=%s,trsvcid=%s,nqn=%s,hostnqn=%s,hostid=%s\n");
	put("sys/kernel/uevent_seqnum", "4711\n");
	put_controller("nvme0", "live\n", "traddr=10.0.0.1,trsvcid=4420,src_addr=10.0.0.9\n");
	put_controller("nvme1", "live\n", "traddr=10.0.0.2,trsvcid=4420,src_addr=10.0.0.9\n");
	put_path("nvme0", "nvme0c0n1", "optimized\n");
	put_path("nvme1", "nvme0c1n1", "optimized\n");
	return 0;
}

static int clean(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", bench.dir);
	return system(command);
}

static void act(unsigned verb, bool dry_run)
{
	struct action action = { .host = &bench.host,
				 .command = &bench.command,
				 .result = &bench.result };
	const struct action_verb *found = action_find(verb);

	memset(&bench.result, 0, sizeof(bench.result));
	bench.command.verb = (Pathbell__V1__CommandVerb)verb;
	bench.command.dry_run = dry_run;
	action_run(found, &action);
	if (found->settle && !dry_run)
		found->settle(&action);
}

static void resolve(unsigned verb)
{
	struct action action = { .host = &bench.host,
				 .command = &bench.command,
				 .result = &bench.result };

	memset(&bench.result, 0, sizeof(bench.result));
	assert_int_equal(action_find(verb)->resolve(&action), ACTION_E_DONE);
}

static void expect(unsigned life, unsigned refusal, const char *detail)
{
	const struct action_result *result = &bench.result;

	if (result->life != life || result->refusal != refusal || !strstr(result->detail, detail))
		fail_msg("life %u refusal %u \"%s\"", result->life, result->refusal,
			 result->detail);
}

static void aim(const char *nqn, const char *address, const char *name)
{
	bench.target.nqn = (char *)nqn;
	bench.target.transport_address = (char *)address;
	bench.target.name = (char *)name;
}

static bool was_written(const char *attribute)
{
	char path[256], line[8] = "";

	snprintf(path, sizeof(path), "%s/class/nvme/%s", bench.sysfs, attribute);
	return file_read_line(AT_FDCWD, path, line, sizeof(line)) == 0 && strcmp(line, "1") == 0;
}

/* Which controller */

static void test_target(void **state)
{
	struct stat st;
	char path[256];

	aim(NQN, ADDRESS, "");
	act(VERB(RESET), true);
	expect(LIFE(SUCCEEDED), 0, "dry run: would reset nvme0 (" NQN " at " ADDRESS);
	assert_string_equal(bench.result.object, ADDRESS " trsvcid=4420 nqn=" NQN);
	aim("", "transport=tcp traddr=::ffff:10.0.0.2 trsvcid=4420", "");
	act(VERB(RESET), true);
	expect(LIFE(SUCCEEDED), 0, "would reset nvme1");
	bench.target.id = (char *)"nqn:" NQN;
	aim("", "", "nvme1");
	act(VERB(RESET), true);
	expect(LIFE(SUCCEEDED), 0, "would reset nvme1");
	bench.target.id = (char *)"";

	snprintf(path, sizeof(path), "%s/class/nvme/nvme0", bench.sysfs);
	assert_int_equal(stat(path, &st), 0);
	bench.target.generation = st.st_ino;
	aim("", "", "nvme0");
	act(VERB(RESET), true);
	expect(LIFE(SUCCEEDED), 0, "would reset nvme0");
	bench.target.generation++;
	act(VERB(RESET), true);
	expect(LIFE(REJECTED), REFUSAL(TARGET_RECYCLED), "nvme0 is another controller now");
}

static void test_target_is_refused(void **state)
{
	const char *const bad[] = { "traddr=10.0.0.1", "transport=tcp colour=red", "tcp" };

	aim(NQN, "", "");
	act(VERB(RESET), false);
	expect(LIFE(REJECTED), REFUSAL(AMBIGUOUS_TARGET), "2 controllers fit");
	aim("nqn.other", "", "");
	act(VERB(RESET), false);
	expect(LIFE(REJECTED), REFUSAL(TARGET_ABSENT), "no NVMe controller fits nqn.other");
	aim("nqn.other", "", "nvme0");
	act(VERB(DISCONNECT), false);
	expect(LIFE(REJECTED), REFUSAL(TARGET_RECYCLED), "nvme0 is another controller now: " NQN);
	aim("", "", "nvme7");
	act(VERB(DISCONNECT), false);
	expect(LIFE(REJECTED), REFUSAL(TARGET_ABSENT), "nvme7");
	aim("", "", "");
	act(VERB(DISCONNECT), false);
	expect(LIFE(REJECTED), REFUSAL(MALFORMED), "no target");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		aim(NQN, bad[i], "");
		act(VERB(DISCONNECT), false);
		expect(LIFE(REJECTED), REFUSAL(MALFORMED), "the transport address");
	}
	aim("", "", "");
	bench.target.id = (char *)"wwid:naa.5";
	act(VERB(DISCONNECT), false);
	expect(LIFE(REJECTED), REFUSAL(MALFORMED), "not the id of an NVMe controller");
	bench.command.target = NULL;
	act(VERB(DISCONNECT), false);
	expect(LIFE(REJECTED), REFUSAL(MALFORMED), "no target");
	assert_false(was_written("nvme0/reset_controller") ||
		     was_written("nvme0/delete_controller"));
}

static void test_name_alone(void **state)
{
	struct timespec times[2] = { 0 };
	char path[256];

	put("nvme0", "");
	snprintf(path, sizeof(path), "%s/nvme0", bench.dir);
	aim("", "", "nvme0");
	times[0].tv_sec = times[1].tv_sec = (time_t)(bench.command.not_before_unix_ms / 1000 - 5);
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
	act(VERB(RESET), true);
	expect(LIFE(SUCCEEDED), 0, "would reset nvme0");
	times[0].tv_sec = times[1].tv_sec += 10;
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
	act(VERB(RESET), true);
	expect(LIFE(REJECTED), REFUSAL(TARGET_RECYCLED), "made after the command was written");
	aim(NQN, "", "nvme0"); /* what it is has been said */
	act(VERB(RESET), true);
	expect(LIFE(SUCCEEDED), 0, "would reset nvme0");
}

/* Whose it is, and who needs it */

static void test_owner(void **state)
{
	aim(NQN, ADDRESS, "");
	put("run/nvme0/owner", "stas\n");
	act(VERB(DISCONNECT), false);
	expect(LIFE(REJECTED), REFUSAL(OWNED_BY_OTHER), "nvme0 belongs to stas");
	act(VERB(RESET), false);
	expect(LIFE(REJECTED), REFUSAL(OWNED_BY_OTHER), "nvme0 belongs to stas");
	act(VERB(RESCAN), true); /* does no harm */
	expect(LIFE(SUCCEEDED), 0, "owner stas");
	put("run/nvme0/owner", "pathbell\n");
	act(VERB(DISCONNECT), true);
	expect(LIFE(SUCCEEDED), 0, "owner pathbell, which is live");
}

static void test_exclusions(void **state)
{
	put("etc/exclusions.conf", "# ours\nexclusion = transport=tcp;traddr=10.0.0.1\n");
	aim(NQN, ADDRESS, "");
	act(VERB(DISCONNECT), false);
	expect(LIFE(REJECTED), REFUSAL(EXCLUDED), "exclusions.conf, line 2, excludes it");
	act(VERB(CONNECT), false);
	expect(LIFE(REJECTED), REFUSAL(EXCLUDED), "line 2");
	aim("", ADDRESS " trsvcid=8009", "");
	act(VERB(DISCOVER), false);
	expect(LIFE(REJECTED), REFUSAL(EXCLUDED), "line 2");
	aim(NQN, "transport=tcp traddr=10.0.0.2", "");
	act(VERB(DISCONNECT), true);
	expect(LIFE(SUCCEEDED), 0, "would disconnect nvme1");
}

static void expect_last_path(void)
{
	act(VERB(DISCONNECT), false);
	expect(LIFE(REJECTED), REFUSAL(LAST_PATH),
	       "nvme0: it is the last live path to nvme0n1, which is held by dm-0");
	act(VERB(RESET), false);
	expect(LIFE(REJECTED), REFUSAL(LAST_PATH), "held by dm-0");
}

static void test_last_path(void **state)
{
	aim(NQN, ADDRESS, "");
	put("sys/block/nvme0n1/holders/dm-0", "");
	act(VERB(DISCONNECT), true);
	expect(LIFE(SUCCEEDED), 0, "; nvme0n1 is held by dm-0, and keeps another path");
	put_attribute("nvme1", "state", "connecting\n");
	expect_last_path();
	put_attribute("nvme1", "state", "live\n");
	put_path("nvme1", "nvme0c1n1", "inaccessible\n");
	expect_last_path();
	put_path("nvme1", "nvme0c1n1", "non-optimized\n");
	act(VERB(DISCONNECT), true);
	expect(LIFE(SUCCEEDED), 0, "would disconnect nvme0");
	/* a namespace that only nvme0 leads to, and that nobody uses */
	put_path("nvme0", "nvme0c0n2", "optimized\n");
	act(VERB(DISCONNECT), true);
	expect(LIFE(SUCCEEDED), 0, "would disconnect nvme0");
	put("proc/swaps", "Filename\n");
	put("proc/1/mountinfo", "1 1 259:2 / /data rw - xfs none rw\n");
	put("sys/block/nvme0n2/dev", "259:2\n");
	act(VERB(DISCONNECT), false);
	expect(LIFE(REJECTED), REFUSAL(LAST_PATH), "nvme0n2, which is mounted on /data");
	bench.command.override_last_path = true;
	act(VERB(DISCONNECT), true);
	expect(LIFE(SUCCEEDED), 0, "; it is the last live path to nvme0n2");
	assert_false(was_written("nvme0/delete_controller"));
}

/* Native multipath off: the disk lies below the controller, and dm-multipath may hold it. */
static void test_last_path_under_device_mapper(void **state)
{
	char path[256], target[256];

	aim(NQN, ADDRESS, "");
	put_path("nvme0", "nvme0n3", "optimized\n");
	put("sys/block/nvme0n3/holders/dm-5", "");
	put("sys/block/dm-5/dm/uuid", "mpath-uuid.1\n");
	put("sys/block/dm-5/slaves/nvme0n3", "");
	act(VERB(DISCONNECT), false);
	expect(LIFE(REJECTED), REFUSAL(LAST_PATH), "nvme0n3, which is held by dm-5");
	put("sys/block/dm-5/slaves/nvme1n3", "");
	snprintf(path, sizeof(path), "%s/block/nvme1n3", bench.sysfs);
	assert_int_equal(file_mkdirs(path, 0755), 0);
	strcat(path, "/device");
	snprintf(target, sizeof(target), "%s/class/nvme/nvme1", bench.sysfs);
	assert_int_equal(symlink(target, path), 0);
	act(VERB(DISCONNECT), true);
	expect(LIFE(SUCCEEDED), 0, "would disconnect nvme0");
	put("sys/block/dm-5/dm/uuid", "LVM-1\n");
	act(VERB(DISCONNECT), false);
	expect(LIFE(REJECTED), REFUSAL(LAST_PATH), "nvme0n3, which is held by dm-5");
}

/* What they do */

static void test_connected_already(void **state)
{
	aim(NQN, ADDRESS, "");
	act(VERB(CONNECT), false);
	expect(LIFE(SUCCEEDED), 0, "was connected already: nvme0 (" NQN);
	put_attribute("nvme0", "state", "connecting\n");
	act(VERB(CONNECT), true);
	expect(LIFE(SUCCEEDED), 0, "would wait for nvme0");
	act(VERB(CONNECT), false);
	expect(LIFE(INEFFECTIVE), 0, "is connecting, not live");
	resolve(VERB(CONNECT));
	expect(LIFE(INEFFECTIVE), 0, "is connecting now");
}

static void test_connect_is_checked(void **state)
{
	char path[256];

	aim(NQN, "transport=tcp traddr=10.0.0.3", "");
	act(VERB(CONNECT), true);
	expect(LIFE(SUCCEEDED), 0,
	       "dry run: would connect transport=tcp traddr=10.0.0.3 trsvcid=4420 nqn=" NQN);
	aim("", "transport=tcp traddr=10.0.0.3", "");
	act(VERB(CONNECT), false);
	expect(LIFE(REJECTED), REFUSAL(MALFORMED), "no nqn is given");
	aim(NQN, "transport=tcp traddr=10.0.0.3 host_iface=eth0", "");
	act(VERB(CONNECT), false);
	expect(LIFE(REJECTED), REFUSAL(UNSUPPORTED), "does not know the option host_iface");
	aim(NQN, "transport=tcp traddr=10.0.0.3", "");
	bench.command.args_case = PATHBELL__V1__COMMAND__ARGS_NVME_CONNECT;
	bench.command.nvme_connect = &bench.connect;
	bench.connect.queue_size = 5;
	act(VERB(CONNECT), false);
	expect(LIFE(REJECTED), REFUSAL(MALFORMED), "queue_size can't be 5");
	bench.connect.queue_size = 0;
	bench.connect.host_nqn = (char *)"nqn.a,transport=rdma";
	act(VERB(CONNECT), false);
	expect(LIFE(REJECTED), REFUSAL(MALFORMED), "host_nqn is not an NQN");
	bench.connect.host_nqn = (char *)"";
	snprintf(path, sizeof(path), "%s/nvme-fabrics", bench.dir);
	assert_int_equal(unlink(path), 0);
	act(VERB(CONNECT), false);
	expect(LIFE(REJECTED), REFUSAL(PRECONDITION), "is the module nvme_fabrics loaded?");
	resolve(VERB(CONNECT));
	expect(LIFE(INEFFECTIVE), 0, "there is no such controller now");
}

static void test_connect_is_told_to_the_monitor(void **state)
{
	aim(NQN, ADDRESS, "");
	bench.command.args_case = PATHBELL__V1__COMMAND__ARGS_NVME_CONNECT;
	bench.command.nvme_connect = &bench.connect;
	act(VERB(CONNECT), false);
	assert_string_equal(bench.told.traddr, "");
	bench.connect.desired = true;
	act(VERB(CONNECT), false);
	expect(LIFE(SUCCEEDED), 0, "was connected already");
	assert_string_equal(bench.told.traddr, "10.0.0.1");
	bench.want = -ENXIO;
	act(VERB(CONNECT), false);
	expect(LIFE(INEFFECTIVE), 0, "; but the monitor does not want it: ");
	bench.host.nvme_want = NULL;
	act(VERB(CONNECT), false);
	expect(LIFE(REJECTED), REFUSAL(UNSUPPORTED), "no NVMe monitor");
}

static void test_reset(void **state)
{
	aim(NQN, ADDRESS, "");
	act(VERB(RESET), false);
	expect(LIFE(SUCCEEDED), 0, "was reset and is live again");
	assert_true(was_written("nvme0/reset_controller"));
	assert_false(was_written("nvme1/reset_controller"));
	resolve(VERB(RESET));
	expect(LIFE(INEFFECTIVE), 0, "whether it was reset can't be told");
	put_attribute("nvme0", "state", "connecting\n");
	act(VERB(RESET), false);
	expect(LIFE(REJECTED), REFUSAL(PRECONDITION), "the kernel resets live controllers only");
	resolve(VERB(RESET));
	expect(LIFE(WORSE), 0, "was live and is connecting now");
}

/*
 * A child in the place of the kernel: when the attribute is opened it runs @command, and only then
 * lets the write through. The attribute is a FIFO that is full until then.
 */
static void answer_in_child(int fifo, int watch, const char *command)
{
	char event[4096];

	if (read(watch, event, sizeof(event)) <= 0 || chdir(bench.sysfs) != 0)
		_exit(1);
	if (system(command) != 0)
		_exit(2);
	while (read(fifo, event, sizeof(event)) > 0)
		;
	_exit(errno == EAGAIN ? 0 : 3);
}

static pid_t answer(const char *attribute, const char *command)
{
	static const char bytes[4096];
	char path[256];
	int fifo, watch;
	pid_t pid;

	snprintf(path, sizeof(path), "%s/class/nvme/%s", bench.sysfs, attribute);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	fifo = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	assert_true(fifo >= 0);
	while (write(fifo, bytes, sizeof(bytes)) > 0)
		;
	watch = inotify_init1(IN_CLOEXEC);
	assert_true(watch >= 0 && inotify_add_watch(watch, path, IN_OPEN) >= 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		answer_in_child(fifo, watch, command);
	close(watch);
	bench.fifo = fifo; /* open until the write is over: else it would fail */
	return pid;
}

static void reap(pid_t pid)
{
	int status;

	close(bench.fifo);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void run_until(unsigned verb, uint64_t seconds)
{
	struct action action = { .host = &bench.host,
				 .command = &bench.command,
				 .result = &bench.result,
				 .deadline_ns = clock_monotonic_ns() + seconds * CLOCK_NS_PER_S };

	memset(&bench.result, 0, sizeof(bench.result));
	bench.command.dry_run = false;
	action_run(action_find(verb), &action);
	if (action_find(verb)->settle)
		action_find(verb)->settle(&action);
}

static void test_reset_made_it_worse(void **state)
{
	pid_t pid = answer("nvme0/reset_controller", "echo connecting > class/nvme/nvme0/state");

	aim(NQN, ADDRESS, "");
	run_until(VERB(RESET), 2);
	expect(LIFE(WORSE), 0, "was live and is connecting since the reset");
	reap(pid);
}

static void test_reset_lost_it(void **state)
{
	pid_t pid = answer("nvme0/reset_controller", "rm -r class/nvme/nvme0");

	aim(NQN, ADDRESS, "");
	run_until(VERB(RESET), 60);
	reap(pid);
	expect(LIFE(WORSE), 0, "is gone since the reset");
}

static void test_disconnect(void **state)
{
	char path[256];
	pid_t pid = answer("nvme0/delete_controller", "rm -r class/nvme/nvme0");

	put("run/nvme0/owner", "pathbell\n");
	put("run/nvme0/seqnum", "12\n");
	aim("", "", "nvme0");
	bench.target.nqn = (char *)NQN;
	run_until(VERB(DISCONNECT), 60);
	reap(pid);
	expect(LIFE(SUCCEEDED), 0, "is disconnected");
	assert_string_equal(bench.told.traddr, "10.0.0.1");
	assert_string_equal(bench.told.nqn, NQN);
	snprintf(path, sizeof(path), "%s/nvme0", bench.registry);
	assert_int_equal(access(path, F_OK), -1);
	resolve(VERB(DISCONNECT));
	expect(LIFE(SUCCEEDED), 0, "not there any more");
}

static void test_disconnect_and_somebody_connects(void **state)
{
	pid_t pid = answer("nvme0/delete_controller",
			   "cp -r class/nvme/nvme1 class/nvme/nvme5 && "
			   "cp class/nvme/nvme0/address class/nvme/nvme5/ && "
			   "rm -r class/nvme/nvme0");

	aim(NQN, ADDRESS, "");
	run_until(VERB(DISCONNECT), 60);
	reap(pid);
	expect(LIFE(INEFFECTIVE), 0, "something connected it again at once: nvme5");
	assert_string_equal(bench.told.traddr, "");
}

static void test_disconnect_takes_its_time(void **state)
{
	aim(NQN, ADDRESS, "");
	act(VERB(DISCONNECT), false);
	expect(LIFE(INEFFECTIVE), 0, "is still live");
	resolve(VERB(DISCONNECT));
	expect(LIFE(INEFFECTIVE), 0, "is still there and live");
	put_attribute("nvme0", "transport", "pcie\n");
	put_attribute("nvme0", "address", "0000:00:04.0\n");
	aim(NQN, "", "nvme0");
	act(VERB(DISCONNECT), false);
	expect(LIFE(REJECTED), REFUSAL(PRECONDITION), "is a PCIe device");
}

static void test_rescan(void **state)
{
	aim(NQN, ADDRESS, "");
	put_attribute("nvme0", "nvme0c0n1/nsid", "1\n");
	put_attribute("nvme0", "nvme0c0n1/size", "2048\n");
	act(VERB(RESCAN), true);
	expect(LIFE(SUCCEEDED), 0, "has 1 namespaces now");
	act(VERB(RESCAN), false); /* no device to ask */
	expect(LIFE(INEFFECTIVE), 0, "did not say which namespaces it has");
	assert_true(was_written("nvme0/rescan_controller"));
	put_attribute("nvme0", "cntrltype", "discovery\n");
	act(VERB(RESCAN), false);
	expect(LIFE(REJECTED), REFUSAL(PRECONDITION), "has no namespaces");
	put_attribute("nvme1", "state", "connecting\n");
	aim("", "transport=tcp traddr=10.0.0.2", "");
	act(VERB(RESCAN), false);
	expect(LIFE(REJECTED), REFUSAL(PRECONDITION), "is connecting");
}

static void test_discover(void **state)
{
	aim("", "transport=tcp traddr=10.0.0.1", "");
	act(VERB(DISCOVER), true);
	expect(LIFE(SUCCEEDED), 0,
	       "transport=tcp traddr=10.0.0.1 trsvcid=8009 "
	       "nqn=nqn.2014-08.org.nvmexpress.discovery by a new controller that is deleted");
	bench.command.args_case = PATHBELL__V1__COMMAND__ARGS_NVME_DISCOVER;
	bench.command.nvme_discover = &bench.discover;
	bench.discover.connect = bench.discover.persistent = true;
	put_controller("nvme2", "live\n", "traddr=10.0.0.1,trsvcid=8009\n");
	put_attribute("nvme2", "subsysnqn", "nqn.unique\n");
	put_attribute("nvme2", "cntrltype", "discovery\n");
	act(VERB(DISCOVER), true);
	expect(LIFE(SUCCEEDED), 0, "by nvme2, and connect what it names");
	act(VERB(DISCOVER), false); /* no device to read from */
	expect(LIFE(FAILED), 0, "cannot read the log page through");
	resolve(VERB(DISCOVER));
	expect(LIFE(INEFFECTIVE), 0, "ask again; nvme2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_target, make, clean),
		cmocka_unit_test_setup_teardown(test_target_is_refused, make, clean),
		cmocka_unit_test_setup_teardown(test_name_alone, make, clean),
		cmocka_unit_test_setup_teardown(test_owner, make, clean),
		cmocka_unit_test_setup_teardown(test_exclusions, make, clean),
		cmocka_unit_test_setup_teardown(test_last_path, make, clean),
		cmocka_unit_test_setup_teardown(test_last_path_under_device_mapper, make, clean),
		cmocka_unit_test_setup_teardown(test_connected_already, make, clean),
		cmocka_unit_test_setup_teardown(test_connect_is_checked, make, clean),
		cmocka_unit_test_setup_teardown(test_connect_is_told_to_the_monitor, make, clean),
		cmocka_unit_test_setup_teardown(test_reset, make, clean),
		cmocka_unit_test_setup_teardown(test_reset_made_it_worse, make, clean),
		cmocka_unit_test_setup_teardown(test_reset_lost_it, make, clean),
		cmocka_unit_test_setup_teardown(test_disconnect, make, clean),
		cmocka_unit_test_setup_teardown(test_disconnect_and_somebody_connects, make, clean),
		cmocka_unit_test_setup_teardown(test_disconnect_takes_its_time, make, clean),
		cmocka_unit_test_setup_teardown(test_rescan, make, clean),
		cmocka_unit_test_setup_teardown(test_discover, make, clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
