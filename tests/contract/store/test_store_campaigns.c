/* SPDX-License-Identifier: Apache-2.0 */
/* Campaigns, cancellation, the audit chain and what is known of hosts' storage. */
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "proto/chain.h"
#include "proto/codec.h"

#define LIFE(name)  PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_##name
#define STATE(name) PATHBELL__V1__CAMPAIGN_STATE__CAMPAIGN_STATE_##name
#define UUID	    "mpath-36001405aaaabbbbccccddddeeeeffff0"

static const uint8_t campaign_id[16] = "campaign........";
static const uint8_t ids[2][16] = { "command-one....", "command-two...." };
static const char *const hosts_one[] = { "h1", "h2" };
static const char *const hosts_two[] = { "h3" };
static const struct store_target targets[2] = { { "", "", UUID, "" }, { "nqn.x", "", "", "" } };

static void meet(struct fixture *f)
{
	fixture_batch(f, "h1", fixture_epoch_a, 1, 1, NULL);
	fixture_batch(f, "h2", fixture_epoch_a, 1, 1, NULL);
	fixture_batch(f, "h3", fixture_epoch_a, 1, 1, NULL);
}

static int put(struct fixture *f, struct store_write *write)
{
	assert_int_equal(store_write(f->writer, &write, 1), 0);
	return write->ret_outcome;
}

static struct store_new_command command(size_t i, const char *const *hosts, size_t n_hosts)
{
	struct store_new_command command = { .envelope = (const uint8_t *)"envelope",
					     .envelope_size = 8,
					     .verb = "probe",
					     .issuer = "joe",
					     .submitted_by = "joe",
					     .reason = "why",
					     .target = "t",
					     .expires_unix_ns = 1000,
					     .host_ids = hosts,
					     .n_hosts = n_hosts };

	memcpy(command.id, ids[i], 16);
	return command;
}

static int submit(struct fixture *f)
{
	struct store_new_command commands[] = { command(0, hosts_one, 2),
						command(1, hosts_two, 1) };
	static const struct store_audit audit = { .action = "campaign.submit",
						  .campaign_id = campaign_id,
						  .detail = "d" };
	static const struct store_actor actor = { "spiffe://td/operator/joe", "ab" };
	struct store_write write = {
		.type = STORE_CAMPAIGN,
		.now_unix_ns = 100,
		.actor = &actor,
		.audit = &audit,
		.campaign = { .name = "n",
			      .verb = "probe",
			      .issuer = "joe",
			      .submitted_by = "joe",
			      .reason = "why",
			      .policy = (const uint8_t *)"policy",
			      .policy_size = 6,
			      .expires_unix_ns = 1000,
			      .wave_size = 1,
			      .commands = commands,
			      .targets = targets,
			      .n_commands = 2,
			      .n_hosts = 3 },
	};

	memcpy(write.campaign.id, campaign_id, 16);
	return put(f, &write);
}

static struct store_write state_write(uint32_t state)
{
	struct store_write write = { .type = STORE_CAMPAIGN_STATE,
				     .now_unix_ns = 200,
				     .campaign_state = { .state = state,
							 .reason = "because",
							 .wave = 2,
							 .wave_size = 4,
							 .wave_used = 1 } };

	memcpy(write.campaign_state.id, campaign_id, 16);
	return write;
}

struct seen {
	struct store_campaign campaign;
	char reason[64];
	unsigned n;
	size_t n_failures;
	/* members */
	char hosts[4][16], stores[4][64];
	uint32_t lives[4];
	uint64_t dispatched[4];
	bool lost[4];
	size_t n_members;
};

static bool see(void *data, const struct store_campaign *campaign)
{
	struct seen *seen = data;

	seen->n++;
	seen->campaign = *campaign;
	seen->n_failures = campaign->n_failures;
	strncpy(seen->reason, campaign->state_reason, sizeof(seen->reason) - 1);
	return true;
}

static bool see_member(void *data, const struct store_member *member)
{
	struct seen *seen = data;
	size_t i = seen->n_members++;

	assert_true(i < 4);
	strncpy(seen->hosts[i], member->host_id, sizeof(seen->hosts[i]) - 1);
	strncpy(seen->stores[i], member->target, sizeof(seen->stores[i]) - 1);
	seen->lives[i] = member->life;
	seen->dispatched[i] = member->dispatched_unix_ns;
	seen->lost[i] = member->lost;
	assert_memory_equal(member->command_id, ids[strcmp(member->host_id, "h3") == 0], 16);
	return true;
}

