/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/faults.h"
#include "agent/faults_file.h"
#include "core/clock.h"
#include "core/file.h"
#include "support.h"

#define KIND(name)  PATHBELL__V1__EVENT_KIND__EVENT_KIND_##name
#define PHASE(name) PATHBELL__V1__FAULT_PHASE__FAULT_PHASE_##name

/* An event of a collector about a fault, as one is built on a stack. */
struct made {
	Pathbell__V1__Event event;
	Pathbell__V1__Source source;
	Pathbell__V1__Subject subject;
};

static void make(struct made *made, const char *collector, unsigned kind, unsigned phase,
		 const char *id)
{
	pathbell__v1__event__init(&made->event);
	pathbell__v1__source__init(&made->source);
	pathbell__v1__subject__init(&made->subject);
	made->source.collector = (char *)collector;
	made->subject.id = (char *)"uuid:mpath-a";
	made->event.kind = (Pathbell__V1__EventKind)kind;
	made->event.fault_phase = (Pathbell__V1__FaultPhase)phase;
	made->event.fault_id = (char *)id;
	made->event.time_unix_ns = 42;
	made->event.source = &made->source;
	made->event.subject = &made->subject;
}

/* As the pipeline does it; returns the phase that was told. */
static unsigned tell(struct faults *faults, unsigned kind, unsigned phase, const char *id)
{
	struct made made;

	make(&made, "multipath", kind, phase, id);
	faults_amend(faults, &made.event);
	faults_note(faults, &made.event, true);
	return made.event.fault_phase;
}

static struct faults restart(struct faults *faults)
{
	struct buf image = { 0 };
	struct faults next = { 0 };

	assert_int_equal(faults_encode(faults, &image), 0);
	assert_int_equal(faults_decode(&next, image.data, image.size), 0);
	faults_deinit(faults);
	buf_deinit(&image);
	return next;
}

static void raised_and_cleared_is_forgotten(void **state)
{
	struct faults faults = { 0 };

	assert_int_equal(tell(&faults, KIND(STORAGE_PATH_FAILED), PHASE(RAISED), "a"),
			 PHASE(RAISED));
	assert_int_equal(faults.n, 1);
	/* told again, as by a snapshot: it still holds */
	assert_int_equal(tell(&faults, KIND(STORAGE_PATH_FAILED), PHASE(RAISED), "a"),
			 PHASE(UNSPECIFIED));
	assert_int_equal(tell(&faults, KIND(STORAGE_PATH_REINSTATED), PHASE(CLEARED), "a"),
			 PHASE(CLEARED));
	assert_int_equal(faults.n, 0);
	assert_int_equal(tell(&faults, KIND(STORAGE_PATH_FAILED), PHASE(RAISED), "a"),
			 PHASE(RAISED));
	faults_deinit(&faults);
}

static void only_what_is_not_told_again_gets_a_twin(void **state)
{
	struct faults faults = { 0 };
	const struct fault *fault;
	struct faults_twin twin;

	tell(&faults, KIND(STORAGE_PATH_FAILED), PHASE(RAISED), "path");
	tell(&faults, KIND(STORAGE_DEVICE_ALL_PATHS_DOWN), PHASE(RAISED), "all");
	faults = restart(&faults);
	assert_int_equal(faults.n, 2);
	assert_null(faults_next_doubted(&faults, "nvme"));
	assert_int_equal(tell(&faults, KIND(STORAGE_PATH_FAILED), PHASE(RAISED), "path"),
			 PHASE(UNSPECIFIED));
	fault = faults_next_doubted(&faults, "multipath");
	assert_non_null(fault);
	faults_make_twin(fault, "why", &twin);
	assert_int_equal(twin.event.kind, KIND(STORAGE_DEVICE_ALL_PATHS_DOWN_CLEARED));
	assert_int_equal(twin.event.fault_phase, PHASE(CLEARED));
	assert_string_equal(twin.event.fault_id, "all");
	assert_string_equal(twin.event.subject->id, "uuid:mpath-a");
	assert_string_equal(twin.event.source->collector, "multipath");
	assert_string_equal(twin.event.extra[0]->value, "why");
	assert_string_equal(twin.event.extra[1]->value, "42");
	faults_note(&faults, &twin.event, true);
	assert_null(faults_next_doubted(&faults, "multipath"));
	assert_int_equal(faults.n, 1);
	/* its collector is opened again within this life */
	faults_doubt(&faults, "multipath", false);
	assert_non_null(faults_next_doubted(&faults, "multipath"));
	faults_deinit(&faults);
}

/* The state of a collector: ended by collector.up, not doubted when the collector is opened. */
static void a_collectors_own_state_ends_with_up(void **state)
{
	struct faults faults = { 0 };
	struct made made;

	make(&made, "cxl", KIND(COLLECTOR_PARKED), PHASE(RAISED), "collector:cxl");
	faults_note(&faults, &made.event, true);
	faults_doubt(&faults, "cxl", false);
	assert_null(faults_next_doubted(&faults, "cxl"));
	faults = restart(&faults);
	make(&made, "cxl", KIND(COLLECTOR_UP), PHASE(UNSPECIFIED), "");
	made.subject.id = (char *)"collector:cxl";
	faults_amend(&faults, &made.event);
	assert_int_equal(made.event.fault_phase, PHASE(CLEARED));
	assert_string_equal(made.event.fault_id, "collector:cxl");
	faults_note(&faults, &made.event, true);
	assert_int_equal(faults.n, 0);
	faults_deinit(&faults);
}

