/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aggregator/peer.h"
#include "core/buf.h"
#include "core/crc32c.h"
#include "rpc/rpc.h"

static const struct peer_limits limits = { .max_batch_records = 100,
					   .window_bytes = 1000,
					   .window_records = 40 };
static const uint8_t epoch_a[16] = "epoch-a........";
static const uint8_t epoch_b[16] = "epoch-b........";

static struct peer_action send_up(struct peer *peer, const Pathbell__V1__EventsUp *message)
{
	size_t size = pathbell__v1__events_up__get_packed_size(message);
	/* Kept until the next message: actions point into it. */
	static uint8_t *bytes;
	struct peer_action action;

	free(bytes);
	bytes = malloc(size + 1);
	assert_non_null(bytes);
	pathbell__v1__events_up__pack(message, bytes);
	peer_receive(peer, bytes, size, &action);
	return action;
}

struct hello {
	const char *host_id;
	uint32_t protocol;
	uint64_t oldest, first_unacked, tail;
};

static struct peer_action hello(struct peer *peer, const struct hello *from)
{
	Pathbell__V1__EventsUp up = PATHBELL__V1__EVENTS_UP__INIT;
	Pathbell__V1__Hello message = PATHBELL__V1__HELLO__INIT;
	Pathbell__V1__EpochState epoch = PATHBELL__V1__EPOCH_STATE__INIT;
	Pathbell__V1__EpochState *epochs[] = { &epoch };

	epoch.epoch.data = (uint8_t *)epoch_a;
	epoch.epoch.len = 16;
	epoch.oldest_seq = from->oldest;
	epoch.first_unacked_seq = from->first_unacked;
	epoch.tail_seq = from->tail;
	message.host_id = (char *)from->host_id;
	message.protocol_min = message.protocol_max = from->protocol;
	message.session_generation = 3;
	message.epochs = epochs;
	message.n_epochs = 1;
	up.message_case = PATHBELL__V1__EVENTS_UP__MESSAGE_HELLO;
	up.hello = &message;
	return send_up(peer, &up);
}

struct batch {
	const uint8_t *epoch;
	uint64_t first;
	uint32_t count, claimed;
	bool bad_crc;
};

static struct peer_action batch(struct peer *peer, const struct batch *from)
{
	Pathbell__V1__EventsUp up = PATHBELL__V1__EVENTS_UP__INIT;
	Pathbell__V1__Batch message = PATHBELL__V1__BATCH__INIT;
	ProtobufCBinaryData events[200];
	struct buf framed = { 0 };
	struct peer_action action;

	for (uint32_t i = 0; i < from->count; i++) {
		events[i].data = (uint8_t *)"\x08\x64";
		events[i].len = 2;
		assert_int_equal(buf_append(&framed, "\x42\x02\x08\x64", 4), 0);
	}
	message.epoch.data = (uint8_t *)from->epoch;
	message.epoch.len = 16;
	message.first_seq = from->first;
	message.count = from->claimed ? from->claimed : from->count;
	message.crc32c = crc32c(0, framed.data, framed.size) ^ from->bad_crc;
	message.events = events;
	message.n_events = from->count;
	up.message_case = PATHBELL__V1__EVENTS_UP__MESSAGE_BATCH;
	up.batch = &message;
	action = send_up(peer, &up);
	buf_deinit(&framed);
	return action;
}

static struct peer_action gone(struct peer *peer, uint64_t first, uint64_t last)
{
	Pathbell__V1__EventsUp up = PATHBELL__V1__EVENTS_UP__INIT;
	Pathbell__V1__Gone message = PATHBELL__V1__GONE__INIT;
	struct peer_action action;

	message.epoch.data = (uint8_t *)epoch_a;
	message.epoch.len = 16;
	message.first_seq = first;
	message.last_seq = last;
	message.reason = PATHBELL__V1__GONE_REASON__GONE_REASON_SPOOL_AGE;
	up.message_case = PATHBELL__V1__EVENTS_UP__MESSAGE_GONE;
	up.gone = &message;
	action = send_up(peer, &up);
	peer_release(&action);
	return action;
}

static void open_peer(struct peer *peer, uint64_t oldest, uint64_t tail, uint64_t mark)
{
	const struct hello message = {
		.host_id = "h1", .protocol = 1, .oldest = oldest, .tail = tail
	};
	struct peer_action action;

	peer_init(peer, "h1", &limits);
	action = hello(peer, &message);
	assert_int_equal(action.type, PEER_HELLO);
	peer_release(&action);
	assert_int_equal(peer->state, PEER_RESUMING);
	peer_resumed(peer, &mark);
	assert_int_equal(peer->state, PEER_OPEN);
}

static void expect_close(struct peer *peer, struct peer_action *action, int status,
			 const char *reason)
{
	assert_int_equal(action->type, PEER_CLOSE);
	assert_int_equal(action->status, status);
	assert_string_equal(action->reason, reason);
	assert_int_equal(peer->state, PEER_CLOSED);
	peer_release(action);
}