static struct seen look(struct fixture *f)
{
	struct store_campaign_query query = { .id = campaign_id, .limit = 1 };
	struct seen seen = { 0 };

	assert_int_equal(store_campaigns(f->reader, &query, see, &seen), 0);
	assert_int_equal(store_members(f->reader, campaign_id, see_member, &seen), 0);
	return seen;
}

static void tell_map(struct fixture *f, const char *host, uint64_t seq, uint32_t usable)
{
	Pathbell__V1__Event event = PATHBELL__V1__EVENT__INIT;
	Pathbell__V1__Subject subject = PATHBELL__V1__SUBJECT__INIT;
	Pathbell__V1__MultipathEvent map = PATHBELL__V1__MULTIPATH_EVENT__INIT;
	uint8_t bytes[512], head[16];
	struct buf events = { 0 };
	size_t size;

	event.kind = PATHBELL__V1__EVENT_KIND__EVENT_KIND_STORAGE_PATH_FAILED;
	event.severity = PATHBELL__V1__SEVERITY__SEVERITY_ERROR;
	event.time_unix_ns = fixture_time(seq);
	event.subject = &subject;
	event.payload_case = PATHBELL__V1__EVENT__PAYLOAD_MULTIPATH;
	event.multipath = &map;
	map.map_uuid = (char *)UUID;
	map.valid_paths = usable;
	map.total_paths = 2;
	size = pathbell__v1__event__pack(&event, bytes);
	buf_append(&events, head, (size_t)(codec_put_frame(head, size) - head));
	buf_append(&events, bytes, size);
	assert_int_equal(fixture_events(f, host, seq, &events, 1, NULL), 0);
	buf_deinit(&events);
}

/* ---- the chain ---- */

struct chain {
	uint64_t seq;
	uint8_t hash[32];
	char actions[512];
	char last_detail[256], last_actor[64];
	uint64_t first;
};

static ProtobufCBinaryData bytes_of(const uint8_t *data, size_t size)
{
	return (ProtobufCBinaryData){ data ? size : 0, (uint8_t *)data };
}

static bool see_audit(void *data, const struct store_audit_record *from)
{
	struct chain *chain = data;
	Pathbell__V1__AuditRecord record = PATHBELL__V1__AUDIT_RECORD__INIT;
	uint8_t hash[32];

	if (chain->seq != 0 || from->seq == 1) {
		assert_int_equal(from->seq, chain->seq + 1);
		assert_memory_equal(from->previous_hash, chain->hash, 32);
	}
	chain->first = chain->first ? chain->first : from->seq;
	record.seq = from->seq;
	record.unix_ns = from->unix_ns;
	record.actor = (char *)from->actor;
	record.certificate = (char *)from->certificate;
	record.key_ids = (char *)from->key_ids;
	record.action = (char *)from->action;
	record.host_id = (char *)from->host_id;
	record.detail = (char *)from->detail;
	record.command_id = bytes_of(from->command_id, 16);
	record.campaign_id = bytes_of(from->campaign_id, 16);
	record.previous_hash = bytes_of(from->previous_hash, 32);
	assert_int_equal(chain_hash(&record, hash), 0);
	assert_memory_equal(hash, from->hash, 32);
	chain->seq = from->seq;
	memcpy(chain->hash, hash, 32);
	strncat(chain->actions, from->action, sizeof(chain->actions) - strlen(chain->actions) - 2);
	strcat(chain->actions, " ");
	strncpy(chain->last_detail, from->detail, sizeof(chain->last_detail) - 1);
	strncpy(chain->last_actor, from->actor, sizeof(chain->last_actor) - 1);
	return true;
}

static struct chain verify(struct fixture *f)
{
	struct store_audit_query query = { .limit = 10000 };
	struct chain chain = { 0 };

	assert_int_equal(store_audits(f->reader, &query, see_audit, &chain), 0);
	assert_false(query.ret_more);
	assert_int_equal(query.ret_head_seq, chain.seq);
	assert_memory_equal(query.ret_head_hash, chain.hash, 32);
	return chain;
}

/* ---- tests ---- */

