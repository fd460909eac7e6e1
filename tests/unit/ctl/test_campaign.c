/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/campaign.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/file.h"
#include "ctl/envelope_file.h"
#include "ctl/reconnect.h"
#include "ctl/registry.h"
#include "ctl/where.h"
#include "fleet.h"
#include "proto/envelope.h"

#define SUCCEEDED   PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_SUCCEEDED
#define FAILED	    PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_FAILED
#define STATE(name) PATHBELL__V1__CAMPAIGN_STATE__CAMPAIGN_STATE_##name

static struct fleet *fleet;
static struct script *script;
static char *text; /* of the last run */

/* Words are separated by blanks. */
static int run(const char *line)
{
	char copy[1024];
	char key[128];
	char *argv[64] = { (char *)"pathbell", (char *)"--config", (char *)fleet_config(fleet),
			   (char *)"--utc" };
	int argc = 4;
	char path[128];
	int saved;
	int code;
	size_t size = 0;

	snprintf(key, sizeof(key), "%s/sign.key", fleet_folder(fleet));
	snprintf(copy, sizeof(copy), "%s", line);
	for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
		argv[argc++] = strcmp(word, "KEY") == 0 ? key : word;
	snprintf(path, sizeof(path), "%s/out", fleet_folder(fleet));
	fflush(stdout);
	saved = dup(STDOUT_FILENO);
	assert_non_null(freopen(path, "w", stdout));
	code = cli_main(registry_commands, argc, argv);
	fflush(stdout);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	free(text);
	assert_int_equal(file_read(path, 32 << 20, &text, &size), 0);
	return code;
}

static void expect(const char *wanted)
{
	if (!strstr(text, wanted))
		fail_msg("no '%s' in '%s'", wanted, text);
}

/* What is typed stands in the terminal before it is asked for. */
static int run_on_terminal(const char *line, const char *typed)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	int saved = dup(STDIN_FILENO);
	int slave;
	int code;

	assert_int_equal(grantpt(master), 0);
	assert_int_equal(unlockpt(master), 0);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(slave >= 0);
	assert_int_equal(write(master, typed, strlen(typed)), (ssize_t)strlen(typed));
	dup2(slave, STDIN_FILENO);
	code = run(line);
	dup2(saved, STDIN_FILENO);
	close(saved);
	close(slave);
	close(master);
	return code;
}

/* ---- answers ---- */

static void plan_answer(size_t n, size_t n_targets, uint32_t not_shown)
{
	Pathbell__V1__PlanCampaignResponse plan = PATHBELL__V1__PLAN_CAMPAIGN_RESPONSE__INIT;
	Pathbell__V1__CampaignHost *hosts = calloc(n + 1, sizeof(*hosts));
	Pathbell__V1__CampaignHost **list = calloc(n + 1, sizeof(*list));
	Pathbell__V1__CommandTarget *targets = calloc(n_targets + 1, sizeof(*targets));
	char *texts = calloc(n + n_targets + 1, 32);

	for (size_t i = 0; i < n_targets; i++) {
		pathbell__v1__command_target__init(&targets[i]);
		targets[i].nqn = texts + (n + i) * 32;
		snprintf(targets[i].nqn, 32, "nqn.x:%zu", i);
	}
	for (size_t i = 0; i < n; i++) {
		pathbell__v1__campaign_host__init(&hosts[i]);
		hosts[i].host_id = texts + i * 32;
		snprintf(hosts[i].host_id, 32, "host%zu", i);
		hosts[i].storage_target = (char *)"nqn.x";
		hosts[i].usable_paths = i == 0 ? 1 : 2;
		hosts[i].total_paths = 2;
		hosts[i].connected = i != 1;
		hosts[i].target = n_targets ? &targets[i % n_targets] : NULL;
		list[i] = &hosts[i];
	}
	plan.hosts = list;
	plan.n_hosts = n;
	plan.not_shown = not_shown;
	plan.reason = (char *)(n ? "" : "no host has this NQN");
	script_add(script, "PlanCampaign", RPC_OK, &plan.base);
	free(hosts);
	free(list);
	free(targets);
	free(texts);
}

