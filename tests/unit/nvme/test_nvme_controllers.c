/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collectors/nvme/aen.h"
#include "collectors/nvme/controllers.h"

#define KIND(x)	 PATHBELL__V1__EVENT_KIND__EVENT_KIND_NVME_##x
#define PHASE(x) PATHBELL__V1__FAULT_PHASE__FAULT_PHASE_##x
#define S	 UINT64_C(1000000000)

static struct controllers set;

static struct controllers_clock at(uint64_t seconds)
{

	return (struct controllers_clock){ .now_ns = seconds * S,
					   .unix_ns = (1000000 + seconds) * S };
}

static struct look look_of(const char *name, const char *state)
{
	struct look look = { .inode = 7,
			     .transport = "tcp",
			     .nqn = "nqn.x:s1",
			     .cntrltype = "io",
			     .major = 245,
			     .has_loss_timeout = true,
			     .ctrl_loss_tmo = 600,
			     .reconnect_delay = 10 };

	snprintf(look.name, sizeof(look.name), "%s", name);
	snprintf(look.state, sizeof(look.state), "%s", state);
	if (strcmp(state, "live") == 0)
		snprintf(look.address, sizeof(look.address), "traddr=127.0.0.1,trsvcid=4420");
	return look;
}

static int see(const char *name, const char *state, bool is_snapshot, uint64_t seconds)
{
	struct controllers_clock clock = at(seconds);
	struct look look = look_of(name, state);

	return controllers_see(&set, &look, is_snapshot, &clock);
}

static int hear(enum decode_kind kind, const char *name, const char *state, uint64_t seconds)
{
	struct decode_notice notice = { .kind = kind,
					.name = name,
					.transport = "tcp",
					.traddr = "127.0.0.1",
					.trsvcid = "4420",
					.host_traddr = "",
					.host_iface = "" };
	struct look look = look_of(name, state != NULL ? state : "");
	struct controllers_clock clock = at(seconds);

	return controllers_hear(&set, &notice, state != NULL ? &look : NULL, &clock);
}

/* Exactly these changes wait; they are published. */
static void expect(size_t n, const Pathbell__V1__EventKind *kinds)
{
	assert_int_equal(set.n_changes, n);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(set.changes[i].kind, kinds[i]);
	controllers_published(&set);
}
#define EXPECT(...)                                                 \
	expect(sizeof((Pathbell__V1__EventKind[]){ __VA_ARGS__ }) / \
		       sizeof(Pathbell__V1__EventKind),             \
	       (Pathbell__V1__EventKind[]){ __VA_ARGS__ })
#define EXPECT_NOTHING() expect(0, NULL)

static int clean(void **state)
{
	controllers_deinit(&set);
	return 0;
}

static void test_by_uevents(void **state)
{
	hear(DECODE_ADDED, "nvme0", "connecting", 1);
	assert_string_equal(set.subject->address.trsvcid, "4420");
	EXPECT(KIND(CONTROLLER_ADDED));
	hear(DECODE_CONNECTED, "nvme0", "live", 1);
	assert_string_equal(set.changes[0].reason, "connected");
	assert_string_equal(set.changes[0].previous_state, "connecting");
	EXPECT(KIND(CONTROLLER_CONNECTED));
	see("nvme0", "live", false, 2);
	EXPECT_NOTHING();
	hear(DECODE_REMOVED, "nvme0", NULL, 3);
	assert_int_equal(set.changes[0].phase, PHASE(UNSPECIFIED));
	EXPECT(KIND(CONTROLLER_REMOVED));
	assert_int_equal(set.n, 0);
	hear(DECODE_REMOVED, "nvme0", NULL, 3);
	EXPECT_NOTHING();
}

/* Kernels before 5.18 have no NVME_EVENT=connected; later ones send it after the look. */
static void test_connected_by_look_once(void **state)
{
	hear(DECODE_ADDED, "nvme0", "connecting", 1);
	controllers_published(&set);
	see("nvme0", "live", false, 1);
	EXPECT(KIND(CONTROLLER_CONNECTED));
	hear(DECODE_CONNECTED, "nvme0", "live", 1);
	EXPECT_NOTHING();
	hear(DECODE_CONNECTED, "nvme0", "live", 9);
	assert_string_equal(set.changes[0].reason, "reset, or lost for a moment");
	EXPECT(KIND(CONTROLLER_CONNECTED));
}

