/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/verb.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "ctl/bundle.h"
#include "ctl/command.h"
#include "proto/kind.h"

/* The real rows with another function behind them: what a command line becomes. */
static struct cli_command copies[VERB_COUNT];
static const struct cli_command *registry[VERB_COUNT + 1];
static struct command_plan plan;
static Pathbell__V1__CommandTarget planned;
static bool with_plan;
static Pathbell__V1__Command *built;

static int build(struct cli *cli)
{
	const struct verb *verb = cli->command->data;
	uint8_t packed[4096];
	int code = with_plan
			   ? command_build_for(cli, verb->number, "alice", clock_realtime_ns(),
					       &planned, &plan)
			   : command_build(cli, verb->number, "alice", clock_realtime_ns(), &plan);

	if (code != CLI_OK)
		return code;
	assert_true(pathbell__v1__command__get_packed_size(&plan.command) < sizeof(packed));
	built = pathbell__v1__command__unpack(
		NULL, pathbell__v1__command__pack(&plan.command, packed), packed);
	assert_non_null(built);
	return CLI_OK;
}

/* Words are separated by ';', so that a value may have blanks. */
static int call(const char *line)
{
	char copy[1024];
	char *argv[64] = { (char *)"pathbell", (char *)"command" };
	int argc = 2;

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *word = strtok(copy, ";"); word; word = strtok(NULL, ";"))
		argv[argc++] = word;
	if (built)
		pathbell__v1__command__free_unpacked(built, NULL);
	built = NULL;
	return cli_main(registry, argc, argv);
}

static void ok(const char *line)
{
	if (call(line) != CLI_OK)
		fail_msg("%s", line);
}

static void test_every_verb_of_the_schema_has_a_row(void **state)
{
	const ProtobufCEnumDescriptor *schema = &pathbell__v1__command_verb__descriptor;

	assert_int_equal(schema->n_values, VERB_COUNT + 1);
	for (unsigned i = 0; i < schema->n_values; i++) {
		const struct verb *verb = verb_find((unsigned)schema->values[i].value);
		char word[64];

		if (schema->values[i].value == 0) {
			assert_null(verb);
			continue;
		}
		assert_non_null(verb);
		snprintf(word, sizeof(word), "%s", command_verb_name(verb->number));
		for (char *dot; (dot = strchr(word, '.'));)
			*dot = '-';
		assert_string_equal(verb->word, word);
	}
	for (size_t i = 0; i < VERB_COUNT; i++) {
		assert_non_null(strstr(verb_commands[i].path, verbs[i].word));
		assert_ptr_equal(verb_commands[i].data, &verbs[i]);
	}
}

static void test_nvme_connect(void **state)
{
	ok("nvme-connect;a;--nqn;nqn.2024-01.example:x;-t;tcp;-a;::ffff:192.0.2.7;--host-iface;"
	   "eth1;"
	   "--ctrl-loss-tmo;-1;--nr-io-queues;4;--desired");
	assert_string_equal(built->target->nqn, "nqn.2024-01.example:x");
	assert_string_equal(built->target->transport_address,
			    "transport=tcp traddr=192.0.2.7 trsvcid=4420 host_iface=eth1");
	assert_int_equal(built->args_case, PATHBELL__V1__COMMAND__ARGS_NVME_CONNECT);
	assert_int_equal(built->nvme_connect->ctrl_loss_tmo_seconds, -1);
	assert_int_equal(built->nvme_connect->nr_io_queues, 4);
	assert_int_equal(built->nvme_connect->reconnect_delay_seconds, 0);
	assert_true(built->nvme_connect->desired);
	ok("nvme-connect;a;--transport-address;transport=tcp,traddr=192.0.2.7,trsvcid=4421,nqn=n;"
	   "--ctrl-loss-tmo;600");
	assert_string_equal(built->target->nqn, "n");
	assert_string_equal(built->target->transport_address,
			    "transport=tcp traddr=192.0.2.7 trsvcid=4421");
	assert_int_equal(built->nvme_connect->ctrl_loss_tmo_seconds, 600);
	assert_int_equal(call("nvme-connect;a;--nqn;x"), CLI_USAGE);
	assert_int_equal(call("nvme-connect;a;-t;tcp;-a;192.0.2.7"), CLI_USAGE);
	assert_int_equal(call("nvme-connect;a;--nqn;x;-a;192.0.2.7"), CLI_USAGE);
	assert_int_equal(call("nvme-connect;a;--nqn;x;-t;tcp;-a;1,2"), CLI_USAGE);
	assert_int_equal(call("nvme-connect;a;--nqn;x;--transport-address;traddr"), CLI_USAGE);
	assert_int_equal(call("nvme-connect;a;--nqn;x;-t;tcp;-a;192.0.2.7;--queue-size;-1"),
			 CLI_USAGE);
	assert_int_equal(call("nvme-connect;a;--nqn;x;-t;tcp;-a;192.0.2.7;--ctrl-loss-tmo;-2"),
			 CLI_USAGE);
	assert_int_equal(call("nvme-connect;a;--nqn;x;-t;tcp;-a;192.0.2.7;--map;m"), CLI_USAGE);
}

