/* SPDX-License-Identifier: Apache-2.0 */
/* The block collector against this machine's kernel: real faults, real ring buffer, exact counts.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "collectors/block/block.h"
#include "core/clock.h"
#include "fault.h"
#include "harness.h"

#define KIND(x) PATHBELL__V1__EVENT_KIND__EVENT_KIND_##x

static char tracefs[64];
static struct harness harness;
static struct fault_device device = { .fd = -1 };
static struct block_config config = { .buffer_size = 65536 };

static int set_up(void **state)
{
	config = (struct block_config){ .buffer_size = 65536 };
	return fault_device_open(&device);
}

static int tear_down(void **state)
{
	harness_close(&harness);
	fault_device_close(&device);
	return 0;
}

static void start(unsigned budget)
{
	harness_open(&harness, &block_collector, &config, tracefs, budget, 0);
	assert_int_equal(harness_state(&harness), GUARD_UP);
	assert_true(harness_run(&harness, harness_has_snapshots, 1));
}

static bool is_ours(const Pathbell__V1__Event *event)
{
	return event->kind == KIND(STORAGE_BLOCK_ERROR) && event->subject != NULL &&
	       event->subject->major == device.major && event->subject->minor == device.minor;
}

static size_t count_ours(const struct harness *h)
{
	size_t n = 0;

	for (size_t i = 0; i < h->n_events; i++)
		n += is_ours(h->events[i]);
	return n;
}

static bool has_ours(const struct harness *h, size_t n)
{
	return count_ours(h) >= n;
}

static uint64_t count_lost(const struct harness *h)
{
	uint64_t n = 0;

	for (size_t i = 0; i < h->n_events; i++) {
		if (h->events[i]->kind != KIND(COLLECTOR_GAP))
			continue;
		assert_string_equal(h->events[i]->gap->cause, "ring_overrun");
		assert_false(h->events[i]->gap->count_is_minimum);
		assert_true(h->events[i]->gap->cpu > 0);
		n += h->events[i]->gap->count;
	}
	return n;
}

static bool is_accounted(const struct harness *h, size_t n)
{
	return harness_count(h, KIND(STORAGE_BLOCK_ERROR)) + count_lost(h) >= n;
}

static const Pathbell__V1__Event *first_ours(const struct harness *h)
{
	for (size_t i = 0; i < h->n_events; i++) {
		if (is_ours(h->events[i]))
			return h->events[i];
	}
	return NULL;
}

static int instances(const char *prefix)
{
	char path[96];
	const struct dirent *entry;
	DIR *dir;
	int n = 0;

	snprintf(path, sizeof(path), "%s/instances", tracefs);
	dir = opendir(path);
	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL)
		n += strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
	closedir(dir);
	return n;
}

static void own_prefix(char ret_prefix[64])
{
	snprintf(ret_prefix, 64, "pathbell-block-%d-", (int)getpid());
}

static void write_switch(const char *file, const char *text)
{
	char path[512], prefix[64];
	const struct dirent *entry;
	DIR *dir;

	own_prefix(prefix);
	snprintf(path, sizeof(path), "%s/instances", tracefs);
	dir = opendir(path);
	while ((entry = readdir(dir)) != NULL) {
		int fd;

		if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
			continue;
		snprintf(path, sizeof(path), "%s/instances/%.200s/%s", tracefs, entry->d_name,
			 file);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		assert_true(fd >= 0);
		assert_int_equal(write(fd, text, strlen(text)), strlen(text));
		close(fd);
	}
	closedir(dir);
}

static void one_fault_is_one_event(void **state)
{
	uint64_t before_ns = clock_realtime_ns();
	const Pathbell__V1__Event *event;

	start(0);
	assert_int_equal(fault_read(&device, 800), -EIO);
	assert_true(harness_run(&harness, has_ours, 1));
	harness_settle(&harness);
	assert_int_equal(count_ours(&harness), 1);
	event = first_ours(&harness);
	assert_int_equal(event->payload_case, PATHBELL__V1__EVENT__PAYLOAD_BLOCK_ERROR);
	assert_int_equal(event->block_error->sector, 800);
	assert_int_equal(event->block_error->sector_count, 8);
	assert_int_equal(event->block_error->error_number, -EIO);
	assert_int_equal(event->block_error->error_class,
			 PATHBELL__V1__BLOCK_ERROR_CLASS__BLOCK_ERROR_CLASS_IO);
	assert_int_equal(event->block_error->operation,
			 PATHBELL__V1__BLOCK_OPERATION__BLOCK_OPERATION_READ);
	assert_string_equal(event->block_error->error_type, "EIO");
	assert_int_equal(event->severity, PATHBELL__V1__SEVERITY__SEVERITY_ERROR);
	assert_string_equal(event->source->collector, "block");
	assert_string_equal(event->source->interface, "tracefs:block_rq_error");
	assert_true(event->source->cpu > 0);
	assert_string_equal(event->subject->name, device.name);
	assert_true(event->subject->generation > 0);
	assert_int_equal(event->subject->n_parents, 1);
	/* The time is the failure's, not the reading's: from the ring's clock. */
	assert_true(event->source_clock_ns > 0);
	assert_true(event->time_unix_ns >= before_ns);
	assert_true(event->time_unix_ns <= clock_realtime_ns());
}

