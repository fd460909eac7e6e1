/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/commands/check.h"
#include "agent/commands/journal.h"
#include "proto/kind.h"

#define NOW 1700000000000ull

static char *verbs[] = { (char *)"probe",	   (char *)"resync",
			 (char *)"multipath.fail", (char *)"multipath.reinstate",
			 (char *)"halt",	   (char *)"resume" };
static char *fail_only[] = { (char *)"multipath.fail" };
static char *hosts[] = { (char *)"h1", (char *)"h2" };
static const uint8_t sha256[32] = { 1 };
static const uint32_t signers[] = { 0, 1 };

/* One row for each answer: what differs from a good command, and what comes of it. */
struct row {
	const char *what, *refusal; /* NULL = accepted, "known" */
	bool final;
	void (*change)(struct check_context *context, Pathbell__V1__Command *command);
};

static struct entry known = { .sha256 = { 1 } };
static struct settings_commands settings;
static struct key keys[2];
static struct settings_policy policies[2];
static uint8_t id[16];

static void nothing(struct check_context *c, Pathbell__V1__Command *m)
{
}
static void short_id(struct check_context *c, Pathbell__V1__Command *m)
{
	m->id.len = 15;
}
static void no_expiry(struct check_context *c, Pathbell__V1__Command *m)
{
	m->expires_unix_ms = 0;
}
static void backwards(struct check_context *c, Pathbell__V1__Command *m)
{
	m->expires_unix_ms = m->not_before_unix_ms;
}
static void too_long(struct check_context *c, Pathbell__V1__Command *m)
{
	m->expires_unix_ms = m->not_before_unix_ms + JOURNAL_MAX_LIFETIME_MS + 1;
}
static void day_long(struct check_context *c, Pathbell__V1__Command *m)
{
	m->expires_unix_ms = m->not_before_unix_ms + JOURNAL_MAX_LIFETIME_MS;
}
static void other_host(struct check_context *c, Pathbell__V1__Command *m)
{
	c->host_id = "h3";
}
static void no_host(struct check_context *c, Pathbell__V1__Command *m)
{
	c->host_id = NULL;
}
static void no_targets(struct check_context *c, Pathbell__V1__Command *m)
{
	m->n_host_ids = 0;
}
static void same_again(struct check_context *c, Pathbell__V1__Command *m)
{
	c->known = &known;
}
static void same_id(struct check_context *c, Pathbell__V1__Command *m)
{
	static struct entry other = { .sha256 = { 2 } };
	c->known = &other;
}
static void same_again_expired(struct check_context *c, Pathbell__V1__Command *m)
{
	c->known = &known;
	c->now_ms = m->expires_unix_ms + 5;
}
static void unsynchronised(struct check_context *c, Pathbell__V1__Command *m)
{
	settings.require_synchronised_clock = true;
}
static void synchronised(struct check_context *c, Pathbell__V1__Command *m)
{
	settings.require_synchronised_clock = true;
	c->clock_synchronised = true;
}
static void tolerated_clock(struct check_context *c, Pathbell__V1__Command *m)
{
	c->clock_synchronised = false;
}
static void expired(struct check_context *c, Pathbell__V1__Command *m)
{
	c->now_ms = m->expires_unix_ms;
}
static void last_ms(struct check_context *c, Pathbell__V1__Command *m)
{
	c->now_ms = m->expires_unix_ms - 1;
}
static void early(struct check_context *c, Pathbell__V1__Command *m)
{
	c->now_ms = m->not_before_unix_ms - 30001;
}
static void just_not_early(struct check_context *c, Pathbell__V1__Command *m)
{
	c->now_ms = m->not_before_unix_ms - 30000;
	c->floor_ms = 0;
}
static void no_verb(struct check_context *c, Pathbell__V1__Command *m)
{
	m->verb = 0;
}
static void strange_verb(struct check_context *c, Pathbell__V1__Command *m)
{
	m->verb = 999;
}
static void wrong_args(struct check_context *c, Pathbell__V1__Command *m)
{
	m->args_case = PATHBELL__V1__COMMAND__ARGS_RESYNC;
}
static void forbidden_verb(struct check_context *c, Pathbell__V1__Command *m)
{
	m->verb = PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_UPLINK_RECONNECT;
}
static void disabled(struct check_context *c, Pathbell__V1__Command *m)
{
	settings.enabled = false;
}
static void key_forbids(struct check_context *c, Pathbell__V1__Command *m)
{
	keys[0].verbs[0] = PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_RESYNC;
	keys[0].n_verbs = 1;
}
static void key_allows(struct check_context *c, Pathbell__V1__Command *m)
{
	key_forbids(c, m);
	m->verb = PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_RESYNC;
}
static void two_needed(struct check_context *c, Pathbell__V1__Command *m)
{
	settings.require = 2;
}
static void two_there(struct check_context *c, Pathbell__V1__Command *m)
{
	settings.require = 2;
	c->n_signers = 2;
}
static void two_one_forbidden(struct check_context *c, Pathbell__V1__Command *m)
{
	two_there(c, m);
	key_forbids(c, m);
}
static void held(struct check_context *c, Pathbell__V1__Command *m)
{
	c->hold = "the command journal is missing";
}
static void before_floor(struct check_context *c, Pathbell__V1__Command *m)
{
	c->floor_ms = m->not_before_unix_ms;
}
static void v7_before_floor(struct check_context *c, Pathbell__V1__Command *m)
{
	/* not_before says now, but the id was made at the floor: 2023-11-14, 0x018bcfe56800 ms */
	const uint8_t ms[6] = { 0x01, 0x8b, 0xcf, 0xe5, 0x68, 0x00 };

	memcpy(id, ms, 6);
	id[6] = 0x70;
	c->floor_ms = NOW;
}
static void v7_after_floor(struct check_context *c, Pathbell__V1__Command *m)
{
	v7_before_floor(c, m);
	c->floor_ms = NOW - 1;
}
static void held_halt(struct check_context *c, Pathbell__V1__Command *m)
{
	held(c, m);
	before_floor(c, m);
	unsynchronised(c, m);
	c->clock_step_ms = 90000;
	c->halted = "halted";
	c->audit_error = "full";
	m->verb = PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_HALT;
}
static void stepped(struct check_context *c, Pathbell__V1__Command *m)
{
	c->clock_step_ms = -90000;
}
static void halted(struct check_context *c, Pathbell__V1__Command *m)
{
	c->halted = "halted by alice";
	m->verb = PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_MULTIPATH_REINSTATE;
}
static void halted_probe(struct check_context *c, Pathbell__V1__Command *m)
{
	c->halted = "halted by alice";
}
static void halted_resume(struct check_context *c, Pathbell__V1__Command *m)
{
	c->halted = "halted by alice";
	m->verb = PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_RESUME;
}
static void no_audit(struct check_context *c, Pathbell__V1__Command *m)
{
	c->audit_error = "No space left on device";
	m->verb = PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_MULTIPATH_REINSTATE;
}
static void no_audit_probe(struct check_context *c, Pathbell__V1__Command *m)
{
	c->audit_error = "No space left on device";
}
static void reinstate(struct check_context *c, Pathbell__V1__Command *m)
{
	keys[0].role = ROLE_OPERATOR;
	m->verb = PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_MULTIPATH_REINSTATE;
}
static void viewer_reinstates(struct check_context *c, Pathbell__V1__Command *m)
{
	reinstate(c, m);
	keys[0].role = ROLE_VIEWER;
}
static void operator_overrides(struct check_context *c, Pathbell__V1__Command *m)
{
	reinstate(c, m);
	m->override_last_path = true;
}
static void admin_overrides(struct check_context *c, Pathbell__V1__Command *m)
{
	operator_overrides(c, m);
	keys[0].role = ROLE_ADMIN;
}
static void one_fails_a_path(struct check_context *c, Pathbell__V1__Command *m)
{
	m->verb = PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_MULTIPATH_FAIL;
}
static void two_fail_a_path(struct check_context *c, Pathbell__V1__Command *m)
{
	one_fails_a_path(c, m);
	c->n_signers = 2;
}
static void admin_and_operator(struct check_context *c, Pathbell__V1__Command *m)
{
	two_fail_a_path(c, m);
	keys[1].role = ROLE_OPERATOR;
}
static void many_hosts(struct check_context *c, Pathbell__V1__Command *m)
{
	static char *three[] = { (char *)"h1", (char *)"h2", (char *)"h3" };

	m->n_host_ids = 3;
	m->host_ids = three;
}
static void many_hosts_signed(struct check_context *c, Pathbell__V1__Command *m)
{
	many_hosts(c, m);
	c->n_signers = 2;
}
static void revoked(struct check_context *c, Pathbell__V1__Command *m)
{
	keys[0].revoked = true;
}
static void one_of_two_revoked(struct check_context *c, Pathbell__V1__Command *m)
{
	c->n_signers = 2;
	keys[1].revoked = true;
}
static void out_of_date(struct check_context *c, Pathbell__V1__Command *m)
{
	keys[0].not_after_ms = NOW;
}
static void in_date(struct check_context *c, Pathbell__V1__Command *m)
{
	keys[0].not_after_ms = NOW + 1;
}

