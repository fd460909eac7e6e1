/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fixture.h"
#include "proto/kind.h"

#define LIFE(name) PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_##name

static const char *const hosts[] = { "h1", "h2" };
static const uint8_t id_one[16] = "command-one....";
static const uint8_t id_two[16] = "command-two....";

static void meet(struct fixture *f)
{
	fixture_batch(f, "h1", fixture_epoch_a, 1, 1, NULL);
	fixture_batch(f, "h2", fixture_epoch_a, 1, 1, NULL);
}

static int submit(struct fixture *f, const uint8_t id[16], const char *envelope, size_t n_hosts)
{
	struct store_write write = {
		.type = STORE_COMMAND,
		.now_unix_ns = 100,
		.command = { .envelope = (const uint8_t *)envelope,
			     .envelope_size = strlen(envelope),
			     .verb = "probe",
			     .issuer = "joe",
			     .submitted_by = "jane",
			     .reason = "why",
			     .target = "sda",
			     .expires_unix_ns = 1000,
			     .host_ids = hosts,
			     .n_hosts = n_hosts },
	};
	struct store_write *writes = &write;

	memcpy(write.command.id, id, 16);
	assert_int_equal(store_write(f->writer, &writes, 1), 0);
	return write.ret_outcome;
}

static int tell(struct fixture *f, const char *host, const uint8_t id[16], uint32_t life,
		bool *ret_changed)
{
	struct store_write write = { .type = STORE_COMMAND_STATE,
				     .host_id = host,
				     .now_unix_ns = 200,
				     .state = { .life = life, .detail = "told" } };
	struct store_write *writes = &write;

	memcpy(write.state.id, id, 16);
	assert_int_equal(store_write(f->writer, &writes, 1), 0);
	if (ret_changed)
		*ret_changed = write.state.ret_changed;
	return write.ret_outcome;
}

struct seen {
	unsigned n;
	uint32_t life[2], n_transitions[2];
	uint64_t last_change;
	uint8_t id[16];
};

static bool see(void *data, const struct store_command *command)
{
	struct seen *seen = data;

	seen->n++;
	memcpy(seen->id, command->id, 16);
	seen->last_change = command->last_change;
	for (size_t i = 0; i < command->n_hosts && i < 2; i++) {
		assert_string_equal(command->hosts[i].host_id, hosts[i]);
		seen->life[i] = command->hosts[i].life;
		seen->n_transitions[i] = (uint32_t)command->hosts[i].n_transitions;
	}
	return true;
}

static struct seen look(struct fixture *f, const struct store_command_query *query)
{
	struct seen seen = { 0 };

	assert_int_equal(store_commands(f->reader, query, see, &seen), 0);
	return seen;
}

static void host_says(struct fixture *f, const char *host, uint64_t seq, uint32_t life)
{
	const struct fixture_event event = {
		.kind = 904, .severity = 9, .time_unix_ns = 5, .command_id = id_one, .life = life
	};
	struct buf events = { 0 };

	fixture_frame(&events, &event);
	assert_int_equal(fixture_events(f, host, seq, &events, 1, NULL), 0);
	buf_deinit(&events);
}

static void test_submit(void **state)
{
	struct fixture *f = *state;
	struct seen seen;

	assert_int_equal(submit(f, id_one, "envelope", 2), STORE_E_UNKNOWN_HOST);
	meet(f);
	assert_int_equal(submit(f, id_one, "envelope", 2), 0);
	assert_int_equal(submit(f, id_one, "envelope", 2), STORE_E_SAME);
	assert_int_equal(submit(f, id_one, "other", 2), STORE_E_EXISTS);
	fixture_reopen(f);
	seen = look(f, &(struct store_command_query){ .id = id_one, .limit = 1 });
	assert_int_equal(seen.n, 1);
	assert_int_equal(seen.life[0], LIFE(QUEUED));
	assert_int_equal(seen.life[1], LIFE(QUEUED));
	assert_int_equal(look(f, &(struct store_command_query){ .id = id_two, .limit = 1 }).n, 0);
}

