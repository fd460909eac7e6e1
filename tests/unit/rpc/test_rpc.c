/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/rpc.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"

#define MIB (1024 * 1024)

static void test_echo(void **state)
{
	struct fixture *f = *state;
	struct client *c = client_open(f, "host1", "/t/Echo", 0);

	client_send(c, "hello", 5);
	client_wait_messages(c, 1);
	assert_int_equal(c->last_size, 5);
	assert_memory_equal(c->last, "hello", 5);
	client_send(c, "", 0);
	client_wait_messages(c, 2);
	assert_int_equal(c->last_size, 0);
	assert_true(c->headers);
	assert_string_equal(c->peer.uri, "spiffe://test/aggregator/a1");
	client_finish(c);
	client_wait_closed(c);
	assert_int_equal(c->status, RPC_OK);
	assert_string_equal(f->peer.uri, "spiffe://test/host/h1");
	assert_true(f->peer.not_after_unix_ns > 0);
	assert_non_null(strstr(f->peer.address, "127.0.0.1"));
	client_close(c);
}

static void test_many_and_big(void **state)
{
	struct fixture *f = *state;
	struct client *c = client_open(f, "host1", "/t/Echo", 0);
	uint8_t *big = calloc(1, MIB);

	assert_non_null(big);
	for (unsigned i = 0; i < 200; i++)
		client_send(c, big, i * 37);
	client_wait_messages(c, 200);
	assert_int_equal(c->last_size, 199 * 37);
	for (unsigned i = 0; i < 4; i++)
		client_send(c, big, MIB); /* exactly the limit */
	client_wait_messages(c, 204);
	assert_int_equal(c->last_size, MIB);
	client_finish(c);
	client_wait_closed(c);
	assert_int_equal(c->status, RPC_OK);
	client_close(c);
	free(big);
}

static void test_above_the_limit(void **state)
{
	struct fixture *f = *state;
	struct client *c = client_open(f, "host1", "/t/Echo", 0);
	uint8_t *big = calloc(1, MIB + 1);

	assert_non_null(big);
	client_send(c, big, MIB + 1);
	client_wait_closed(c);
	assert_int_equal(c->status, RPC_RESOURCE_EXHAUSTED);
	client_close(c);
	free(big);
}

static void test_status_and_answers(void **state)
{
	struct fixture *f = *state;
	struct client *c = client_open(f, "host1", "/t/Five", 0);

	client_send(c, "x", 1);
	client_wait_closed(c);
	assert_int_equal(c->messages, 5);
	assert_int_equal(c->status, RPC_FAILED_PRECONDITION);
	assert_string_equal(c->details, "five is enough");
	client_send(c, "x", 1); /* on a closed call: no effect */
	client_close(c);
}

static void test_unknown_method(void **state)
{
	struct fixture *f = *state;
	struct client *c = client_open(f, "host1", "/t/None", 0);

	client_wait_closed(c);
	assert_int_equal(c->status, RPC_UNIMPLEMENTED);
	assert_string_equal(c->details, "no such method");
	client_close(c);
}

static void test_deadline(void **state)
{
	struct fixture *f = *state;
	struct client *c = client_open(f, "host1", "/t/Hold", 50);

	client_wait_closed(c);
	assert_int_equal(c->status, RPC_DEADLINE_EXCEEDED);
	client_close(c);
}

/* A server that does not read: a bounded amount leaves the client, then send stays outstanding. */

struct flood {
	struct client *c;
	uint8_t *block;
	unsigned sent;
	bool stuck;
};

static void flood_now(void *data)
{
	struct flood *flood = data;
	struct iovec part = { flood->block, MIB / 16 };

	flood->stuck = rpc_call_send(flood->c->call, &part, 1) == RPC_E_BUSY;
	if (!flood->stuck)
		flood->sent++;
}

/* Blocks of 64 KiB until one stays outstanding while @n_turns others made the round of the queue.
 */
static void flood_until_stuck(struct fixture *f, struct flood *flood)
{
	unsigned stuck_turns = 0;

	while (stuck_turns < 2000) {
		fixture_run(f, flood_now, flood);
		stuck_turns = flood->stuck ? stuck_turns + 1 : 0;
		assert_true(flood->sent < 64 * 16); /* 64 MiB accepted: there is no back-pressure */
	}
}

static void open_gate_now(void *data)
{
	struct fixture *f = data;

	f->open_gate = true;
	rpc_call_hold(f->held, false);
}

static void test_back_pressure(void **state)
{
	struct fixture *f = *state;
	struct client *c = client_open(f, "host1", "/t/Hold", 0);
	struct flood flood = { .c = c, .block = calloc(1, MIB / 16) };

	flood_until_stuck(f, &flood);
	assert_int_equal(f->served, 1);
	fixture_run(f, open_gate_now, f);
	pthread_mutex_lock(&f->lock);
	while (f->served < flood.sent)
		pthread_cond_wait(&f->changed, &f->lock);
	pthread_mutex_unlock(&f->lock);
	client_finish(c);
	client_wait_closed(c);
	assert_int_equal(c->status, RPC_OK);
	client_close(c);
	free(flood.block);
}