static void each_failed_request_once(void **state)
{
	uint64_t sector = 0;

	start(7);
	for (int i = 0; i < 250; i++)
		assert_int_equal(fault_read(&device, (uint64_t)i * 8), -EIO);
	assert_true(harness_run(&harness, has_ours, 250));
	harness_settle(&harness);
	assert_int_equal(count_ours(&harness), 250);
	assert_int_equal(count_lost(&harness), 0);
	assert_true(harness.max_in_call <= 7);
	/* On one CPU the order is that of the failures. */
	for (uint32_t cpu = 1; cpu < 64; cpu++) {
		sector = 0;
		for (size_t i = 0; i < harness.n_events; i++) {
			if (!is_ours(harness.events[i]) || harness.events[i]->source->cpu != cpu)
				continue;
			assert_true(sector == 0 || harness.events[i]->block_error->sector > sector);
			sector = harness.events[i]->block_error->sector;
		}
	}
}

static void completions_work_without_rq_error(void **state)
{
	config.tracepoint = BLOCK_TRACEPOINT_RQ_COMPLETE;
	start(0);
	assert_int_equal(fault_read(&device, 64), -EIO);
	assert_true(harness_run(&harness, has_ours, 1));
	harness_settle(&harness);
	assert_int_equal(count_ours(&harness), 1);
	assert_string_equal(first_ours(&harness)->source->interface, "tracefs:block_rq_complete");
	assert_int_equal(first_ours(&harness)->block_error->error_number, -EIO);
}

static void burst_is_heard_or_counted(void **state)
{
	const size_t n = 6000;
	size_t foreign;

	config.buffer_size = 8192;
	start(0);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(fault_read(&device, i % 250 * 8), -EIO);
	assert_true(harness_run(&harness, is_accounted, n));
	harness_settle(&harness);
	assert_true(count_lost(&harness) > 0);
	foreign = harness_count(&harness, KIND(STORAGE_BLOCK_ERROR)) - count_ours(&harness);
	print_message("read %zu, lost %llu, others' %zu\n", count_ours(&harness),
		      (unsigned long long)count_lost(&harness), foreign);
	if (foreign == 0)
		assert_int_equal(count_ours(&harness) + count_lost(&harness), n);
	else
		assert_true(count_ours(&harness) + count_lost(&harness) >= n);
}

/* The ring runs over again and again while it is read slowly: no loss is told twice or forgotten.
 */
static void repeated_overruns_add_up(void **state)
{
	const size_t n = 6000;
	size_t foreign;

	config.buffer_size = 8192;
	start(20);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(fault_read(&device, i % 250 * 8), -EIO);
		if (i % 97 == 0)
			ev_run(harness.loop, EVRUN_NOWAIT);
	}
	assert_true(harness_run(&harness, is_accounted, n));
	harness_settle(&harness);
	foreign = harness_count(&harness, KIND(STORAGE_BLOCK_ERROR)) - count_ours(&harness);
	print_message("read %zu, lost %llu in %zu gaps, others' %zu\n", count_ours(&harness),
		      (unsigned long long)count_lost(&harness),
		      harness_count(&harness, KIND(COLLECTOR_GAP)), foreign);
	if (foreign == 0)
		assert_int_equal(count_ours(&harness) + count_lost(&harness), n);
	else
		assert_true(count_ours(&harness) + count_lost(&harness) >= n);
}

