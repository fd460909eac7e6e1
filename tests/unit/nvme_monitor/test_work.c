/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collectors/nvme_monitor/children.h"
#include "collectors/nvme_monitor/nvme_monitor.h"
#include "core/clock.h"
#include "core/file.h"

/* The monitor's children, for real, over a made-up /sys, /dev and /etc/nvme. */
struct place {
	char root[64], sysfs[96], dev[96], conf[96], exclusions[128], registry[96], rules[96];
	char distribution[96];
	char *rule, *from;
	struct nvme_monitor_config config;
	struct bell bell;
	struct children children;
};

static char *join(char *text, size_t size, const char *root, const char *name)
{
	snprintf(text, size, "%s/%s", root, name);
	return text;
}

static void put(const char *root, const char *name, const char *text)
{
	char path[512], folder[512];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	snprintf(folder, sizeof(folder), "%s", path);
	*strrchr(folder, '/') = '\0';
	assert_int_equal(file_mkdirs(folder, 0755), 0);
	assert_int_equal(file_replace(path, text, strlen(text), 0644), 0);
}

static int setup(void **state)
{
	struct place *place = calloc(1, sizeof(*place));
	struct nvme_monitor_config *config = &place->config;

	snprintf(place->root, sizeof(place->root), "/tmp/test-work.XXXXXX");
	assert_non_null(mkdtemp(place->root));
	join(place->sysfs, sizeof(place->sysfs), place->root, "sys");
	join(place->dev, sizeof(place->dev), place->root, "dev");
	place->rule = (char *)"70-nvmf-autoconnect.rules";
	place->from = join(place->distribution, sizeof(place->distribution), place->root, "usr");
	config->conf_dir = join(place->conf, sizeof(place->conf), place->root, "nvme");
	config->exclusions =
		join(place->exclusions, sizeof(place->exclusions), place->conf, "exclusions.conf");
	config->registry = join(place->registry, sizeof(place->registry), place->root, "registry");
	config->rules_dir = join(place->rules, sizeof(place->rules), place->root, "rules");
	config->rules = (struct config_strings){ &place->rule, 1 };
	config->rules_from = (struct config_strings){ &place->from, 1 };
	assert_int_equal(bell_open(&place->bell), 0);
	children_init(&place->children, &place->bell);
	*state = place;
	return 0;
}

static int teardown(void **state)
{
	struct place *place = *state;
	char command[128];
	int r;

	children_deinit(&place->children);
	bell_close(&place->bell);
	snprintf(command, sizeof(command), "rm -r %s", place->root);
	r = system(command); /* NOLINT(cert-env33-c): a test's own folder */
	free(place);
	return r;
}

static struct work_job *job_of(struct place *place, enum work_kind kind)
{
	struct work_job *job = calloc(1, sizeof(*job));

	job->kind = kind;
	job->config = &place->config;
	job->sysfs = place->sysfs;
	job->dev = place->dev;
	job->connection = 7;
	snprintf(job->tid.transport, sizeof(job->tid.transport), "tcp");
	snprintf(job->tid.traddr, sizeof(job->tid.traddr), "192.0.2.1");
	snprintf(job->tid.nqn, sizeof(job->tid.nqn), "nqn.2026-01.org.example:a");
	tid_normalise(&job->tid);
	return job;
}

/* Starts, and waits for what comes of it. */
static int outcome_of(struct place *place, struct work_job *job, uint64_t deadline_ns,
		      struct work_answer *ret_answer)
{
	const struct work_job *done;
	int r;

	assert_int_equal(children_start(&place->children, job, deadline_ns), 0);
	while ((r = children_next(&place->children, clock_monotonic_ns(), &done, ret_answer)) ==
	       CHILDREN_E_NONE) {
		struct pollfd readable = { .fd = place->bell.fd, .events = POLLIN };

		bell_arm(&place->bell, children_due(&place->children));
		assert_int_equal(poll(&readable, 1, 30000), 1);
	}
	assert_int_equal(done->connection, 7);
	return r;
}

static uint64_t later(void)
{
	return clock_monotonic_ns() + 60 * CLOCK_NS_PER_S;
}

static void test_files(void **state)
{
	struct place *place = *state;
	struct work_job *job = job_of(place, WORK_FILES);
	struct work_answer answer;

	put(place->conf, "discovery.conf", "--transport=tcp --traddr=192.0.2.9\n");
	put(place->sysfs, "class/fc/fc_udev_device/nvme_discovery", "");
	put(place->distribution, "70-nvmf-autoconnect.rules", "x\n");
	job->mask = job->kick = true;
	assert_int_equal(outcome_of(place, job, later(), &answer), 0);
	assert_int_equal(answer.outcome, WORK_DONE);
	assert_int_equal(answer.error, 0);
	assert_int_equal(answer.masked, 1);
	assert_int_equal(answer.n_items, 1);
	assert_true(answer.items[0].is_discovery);
	assert_int_equal(answer.items[0].source, CONNECTION_DISCOVERY_CONF);
	assert_string_equal(answer.items[0].tid.traddr, "192.0.2.9");
	assert_string_equal(answer.items[0].tid.trsvcid, "8009");
}