static void test_nvme_discover_has_the_port_of_discovery(void **state)
{
	ok("nvme-discover;a;-t;tcp;-a;192.0.2.7;--connect");
	assert_string_equal(built->target->transport_address,
			    "transport=tcp traddr=192.0.2.7 trsvcid=8009");
	assert_string_equal(built->target->nqn, "");
	assert_true(built->nvme_discover->connect);
	assert_false(built->nvme_discover->persistent);
	assert_int_equal(call("nvme-discover;a"), CLI_USAGE);
}

static void test_controllers(void **state)
{
	ok("nvme-reset;a;b;--device;/dev/nvme0;--generation;7;--override-last-path");
	assert_string_equal(built->target->name, "nvme0");
	assert_int_equal(built->target->generation, 7);
	assert_true(built->override_last_path);
	assert_int_equal(built->n_host_ids, 2);
	ok("nvme-disconnect;a;-q;nqn.x;--dry-run;--expires;30s");
	assert_true(built->dry_run);
	ok("nvme-rescan;a;--id;nvme:x");
	assert_int_equal(call("nvme-reset;a"), CLI_USAGE);
	assert_int_equal(call("nvme-reset;a;--generation;7"), CLI_USAGE);
	assert_int_equal(call("nvme-rescan;a;-q;x;--override-last-path"), CLI_USAGE);
}

static void test_maps_and_paths(void **state)
{
	ok("multipath-reinstate;a;--map;mpatha;--path;sdb");
	assert_string_equal(built->target->map_name, "mpatha");
	assert_string_equal(built->target->map_uuid, "");
	assert_string_equal(built->target->name, "sdb");
	ok("multipath-fail;a;--map;3600a098000aa11bb22cc33dd44ee55ff;--path;naa.5000c500a1b2c3d4");
	assert_string_equal(built->target->map_uuid, "mpath-3600a098000aa11bb22cc33dd44ee55ff");
	assert_string_equal(built->target->path_wwid, "naa.5000c500a1b2c3d4");
	assert_string_equal(built->target->name, "");
	ok("multipath-fail;a;--map;mpath-x;--path;3600a098000aa11bb");
	assert_string_equal(built->target->map_uuid, "mpath-x");
	assert_string_equal(built->target->path_wwid, "3600a098000aa11bb");
	ok("multipath-fail;a;--map;mpath-x;--path;3:0:1:2");
	assert_string_equal(built->target->transport_address, "hctl=3:0:1:2");
	ok("multipath-fail;a;--map;mpath-x;--path;8:16;--path;naa.5000c500a1b2c3d4");
	assert_string_equal(built->target->name, "8:16");
	assert_string_equal(built->target->path_wwid, "naa.5000c500a1b2c3d4");
	assert_int_equal(call("multipath-fail;a;--map;mpath-x"), CLI_USAGE);
	assert_int_equal(call("multipath-fail;a;--path;sdb"), CLI_USAGE);
	assert_int_equal(call("multipath-fail;a;--map;m;--path;sdb;--device;sdc"), CLI_USAGE);
	ok("multipath-switch-group;a;--map;/dev/mapper/mpatha;--group;2;--only-if-inactive");
	assert_int_equal(built->target->group, 2);
	assert_true(built->multipath_switch_group->only_if_inactive);
	assert_int_equal(call("multipath-switch-group;a;--map;m"), CLI_USAGE);
	assert_int_equal(call("multipath-switch-group;a;--group;2"), CLI_USAGE);
	assert_int_equal(call("multipath-switch-group;a;--map;m;--group;0"), CLI_USAGE);
}

static void test_scsi_diag_halt(void **state)
{
	ok("scsi-rescan;a;--scsi-host;0");
	assert_int_equal(built->scsi_rescan->host, 1);
	assert_null(built->target);
	ok("scsi-rescan;a;--device;sdb");
	assert_int_equal(built->scsi_rescan->host, 0);
	assert_int_equal(call("scsi-rescan;a"), CLI_USAGE);
	assert_int_equal(call("scsi-rescan;a;--device;sdb;--scsi-host;0"), CLI_USAGE);
	ok("diag;a;--section;spool;--section;nvme;--max-bytes;4096");
	assert_int_equal(built->diag->n_sections, 2);
	assert_string_equal(built->diag->sections[1], "nvme");
	assert_int_equal(built->diag->max_bytes, 4096);
	assert_int_equal(call("diag;a;--max-bytes;1048577"), CLI_USAGE);
	ok("halt;a");
	assert_int_equal(built->args_case, PATHBELL__V1__COMMAND__ARGS__NOT_SET);
	ok("resume;a;b");
	assert_int_equal(call("halt"), CLI_USAGE);
}