static void full_pipeline_loses_nothing(void **state)
{
	size_t before;

	start(0);
	before = harness.n_events;
	harness.room = 3;
	for (int i = 0; i < 100; i++)
		assert_int_equal(fault_read(&device, (uint64_t)i * 8), -EIO);
	assert_true(harness_run(&harness, harness_has_events, before + 3));
	harness_settle(&harness);
	assert_int_equal(harness.n_events, before + 3);
	for (int i = 0; i < 120 && count_ours(&harness) < 100; i++) {
		harness.room = 1;
		guard_resume(harness.guard);
		harness_settle(&harness);
	}
	harness.room = SIZE_MAX;
	guard_resume(harness.guard);
	harness_settle(&harness);
	assert_int_equal(count_ours(&harness), 100);
	assert_int_equal(count_lost(&harness), 0);
}

static void instance_is_removed_and_taken_over(void **state)
{
	char prefix[64], path[160];
	pid_t child = fork();

	if (child == 0)
		_exit(0);
	waitpid(child, NULL, 0);
	snprintf(path, sizeof(path), "%s/instances/pathbell-block-%d-1", tracefs, (int)child);
	assert_int_equal(mkdir(path, 0700), 0);
	own_prefix(prefix);
	assert_int_equal(instances(prefix), 0);
	start(0);
	assert_int_equal(instances(prefix), 1);
	assert_int_equal(access(path, F_OK), -1);
	harness_close(&harness);
	assert_int_equal(instances(prefix), 0);
}

static void deaf_instance_is_blind(void **state)
{
	const Pathbell__V1__Event *event;

	start(0);
	write_switch("tracing_on", "0");
	guard_snapshot(harness.guard);
	assert_true(harness_run(&harness, harness_is_state, GUARD_BLIND));
	harness_settle(&harness);
	event = harness_last(&harness, KIND(COLLECTOR_BLIND));
	assert_non_null(event);
	assert_int_equal(event->fault_phase, PATHBELL__V1__FAULT_PHASE__FAULT_PHASE_RAISED);
	assert_string_equal(event->fault_id, "collector:block");
	assert_non_null(strstr(event->collector_state->reason, "tracing_on"));
	/* It hears again: that is the proof, and the fault is cleared. */
	write_switch("tracing_on", "1");
	assert_int_equal(fault_read(&device, 8), -EIO);
	assert_true(harness_run(&harness, harness_is_state, GUARD_UP));
	harness_settle(&harness);
	event = harness_last(&harness, KIND(COLLECTOR_UP));
	assert_int_equal(event->fault_phase, PATHBELL__V1__FAULT_PHASE__FAULT_PHASE_CLEARED);
	assert_string_equal(event->fault_id, "collector:block");
}

static void disabled_event_is_blind(void **state)
{
	start(0);
	write_switch("events/block/block_rq_error/enable", "0");
	guard_snapshot(harness.guard);
	assert_true(harness_run(&harness, harness_is_state, GUARD_BLIND));
}

static void parks_until_tracefs_is_mounted(void **state)
{
	char path[96];
	const Pathbell__V1__Event *event;
	int r;

	snprintf(path, sizeof(path), "%s-later", tracefs);
	assert_int_equal(mkdir(path, 0700), 0);
	harness_open(&harness, &block_collector, &config, path, 0, 0);
	harness_settle(&harness);
	event = harness_last(&harness, KIND(COLLECTOR_PARKED));
	r = fault_mount_tracefs(path);
	if (event != NULL && r == 0)
		harness_run(&harness, harness_is_state, GUARD_UP);
	r |= harness_state(&harness) != GUARD_UP;
	harness_settle(&harness);
	guard_free(harness.guard);
	harness.guard = NULL;
	fault_unmount(path);
	if (event == NULL) {
		fail_msg("it did not park");
		return;
	}
	assert_int_equal(event->fault_phase, PATHBELL__V1__FAULT_PHASE__FAULT_PHASE_RAISED);
	assert_non_null(strstr(event->collector_state->reason, "mount -t tracefs"));
	assert_int_equal(r, 0);
	assert_int_equal(harness_last(&harness, KIND(COLLECTOR_UP))->fault_phase,
			 PATHBELL__V1__FAULT_PHASE__FAULT_PHASE_CLEARED);
}