/* The id of a submitted campaign is the client's: the answer has to have it. */
static Pathbell__V1__SubmitCampaignRequest *submitted(void)
{
	const uint8_t *data = NULL;
	size_t size = 0;

	assert_int_equal(script_calls(script, "SubmitCampaign", &data, &size), 1);
	return pathbell__v1__submit_campaign_request__unpack(NULL, size, data);
}

static void campaign_init(Pathbell__V1__Campaign *campaign, Pathbell__V1__CampaignState state,
			  uint32_t succeeded, uint32_t failed)
{
	static uint8_t id[ID_SIZE] = { 1, 2, 3 };

	pathbell__v1__campaign__init(campaign);
	campaign->campaign_id = (ProtobufCBinaryData){ ID_SIZE, id };
	campaign->state = state;
	campaign->verb = (char *)"nvme.reset";
	campaign->total = 10;
	campaign->succeeded = succeeded;
	campaign->failed = failed;
	campaign->waiting = 10 - succeeded - failed;
	campaign->wave = 1;
}

static const char watch_line[] = "campaign watch 01020300-0000-0000-0000-000000000000";

static int setup(void **state)
{
	char line[256];

	unsetenv("COLUMNS");
	fleet = fleet_new();
	script = fleet_script(fleet);
	snprintf(line, sizeof(line), "key new %s/sign.key", fleet_folder(fleet));
	return run(line);
}

static int teardown(void **state)
{
	fleet = fleet_free(fleet);
	free(text);
	return 0;
}

static int reset(void **state)
{
	script_reset(script);
	return 0;
}

/* ---- --where ---- */

static void test_selectors(void **state)
{
	struct where where;
	struct errmsg err = { 0 };

	where_init(&where);
	assert_true(where_is_empty(&where));
	assert_int_equal(
		where_add(&where,
			  "host=web*,target=traddr=192.0.2.1,trsvcid=4420,degraded,host=db?", &err),
		0);
	assert_int_equal(where_add(&where, "array=NETAPP*,degradedish", &err), 0);
	assert_string_equal(where.selector.target, "traddr=192.0.2.1,trsvcid=4420");
	assert_string_equal(where.selector.array, "NETAPP*,degradedish");
	assert_int_equal(where.selector.n_host_globs, 2);
	assert_string_equal(where.selector.host_globs[1], "db?");
	assert_true(where.selector.degraded_only);
	assert_int_not_equal(where_add(&where, "target=x", &err), 0);
	where_deinit(&where);
	static const char *const bad[] = { "", "web17", "host=", "nqn=x", ",host=x", "target=" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		where_init(&where);
		if (where_add(&where, bad[i], &err) == 0)
			fail_msg("%s", bad[i]);
		where_deinit(&where);
	}
	where_init(&where);
	assert_int_equal(where_add(&where, "degraded", &err), 0);
	assert_true(where_is_empty(&where));
	where_deinit(&where);
}

/* ---- reconnect ---- */

static void test_wrong_usage_asks_nobody(void **state)
{
	static const char *const lines[] = {
		"reconnect",
		"reconnect --where host=x",
		"reconnect frobnicate --where host=x --plan",
		"reconnect nvme-reset",
		"reconnect nvme-reset --where degraded",
		"reconnect nvme-reset --where host=x --canary 0",
		"reconnect nvme-reset --where host=x --max-parallel-percent 101",
		"reconnect nvme-reset --where host=x --jitter 2h",
		"reconnect nvme-reset --where host=x web17",
	};

	plan_answer(1, 1, 0);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		if (run(lines[i]) != CLI_USAGE)
			fail_msg("%s", lines[i]);
	}
	assert_int_equal(script_calls(script, "PlanCampaign", NULL, NULL), 0);
}