static const struct row rows[] = {
	{ "a good command", NULL, true, nothing },
	{ "short id", "malformed", false, short_id },
	{ "no expiry", "malformed", false, no_expiry },
	{ "expires before it begins", "malformed", false, backwards },
	{ "lives above 24 h", "malformed", false, too_long },
	{ "lives 24 h", NULL, true, day_long },
	{ "for others", "not_for_this_host", false, other_host },
	{ "host without an id", "not_for_this_host", false, no_host },
	{ "for nobody", "not_for_this_host", false, no_targets },
	{ "the same again", "known", false, same_again },
	{ "the same again, expired by now", "known", false, same_again_expired },
	{ "the same id, other bytes", "replayed", false, same_id },
	{ "clock not synchronised, demanded", "clock", true, unsynchronised },
	{ "clock synchronised, demanded", NULL, true, synchronised },
	{ "clock not synchronised, tolerated", NULL, true, tolerated_clock },
	{ "expired", "expired", false, expired },
	{ "last millisecond", NULL, true, last_ms },
	{ "too early", "not_yet_valid", true, early },
	{ "early within the clock error", NULL, true, just_not_early },
	{ "no verb", "unknown_verb", true, no_verb },
	{ "unknown number", "unknown_verb", true, strange_verb },
	{ "arguments of another verb", "malformed", true, wrong_args },
	{ "verb not in commands.verbs", "policy", true, forbidden_verb },
	{ "commands disabled", "policy", true, disabled },
	{ "key may not ask for it", "policy", true, key_forbids },
	{ "key may ask for it", NULL, true, key_allows },
	{ "one signature of two", "signatures_missing", true, two_needed },
	{ "two signatures", NULL, true, two_there },
	{ "two signatures, one key may not", "policy", true, two_one_forbidden },
	{ "journal lost", "held", true, held },
	{ "from before the journal", "held", true, before_floor },
	{ "id from before the journal", "held", true, v7_before_floor },
	{ "id from after the floor", NULL, true, v7_after_floor },
	{ "a halt, whatever is wrong", NULL, true, held_halt },
	{ "the clock was set", "clock", true, stepped },
	{ "halted", "halted", true, halted },
	{ "a probe while halted", NULL, true, halted_probe },
	{ "resume while halted", NULL, true, halted_resume },
	{ "no audit, no change", "held", true, no_audit },
	{ "a probe without audit", NULL, true, no_audit_probe },
	{ "an operator reinstates", NULL, true, reinstate },
	{ "a viewer does not", "policy", true, viewer_reinstates },
	{ "an operator overrides the guard", "policy", true, operator_overrides },
	{ "an admin overrides it", NULL, true, admin_overrides },
	{ "policy of the verb, one signature", "signatures_missing", true, one_fails_a_path },
	{ "policy of the verb, two", NULL, true, two_fail_a_path },
	{ "policy of the verb, one may not", "policy", true, admin_and_operator },
	{ "policy of many hosts, one", "signatures_missing", true, many_hosts },
	{ "policy of many hosts, two", NULL, true, many_hosts_signed },
	{ "revoked", "key_revoked", true, revoked },
	{ "one of two revoked, one is enough", NULL, true, one_of_two_revoked },
	{ "past its end", "key_revoked", true, out_of_date },
	{ "right before its end", NULL, true, in_date },
};