struct queueing {
	struct fixture *f;
	struct rpc_call *call;
	int result;
};

static void enqueue_until_full(void *data)
{
	struct queueing *queueing = data;
	uint8_t block[1024] = { 0 };
	int n = 0;

	while ((queueing->result =
			rpc_call_enqueue(queueing->f->held, block, sizeof(block), 8192)) == 0)
		assert_true(++n < 100000);
	assert_true(rpc_call_queued(queueing->f->held) <= 8192);
}

/* The queue of a call has its limit even where the transport still takes bytes. */
static void test_enqueue_limit(void **state)
{
	struct fixture *f = *state;
	struct client *c = client_open(f, "host1", "/t/Hold", 0);
	struct queueing queueing = { .f = f };

	client_send(c, "x", 1);
	pthread_mutex_lock(&f->lock);
	while (!f->held)
		pthread_cond_wait(&f->changed, &f->lock);
	pthread_mutex_unlock(&f->lock);
	fixture_run(f, enqueue_until_full, &queueing);
	assert_int_equal(queueing.result, -ENOBUFS);
	client_close(c);
}

static void wait_cancelled(struct fixture *f, unsigned n)
{
	pthread_mutex_lock(&f->lock);
	while (f->cancelled < n)
		pthread_cond_wait(&f->changed, &f->lock);
	pthread_mutex_unlock(&f->lock);
}

static void test_cancel_is_seen_by_the_server(void **state)
{
	struct fixture *f = *state;
	struct client *c = client_open(f, "host1", "/t/Echo", 0);

	client_send(c, "x", 1);
	client_wait_messages(c, 1);
	client_cancel(c);
	client_wait_closed(c);
	assert_int_equal(c->status, RPC_CANCELLED);
	assert_false(c->ended); /* no orderly end */
	client_close(c);
	wait_cancelled(f, 1);
	assert_int_equal(f->ended, 0);
}

/* Cancel, finish and send against each other, in every order and at every moment of a call's life.
 */

struct race {
	struct client *c;
	unsigned order;
};

static void race_now(void *data)
{
	struct race *race = data;
	struct iovec part = { (void *)"x", 1 };

	for (unsigned step = 0, order = race->order; step < 3; step++, order /= 3) {
		struct rpc_call *call = race->c->call;

		if (!call)
			return;
		if (order % 3 == 0)
			rpc_call_cancel(call);
		else if (order % 3 == 1)
			rpc_call_finish(call, RPC_OK, NULL);
		else
			rpc_call_send(call, &part, 1);
	}
}

static void test_cancel_finish_races(void **state)
{
	static const char *const methods[] = { "/t/Echo", "/t/Five", "/t/Hold", "/t/None" };
	struct fixture *f = *state;

	for (unsigned i = 0; i < 27 * 4 * 2; i++) {
		struct client *c = client_open(f, "host1", methods[i % 4], 0);
		struct race race = { .c = c, .order = i / 4 };

		if (i % 2) {
			client_send(c, "x", 1);
			fixture_run(f, race_now, &race);
		}
		race.order = i / 4 / 2;
		fixture_run(f, race_now, &race);
		client_close(c);
	}
}

static void test_server_restart(void **state)
{
	struct fixture *f = *state;
	struct client *c = client_open(f, "host1", "/t/Echo", 0);
	char listen[64];

	client_send(c, "x", 1);
	client_wait_messages(c, 1);
	f->server = rpc_server_free(f->server); /* the stream is cut */
	client_wait_closed(c);
	assert_int_equal(c->status, RPC_UNAVAILABLE);
	client_close(c);
	c = client_open(f, "host1", "/t/Echo", 0);
	client_wait_closed(c);
	assert_int_equal(c->status, RPC_UNAVAILABLE);
	assert_int_equal(rpc_classify_failure(c->status, c->details), RPC_FAILURE_REFUSED);
	assert_non_null(strstr(rpc_channel_last_error(c->channel), "Connection refused"));
	client_close(c);
	snprintf(listen, sizeof(listen), "%s", f->target);
	assert_int_equal(fixture_start_server(f, listen, "server", &f->server, NULL), 0);
	c = client_open(f, "host1", "/t/Echo", 0);
	client_send(c, "y", 1);
	client_wait_messages(c, 1);
	client_close(c);
}

static void test_second_server_is_refused(void **state)
{
	struct fixture *f = *state;
	struct rpc_server *second = NULL;
	struct errmsg err = { .line = 0 };

	assert_int_equal(fixture_start_server(f, f->target, "server", &second, &err), -EADDRINUSE);
	assert_non_null(strstr(err.text, "already in use"));
	assert_null(second);
	assert_int_equal(fixture_start_server(f, "nonsense", "server", &second, &err), -EINVAL);
}