static void test_no_host_fits(void **state)
{
	plan_answer(0, 0, 0);
	assert_int_equal(run("reconnect nvme-reset --where target=nqn.x --yes --signing-key KEY"),
			 CLI_NOT_FOUND);
	assert_int_equal(script_calls(script, "SubmitCampaign", NULL, NULL), 0);
}

static void test_a_plan_is_only_shown(void **state)
{
	const uint8_t *data = NULL;
	size_t size = 0;
	Pathbell__V1__PlanCampaignRequest *request;

	plan_answer(3, 1, 0);
	assert_int_equal(run("reconnect nvme-reset --where target=nqn.x,degraded --plan"), CLI_OK);
	expect("host0");
	expect("0 of 2 (none usable)");
	expect("NOT CONNECTED");
	expect("3 hosts, 1 without a usable path, 1 not connected; 1 storage target\n");
	assert_int_equal(script_calls(script, "PlanCampaign", &data, &size), 1);
	request = pathbell__v1__plan_campaign_request__unpack(NULL, size, data);
	assert_string_equal(request->selector->target, "nqn.x");
	assert_true(request->selector->degraded_only);
	assert_int_equal(request->verb, PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_NVME_RESET);
	pathbell__v1__plan_campaign_request__free_unpacked(request, NULL);
	assert_int_equal(run("reconnect --where host=* --plan -o json"), CLI_OK);
	expect("{\"host_id\":\"host2\"");
	assert_int_equal(script_calls(script, "SubmitCampaign", NULL, NULL), 0);
}

static void test_too_many_or_unfit_hosts(void **state)
{
	plan_answer(3, 1, 5);
	assert_int_equal(run("reconnect nvme-reset --where host=* --yes --signing-key KEY"),
			 CLI_FAILED);
	script_reset(script);
	plan_answer(3, 0, 0); /* no target found, none named */
	assert_int_equal(run("reconnect nvme-reset --where host=* --yes --signing-key KEY"),
			 CLI_USAGE);
	script_reset(script);
	plan_answer(1100, 1100, 0);
	assert_int_equal(run("reconnect nvme-reset --where host=* --yes --signing-key KEY"),
			 CLI_FAILED);
	assert_int_equal(script_calls(script, "SubmitCampaign", NULL, NULL), 0);
}

static void test_nothing_goes_without_confirmation(void **state)
{
	static const char line[] =
		"reconnect nvme-reset --where host=* --signing-key KEY --no-wait";
	Pathbell__V1__Campaign campaign;

	plan_answer(3, 1, 0);
	campaign_init(&campaign, STATE(RUNNING), 0, 0);
	script_add(script, "SubmitCampaign", RPC_OK, &campaign.base);
	assert_int_equal(run_on_terminal(line, "2\n"), CLI_FAILED);
	assert_int_equal(run_on_terminal(line, "yes\n"), CLI_FAILED);
	assert_int_equal(run_on_terminal(line, "\004"), CLI_FAILED);
	assert_int_equal(script_calls(script, "SubmitCampaign", NULL, NULL), 0);
	/* the fake answers with an id of its own, which is noticed */
	assert_int_equal(run_on_terminal(line, "3\n"), CLI_FAILED);
	assert_int_equal(script_calls(script, "SubmitCampaign", NULL, NULL), 1);
}

static void check_envelope(const ProtobufCBinaryData *envelope, const struct envelope_trusted *key,
			   Pathbell__V1__Command **ret_command)
{
	struct envelope_result result;

	assert_int_equal(envelope_verify(envelope->data, envelope->len, key, 1, 1, &result), 0);
	assert_true(result.command_size <= 65536);
	*ret_command = pathbell__v1__command__unpack(NULL, result.command_size, result.command);
	assert_non_null(*ret_command);
}

static void trust(struct envelope_trusted *ret_key)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/sign.key.pub", fleet_folder(fleet));
	assert_int_equal(envelope_public_parse(path, ret_key->public_key, NULL), 0);
	envelope_key_id(ret_key->public_key, ret_key->key_id);
}