static void test_submission(void **state)
{
	struct fixture *f = *state;
	struct seen seen;

	assert_int_equal(submit(f), STORE_E_UNKNOWN_HOST);
	assert_int_equal(look(f).n, 0); /* all of it or nothing */
	assert_int_equal(verify(f).seq, 0);
	meet(f);
	tell_map(f, "h2", 2, 0); /* h2 has no path left: it goes first */
	tell_map(f, "h1", 2, 1);
	assert_int_equal(submit(f), 0);
	assert_int_equal(submit(f), STORE_E_EXISTS);
	fixture_reopen(f);
	seen = look(f);
	assert_int_equal(seen.n, 1);
	assert_int_equal(seen.campaign.state, STATE(RUNNING));
	assert_int_equal(seen.campaign.total, 3);
	assert_int_equal(seen.campaign.lives[LIFE(QUEUED)], 3);
	assert_int_equal(seen.n_members, 3);
	assert_string_equal(seen.hosts[0], "h2");
	assert_string_equal(seen.hosts[1], "h1");
	assert_string_equal(seen.hosts[2], "h3");
	assert_string_equal(seen.stores[0], UUID);
	assert_string_equal(seen.stores[2], "nqn.x");
	assert_string_equal(verify(f).actions, "campaign.submit ");
}

static void test_dispatch_and_back(void **state)
{
	static const uint32_t marks[] = { 0, 1 }, unmarks[] = { 1 }, lost[] = { 0 };
	struct fixture *f = *state;
	struct store_write write = state_write(STATE(RUNNING));
	uint64_t version;
	struct seen seen;

	meet(f);
	assert_int_equal(put(f, &write), STORE_E_UNKNOWN);
	submit(f);
	version = look(f).campaign.version;
	write.campaign_state.marks = marks;
	write.campaign_state.n_marks = 2;
	assert_int_equal(put(f, &write), 0);
	seen = look(f);
	assert_true(seen.campaign.version > version);
	assert_int_equal(seen.lives[0], LIFE(DISPATCHED));
	assert_int_equal(seen.dispatched[1], 200);
	assert_int_equal(seen.campaign.wave, 2);
	write = state_write(STATE(STOPPED));
	write.campaign_state.unmarks = unmarks;
	write.campaign_state.n_unmarks = 1;
	write.campaign_state.lost = lost;
	write.campaign_state.n_lost = 1;
	assert_int_equal(put(f, &write), 0);
	seen = look(f);
	assert_int_equal(seen.lives[1], LIFE(QUEUED));
	assert_int_equal(seen.dispatched[1], 0);
	assert_true(seen.lost[0]);
	assert_int_equal(seen.campaign.n_lost, 1);
	assert_int_equal(seen.n_failures, 1);
	assert_string_equal(seen.reason, "because");
	write = state_write(STATE(HALTED));
	write.campaign_state.sweep = LIFE(CANCELLED);
	write.campaign_state.sweep_detail = "halted";
	assert_int_equal(put(f, &write), 0);
	seen = look(f);
	assert_int_equal(seen.lives[0], LIFE(DISPATCHED));
	assert_int_equal(seen.lives[1], LIFE(CANCELLED));
	assert_int_equal(seen.lives[2], LIFE(CANCELLED));
	verify(f);
}

static void test_cancellation(void **state)
{
	struct fixture *f = *state;
	static const struct store_audit audit = { .action = "command.cancel",
						  .command_id = ids[0],
						  .detail = "enough" };
	struct store_write told = { .type = STORE_COMMAND_STATE,
				    .host_id = "h1",
				    .now_unix_ns = 200,
				    .state = { .life = LIFE(DISPATCHED), .detail = "" } };
	struct store_write write = { .type = STORE_CANCEL,
				     .now_unix_ns = 300,
				     .audit = &audit,
				     .cancel = { .detail = "by joe" } };

	memcpy(write.cancel.id, ids[0], 16);
	memcpy(told.state.id, ids[0], 16);
	meet(f);
	assert_int_equal(put(f, &write), STORE_E_UNKNOWN);
	assert_int_equal(verify(f).seq, 0); /* nothing happened */
	submit(f);
	put(f, &told);
	assert_int_equal(put(f, &write), 0);
	assert_int_equal(write.cancel.ret_cancelled, 1);
	assert_int_equal(write.cancel.ret_too_late, 1);
	assert_int_equal(look(f).campaign.lives[LIFE(CANCELLED)], 1);
	assert_string_equal(verify(f).actions,
			    "campaign.submit command.life command.life command.cancel ");
	/* A host that had it after all is believed. */
	told.state.life = LIFE(RECEIVED);
	put(f, &told);
	assert_int_equal(put(f, &write), 0);
	assert_int_equal(write.cancel.ret_cancelled, 0);
}