/* A campaign's plan names the target; an identity on the command line replaces it whole. */
static void test_a_planned_target(void **state)
{
	pathbell__v1__command_target__init(&planned);
	planned.map_uuid = (char *)"mpath-planned";
	planned.path_wwid = (char *)"naa.planned";
	with_plan = true;
	ok("multipath-fail;a");
	assert_string_equal(built->target->path_wwid, "naa.planned");
	assert_int_equal(built->n_host_ids, 0);
	ok("multipath-fail;a;--path;sdb;--map;m");
	assert_string_equal(built->target->map_uuid, "");
	assert_string_equal(built->target->path_wwid, "");
	assert_string_equal(built->target->name, "sdb");
	ok("multipath-switch-group;a;--group;2");
	assert_string_equal(built->target->map_uuid, "mpath-planned");
	assert_int_equal(built->target->group, 2);
	assert_int_equal(call("nvme-reset;a"), CLI_USAGE);
	with_plan = false;
}

static void test_targets_as_text(void **state)
{
	char text[256];
	char small[8];

	command_target_text(NULL, text, sizeof(text));
	assert_string_equal(text, "");
	ok("multipath-fail;a;--map;mpatha;--path;sdb;--generation;3");
	command_target_text(built->target, text, sizeof(text));
	assert_string_equal(text, "map mpatha device sdb generation 3");
	command_target_text(built->target, small, sizeof(small));
	assert_string_equal(small, "map mpa");
}

/* ---- bundles ---- */

static int add(struct bundle *bundle, uint32_t chunk, const char *text, bool last,
	       const char *detail)
{
	Pathbell__V1__CommandState state = PATHBELL__V1__COMMAND_STATE__INIT;

	state.chunk = chunk;
	state.output = (ProtobufCBinaryData){ strlen(text), (uint8_t *)text };
	state.output_last = last;
	state.detail = (char *)detail;
	return bundle_add(bundle, &state);
}

static void test_chunks_are_joined(void **state)
{
	struct bundle bundle;

	bundle_init(&bundle, "a");
	assert_int_equal(add(&bundle, 0, "one ", false, ""), 0);
	assert_int_equal(add(&bundle, 0, "one ", false, ""), 0); /* stored twice */
	assert_false(bundle.complete);
	assert_int_equal(add(&bundle, 1, "two", true, "cut at 7 bytes"), 0);
	assert_true(bundle.complete);
	assert_false(bundle.missing);
	assert_string_equal(bundle.note, "cut at 7 bytes");
	assert_int_equal(bundle.text.size, 7);
	assert_memory_equal(bundle.text.data, "one two", 7);
	bundle_deinit(&bundle);
}

static void test_the_mark_of_a_cut(void **state)
{
	struct bundle bundle;

	bundle_init(&bundle, "a");
	assert_int_equal(add(&bundle, 0, "state\n[cut: 812 more bytes]\n", true, ""), 0);
	assert_string_equal(bundle.note,
			    "the bundle was cut: 812 more bytes; --max-bytes allows more");
	bundle_deinit(&bundle);
	bundle_init(&bundle, "a");
	assert_int_equal(add(&bundle, 0, "state\n[cut", true, ""), 0);
	assert_string_equal(bundle.note, "");
	bundle_deinit(&bundle);
	bundle_init(&bundle, "a");
	assert_int_equal(add(&bundle, 0, "", true, ""), 0);
	assert_true(bundle.complete);
	bundle_deinit(&bundle);
}

static void test_holes_are_seen(void **state)
{
	struct bundle bundle;
	char *large = malloc(32769);

	bundle_init(&bundle, "a");
	assert_int_equal(add(&bundle, 0, "a", false, ""), 0);
	assert_int_equal(add(&bundle, 2, "c", false, ""), 0);
	assert_int_equal(add(&bundle, 5, "f", true, ""), 0);
	assert_true(bundle.complete);
	assert_true(bundle.missing);
	assert_int_equal(bundle.missing_at, 1);
	bundle_deinit(&bundle);
	bundle_init(&bundle, "a");
	memset(large, 'x', 32768);
	large[32768] = '\0';
	for (uint32_t i = 0; i < 32; i++)
		assert_int_equal(add(&bundle, i, large, false, ""), 0);
	assert_true(add(&bundle, 32, large, true, "") < 0);
	bundle_deinit(&bundle);
	free(large);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_verb_of_the_schema_has_a_row),
		cmocka_unit_test(test_nvme_connect),
		cmocka_unit_test(test_nvme_discover_has_the_port_of_discovery),
		cmocka_unit_test(test_controllers),
		cmocka_unit_test(test_maps_and_paths),
		cmocka_unit_test(test_scsi_diag_halt),
		cmocka_unit_test(test_a_planned_target),
		cmocka_unit_test(test_targets_as_text),
		cmocka_unit_test(test_chunks_are_joined),
		cmocka_unit_test(test_the_mark_of_a_cut),
		cmocka_unit_test(test_holes_are_seen),
	};
	int failed;

	for (size_t i = 0; i < VERB_COUNT; i++) {
		copies[i] = verb_commands[i];
		copies[i].run = build;
		registry[i] = &copies[i];
	}
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	if (built)
		pathbell__v1__command__free_unpacked(built, NULL);
	return failed;
}