/* 2500 hosts with two targets in turn: four commands, each host once, one campaign. */
static void test_several_envelopes(void **state)
{
	Pathbell__V1__SubmitCampaignRequest *request;
	Pathbell__V1__Command *first = NULL;
	struct envelope_trusted key;
	bool *seen = calloc(2500, sizeof(*seen));
	size_t n = 0;

	trust(&key);
	plan_answer(2500, 2, 0);
	script_add(script, "SubmitCampaign", RPC_PERMISSION_DENIED, NULL);
	assert_int_equal(run("reconnect nvme-reset --where host=* --yes --signing-key KEY --canary "
			     "3 --error-budget 2 --jitter 1500ms --name night --override-last-path "
			     "--reason why"),
			 CLI_PERMISSION);
	request = submitted();
	assert_int_equal(request->n_envelopes, 4);
	for (size_t i = 0; i < request->n_envelopes; i++) {
		Pathbell__V1__Command *command = NULL;

		check_envelope(&request->envelopes[i], &key, &command);
		for (size_t j = 0; j < command->n_host_ids; j++, n++) {
			size_t host = strtoul(command->host_ids[j] + 4, NULL, 10);

			assert_false(seen[host]);
			seen[host] = true;
			assert_int_equal(command->target->nqn[6], '0' + (char)(host % 2));
		}
		assert_true(command->override_last_path);
		assert_string_equal(command->reason, "why");
		assert_int_equal(command->campaign->canary, 3);
		assert_int_equal(command->campaign->error_budget, 2);
		assert_int_equal(command->campaign->jitter_ms, 1500);
		assert_string_equal(command->campaign->name, "night");
		if (first) {
			assert_memory_equal(command->campaign->id.data, first->campaign->id.data,
					    ID_SIZE);
			assert_memory_not_equal(command->id.data, first->id.data, ID_SIZE);
			pathbell__v1__command__free_unpacked(command, NULL);
		} else {
			first = command;
		}
	}
	assert_int_equal(n, 2500);
	pathbell__v1__command__free_unpacked(first, NULL);
	pathbell__v1__submit_campaign_request__free_unpacked(request, NULL);
	free(seen);
}

/* One target named on the command line: hosts of different targets share commands. */
static void test_a_named_target_is_one_group(void **state)
{
	Pathbell__V1__SubmitCampaignRequest *request;
	Pathbell__V1__Command *command = NULL;
	struct envelope_trusted key;

	trust(&key);
	plan_answer(20, 5, 0);
	script_add(script, "SubmitCampaign", RPC_PERMISSION_DENIED, NULL);
	assert_int_equal(
		run("reconnect nvme-reset --where host=* --yes --signing-key KEY --nqn nqn.y"),
		CLI_PERMISSION);
	request = submitted();
	assert_int_equal(request->n_envelopes, 1);
	check_envelope(&request->envelopes[0], &key, &command);
	assert_int_equal(command->n_host_ids, 20);
	assert_string_equal(command->target->nqn, "nqn.y");
	pathbell__v1__command__free_unpacked(command, NULL);
	pathbell__v1__submit_campaign_request__free_unpacked(request, NULL);
}