static void test_lives_of_hosts_are_tied(void **state)
{
	struct fixture *f = *state;
	Pathbell__V1__Event event = PATHBELL__V1__EVENT__INIT;
	Pathbell__V1__CommandState told = PATHBELL__V1__COMMAND_STATE__INIT;
	uint8_t bytes[512], head[16], hash[32];
	struct buf events = { 0 };
	struct chain chain;
	size_t size;

	meet(f);
	submit(f);
	memset(hash, 0xab, sizeof(hash));
	event.kind = 904;
	event.payload_case = PATHBELL__V1__EVENT__PAYLOAD_COMMAND_STATE;
	event.command_state = &told;
	told.command_id.data = (uint8_t *)ids[0];
	told.command_id.len = 16;
	told.life = LIFE(FAILED);
	told.detail = (char *)"no such device";
	told.audit_seq = 7;
	told.audit_hash.data = hash;
	told.audit_hash.len = 32;
	size = pathbell__v1__event__pack(&event, bytes);
	buf_append(&events, head, (size_t)(codec_put_frame(head, size) - head));
	buf_append(&events, bytes, size);
	fixture_events(f, "h1", 2, &events, 1, NULL);
	buf_deinit(&events);
	chain = verify(f);
	assert_non_null(strstr(chain.last_detail, "life=FAILED host_audit_seq=7 "
						  "host_audit_hash=abababab"));
	assert_non_null(strstr(chain.last_detail, "no such device"));
	assert_int_equal(look(f).n_failures, 1);
}

static void test_the_chain_goes_on(void **state)
{
	struct fixture *f = *state;
	static const struct store_actor actor = { "spiffe://td/operator/joe", "ab" };
	char text[1500];
	const struct store_audit audit = { .action = "refused", .detail = text };
	struct store_write write = {
		.type = STORE_AUDIT, .now_unix_ns = 5, .actor = &actor, .audit = &audit
	};
	struct store_retention retention = { .now_unix_ns = 1000, .audit_age_ns = 900 };
	struct store_retained done;
	struct chain chain;

	memset(text, 'x', sizeof(text));
	text[1023] = '\xc3'; /* a character over the limit */
	text[1024] = '\xa4';
	text[1400] = '\0';
	for (unsigned i = 0; i < 50; i++) {
		write.now_unix_ns = 5 * i;
		assert_int_equal(put(f, &write), 0);
		if (i % 20 == 0)
			fixture_reopen(f);
	}
	chain = verify(f);
	assert_int_equal(chain.seq, 50);
	assert_string_equal(chain.last_actor, "spiffe://td/operator/joe");
	/* From the front only, and what is left verifies. */
	assert_int_equal(store_retain(f->writer, &retention, &done), 0);
	chain = verify(f);
	assert_int_equal(chain.first, 21);
	assert_int_equal(chain.seq, 50);
	retention.now_unix_ns = 1000000;
	assert_int_equal(store_retain(f->writer, &retention, &done), 0);
	assert_int_equal(verify(f).first, 50); /* the newest stays */
	assert_int_equal(put(f, &write), 0);
	assert_int_equal(verify(f).seq, 51);
}

static bool see_object(void *data, const char *host_id, const char *hostname,
		       const struct store_object *object)
{
	char *text = data;

	strcat(text, host_id);
	if (object) {
		size_t len = strlen(text);

		text[len] = (char)('0' + object->usable);
		text[len + 1] = '\0';
	}
	strcat(text, " ");
	return true;
}

static void test_objects(void **state)
{
	struct fixture *f = *state;
	char text[256] = "";

	meet(f);
	tell_map(f, "h1", 2, 2);
	tell_map(f, "h1", 3, 1);
	tell_map(f, "h3", 2, 0);
	assert_int_equal(store_objects(f->reader, see_object, text), 0);
	assert_string_equal(text, "h11 h2 h30 ");
}

static void test_faults_of_now(void **state)
{
	struct fixture *f = *state;
	struct store_batch batch;
	struct buf events = { 0 };
	struct fixture_event event = { .kind = 100, .severity = 17 };

	event.time_unix_ns = fixture_time(1);
	fixture_frame(&events, &event);
	event.severity = 9;
	fixture_frame(&events, &event);
	event.severity = 17;
	event.time_unix_ns = 1; /* old: told by a host that was away */
	fixture_frame(&events, &event);
	fixture_events(f, "h1", 1, &events, 3, &batch);
	assert_int_equal(batch.ret_faults, 1);
	buf_deinit(&events);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_submission, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_dispatch_and_back, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(test_cancellation, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_lives_of_hosts_are_tied, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(test_the_chain_goes_on, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(test_objects, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_faults_of_now, fixture_setup,
						fixture_teardown),
	};

	return fixture_run("campaigns", tests, sizeof(tests) / sizeof(tests[0]));
}
