/* SPDX-License-Identifier: Apache-2.0 */
/* From events to objects, and from objects to the hosts and targets of a campaign. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aggregator/campaign/check.h"
#include "aggregator/campaign/plan.h"
#include "aggregator/store/object.h"
#include "aggregator/store/target.h"

#define KIND(name) PATHBELL__V1__EVENT_KIND__EVENT_KIND_##name
#define VERB(name) PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_##name

#define NQN	 "nqn.2020-01.example:array1"
#define ADDRESS1 "transport=tcp traddr=10.0.0.1 trsvcid=4420"
#define ADDRESS2 "transport=tcp traddr=10.0.0.2 trsvcid=4420"
#define UUID	 "mpath-36001405aaaabbbbccccddddeeeeffff0"

static const struct store_object blank = { .key = "",
					   .name = "",
					   .map_uuid = "",
					   .wwid = "",
					   .vendor = "",
					   .model = "",
					   .serial = "",
					   .nqn = "",
					   .address = "",
					   .port = "" };

static struct store_object controller(const char *address, const char *port, uint32_t usable)
{
	struct store_object object = blank;

	object.type = STORE_OBJECT_CONTROLLER;
	object.nqn = NQN;
	object.address = address;
	object.port = port;
	object.model = "Example Target";
	object.serial = "S1";
	object.usable = usable;
	object.total = 1;
	return object;
}

static struct store_object map(uint32_t usable, uint32_t total)
{
	struct store_object object = blank;

	object.type = STORE_OBJECT_MAP;
	object.map_uuid = UUID;
	object.name = "mpatha";
	object.usable = usable;
	object.total = total;
	return object;
}

static struct store_object disk(void)
{
	struct store_object object = blank;

	object.type = STORE_OBJECT_DEVICE;
	object.wwid = "naa.6001405aaaabbbbccccddddeeeeffff0";
	object.vendor = "LIO-ORG";
	object.model = "disk1";
	object.name = "sda";
	object.usable = object.total = 1;
	return object;
}

/* ---- plans ---- */

struct world {
	struct arena *arena;
	Pathbell__V1__CampaignSelector selector;
	struct plan plan;
	Pathbell__V1__CampaignHost *host;
};

static int setup(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	assert_non_null(world);
	assert_int_equal(arena_new(&world->arena, 1u << 20), 0);
	pathbell__v1__campaign_selector__init(&world->selector);
	world->plan.selector = &world->selector;
	world->plan.arena = world->arena;
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;

	arena_free(world->arena);
	free(world);
	return 0;
}

static int plan(struct world *world, const struct store_object *objects, size_t n)
{
	world->host = NULL;
	return plan_host(&world->plan, "h1", "web1.example", objects, n, &world->host);
}

static void test_a_subsystem(void **state)
{
	struct world *world = *state;
	const struct store_object objects[] = { controller(ADDRESS1, "10.0.0.1", 1),
						controller(ADDRESS2, "10.0.0.2", 0), map(1, 2) };

	world->selector.target = (char *)NQN;
	world->plan.verb = VERB(NVME_RESET);
	assert_int_equal(plan(world, objects, 3), 0);
	assert_string_equal(world->host->storage_target, NQN);
	assert_int_equal(world->host->usable_paths, 2); /* plus one */
	assert_int_equal(world->host->total_paths, 2);
	/* The controller that is down is what is meant. */
	assert_string_equal(world->host->target->nqn, NQN);
	assert_string_equal(world->host->target->transport_address, ADDRESS2);
	/* By port and by address, exactly that one. */
	world->selector.target = (char *)"10.0.0.1";
	assert_int_equal(plan(world, objects, 3), 0);
	assert_string_equal(world->host->target->transport_address, ADDRESS1);
	world->selector.target = (char *)ADDRESS1;
	assert_int_equal(plan(world, objects, 3), 0);
	assert_int_equal(world->host->total_paths, 1);
	world->plan.verb = VERB(NVME_DISCOVER);
	assert_int_equal(plan(world, objects, 3), 0);
	assert_string_equal(world->host->target->nqn, "");
	/* A verb on maps has nothing to act on there. */
	world->plan.verb = VERB(MULTIPATH_REINSTATE);
	assert_int_equal(plan(world, objects, 3), PLAN_E_NO_FIT);
	assert_int_equal(world->plan.n_without_target, 1);
}