/* Written, signed by a second operator, submitted. */
static void test_a_second_signature_on_all(void **state)
{
	Pathbell__V1__SubmitCampaignRequest *request;
	char line[512];

	plan_answer(1500, 1, 0);
	script_add(script, "SubmitCampaign", RPC_PERMISSION_DENIED, NULL);
	snprintf(line, sizeof(line),
		 "reconnect resync --where host=* --yes --signing-key KEY --envelope-out %s/c.bin",
		 fleet_folder(fleet));
	assert_int_equal(run(line), CLI_OK);
	expect("(2 commands, 1500 hosts)");
	assert_int_equal(script_calls(script, "SubmitCampaign", NULL, NULL), 0);
	snprintf(line, sizeof(line), "key new %s/second.key", fleet_folder(fleet));
	assert_int_equal(run(line), CLI_OK);
	snprintf(line, sizeof(line), "command sign %s/c.bin --signing-key %s/second.key",
		 fleet_folder(fleet), fleet_folder(fleet));
	assert_int_equal(run_on_terminal(line, "no\n"), CLI_FAILED);
	assert_int_equal(run_on_terminal(line, "yes\n"), CLI_OK);
	expect("2 commands for 1500 hosts");
	expect("host1499");
	expect("campaign submit");
	assert_int_equal(run_on_terminal(line, "yes\n"), CLI_FAILED); /* signed already */
	snprintf(line, sizeof(line), "command submit %s/c.bin", fleet_folder(fleet));
	assert_int_equal(run(line), CLI_USAGE);
	snprintf(line, sizeof(line), "campaign submit %s/c.bin", fleet_folder(fleet));
	assert_int_equal(run(line), CLI_PERMISSION);
	request = submitted();
	for (size_t i = 0; i < request->n_envelopes; i++) {
		Pathbell__V1__SignedCommand *envelope = pathbell__v1__signed_command__unpack(
			NULL, request->envelopes[i].len, request->envelopes[i].data);

		assert_int_equal(envelope->n_signatures, 2);
		pathbell__v1__signed_command__free_unpacked(envelope, NULL);
	}
	pathbell__v1__submit_campaign_request__free_unpacked(request, NULL);
}

/* ---- watching ---- */

static void watch(const struct script_answer *unused, Pathbell__V1__CampaignState state,
		  uint32_t succeeded, uint32_t failed, int code)
{
	Pathbell__V1__Campaign campaign;

	script_reset(script);
	campaign_init(&campaign, state, succeeded, failed);
	script_add(script, "WatchCampaign", RPC_OK, &campaign.base);
	assert_int_equal(run(watch_line), code);
}

static void test_ends_have_exit_codes(void **state)
{
	watch(NULL, STATE(FINISHED), 10, 0, CLI_OK);
	watch(NULL, STATE(FINISHED), 9, 1, CLI_UNSUCCESSFUL);
	watch(NULL, STATE(STOPPED), 3, 1, CLI_UNSUCCESSFUL);
	watch(NULL, STATE(HALTED), 10, 0, CLI_UNSUCCESSFUL);
	watch(NULL, STATE(EXPIRED), 3, 0, CLI_UNSUCCESSFUL);
}

static void test_progress_in_lines(void **state)
{
	Pathbell__V1__Campaign campaign;
	Pathbell__V1__CampaignFailure failure = PATHBELL__V1__CAMPAIGN_FAILURE__INIT;
	Pathbell__V1__CampaignFailure *failures[] = { &failure };
	struct script_answer *answer;

	campaign_init(&campaign, STATE(RUNNING), 1, 0);
	answer = script_add(script, "WatchCampaign", RPC_UNAVAILABLE, &campaign.base);
	script_more(answer, &campaign.base); /* nothing new in it: no line */
	campaign_init(&campaign, STATE(RUNNING), 5, 1);
	failure.host_id = (char *)"web\0337";
	failure.life = FAILED;
	failure.detail = (char *)"no path";
	failure.unix_ns = 1000;
	campaign.failures = failures;
	campaign.n_failures = 1;
	answer = script_add(script, "WatchCampaign", RPC_UNAVAILABLE, &campaign.base);
	campaign.state = STATE(FINISHED);
	campaign.succeeded = 9;
	campaign.waiting = 0;
	script_add(script, "WatchCampaign", RPC_OK, &campaign.base);
	assert_int_equal(run(watch_line), CLI_UNSUCCESSFUL);
	assert_int_equal(script_calls(script, "WatchCampaign", NULL, NULL), 3);
	expect("RUNNING, wave 1: 1 of 10 ended, 1 succeeded, 0 failed");
	expect("FINISHED, wave 1: 10 of 10 ended, 9 succeeded, 1 failed");
	expect("web\\x1b7 FAILED: no path\n");
	assert_null(strstr(strstr(text, "no path") + 1, "no path"));
	assert_null(strstr(strstr(text, "1 of 10 ended") + 1, " 1 of 10 ended"));
}