static void recordings_and_filtered_events_are_no_faults(void **state)
{
	struct faults faults = { 0 };
	struct made made;

	make(&made, "replay", KIND(STORAGE_PATH_FAILED), PHASE(RAISED), "r");
	made.event.replayed = true;
	faults_note(&faults, &made.event, true);
	made.event.replayed = false;
	faults_note(&faults, &made.event, false);
	assert_int_equal(faults.n, 0);
	faults_note(&faults, &made.event, true);
	made.event.fault_phase = PHASE(CLEARED);
	faults_note(&faults, &made.event, false); /* its end is dropped by a rule: still the end */
	assert_int_equal(faults.n, 0);
	faults_deinit(&faults);
}

static void the_limit_is_counted(void **state)
{
	static char large[FAULTS_ENTRY_MAX + 1];
	struct faults faults = { 0 };
	char id[32];

	for (unsigned i = 0; i < FAULTS_MAX + 3; i++) {
		snprintf(id, sizeof(id), "f%u", i);
		assert_int_equal(tell(&faults, KIND(STORAGE_PATH_FAILED), PHASE(RAISED), id),
				 PHASE(RAISED));
	}
	assert_int_equal(faults.n, FAULTS_MAX);
	assert_int_equal(faults.untracked, 3);
	faults = restart(&faults);
	assert_int_equal(faults.n, FAULTS_MAX);
	faults_remove(&faults, "f7");
	assert_int_equal(faults.n, FAULTS_MAX - 1);
	memset(large, 'x', sizeof(large) - 1);
	tell(&faults, KIND(STORAGE_PATH_FAILED), PHASE(RAISED), large);
	assert_int_equal(faults.n, FAULTS_MAX - 1);
	faults_deinit(&faults);
}

/* Cut anywhere, any byte changed: refused as a whole, and what was known is kept. */
static void a_damaged_image_is_refused(void **state)
{
	struct faults faults = { 0 }, other = { 0 };
	struct buf image = { 0 };

	tell(&faults, KIND(STORAGE_PATH_FAILED), PHASE(RAISED), "a");
	assert_int_equal(faults_encode(&faults, &image), 0);
	tell(&other, KIND(STORAGE_PATH_FAILED), PHASE(RAISED), "b");
	for (size_t i = 0; i < image.size; i++) {
		assert_int_equal(faults_decode(&other, image.data, i), FAULTS_E_BAD);
		image.data[i] ^= 0x10;
		assert_int_equal(faults_decode(&other, image.data, image.size), FAULTS_E_BAD);
		image.data[i] ^= 0x10;
	}
	assert_int_equal(other.n, 1);
	assert_int_equal(faults_decode(&other, image.data, image.size), 0);
	assert_string_equal(other.items[0].event->fault_id, "a");
	faults_deinit(&faults);
	faults_deinit(&other);
	buf_deinit(&image);
}

/* The file. */

static struct faults_file *open_file(const char *dir, struct faults *faults)
{
	struct faults_file *file = NULL;

	assert_int_equal(faults_file_open(&file, ev_default_loop(0), dir, faults), 0);
	return file;
}

static size_t saved(const char *dir)
{
	struct faults faults = { 0 };
	size_t n;

	faults_file_close(open_file(dir, &faults), 0);
	n = faults.n;
	faults_deinit(&faults);
	return n;
}

static bool one_is_saved(void *data)
{
	return saved(data) == 1;
}

static void is_written_beside_the_loop_and_at_the_end(void **state)
{
	char *dir = support_dir();
	struct faults faults = { 0 };
	struct faults_file *file = open_file(dir, &faults);

	tell(&faults, KIND(STORAGE_PATH_FAILED), PHASE(RAISED), "a");
	faults_file_poke(file);
	assert_true(support_run(one_is_saved, dir));
	/* within the pause: only the end writes it */
	tell(&faults, KIND(STORAGE_PATH_FAILED), PHASE(RAISED), "b");
	faults_file_poke(file);
	tell(&faults, KIND(STORAGE_PATH_FAILED), PHASE(RAISED), "c");
	faults_file_close(file, 20 * CLOCK_NS_PER_S);
	assert_int_equal(saved(dir), 3);
	faults_deinit(&faults);
}

static void a_damaged_file_is_kept_aside(void **state)
{
	char *dir = support_dir();
	struct faults faults = { 0 };
	char *kept;

	support_write(dir, "faults", "not ours", 8);
	faults_file_close(open_file(dir, &faults), 0);
	assert_int_equal(faults.n, 0);
	kept = support_read(support_path(dir, "faults.bad"));
	assert_string_equal(kept, "not ours");
	free(kept);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(raised_and_cleared_is_forgotten),
		cmocka_unit_test(only_what_is_not_told_again_gets_a_twin),
		cmocka_unit_test(a_collectors_own_state_ends_with_up),
		cmocka_unit_test(recordings_and_filtered_events_are_no_faults),
		cmocka_unit_test(the_limit_is_counted),
		cmocka_unit_test(a_damaged_image_is_refused),
		cmocka_unit_test(is_written_beside_the_loop_and_at_the_end),
		cmocka_unit_test(a_damaged_file_is_kept_aside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