static void test_a_map_and_its_array(void **state)
{
	struct world *world = *state;
	const struct store_object objects[] = { map(0, 4), disk() };

	world->plan.verb = VERB(MULTIPATH_REINSTATE);
	world->selector.target = (char *)UUID;
	assert_int_equal(plan(world, objects, 2), 0);
	assert_string_equal(world->host->target->map_uuid, UUID);
	assert_string_equal(world->host->target->map_name, "mpatha");
	assert_string_equal(world->host->storage_target, UUID);
	assert_int_equal(world->host->usable_paths, 1);
	world->selector.target = (char *)protobuf_c_empty_string;
	world->selector.array = (char *)"LIO*"; /* the map's disks tell */
	assert_int_equal(plan(world, objects, 2), 0);
	assert_string_equal(world->host->target->map_uuid, UUID);
	world->plan.verb = VERB(PROBE);
	assert_int_equal(plan(world, objects, 2), 0);
	assert_string_equal(world->host->target->id, "wwid:naa.6001405aaaabbbbccccddddeeeeffff0");
	world->selector.array = (char *)"NETAPP*";
	assert_int_equal(plan(world, objects, 2), PLAN_E_NO_FIT);
}

static void test_names_and_degraded(void **state)
{
	struct world *world = *state;
	static char glob[] = "web*", *globs[] = { glob };
	struct store_object objects[] = { map(2, 2) };
	char reason[400];

	world->selector.host_globs = globs;
	world->selector.n_host_globs = 1;
	world->plan.verb = VERB(RESYNC);
	assert_int_equal(plan(world, NULL, 0), 0);
	assert_null(world->host->target);
	assert_int_equal(world->host->usable_paths, 0);
	world->selector.degraded_only = true;
	assert_int_equal(plan(world, NULL, 0), PLAN_E_NO_FIT);
	assert_int_equal(plan(world, objects, 1), PLAN_E_NO_FIT);
	objects[0].usable = 1;
	assert_int_equal(plan(world, objects, 1), 0);
	glob[0] = 'x';
	assert_int_equal(plan(world, objects, 1), PLAN_E_NO_FIT);
	plan_reason(&world->plan, reason, sizeof(reason));
	assert_non_null(strstr(reason, "1 have lost no path"));
	assert_int_equal(world->plan.n_not_named, 1);
}

static void test_selector_check(void **state)
{
	struct world *world = *state;

	assert_non_null(plan_check(NULL));
	assert_non_null(plan_check(&world->selector));
	world->selector.target = (char *)NQN;
	assert_null(plan_check(&world->selector));
}

static void test_order(void **state)
{
	static char a[] = "a", b[] = "b", c[] = "c", d[] = "d", e[] = "e";
	Pathbell__V1__CampaignHost hosts[5];
	Pathbell__V1__CampaignHost *order[5];
	char *names[] = { e, d, c, b, a };

	for (size_t i = 0; i < 5; i++) {
		pathbell__v1__campaign_host__init(&hosts[i]);
		hosts[i].host_id = names[i];
		hosts[i].total_paths = 2;
		order[i] = &hosts[i];
	}
	hosts[0].usable_paths = 1; /* e: none is usable */
	hosts[1].usable_paths = 2; /* d: one is lost */
	hosts[2].usable_paths = 3; /* c: whole */
	hosts[3].usable_paths = 1; /* b: none */
	plan_order(order, 5);	   /* a: not known */
	assert_string_equal(order[0]->host_id, "b");
	assert_string_equal(order[1]->host_id, "e");
	assert_string_equal(order[2]->host_id, "d");
	assert_string_equal(order[3]->host_id, "a");
	assert_string_equal(order[4]->host_id, "c");
}

/* ---- storage targets ---- */

static void test_storage_target(void **state)
{
	const struct store_object one = controller(ADDRESS1, "10.0.0.1", 1);
	const struct store_object two = controller(ADDRESS2, "10.0.0.2", 0);
	struct store_target target = { NQN, ADDRESS1, "", "" };
	struct target_seen seen = { 0 };

	target_see(&seen, &target, &one);
	target_see(&seen, &target, &two);
	target_settle(&seen, &target);
	assert_string_equal(seen.storage, NQN);
	assert_int_equal(seen.usable, 1);
	assert_int_equal(seen.total, 2);
	/* Not known to the store: the command's own words. */
	memset(&seen, 0, sizeof(seen));
	target = (struct store_target){ "", "", "mpath-x", "" };
	target_see(&seen, &target, &one);
	target_settle(&seen, &target);
	assert_string_equal(seen.storage, "mpath-x");
	assert_int_equal(seen.n_objects, 0);
	memset(&seen, 0, sizeof(seen));
	target = (struct store_target){ "", "", "", "" };
	target_see(&seen, &target, &one);
	target_settle(&seen, &target);
	assert_string_equal(seen.storage, "");
}

/* ---- objects out of events ---- */