/* rpc_stop with live calls, timers and channels on both sides: nothing leaks (ASan), nothing hangs.
 */
static void test_stop_with_everything_open(void **state)
{
	struct fixture *f = *state;
	struct client *c[8];

	for (unsigned i = 0; i < 8; i++) {
		c[i] = client_open(f, "host1", i % 2 ? "/t/Echo" : "/t/Hold", 0);
		client_send(c[i], "x", 1);
	}
	f->server = NULL;
	f->rpc = rpc_stop(f->rpc);
	for (unsigned i = 0; i < 8; i++) {
		assert_true(c[i]->closed);
		free(c[i]);
	}
}

/* ---- posting and timers ---- */

#define N_THREADS 4
#define N_POSTS	  20000

struct poster {
	struct rpc *rpc;
	unsigned last, count; /* gRPC thread only */
	bool in_order;
};

struct posting {
	struct poster *poster;
	unsigned number;
};

static void posted_now(void *data)
{
	struct posting *posting = data;
	struct poster *poster = posting->poster;

	poster->in_order = poster->in_order && posting->number == poster->last + 1;
	poster->last = posting->number;
	poster->count++;
}

static void *poster_main(void *data)
{
	struct poster *poster = data;
	struct posting *postings = calloc(N_POSTS, sizeof(*postings));

	for (unsigned i = 0; postings && i < N_POSTS; i++) {
		postings[i] = (struct posting){ .poster = poster, .number = i + 1 };
		rpc_post(poster->rpc, posted_now, &postings[i]);
	}
	return postings;
}

static void nothing_now(void *data)
{
	(void)data;
}

static void test_post_from_many_threads(void **state)
{
	struct fixture *f = *state;
	struct poster posters[N_THREADS];
	pthread_t threads[N_THREADS];
	void *postings[N_THREADS];

	for (unsigned i = 0; i < N_THREADS; i++) {
		posters[i] = (struct poster){ .rpc = f->rpc, .in_order = true };
		assert_int_equal(pthread_create(&threads[i], NULL, poster_main, &posters[i]), 0);
	}
	for (unsigned i = 0; i < N_THREADS; i++)
		pthread_join(threads[i], &postings[i]);
	fixture_run(f, nothing_now, NULL);
	for (unsigned i = 0; i < N_THREADS; i++) {
		assert_int_equal(posters[i].count, N_POSTS);
		assert_true(posters[i].in_order);
		free(postings[i]);
	}
}

struct clocks {
	struct fixture *f;
	struct rpc_timer *timers[6];
	char order[16];
	bool done;
};

struct tick {
	struct clocks *clocks;
	char name;
};

static void tick_now(void *data)
{
	struct tick *tick = data;
	size_t len = strlen(tick->clocks->order);

	tick->clocks->order[len] = tick->name;
	if (tick->name != 'f')
		return;
	pthread_mutex_lock(&tick->clocks->f->lock);
	tick->clocks->done = true;
	pthread_cond_broadcast(&tick->clocks->f->changed);
	pthread_mutex_unlock(&tick->clocks->f->lock);
}

static struct tick ticks[6];

static void timers_now(void *data)
{
	static const uint32_t delays[6] = { 30, 10, 50, 10, 20, 60 };
	struct clocks *clocks = data;

	for (unsigned i = 0; i < 6; i++) {
		ticks[i] = (struct tick){ .clocks = clocks, .name = (char)('a' + i) };
		clocks->timers[i] = rpc_timer_start(clocks->f->rpc, delays[i], tick_now, &ticks[i]);
	}
	rpc_timer_cancel(clocks->timers[2]);
	rpc_timer_cancel(NULL);
}

static void test_timers(void **state)
{
	struct fixture *f = *state;
	struct clocks clocks = { .f = f };

	fixture_run(f, timers_now, &clocks);
	pthread_mutex_lock(&f->lock);
	while (!clocks.done)
		pthread_cond_wait(&f->changed, &f->lock);
	pthread_mutex_unlock(&f->lock);
	assert_string_equal(clocks.order, "bdeaf");
}

#define FIXTURE_TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(test_echo),
		FIXTURE_TEST(test_many_and_big),
		FIXTURE_TEST(test_above_the_limit),
		FIXTURE_TEST(test_status_and_answers),
		FIXTURE_TEST(test_unknown_method),
		FIXTURE_TEST(test_deadline),
		FIXTURE_TEST(test_back_pressure),
		FIXTURE_TEST(test_enqueue_limit),
		FIXTURE_TEST(test_cancel_is_seen_by_the_server),
		FIXTURE_TEST(test_cancel_finish_races),
		FIXTURE_TEST(test_server_restart),
		FIXTURE_TEST(test_second_server_is_refused),
		FIXTURE_TEST(test_stop_with_everything_open),
		FIXTURE_TEST(test_post_from_many_threads),
		FIXTURE_TEST(test_timers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