static void test_progress_in_json(void **state)
{
	Pathbell__V1__Campaign campaign;

	campaign_init(&campaign, STATE(FINISHED), 10, 0);
	script_add(script, "WatchCampaign", RPC_OK, &campaign.base);
	assert_int_equal(run("-o json campaign watch 01020300-0000-0000-0000-000000000000"),
			 CLI_OK);
	expect("\"succeeded\":10");
}

static void interrupt(void)
{
	kill(getpid(), SIGINT);
}

static void test_an_interrupt_detaches(void **state)
{
	Pathbell__V1__Campaign campaign;
	struct timespec none = { 0, 0 };
	sigset_t signals;

	campaign_init(&campaign, STATE(RUNNING), 1, 0);
	script_add(script, "WatchCampaign", -1, &campaign.base)->then = interrupt;
	assert_int_equal(run(watch_line), CLI_UNSUCCESSFUL);
	assert_int_equal(script_calls(script, "ControlCampaign", NULL, NULL), 0);
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	while (sigtimedwait(&signals, NULL, &none) > 0)
		;
}

static void test_malformed_answers(void **state)
{
	struct script_answer *answer = script_add(script, "WatchCampaign", RPC_OK, NULL);

	script_raw(answer, "\xff\xff\xff", 3);
	assert_int_equal(run(watch_line), CLI_FAILED);
	script_raw(script_add(script, "PlanCampaign", RPC_OK, NULL), "\x0a\x7f", 2);
	assert_int_equal(run("reconnect --where host=x --plan"), CLI_FAILED);
	script_add(script, "GetCampaign", RPC_NOT_FOUND, NULL);
	assert_int_equal(run("campaign show 01020300-0000-0000-0000-000000000000"), CLI_NOT_FOUND);
	assert_int_equal(run("campaign show x"), CLI_USAGE);
}

static void test_control_and_list(void **state)
{
	Pathbell__V1__ListCampaignsResponse page = PATHBELL__V1__LIST_CAMPAIGNS_RESPONSE__INIT;
	Pathbell__V1__Campaign campaign;
	Pathbell__V1__Campaign *list[] = { &campaign };
	Pathbell__V1__ControlCampaignRequest *request;
	const uint8_t *data = NULL;
	size_t size = 0;

	campaign_init(&campaign, STATE(STOPPED), 3, 1);
	campaign.state_reason = (char *)"error budget";
	page.campaigns = list;
	page.n_campaigns = 1;
	script_add(script, "ListCampaigns", RPC_OK, &page.base);
	assert_int_equal(run("campaign list --unfinished"), CLI_OK);
	expect("STOPPED");
	expect("4 of 10");
	script_add(script, "ControlCampaign", RPC_OK, &campaign.base);
	assert_int_equal(run("campaign halt 01020300-0000-0000-0000-000000000000 --reason enough"),
			 CLI_OK);
	expect("STOPPED: error budget");
	assert_int_equal(script_calls(script, "ControlCampaign", &data, &size), 1);
	request = pathbell__v1__control_campaign_request__unpack(NULL, size, data);
	assert_int_equal(request->action, PATHBELL__V1__CAMPAIGN_ACTION__CAMPAIGN_ACTION_HALT);
	assert_string_equal(request->reason, "enough");
	pathbell__v1__control_campaign_request__free_unpacked(request, NULL);
}