static void test_objects(void **state)
{
	Pathbell__V1__Event event = PATHBELL__V1__EVENT__INIT;
	Pathbell__V1__Subject subject = PATHBELL__V1__SUBJECT__INIT;
	Pathbell__V1__MultipathEvent multipath = PATHBELL__V1__MULTIPATH_EVENT__INIT;
	Pathbell__V1__NvmeEvent nvme = PATHBELL__V1__NVME_EVENT__INIT;
	struct store_object object;
	char key[OBJECT_KEY_SIZE];

	event.subject = &subject;
	event.kind = KIND(STORAGE_PATH_FAILED);
	event.payload_case = PATHBELL__V1__EVENT__PAYLOAD_MULTIPATH;
	event.multipath = &multipath;
	multipath.map_uuid = (char *)UUID;
	multipath.valid_paths = 1;
	multipath.total_paths = 4;
	assert_int_equal(object_of(&event, key, &object), OBJECT_SET);
	assert_string_equal(key, "map:" UUID);
	assert_int_equal(object.usable, 1);
	assert_int_equal(object.total, 4);
	event.replayed = true;
	assert_int_equal(object_of(&event, key, &object), OBJECT_NONE);
	event.replayed = false;
	event.kind = KIND(MULTIPATH_MAP_REMOVED);
	assert_int_equal(object_of(&event, key, &object), OBJECT_GONE);

	event.kind = KIND(NVME_CONTROLLER_REMOVED);
	event.payload_case = PATHBELL__V1__EVENT__PAYLOAD_NVME;
	event.nvme = &nvme;
	nvme.subsystem_nqn = (char *)NQN;
	nvme.state = (char *)"removed";
	subject.transport_address = (char *)ADDRESS1;
	assert_int_equal(object_of(&event, key, &object), OBJECT_SET); /* to be connected again */
	assert_string_equal(key, "nvme:" NQN " " ADDRESS1);
	assert_int_equal(object.usable, 0);
	event.kind = KIND(NVME_CONTROLLER_CONNECTED);
	assert_int_equal(object_of(&event, key, &object), OBJECT_SET);
	assert_int_equal(object.usable, 1);
	nvme.discovery_controller = true;
	assert_int_equal(object_of(&event, key, &object), OBJECT_NONE);
	assert_true(object_is_told_by(KIND(STORAGE_PATH_FAILED)));
	assert_false(object_is_told_by(KIND(STORAGE_BLOCK_ERROR)));
}

/* ---- envelopes of one campaign ---- */

static const char *check(Pathbell__V1__Command *one, Pathbell__V1__Command *two, struct errmsg *err)
{
	Pathbell__V1__Command *commands[] = { one, two };

	memset(err, 0, sizeof(*err));
	return check_campaign(commands, 2, err) == 0 ? "" : err->text;
}

static void test_check(void **state)
{
	static uint8_t id[16] = "campaign", first[16] = "first", second[16] = "second";
	static char a[] = "a", b[] = "b", *hosts_a[] = { a }, *hosts_b[] = { b };
	Pathbell__V1__CommandCampaign policies[2] = { PATHBELL__V1__COMMAND_CAMPAIGN__INIT,
						      PATHBELL__V1__COMMAND_CAMPAIGN__INIT };
	Pathbell__V1__Command one = PATHBELL__V1__COMMAND__INIT, two = PATHBELL__V1__COMMAND__INIT;
	struct errmsg err;

	policies[0].id.data = policies[1].id.data = id;
	policies[0].id.len = policies[1].id.len = 16;
	one.campaign = &policies[0];
	two.campaign = &policies[1];
	one.id.data = first;
	two.id.data = second;
	one.host_ids = hosts_a;
	two.host_ids = hosts_b;
	one.n_host_ids = two.n_host_ids = 1;
	assert_string_equal(check(&one, &two, &err), "");
	policies[1].growth = 3;
	assert_non_null(strstr(check(&one, &two, &err), "campaign: not the same"));
	policies[1].growth = 0;
	two.verb = VERB(RESYNC);
	assert_non_null(strstr(check(&one, &two, &err), "verb"));
	two.verb = one.verb;
	two.dry_run = true;
	assert_non_null(strstr(check(&one, &two, &err), "dry_run"));
	two.dry_run = false;
	two.issuer = b;
	assert_non_null(strstr(check(&one, &two, &err), "issuer"));
	two.issuer = one.issuer;
	two.host_ids = hosts_a;
	assert_non_null(strstr(check(&one, &two, &err), "two envelopes"));
	two.host_ids = hosts_b;
	two.id.data = first;
	assert_non_null(strstr(check(&one, &two, &err), "command.id"));
	two.id.data = second;
	policies[0].max_parallel_percent = policies[1].max_parallel_percent = 101;
	assert_non_null(strstr(check(&one, &two, &err), "above 100"));
	two.campaign = NULL;
	assert_non_null(strstr(check(&two, &one, &err), "missing"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_subsystem, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_map_and_its_array, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names_and_degraded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_selector_check, setup, teardown),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_storage_target),
		cmocka_unit_test(test_objects),
		cmocka_unit_test(test_check),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