static void test_loss_and_return(void **state)
{
	see("nvme0", "live", true, 1);
	EXPECT(KIND(CONTROLLER_STATE));
	see("nvme0", "connecting", false, 10);
	assert_int_equal(set.changes[0].phase, PHASE(RAISED));
	assert_int_equal(set.subject->removal_unix_ns, (1000000 + 10 + 600) * S);
	assert_string_equal(set.subject->fault_id, "nvme_connection:nvme0:nqn.x:s1");
	assert_string_equal(set.subject->address.traddr, "127.0.0.1");
	EXPECT(KIND(CONTROLLER_RECONNECTING));
	see("nvme0", "connecting", false, 15);
	EXPECT_NOTHING();
	hear(DECODE_CONNECTED, "nvme0", "live", 20);
	assert_int_equal(set.changes[0].phase, PHASE(CLEARED));
	assert_int_equal(set.subject->removal_unix_ns, 0);
	EXPECT(KIND(CONTROLLER_CONNECTED));
}

static void test_loss_and_removal(void **state)
{
	see("nvme0", "live", true, 1);
	controllers_published(&set);
	see("nvme0", "connecting", false, 10);
	controllers_published(&set);
	see("nvme0", "deleting", false, 610);
	EXPECT_NOTHING();
	hear(DECODE_REMOVED, "nvme0", NULL, 611);
	assert_int_equal(set.changes[0].phase, PHASE(CLEARED));
	assert_int_equal(set.changes[0].severity, PATHBELL__V1__SEVERITY__SEVERITY_ERROR);
	assert_string_equal(set.changes[0].reason, "lost 601 s ago and not reconnected");
	assert_string_equal(set.subject->fault_id, "nvme_connection:nvme0:nqn.x:s1");
	EXPECT(KIND(CONTROLLER_REMOVED));
}

static void test_loss_for_ever(void **state)
{
	struct look look = look_of("nvme0", "connecting");
	struct controllers_clock clock;

	see("nvme0", "live", true, 1);
	controllers_published(&set);
	look.ctrl_loss_tmo = LOOK_FOREVER;
	clock = at(5);
	controllers_see(&set, &look, false, &clock);
	assert_int_equal(set.subject->removal_unix_ns, 0);
	EXPECT(KIND(CONTROLLER_RECONNECTING));
}

/* A reset and a first connection pass through the same states. */
static void test_grace(void **state)
{
	see("nvme0", "live", true, 1);
	controllers_published(&set);
	see("nvme0", "resetting", false, 10);
	EXPECT_NOTHING();
	assert_int_equal(controllers_due(&set), 12 * S);
	see("nvme0", "live", false, 11);
	EXPECT(KIND(CONTROLLER_CONNECTED));
	assert_int_equal(controllers_due(&set), UINT64_MAX);
	see("nvme0", "resetting", false, 20);
	see("nvme0", "resetting", false, 22);
	EXPECT(KIND(CONTROLLER_RECONNECTING));
	assert_int_equal(controllers_due(&set), UINT64_MAX);
}

/* The agent starts while a connection is lost already. */
static void test_lost_at_start(void **state)
{
	see("nvme0", "connecting", true, 1);
	EXPECT(KIND(CONTROLLER_STATE));
	see("nvme0", "connecting", false, 3);
	assert_string_equal(set.changes[0].reason, "not connected yet");
	EXPECT(KIND(CONTROLLER_RECONNECTING));
}

static void test_pcie_is_not_lost(void **state)
{
	struct look look = look_of("nvme0", "resetting");
	struct controllers_clock clock = at(1);

	snprintf(look.transport, sizeof(look.transport), "pcie");
	controllers_see(&set, &look, true, &clock);
	controllers_published(&set);
	clock = at(100);
	controllers_see(&set, &look, false, &clock);
	EXPECT_NOTHING();
	assert_int_equal(controllers_n_fabrics(&set), 0);
}

static void test_recycled_name(void **state)
{
	struct look look = look_of("nvme0", "live");
	struct controllers_clock clock;

	see("nvme0", "live", true, 1);
	controllers_published(&set);
	look.inode = 8;
	clock = at(2);
	assert_int_equal(controllers_see(&set, &look, false, &clock), CONTROLLERS_E_AGAIN);
	EXPECT(KIND(CONTROLLER_REMOVED));
	assert_int_equal(controllers_see(&set, &look, false, &clock), 0);
	EXPECT(KIND(CONTROLLER_ADDED), KIND(CONTROLLER_CONNECTED));
}