static void reset(struct check_context *context, Pathbell__V1__Command *command)
{
	memset(keys, 0, sizeof(keys));
	keys[0].role = keys[1].role = ROLE_ADMIN;
	policies[0] = (struct settings_policy){ { fail_only, 1 }, 0, 2 };
	policies[1] = (struct settings_policy){ { NULL, 0 }, 2, 2 };
	settings = (struct settings_commands){ .enabled = true,
					       .require = 1,
					       .max_clock_error_ns = 30000000000,
					       .verbs = { verbs, 6 },
					       .policies = { policies, 2 } };
	memset(id, 5, sizeof(id));
	*context = (struct check_context){ .host_id = "h2",
					   .settings = &settings,
					   .now_ms = NOW,
					   .sha256 = sha256,
					   .keys = keys,
					   .signers = signers,
					   .n_signers = 1,
					   .floor_ms = NOW - 60000 };
	pathbell__v1__command__init(command);
	command->id = (ProtobufCBinaryData){ 16, id };
	command->verb = PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_PROBE;
	command->n_host_ids = 2;
	command->host_ids = hosts;
	command->not_before_unix_ms = NOW - 1000;
	command->expires_unix_ms = NOW + 60000;
	command->args_case = PATHBELL__V1__COMMAND__ARGS__NOT_SET;
}