static void test_hello_is_checked(void **state)
{
	struct peer peer;
	struct peer_action action;

	peer_init(&peer, "h1", &limits);
	action = hello(&peer, &(struct hello){ .host_id = "h2", .protocol = 1 });
	expect_close(&peer, &action, RPC_PERMISSION_DENIED, "host_id_mismatch");
	peer_init(&peer, "h1", &limits);
	action = hello(&peer, &(struct hello){ .host_id = "h1", .protocol = 2 });
	expect_close(&peer, &action, RPC_FAILED_PRECONDITION, "protocol");
	peer_init(&peer, "h1", &limits);
	action = hello(&peer,
		       &(struct hello){ .host_id = "h1", .protocol = 1, .oldest = 9, .tail = 3 });
	expect_close(&peer, &action, RPC_INVALID_ARGUMENT, "protocol");
	open_peer(&peer, 1, 5, 0);
	action = hello(&peer, &(struct hello){ .host_id = "h1", .protocol = 1 });
	expect_close(&peer, &action, RPC_INVALID_ARGUMENT, "protocol");
}

static void test_batch_before_welcome(void **state)
{
	struct peer peer;
	struct peer_action action;

	peer_init(&peer, "h1", &limits);
	action = batch(&peer, &(struct batch){ .epoch = epoch_a, .first = 1, .count = 1 });
	expect_close(&peer, &action, RPC_INVALID_ARGUMENT, "protocol");
	action = batch(&peer, &(struct batch){ .epoch = epoch_a, .first = 1, .count = 1 });
	assert_int_equal(action.type, PEER_NOTHING); /* closed is closed */
}

static void test_batches_in_order(void **state)
{
	struct peer peer;
	struct peer_action action;

	open_peer(&peer, 1, 50, 10);
	action = batch(&peer, &(struct batch){ .epoch = epoch_a, .first = 11, .count = 3 });
	assert_int_equal(action.type, PEER_BATCH);
	assert_int_equal(action.batch.count, 3);
	assert_int_equal(action.batch.events_size, 12);
	assert_false(action.declared);
	action = batch(&peer, &(struct batch){ .epoch = epoch_a, .first = 14, .count = 2 });
	assert_int_equal(action.type, PEER_BATCH);
	action = batch(&peer, &(struct batch){ .epoch = epoch_a,
					       .first = 12,
					       .count = 2 }); /* again: the store compares */
	assert_int_equal(action.type, PEER_BATCH);
	action = batch(&peer, &(struct batch){ .epoch = epoch_a, .first = 16, .count = 2 });
	assert_int_equal(action.type, PEER_BATCH);
	action = batch(&peer, &(struct batch){ .epoch = epoch_b,
					       .first = 1,
					       .count = 2 }); /* a new epoch begins at 1 */
	assert_int_equal(action.type, PEER_BATCH);
}

static void test_first_gap_asks_second_closes(void **state)
{
	struct peer peer;
	struct peer_action action;

	open_peer(&peer, 1, 50, 10);
	action = batch(&peer, &(struct batch){ .epoch = epoch_a, .first = 20, .count = 1 });
	assert_int_equal(action.type, PEER_RESEND);
	assert_int_equal(action.range.first_seq, 11);
	assert_int_equal(action.range.last_seq, 19);
	action = batch(&peer, &(struct batch){ .epoch = epoch_a, .first = 21, .count = 1 });
	assert_int_equal(action.type, PEER_NOTHING);
	action = batch(&peer, &(struct batch){ .epoch = epoch_a, .first = 11, .count = 10 });
	assert_int_equal(action.type, PEER_BATCH);
	action = batch(&peer, &(struct batch){ .epoch = epoch_a, .first = 30, .count = 1 });
	expect_close(&peer, &action, RPC_FAILED_PRECONDITION, "protocol");
}

static void test_a_host_that_does_not_follow_is_closed(void **state)
{
	struct peer peer;
	struct peer_action action;
	unsigned n = 0;

	open_peer(&peer, 1, 50, 10);
	do {
		action = batch(&peer, &(struct batch){ .epoch = epoch_a, .first = 20, .count = 1 });
		n++;
	} while (action.type != PEER_CLOSE && n < 3 * PEER_MAX_DROPPED);
	expect_close(&peer, &action, RPC_FAILED_PRECONDITION, "protocol");
	assert_true(n <= PEER_MAX_DROPPED + 2);
}

static void test_loss_that_hello_declared(void **state)
{
	struct peer peer;
	struct peer_action action;

	open_peer(&peer, 40, 50, 10);
	action = batch(&peer, &(struct batch){ .epoch = epoch_a, .first = 40, .count = 1 });
	assert_int_equal(action.type, PEER_BATCH);
	assert_true(action.declared);
	assert_int_equal(action.range.first_seq, 11);
	assert_int_equal(action.range.last_seq, 39);
	action = batch(&peer, &(struct batch){ .epoch = epoch_a, .first = 43, .count = 1 });
	assert_int_equal(action.type, PEER_RESEND);
}