static void test_ana(void **state)
{
	struct look look = look_of("nvme0", "live");
	struct controllers_clock clock = at(1);

	look.n_paths = 2;
	look.paths[0] = (struct look_path){ "nvme0c0n1", "optimized", 1 };
	look.paths[1] = (struct look_path){ "nvme0c0n2", "optimized", 1 };
	controllers_see(&set, &look, true, &clock);
	controllers_published(&set);
	snprintf(look.paths[1].state, sizeof(look.paths[1].state), "inaccessible");
	controllers_see(&set, &look, false, &clock);
	assert_string_equal(set.changes[0].path.name, "nvme0c0n2");
	assert_string_equal(set.changes[0].path.state, "inaccessible");
	assert_string_equal(set.changes[0].previous_state, "optimized");
	assert_int_equal(set.changes[0].severity, PATHBELL__V1__SEVERITY__SEVERITY_WARNING);
	EXPECT(KIND(ANA_CHANGED));
}

/* The most that one look can tell fits. */
static void test_all_changes_fit(void **state)
{
	struct look look = look_of("nvme0", "live");
	struct controllers_clock clock = at(1);

	look.n_paths = LOOK_MAX_PATHS;
	for (size_t i = 0; i < LOOK_MAX_PATHS; i++)
		snprintf(look.paths[i].name, LOOK_NAME, "nvme0c0n%zu", i + 1);
	controllers_see(&set, &look, true, &clock);
	controllers_published(&set);
	for (size_t i = 0; i < LOOK_MAX_PATHS; i++)
		look.paths[i].group = 2;
	snprintf(look.state, sizeof(look.state), "connecting");
	controllers_see(&set, &look, true, &clock);
	assert_int_equal(set.n_changes, LOOK_MAX_PATHS + 2);
	assert_true(set.n_changes <= CONTROLLERS_MAX_CHANGES);
}

static void test_aens(void **state)
{
	struct controllers_clock clock = at(1);

	see("nvme0", "live", true, 1);
	controllers_published(&set);
	controllers_hear_aen(&set, "nvme0", AEN_DISCOVERY_LOG_CHANGED, &clock);
	assert_string_equal(set.subject->seen.nqn, "nqn.x:s1");
	EXPECT(KIND(DISCOVERY_LOG_CHANGED));
	controllers_hear_aen(&set, "nvme9", 0x020101, &clock);
	assert_string_equal(set.subject->seen.name, "nvme9");
	assert_string_equal(set.subject->seen.nqn, "");
	EXPECT(KIND(AEN));
	hear(DECODE_REDISCOVER, "nvme0", "live", 2);
	EXPECT(KIND(DISCOVERY_LOG_CHANGED));
}

static void test_limit(void **state)
{
	char name[LOOK_NAME];

	for (int i = 0; i < CONTROLLERS_MAX + 2; i++) {
		snprintf(name, sizeof(name), "nvme%d", i);
		assert_int_equal(hear(DECODE_ADDED, name, NULL, 1), 0);
		controllers_published(&set);
	}
	assert_int_equal(set.n, CONTROLLERS_MAX);
	assert_int_equal(set.n_refused, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_by_uevents, clean),
		cmocka_unit_test_teardown(test_connected_by_look_once, clean),
		cmocka_unit_test_teardown(test_loss_and_return, clean),
		cmocka_unit_test_teardown(test_loss_and_removal, clean),
		cmocka_unit_test_teardown(test_loss_for_ever, clean),
		cmocka_unit_test_teardown(test_grace, clean),
		cmocka_unit_test_teardown(test_lost_at_start, clean),
		cmocka_unit_test_teardown(test_pcie_is_not_lost, clean),
		cmocka_unit_test_teardown(test_recycled_name, clean),
		cmocka_unit_test_teardown(test_ana, clean),
		cmocka_unit_test_teardown(test_all_changes_fit, clean),
		cmocka_unit_test_teardown(test_aens, clean),
		cmocka_unit_test_teardown(test_limit, clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