static uint64_t publish_nothing(struct collector_ctx *ctx, Pathbell__V1__Event *event,
				uint64_t cursor)
{
	return 0;
}

static void lose_nothing(struct collector_ctx *ctx, const char *cause, uint64_t count, bool minimum,
			 int cpu)
{
}

static void keep_no_reason(struct collector_ctx *ctx, const char *format, ...)
{
}

/* Every descriptor that open needs is refused once: whatever was made before is gone afterwards. */
static void every_refused_descriptor_is_cleaned_up(void **state)
{
	struct collector_ctx ctx = { .publish = publish_nothing,
				     .lost = lose_nothing,
				     .reason = keep_no_reason,
				     .config = &config,
				     .tracefs_path = tracefs };
	struct rlimit all, limit;
	unsigned n_refused = 0;
	char prefix[64];
	int r = -1;

	own_prefix(prefix);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &all), 0);
	limit = all;
	for (limit.rlim_cur = 3; r != 0 && limit.rlim_cur < 100; limit.rlim_cur++) {
		struct collector_fd fd;
		void *opened = NULL;

		assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
		r = block_collector.open(&ctx, &opened, &fd);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &all), 0);
		n_refused += r != 0;
		if (r == 0)
			block_collector.close(opened);
		assert_int_equal(instances(prefix), 0);
	}
	assert_int_equal(r, 0);
	assert_true(n_refused > 5);
}

static void snapshot_tells_the_disks(void **state)
{
	bool found = false;

	start(0);
	for (size_t i = 0; i < harness.n_events; i++) {
		const Pathbell__V1__Event *event = harness.events[i];

		if (event->kind != KIND(STORAGE_DEVICE_STATE))
			continue;
		assert_true(event->device_state->present);
		assert_string_equal(event->device_state->reason, "start");
		if (strcmp(event->subject->name, device.name) == 0) {
			found = true;
			assert_int_equal(event->device_state->size_sectors, 2048);
		}
	}
	assert_true(found);
	guard_snapshot(harness.guard);
	assert_true(harness_run(&harness, harness_has_snapshots, 2));
	assert_string_equal(
		harness_last(&harness, KIND(STORAGE_DEVICE_STATE))->device_state->reason, "resync");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_fault_is_one_event, set_up, tear_down),
		cmocka_unit_test_setup_teardown(each_failed_request_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(completions_work_without_rq_error, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(burst_is_heard_or_counted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(repeated_overruns_add_up, set_up, tear_down),
		cmocka_unit_test_setup_teardown(full_pipeline_loses_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(instance_is_removed_and_taken_over, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(deaf_instance_is_blind, set_up, tear_down),
		cmocka_unit_test_setup_teardown(disabled_event_is_blind, set_up, tear_down),
		cmocka_unit_test_setup_teardown(parks_until_tracefs_is_mounted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(every_refused_descriptor_is_cleaned_up, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(snapshot_tells_the_disks, set_up, tear_down),
	};
	const char *missing = fault_missing();
	int r;

	if (missing != NULL) {
		printf("skipped: %s\n", missing);
		return 77;
	}
	snprintf(tracefs, sizeof(tracefs), "/tmp/pathbell-tracefs-%d", (int)getpid());
	r = fault_mount_tracefs(tracefs);
	if (r < 0 || (r = fault_device_open(&device)) < 0) {
		printf("skipped: no tracefs or no loop device: %s\n", strerror(-r));
		fault_unmount(tracefs);
		return 77;
	}
	fault_device_close(&device);
	r = cmocka_run_group_tests(tests, NULL, NULL);
	fault_unmount(tracefs);
	return r;
}