static void test_tombstones(void **state)
{
	struct peer peer;
	struct peer_action action;

	open_peer(&peer, 1, 50, 10);
	action = gone(&peer, 11, 20);
	assert_int_equal(action.type, PEER_GONE);
	assert_int_equal(action.range.first_seq, 11);
	action = batch(&peer, &(struct batch){ .epoch = epoch_a, .first = 21, .count = 1 });
	assert_int_equal(action.type, PEER_BATCH);
	action = gone(&peer, 30, 31);
	assert_int_equal(action.type, PEER_RESEND);
	action = gone(&peer, 9, 5);
	expect_close(&peer, &action, RPC_INVALID_ARGUMENT, "protocol");
}

static void test_bad_batches(void **state)
{
	const uint8_t none[16] = { 0 };
	const struct batch bad[] = {
		{ epoch_a, 1, 2, 3, false },
		{ epoch_a, 1, 2, 0, true },
		{ epoch_a, 0, 1, 0, false },
		{ epoch_a, 1, 101, 0, false },
		{ epoch_a, INT64_MAX, 1, 0, false },
		{ epoch_a, UINT64_MAX, 1, 0, false },
		{ none, 1, 1, 0, false },
		{ epoch_a, 1, 0, 0, false },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct peer peer;
		struct peer_action action;

		open_peer(&peer, 1, 50, 0);
		action = batch(&peer, &bad[i]);
		expect_close(&peer, &action, RPC_INVALID_ARGUMENT, "protocol");
	}
}

static void test_garbage(void **state)
{
	static const struct {
		const char *bytes;
		size_t size;
	} bad[] = {
		{ "\xff\xff\xff", 3 }, { "\x12\x05", 2 }, { "", 0 }, { "\x12\x00\x12\x00", 4 }
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct peer peer;
		struct peer_action action;

		open_peer(&peer, 1, 50, 0);
		peer_receive(&peer, (const uint8_t *)bad[i].bytes, bad[i].size, &action);
		expect_close(&peer, &action, RPC_INVALID_ARGUMENT, "protocol");
	}
}

static void test_too_many_epochs(void **state)
{
	struct peer peer;
	struct peer_action action;
	uint8_t epoch[16] = { 1 };

	open_peer(&peer, 1, 50, 0);
	for (unsigned i = 1; i < PEER_MAX_EPOCHS; i++) {
		epoch[1] = (uint8_t)i;
		action = batch(&peer, &(struct batch){ .epoch = epoch, .first = 1, .count = 1 });
		assert_int_equal(action.type, PEER_BATCH);
	}
	epoch[1] = 0;
	action = batch(&peer, &(struct batch){ .epoch = epoch, .first = 1, .count = 1 });
	expect_close(&peer, &action, RPC_INVALID_ARGUMENT, "protocol");
}

static void test_credit(void **state)
{
	struct peer peer;
	struct peer_action action;

	open_peer(&peer, 1, 500, 0);
	assert_int_equal(peer.granted_bytes, 1000);
	assert_int_equal(peer.granted_records, 40);
	action = batch(&peer, &(struct batch){ .epoch = epoch_a, .first = 1, .count = 30 });
	assert_false(peer_is_over(&peer));
	assert_true(peer_stored(&peer, action.weight, 30));
	assert_int_equal(peer.granted_records, 70);
	assert_int_equal(peer.granted_bytes, 1000 + action.weight);
	assert_false(peer_stored(&peer, 1, 1)); /* not worth a message */
	assert_int_equal(peer.granted_records, 70);
	batch(&peer, &(struct batch){ .epoch = epoch_a, .first = 31, .count = 45 });
	assert_true(peer_is_over(&peer));
}

/* A dropped batch has used credit; it must come back. */
static void test_dropped_batches_give_their_credit_back(void **state)
{
	struct peer peer;

	open_peer(&peer, 1, 500, 0);
	for (unsigned i = 0; i < 20; i++)
		batch(&peer, &(struct batch){ .epoch = epoch_a, .first = 20, .count = 10 });
	assert_int_equal(peer.received_records, peer.stored_records);
	assert_int_equal(peer.stored_records, 200);
	assert_false(peer_is_over(&peer));
}

static void test_marks_below_what_was_promised(void **state)
{
	const struct hello message = {
		.host_id = "h1", .protocol = 1, .oldest = 1, .first_unacked = 21, .tail = 50
	};
	uint64_t mark = 10;
	struct peer peer;
	struct peer_action action;

	peer_init(&peer, "h1", &limits);
	action = hello(&peer, &message);
	peer_release(&action);
	assert_int_equal(peer_resumed(&peer, &mark), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hello_is_checked),
		cmocka_unit_test(test_batch_before_welcome),
		cmocka_unit_test(test_batches_in_order),
		cmocka_unit_test(test_first_gap_asks_second_closes),
		cmocka_unit_test(test_a_host_that_does_not_follow_is_closed),
		cmocka_unit_test(test_loss_that_hello_declared),
		cmocka_unit_test(test_tombstones),
		cmocka_unit_test(test_bad_batches),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_too_many_epochs),
		cmocka_unit_test(test_credit),
		cmocka_unit_test(test_dropped_batches_give_their_credit_back),
		cmocka_unit_test(test_marks_below_what_was_promised),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