/* No line is wider than the terminal, whatever a host says. */
static void test_the_block_fits_the_terminal(void **state)
{
	const struct output output = { .width = 60, .colour = true };
	Pathbell__V1__CampaignFailure failure = PATHBELL__V1__CAMPAIGN_FAILURE__INIT;
	Pathbell__V1__CampaignFailure *failures[20];
	Pathbell__V1__Campaign campaign;
	struct buf block = { 0 };
	char detail[300];
	size_t lines = 0;
	size_t n = 0;
	char *line;

	memset(detail, 'x', sizeof(detail) - 1);
	detail[sizeof(detail) - 1] = '\0';
	failure.host_id = (char *)"h";
	failure.detail = detail;
	for (size_t i = 0; i < 20; i++)
		failures[i] = &failure;
	campaign_init(&campaign, STATE(RUNNING), 4, 1);
	campaign.state_reason = detail;
	campaign.under_way = 2;
	campaign.failures = failures;
	campaign.n_failures = 20;
	assert_int_equal(campaign_view(&output, &campaign, &block, &lines), 0);
	assert_int_equal(buf_append(&block, "", 1), 0);
	for (line = strtok((char *)block.data, "\n"); line; line = strtok(NULL, "\n"), n++) {
		size_t columns = 0;

		for (char *c = line; *c; c++) {
			if (*c == '\033')
				c += strcspn(c, "m");
			else
				columns++;
		}
		assert_true(columns < 60);
	}
	assert_int_equal(n, lines);
	assert_true(lines <= 6 + CAMPAIGN_SHOWN_FAILURES);
	buf_deinit(&block);
}

/* ---- cancel, diag ---- */

static void test_cancel(void **state)
{
	Pathbell__V1__CancelCommandResponse response = PATHBELL__V1__CANCEL_COMMAND_RESPONSE__INIT;

	response.cancelled = 2;
	script_add(script, "CancelCommand", RPC_OK, &response.base);
	assert_int_equal(run("command cancel 01020300-0000-0000-0000-000000000000"), CLI_OK);
	response.too_late = 1;
	script_add(script, "CancelCommand", RPC_OK, &response.base);
	assert_int_equal(run("command cancel 01020300-0000-0000-0000-000000000000"),
			 CLI_UNSUCCESSFUL);
	expect("cancelled on 2 hosts, too late for 1");
	assert_int_equal(run("command cancel x"), CLI_USAGE);
}

static void chunk(Pathbell__V1__StoredEvent *stored, Pathbell__V1__Event *event,
		  Pathbell__V1__CommandState *state, const ProtobufCBinaryData *command_id)
{
	pathbell__v1__stored_event__init(stored);
	pathbell__v1__event__init(event);
	pathbell__v1__command_state__init(state);
	stored->host_id = (char *)"alpha";
	stored->event = event;
	event->kind = PATHBELL__V1__EVENT_KIND__EVENT_KIND_COMMAND_OUTPUT;
	event->payload_case = PATHBELL__V1__EVENT__PAYLOAD_COMMAND_STATE;
	event->command_state = state;
	state->command_id = *command_id;
}