static void check_row(const struct row *row)
{
	const char *want = row->refusal ? row->refusal : "accepted", *got = "accepted";
	struct check_context context;
	Pathbell__V1__Command command;
	struct check_result result;

	reset(&context, &command);
	row->change(&context, &command);
	check_command(&context, &command, &result);
	if (result.verdict == CHECK_KNOWN)
		got = "known";
	else if (result.verdict == CHECK_REFUSED)
		got = command_refusal_name(result.refusal);
	if (strcmp(got, want) != 0)
		fail_msg("%s: %s instead of %s (%s)", row->what, got, want, result.detail);
	if (result.verdict != CHECK_REFUSED)
		return;
	if (result.final != row->final)
		fail_msg("%s: final %d", row->what, result.final);
	assert_true(strlen(result.detail) > 0);
}

static void every_refusal(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check_row(&rows[i]);
}

static void rate_is_a_bucket(void **state)
{
	struct check_rate rate = { 0 };
	uint64_t now = 1000;
	unsigned n = 0;

	while (check_rate_take(&rate, 60, now))
		n++;
	assert_int_equal(n, 60);
	assert_false(check_rate_take(&rate, 60, now + 900000000));
	assert_true(check_rate_take(&rate, 60, now + 1900000000));
	assert_false(check_rate_take(&rate, 60, now + 1900000000));
	for (n = 0; check_rate_take(&rate, 60, now + UINT64_C(3600000000000)); n++)
		;
	assert_int_equal(n, 60);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_refusal),
		cmocka_unit_test(rate_is_a_bucket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
