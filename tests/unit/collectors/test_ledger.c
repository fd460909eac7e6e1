/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collectors/ledger.h"

#define KIND(x)	 PATHBELL__V1__EVENT_KIND__EVENT_KIND_##x
#define PHASE(x) PATHBELL__V1__FAULT_PHASE__FAULT_PHASE_##x

static struct seen {
	unsigned kind, phase;
	char cause[32], fault_id[64];
	uint64_t count, from_ns, to_ns;
	unsigned cpu;
} seen[256];
static size_t n_seen, room;

static bool publish(void *data, Pathbell__V1__Event *event)
{
	struct seen *s = &seen[n_seen];

	if (room == 0)
		return false;
	room--;
	n_seen++;
	*s = (struct seen){ .kind = event->kind, .phase = event->fault_phase };
	snprintf(s->fault_id, sizeof(s->fault_id), "%s", event->fault_id);
	if (event->payload_case != PATHBELL__V1__EVENT__PAYLOAD_GAP)
		return true;
	snprintf(s->cause, sizeof(s->cause), "%s", event->gap->cause);
	s->count = event->gap->count;
	s->cpu = event->gap->cpu;
	s->from_ns = event->gap->from_unix_ns;
	s->to_ns = event->gap->to_unix_ns;
	return true;
}

static int set_up(void **state)
{
	n_seen = 0;
	room = 256;
	return 0;
}

static void same_cause_and_cpu_are_summed(void **state)
{
	struct ledger ledger;

	ledger_init(&ledger, "block");
	ledger_lost(&ledger, "ring_overrun", 3, false, 0, 10);
	ledger_lost(&ledger, "ring_overrun", 4, false, 0, 20);
	ledger_lost(&ledger, "ring_overrun", 5, false, 1, 20);
	ledger_lost(&ledger, "decode", 1, true, 0, 20);
	ledger_heard(&ledger, 30);
	assert_true(ledger_flush(&ledger, 40, publish, NULL));
	assert_int_equal(n_seen, 3);
	assert_int_equal(seen[0].count, 7);
	assert_int_equal(seen[0].cpu, 1);
	assert_int_equal(seen[0].from_ns, 10);
	assert_int_equal(seen[0].to_ns, 30);
	assert_int_equal(seen[1].count, 5);
	assert_string_equal(seen[2].cause, "decode");
	assert_int_equal(ledger.lost, 13);
	assert_int_equal(ledger.n_published_gaps, 3);
}

static void many_causes_stay_bounded_and_exact(void **state)
{
	struct ledger ledger;
	uint64_t sum = 0;

	ledger_init(&ledger, "block");
	for (int cpu = 0; cpu < 200; cpu++)
		ledger_lost(&ledger, "ring_overrun", 2, false, cpu, 0);
	assert_true(ledger_flush(&ledger, 1, publish, NULL));
	assert_int_equal(n_seen, LEDGER_MAX_GAPS);
	for (size_t i = 0; i < n_seen; i++)
		sum += seen[i].count;
	assert_int_equal(sum, 400);
}

static void a_full_sink_keeps_the_rest(void **state)
{
	struct ledger ledger;

	ledger_init(&ledger, "block");
	room = 1;
	ledger_lost(&ledger, "a", 1, false, -1, 0);
	ledger_lost(&ledger, "b", 1, false, -1, 0);
	assert_false(ledger_flush(&ledger, 1, publish, NULL));
	ledger_lost(&ledger, "b", 6, false, -1, 0);
	room = 10;
	assert_true(ledger_flush(&ledger, 1, publish, NULL));
	assert_int_equal(n_seen, 2);
	assert_int_equal(seen[1].count, 7);
}

static void note(struct ledger *ledger, unsigned kind, enum ledger_role role)
{
	struct ledger_note n = { .kind = kind, .role = role, .state = "x" };

	ledger_note(ledger, &n);
}

static void faults_balance(void **state)
{
	static const unsigned expected[] = { PHASE(UNSPECIFIED), PHASE(RAISED),
					     PHASE(UNSPECIFIED), PHASE(CLEARED),
					     PHASE(UNSPECIFIED), PHASE(RAISED),
					     PHASE(CLEARED) };
	struct ledger ledger;

	ledger_init(&ledger, "block");
	note(&ledger, KIND(COLLECTOR_UP), LEDGER_CLEARS);
	note(&ledger, KIND(COLLECTOR_PARKED), LEDGER_FAULT);
	note(&ledger, KIND(COLLECTOR_FAILED), LEDGER_FAULT);
	note(&ledger, KIND(COLLECTOR_UP), LEDGER_CLEARS);
	note(&ledger, KIND(COLLECTOR_UP), LEDGER_CLEARS);
	note(&ledger, KIND(COLLECTOR_BLIND), LEDGER_FAULT);
	note(&ledger, KIND(COLLECTOR_UP), LEDGER_CLEARS);
	assert_true(ledger_flush(&ledger, 1, publish, NULL));
	for (size_t i = 0; i < 7; i++)
		assert_int_equal(seen[i].phase, expected[i]);
	assert_string_equal(seen[1].fault_id, "collector:block");
	assert_string_equal(seen[3].fault_id, "collector:block");
	assert_string_equal(seen[4].fault_id, "");
}

/* However many states pass while the sink is full, RAISED and CLEARED alternate. */
static void faults_balance_through_a_full_sink(void **state)
{
	struct ledger ledger;
	bool raised = false;

	ledger_init(&ledger, "block");
	for (int i = 0; i < 101; i++)
		note(&ledger, i % 2 ? KIND(COLLECTOR_UP) : KIND(COLLECTOR_FAILED),
		     i % 2 ? LEDGER_CLEARS : LEDGER_FAULT);
	assert_true(ledger.replaced > 0);
	assert_true(ledger_flush(&ledger, 1, publish, NULL));
	assert_int_equal(n_seen, LEDGER_MAX_NOTES);
	for (size_t i = 0; i < n_seen; i++) {
		assert_true(seen[i].phase != PHASE(RAISED) || !raised);
		assert_true(seen[i].phase != PHASE(CLEARED) || raised);
		raised = seen[i].phase == PHASE(RAISED) ||
			 (raised && seen[i].phase != PHASE(CLEARED));
	}
	assert_true(raised);
	assert_int_equal(seen[n_seen - 1].kind, KIND(COLLECTOR_FAILED));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(same_cause_and_cpu_are_summed, set_up),
		cmocka_unit_test_setup(many_causes_stay_bounded_and_exact, set_up),
		cmocka_unit_test_setup(a_full_sink_keeps_the_rest, set_up),
		cmocka_unit_test_setup(faults_balance, set_up),
		cmocka_unit_test_setup(faults_balance_through_a_full_sink, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