/* A signed diag from a file, so that its id is known; @chunks come back, @last marks the end. */
static int diag(const uint32_t *chunks, size_t n, bool last, const char *options)
{
	Pathbell__V1__SubmitCommandResponse submitted_record =
		PATHBELL__V1__SUBMIT_COMMAND_RESPONSE__INIT;
	Pathbell__V1__CommandRecord record = PATHBELL__V1__COMMAND_RECORD__INIT;
	Pathbell__V1__CommandHostState host = PATHBELL__V1__COMMAND_HOST_STATE__INIT;
	Pathbell__V1__CommandHostState *hosts[] = { &host };
	Pathbell__V1__QueryEventsResponse empty = PATHBELL__V1__QUERY_EVENTS_RESPONSE__INIT;
	Pathbell__V1__QueryEventsResponse page = PATHBELL__V1__QUERY_EVENTS_RESPONSE__INIT;
	Pathbell__V1__StoredEvent stored[4];
	Pathbell__V1__StoredEvent *list[4];
	Pathbell__V1__Event events[4];
	Pathbell__V1__CommandState states[4];
	struct envelope_file file = { 0 };
	char path[128];
	char line[512];
	int code;

	snprintf(path, sizeof(path), "%s/diag.bin", fleet_folder(fleet));
	snprintf(line, sizeof(line), "command diag alpha --signing-key KEY --envelope-out %s",
		 path);
	assert_int_equal(run(line), CLI_OK);
	assert_int_equal(envelope_file_read(path, &file), CLI_OK);
	host.host_id = (char *)"alpha";
	host.life = SUCCEEDED;
	record.command_id = file.items[0].command->id;
	record.hosts = hosts;
	record.n_hosts = 1;
	record.finished = true;
	submitted_record.command = &record;
	for (size_t i = 0; i < n; i++) {
		chunk(&stored[i], &events[i], &states[i], &record.command_id);
		stored[i].id = i + 1;
		states[i].chunk = chunks[i];
		states[i].output = (ProtobufCBinaryData){ 5, (uint8_t *)"part " };
		states[i].output_last = last && i + 1 == n;
		states[i].detail = (char *)(states[i].output_last ? "cut at 5 bytes" : "");
		list[i] = &stored[i];
	}
	page.events = list;
	page.n_events = n;
	script_add(script, "QueryEvents", RPC_OK, &empty.base); /* the newest id, before */
	script_add(script, "QueryEvents", RPC_OK, &page.base);
	script_add(script, "SubmitCommand", RPC_OK, &submitted_record.base);
	script_add(script, "WatchCommands", RPC_OK, &record.base);
	snprintf(line, sizeof(line), "command submit %s %s", path, options);
	code = run(line);
	envelope_file_deinit(&file);
	script_reset(script);
	return code;
}

static void test_diag(void **state)
{
	static const uint32_t whole[] = { 0, 1, 2 };
	static const uint32_t hole[] = { 0, 2, 3 };

	assert_int_equal(diag(whole, 3, true, ""), CLI_OK);
	assert_string_equal(text, "part part part "); /* nothing else on standard output */
	assert_int_equal(diag(whole, 3, true, "-o json"), CLI_OK);
	expect("\"complete\":true,\"note\":\"cut at 5 bytes\",\"text\":\"part part part \"");
	assert_int_equal(diag(whole, 3, false, ""), CLI_FAILED);
	assert_int_equal(diag(hole, 3, true, ""), CLI_FAILED);
	assert_string_equal(text, "part part part ");
	assert_int_equal(diag(whole, 0, false, ""), CLI_FAILED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_selectors, reset),
		cmocka_unit_test_teardown(test_wrong_usage_asks_nobody, reset),
		cmocka_unit_test_teardown(test_no_host_fits, reset),
		cmocka_unit_test_teardown(test_a_plan_is_only_shown, reset),
		cmocka_unit_test_teardown(test_too_many_or_unfit_hosts, reset),
		cmocka_unit_test_teardown(test_nothing_goes_without_confirmation, reset),
		cmocka_unit_test_teardown(test_several_envelopes, reset),
		cmocka_unit_test_teardown(test_a_named_target_is_one_group, reset),
		cmocka_unit_test_teardown(test_a_second_signature_on_all, reset),
		cmocka_unit_test_teardown(test_ends_have_exit_codes, reset),
		cmocka_unit_test_teardown(test_progress_in_lines, reset),
		cmocka_unit_test_teardown(test_progress_in_json, reset),
		cmocka_unit_test_teardown(test_an_interrupt_detaches, reset),
		cmocka_unit_test_teardown(test_malformed_answers, reset),
		cmocka_unit_test_teardown(test_control_and_list, reset),
		cmocka_unit_test_teardown(test_the_block_fits_the_terminal, reset),
		cmocka_unit_test_teardown(test_cancel, reset),
		cmocka_unit_test_teardown(test_diag, reset),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