/* The rest of the file counts; that one is told. */
static void test_broken_file(void **state)
{
	struct place *place = *state;
	struct work_answer answer;

	put(place->conf, "discovery.conf", "--transport=pigeon\n--transport=tcp -a 192.0.2.9\n");
	assert_int_equal(outcome_of(place, job_of(place, WORK_FILES), later(), &answer), 0);
	assert_int_equal(answer.outcome, WORK_DONE);
	assert_int_equal(answer.error, -EINVAL);
	assert_non_null(strstr(answer.reason, "discovery.conf"));
	assert_int_equal(answer.n_items, 1);
}

static void test_connect_without_driver(void **state)
{
	struct place *place = *state;
	struct work_answer answer;

	assert_int_equal(outcome_of(place, job_of(place, WORK_CONNECT), later(), &answer), 0);
	assert_int_equal(answer.outcome, WORK_FAILED);
	assert_int_equal(answer.error, -ENOENT);
	assert_non_null(strstr(answer.reason, "nvme_fabrics"));
}

static void test_excluded(void **state)
{
	struct place *place = *state;
	struct work_answer answer;

	put(place->conf, "exclusions.conf", "exclusion = transport=tcp;traddr=192.0.2.1\n");
	assert_int_equal(outcome_of(place, job_of(place, WORK_CONNECT), later(), &answer), 0);
	assert_int_equal(answer.outcome, WORK_SKIPPED);
	assert_non_null(strstr(answer.reason, "line 1"));
	assert_int_equal(outcome_of(place, job_of(place, WORK_DISCOVER), later(), &answer), 0);
	assert_int_equal(answer.outcome, WORK_SKIPPED);
}

/* One that is being reconnected is neither read nor doubled. */
static void test_discovery_waits_for_reconnect(void **state)
{
	struct place *place = *state;
	struct work_job *job = job_of(place, WORK_DISCOVER);
	struct work_answer answer;

	put(place->sysfs, "class/nvme/nvme3/state", "connecting\n");
	put(place->sysfs, "class/nvme/nvme3/transport", "tcp\n");
	put(place->sysfs, "class/nvme/nvme3/cntrltype", "discovery\n");
	put(place->sysfs, "class/nvme/nvme3/subsysnqn", TID_WELL_KNOWN_DISCOVERY "\n");
	put(place->sysfs, "class/nvme/nvme3/address", "traddr=192.0.2.1,trsvcid=8009\n");
	snprintf(job->tid.nqn, sizeof(job->tid.nqn), "%s", TID_WELL_KNOWN_DISCOVERY);
	snprintf(job->tid.trsvcid, sizeof(job->tid.trsvcid), "8009");
	job->tid.discovery = true;
	tid_normalise(&job->tid);
	assert_int_equal(outcome_of(place, job, later(), &answer), 0);
	assert_int_equal(answer.outcome, WORK_FAILED);
	assert_int_equal(answer.error, -EAGAIN);
}

/* A FIFO that nobody writes to stands for a target that is mute: told once, killed, then its end.
 */
static void test_deadline(void **state)
{
	struct place *place = *state;
	const struct work_job *job;
	struct work_answer answer;
	char path[256];
	int r;

	assert_int_equal(file_mkdirs(place->conf, 0755), 0);
	assert_int_equal(mkfifo(place->exclusions, 0600), 0);
	assert_int_equal(outcome_of(place, job_of(place, WORK_CONNECT), 1, &answer),
			 CHILDREN_E_LATE);
	assert_true(children_due(&place->children) == UINT64_MAX);
	while ((r = children_next(&place->children, clock_monotonic_ns(), &job, &answer)) ==
	       CHILDREN_E_NONE) {
		struct pollfd readable = { .fd = place->bell.fd, .events = POLLIN };

		bell_arm(&place->bell, UINT64_MAX);
		assert_int_equal(poll(&readable, 1, 30000), 1);
	}
	assert_int_equal(r, 0);
	assert_int_equal(answer.outcome, WORK_FAILED);
	assert_int_equal(answer.error, -ETIMEDOUT);
	assert_int_equal(place->children.n, 0);
	snprintf(path, sizeof(path), "%s", place->exclusions);
	unlink(path);
}

static void test_nonsense_is_a_failure(void **state)
{
	struct work_answer answer, sent = { .outcome = WORK_DONE, .n_items = 2 };
	struct work_item items[2] = { 0 };
	struct buf buf = { 0 };

	work_parse(NULL, false, &answer);
	assert_int_equal(answer.outcome, WORK_FAILED);
	assert_int_equal(answer.error, -EPROTO);
	memset(sent.reason, 'x', sizeof(sent.reason));
	assert_int_equal(buf_append(&buf, &sent, sizeof(sent)), 0);
	work_parse(&buf, false, &answer); /* its items are missing */
	assert_int_equal(answer.outcome, WORK_FAILED);
	assert_int_equal(buf_append(&buf, items, sizeof(items)), 0);
	work_parse(&buf, false, &answer);
	assert_int_equal(answer.outcome, WORK_DONE);
	assert_int_equal(answer.n_items, 2);
	assert_int_equal(strlen(answer.reason), sizeof(answer.reason) - 1);
	buf.size--;
	work_parse(&buf, false, &answer);
	assert_int_equal(answer.outcome, WORK_FAILED);
	buf_deinit(&buf);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_files),
		TEST(test_broken_file),
		TEST(test_connect_without_driver),
		TEST(test_excluded),
		TEST(test_discovery_waits_for_reconnect),
		TEST(test_deadline),
		cmocka_unit_test(test_nonsense_is_a_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