static void test_states_of_the_host_win(void **state)
{
	struct fixture *f = *state;
	struct seen seen;
	bool changed;

	meet(f);
	submit(f, id_one, "envelope", 2);
	assert_int_equal(tell(f, "h1", id_one, LIFE(DISPATCHED), &changed), 0);
	assert_true(changed);
	tell(f, "h1", id_one, LIFE(DISPATCHED), &changed);
	assert_false(changed);
	host_says(f, "h1", 2, LIFE(ACCEPTED));
	tell(f, "h1", id_one, LIFE(EXPIRED), &changed);
	assert_false(changed);
	tell(f, "h1", id_one, LIFE(RECEIVED), &changed);
	assert_false(changed);
	host_says(f, "h1", 3, LIFE(STARTED));
	host_says(f, "h1", 4, LIFE(SUCCEEDED));
	host_says(f, "h1", 5, LIFE(REJECTED));
	seen = look(f, &(struct store_command_query){ .id = id_one, .limit = 1 });
	assert_int_equal(seen.life[0], LIFE(SUCCEEDED));
	assert_int_equal(seen.n_transitions[0], 5);
	assert_int_equal(tell(f, "h3", id_one, LIFE(DISPATCHED), NULL), STORE_E_UNKNOWN);
}

static void test_expired_is_overridden_by_the_host(void **state)
{
	struct fixture *f = *state;
	bool changed;

	meet(f);
	submit(f, id_one, "envelope", 1);
	tell(f, "h1", id_one, LIFE(EXPIRED), &changed);
	assert_true(changed);
	host_says(f, "h1", 2, LIFE(SUCCEEDED));
	assert_int_equal(look(f, &(struct store_command_query){ .id = id_one, .limit = 1 }).life[0],
			 LIFE(SUCCEEDED));
}

static void test_indeterminate_is_resolved(void **state)
{
	struct fixture *f = *state;

	meet(f);
	submit(f, id_one, "envelope", 1);
	host_says(f, "h1", 2, LIFE(INDETERMINATE));
	host_says(f, "h1", 3, LIFE(FAILED));
	assert_int_equal(look(f, &(struct store_command_query){ .id = id_one, .limit = 1 }).life[0],
			 LIFE(FAILED));
}

static void test_lists(void **state)
{
	struct fixture *f = *state;
	struct seen seen;
	uint64_t change;

	meet(f);
	submit(f, id_one, "envelope", 1);
	submit(f, id_two, "envelope", 2);
	assert_int_equal(look(f, &(struct store_command_query){ .limit = 10 }).n, 2);
	assert_int_equal(look(f, &(struct store_command_query){ .limit = 10, .host_id = "h2" }).n,
			 1);
	seen = look(f, &(struct store_command_query){ .limit = 1 });
	assert_memory_equal(seen.id, id_two, 16);
	assert_int_equal(
		look(f, &(struct store_command_query){ .unreceived = true, .limit = 10 }).n, 2);
	change = seen.last_change;
	assert_int_equal(look(f, &(struct store_command_query){ .by_change = true,
								.changed_after = change,
								.limit = 10 })
				 .n,
			 0);
	host_says(f, "h1", 2, LIFE(SUCCEEDED));
	seen = look(f, &(struct store_command_query){
			       .by_change = true, .changed_after = change, .limit = 10 });
	assert_int_equal(seen.n, 1);
	assert_memory_equal(seen.id, id_one, 16);
	assert_int_equal(
		look(f, &(struct store_command_query){ .unreceived = true, .limit = 10 }).n, 1);
	assert_int_equal(
		look(f, &(struct store_command_query){ .unfinished = true, .limit = 10 }).n, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_submit),
		TEST(test_states_of_the_host_win),
		TEST(test_expired_is_overridden_by_the_host),
		TEST(test_indeterminate_is_resolved),
		TEST(test_lists),
	};

	return fixture_run("commands", tests, sizeof(tests) / sizeof(tests[0]));
}
