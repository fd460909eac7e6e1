/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/crc32c.h"
#include "world.h"

/* ---- a session ---- */

static void test_session(void **state)
{
	struct world *w = *state;
	const struct frame *frame;

	w->tail = 9;
	w->script.marks[0] = 5;
	world_up(w);
	assert_int_equal(w->frame.session.n_resume, 1);
	assert_memory_equal(w->frame.session.resume[0].epoch, world_epoch, 16);
	assert_int_equal(w->frame.session.resume[0].seq, 5);
	assert_int_equal(w->frame.session.credit_bytes, w->max_unacked);
	assert_int_equal(w->frame.session.max_batch_records, 8192);
	assert_true(world_text_is(w->frame.session.address, w->script.address));
	assert_string_equal(w->script.host_id, "h1");
	assert_string_equal(w->script.agent_version, "9.9");
	assert_int_equal(w->script.generation, 40);
	assert_int_equal(w->script.control_generation, 40);
	assert_int_equal(w->script.tail_seq, 9);

	world_batch(w, 6, 3, 100);
	frame = world_expect(w, FRAME_ACK);
	assert_memory_equal(frame->ack.epoch, world_epoch, 16);
	assert_int_equal(frame->ack.seq, 8);
	assert_int_equal(frame->ack.level, 2);
	assert_int_equal(w->script.n_events, 3);
	assert_int_equal(w->script.last_events_size, 300);
	for (int i = 0; i < 300; i++)
		assert_int_equal(w->script.last_events[i], 'a' + (6 + i / 100) % 26);
}

static void test_checksum_is_passed_on(void **state)
{
	struct world *w = *state;
	uint8_t events[64], *pos = events;

	world_up(w);
	world_batch(w, 1, 1, 40);
	world_expect(w, FRAME_ACK);
	pos = codec_put_frame(pos, 40);
	memset(pos, 'b', 40);
	assert_int_equal(w->script.last_crc, crc32c(0, events, (size_t)(pos - events) + 40));
}

/* Never more than the credit, and the credit never runs dry: 20 MB through a window of 512 KiB. */
static void test_credit_grows_with_acks(void **state)
{
	struct world *w = *state;
	uint64_t batch = 300 * codec_framed_size(200), sent = 0, seq = 1, credit;

	world_up(w);
	credit = w->frame.session.credit_bytes;
	for (int round = 0; round < 300; round++) {
		while (sent + batch > credit) {
			world_expect_any(w, FRAME_CREDIT, FRAME_ACK);
			if (w->frame.type == FRAME_CREDIT) {
				assert_true(w->frame.credit.bytes > credit);
				credit = w->frame.credit.bytes;
			}
		}
		world_batch(w, seq, 300, 200);
		sent += batch;
		seq += 300;
	}
	script_wait(&w->script, &w->script.batches, 300);
	assert_false(w->script.order_broken);
	assert_int_equal(w->script.n_events, 90000);
}

static void test_credit_of_the_server(void **state)
{
	Pathbell__V1__EventsDown down = PATHBELL__V1__EVENTS_DOWN__INIT;
	Pathbell__V1__Credit credit = PATHBELL__V1__CREDIT__INIT;
	struct world *w = *state;

	w->script.credit_bytes = 1000;
	w->script.credit_records = 10;
	world_up(w);
	assert_int_equal(w->frame.session.credit_bytes, 1000);
	assert_int_equal(w->frame.session.credit_records, 10);
	credit.bytes = 2000;
	credit.records = 30;
	down.message_case = PATHBELL__V1__EVENTS_DOWN__MESSAGE_CREDIT;
	down.credit = &credit;
	script_send(&w->script, &down);
	world_expect(w, FRAME_CREDIT);
	assert_int_equal(w->frame.credit.bytes, 2000);
	assert_int_equal(w->frame.credit.records, 30);
}

static void test_gone_and_beat(void **state)
{
	struct frame gone = { .type = FRAME_GONE }, beat = { .type = FRAME_BEAT };
	struct world *w = *state;

	w->script.heartbeat_ms = 1000;
	world_up(w);
	memcpy(gone.gone.epoch, world_epoch, 16);
	gone.gone.first_seq = 1;
	gone.gone.last_seq = 17;
	gone.gone.reason = 2;
	world_send(w, &gone);
	assert_int_equal(world_expect(w, FRAME_ACK)->ack.seq, 17);
	assert_int_equal(w->script.gone_first, 1);
	assert_int_equal(w->script.gone_last, 17);
	assert_int_equal(w->script.gone_reason, 2);
	world_batch(w, 18, 1, 10);
	assert_int_equal(world_expect(w, FRAME_ACK)->ack.seq, 18);
	world_expect(w, FRAME_BEAT_WANTED);
	world_expect(w, FRAME_STATS);
	assert_int_equal(w->frame.stats.batches, 1);
	assert_int_equal(w->frame.stats.acks, 2);
	assert_true(w->frame.stats.certificate_not_after_unix_ns > 0);
	beat.beat.tail_seq = 18;
	world_send(w, &beat);
	script_wait(&w->script, &w->script.heartbeats, 1);
	assert_int_equal(w->script.beat_tail, 18);
}

static void test_commands(void **state)
{
	Pathbell__V1__ControlDown down = PATHBELL__V1__CONTROL_DOWN__INIT;
	Pathbell__V1__CommandDelivery command = PATHBELL__V1__COMMAND_DELIVERY__INIT;
	struct frame receipt = { .type = FRAME_RECEIPT };
	struct world *w = *state;

	world_up(w);
	command.envelope = (ProtobufCBinaryData){ .len = 9, .data = (uint8_t *)"not\0proto" };
	down.message_case = PATHBELL__V1__CONTROL_DOWN__MESSAGE_COMMAND;
	down.command = &command;
	script_send_control(&w->script, &down);
	world_expect(w, FRAME_COMMAND);
	assert_int_equal(w->frame.command.envelope_size, 9);
	assert_memory_equal(w->frame.command.envelope, "not\0proto", 9);
	memcpy(receipt.receipt.command_id, world_epoch, 16);
	world_send(w, &receipt);
	script_wait(&w->script, &w->script.receipts, 1);
	assert_memory_equal(w->script.last_receipt, world_epoch, 16);
}

static void test_resend(void **state)
{
	Pathbell__V1__EventsDown down = PATHBELL__V1__EVENTS_DOWN__INIT;
	Pathbell__V1__Resend resend = PATHBELL__V1__RESEND__INIT;
	struct world *w = *state;

	world_up(w);
	resend.epoch = (ProtobufCBinaryData){ .len = 16, .data = (uint8_t *)world_epoch };
	resend.first_seq = 3;
	resend.last_seq = 4;
	down.message_case = PATHBELL__V1__EVENTS_DOWN__MESSAGE_RESEND;
	down.resend = &resend;
	script_send(&w->script, &down);
	world_expect(w, FRAME_RESEND);
	assert_int_equal(w->frame.resend.first_seq, 3);
	assert_int_equal(w->frame.resend.last_seq, 4);
}

/* ---- ends and returns ---- */

static void test_server_dies_and_returns(void **state)
{
	struct world *w = *state;

	world_up(w);
	world_batch(w, 1, 5, 10);
	assert_int_equal(world_expect(w, FRAME_ACK)->ack.seq, 5);
	script_kill(&w->script);
	world_expect_session(w, FRAME_SESSION_DOWN);
	assert_true(world_text_is(w->frame.session.cause, "lost"));
	world_expect_session(w, FRAME_SESSION_DOWN); /* an attempt in vain */
	assert_true(world_text_is(w->frame.session.cause, "refused"));
	w->script.marks[0] = 3; /* it has lost two */
	script_revive(&w->script);
	while (world_expect_any(w, FRAME_SESSION, FRAME_SESSION_WANTED)->type == FRAME_SESSION)
		;
	world_answer(w);
	world_expect_session(w, FRAME_SESSION_UP);
	assert_int_equal(w->frame.session.resume[0].seq, 3);
	assert_true(w->script.generation > 40);
	world_batch(w, 4, 2, 10);
	assert_int_equal(world_expect(w, FRAME_ACK)->ack.seq, 5);
}

/* What was not acked when the line broke stays with the agent: no ack is made up. */
static void test_unacked_is_not_acked(void **state)
{
	struct world *w = *state;

	w->script.mute_acks = true;
	world_up(w);
	world_batch(w, 1, 5, 10);
	script_wait(&w->script, &w->script.batches, 1);
	script_ack(&w->script, 0, 3, 2);
	assert_int_equal(world_expect(w, FRAME_ACK)->ack.seq, 3);
	script_ack(&w->script, 0, 5, 1); /* only received: nothing is told */
	script_ack(&w->script, 0, 2, 2); /* late */
	script_finish(&w->script, RPC_UNAVAILABLE, "bye");
	world_expect_session(w, FRAME_SESSION_DOWN);
	assert_true(world_text_is(w->frame.session.cause, "lost"));
}

static void test_drain(void **state)
{
	Pathbell__V1__EventsDown down = PATHBELL__V1__EVENTS_DOWN__INIT;
	Pathbell__V1__Drain drain = PATHBELL__V1__DRAIN__INIT;
	struct world *w = *state;

	w->script.mute_acks = true;
	world_up(w);
	world_batch(w, 1, 5, 10);
	script_wait(&w->script, &w->script.batches, 1);
	drain.deadline_ms = 20000;
	drain.return_after_ms = 300;
	drain.reason = (char *)"update";
	down.message_case = PATHBELL__V1__EVENTS_DOWN__MESSAGE_DRAIN;
	down.drain = &drain;
	script_send(&w->script, &down);
	script_ack(&w->script, 0, 5, 2); /* still counts */
	assert_int_equal(world_expect(w, FRAME_ACK)->ack.seq, 5);
	world_expect_session(w, FRAME_SESSION_DOWN);
	assert_true(world_text_is(w->frame.session.cause, "drained"));
	assert_true(w->frame.session.retry_ns > 0 && w->frame.session.retry_ns <= 300000000);
	world_greet(w);
}

static void test_reconnect_order(void **state)
{
	struct frame order = { .type = FRAME_RECONNECT };
	struct world *w = *state;
	struct script *from, *to;

	script_start(&w->other, &w->pki);
	w->has_other = true;
	world_spawn(w);
	world_expect(w, FRAME_HELLO);
	world_configure(w);
	world_greet(w);
	from = w->script.hellos ? &w->script : &w->other;
	to = from == &w->script ? &w->other : &w->script;
	order.reconnect.address = (struct frame_text){ to->address, strlen(to->address) };
	world_send(w, &order);
	world_expect_session(w, FRAME_SESSION_DOWN);
	assert_true(world_text_is(w->frame.session.cause, "drained"));
	world_greet(w);
	assert_true(world_text_is(w->frame.session.address, to->address));
	assert_int_equal(to->hellos, 1);
	order.reconnect.address =
		(struct frame_text){ "192.0.2.1:1", 11 }; /* not configured: nothing happens */
	world_send(w, &order);
	order.reconnect.address = (struct frame_text){ "", 0 }; /* the next one */
	world_send(w, &order);
	world_expect_session(w, FRAME_SESSION_DOWN);
	world_greet(w);
	assert_int_equal(from->hellos, 2);
}

static void test_dead_address_is_passed_over(void **state)
{
	struct world *w = *state;

	script_start(&w->other, &w->pki);
	w->has_other = true;
	script_kill(&w->other);
	w->base_ms = w->cap_ms = 1;
	for (int i = 0; i < 3; i++) {
		world_spawn(w);
		world_expect(w, FRAME_HELLO);
		world_configure(w);
		while (world_expect_any(w, FRAME_SESSION, FRAME_SESSION_WANTED)->type ==
		       FRAME_SESSION)
			;
		world_answer(w);
		world_expect_session(w, FRAME_SESSION_UP);
		assert_true(world_text_is(w->frame.session.address, w->script.address));
		close(w->fd);
		world_expect_exit(w, 0);
	}
}

/* ---- certificates ---- */

/* While files are replaced one by one the uplink may look in between and say so: passed over. */
static void expect_alarm(struct world *w, const char *what)
{
	do
		world_expect(w, FRAME_ALARM);
	while (!world_text_is(w->frame.alarm.what, what));
}

static void held_by(struct world *w, const char *what)
{
	world_spawn(w);
	world_expect(w, FRAME_HELLO);
	world_configure(w);
	world_expect(w, FRAME_ALARM);
	assert_true(world_text_is(w->frame.alarm.what, what));
	world_expect_session(w, FRAME_SESSION_HELD);
	assert_true(w->frame.session.retry_ns > 0);
	assert_int_equal(w->script.control_hellos, 0); /* not even tried */
}

static void test_expired_then_replaced(void **state)
{
	struct world *w = *state;

	w->base_ms = w->cap_ms = 3600 * 1000; /* only the new file can wake it */
	world_issue(w, "host", "spiffe://test/host/h1", -7200, -60);
	held_by(w, "expired");
	world_issue(w, "host", "spiffe://test/host/h1", 0, 0);
	expect_alarm(w, "ok");
	world_greet(w);
}

static void test_not_our_certificate(void **state)
{
	struct world *w = *state;

	w->base_ms = w->cap_ms = 3600 * 1000;
	world_issue(w, "host", "spiffe://test/host/h2", 0, 0);
	held_by(w, "mismatch");
	unlink(pki_path(&w->pki, "host", ".key"));
	expect_alarm(w, "unreadable");
	world_issue(w, "host", "spiffe://test/host/h1", 0, 0);
	expect_alarm(w, "ok");
	world_greet(w);
}

static void test_missing_folder_is_no_busy_loop(void **state)
{
	struct world *w = *state;

	w->certificate = "nowhere/host";
	held_by(w, "unreadable");
	world_expect_session(
		w, FRAME_SESSION_HELD); /* again, after the long delay, with no new alarm between */
}

static void link_to(const struct world *w, const char *target, const char *name)
{
	char temporary[200];

	snprintf(temporary, sizeof(temporary), "%s/%s.swap", w->pki.dir, name);
	assert_int_equal(symlink(target, temporary), 0);
	assert_int_equal(rename(temporary, pki_path(&w->pki, name, "")), 0);
}

/* As the kubelet does it: the files are links through ..data, which is turned from one folder to
 * another. */
static void test_swapped_symlink(void **state)
{
	struct world *w = *state;

	w->base_ms = w->cap_ms = 3600 * 1000;
	for (int i = 0; i < 4; i++)
		assert_int_equal(
			mkdir(pki_path(&w->pki,
				       (const char *[]){ "tls", "tls/1", "tls/2", "tls/3" }[i], ""),
			      0700),
			0);
	world_issue(w, "tls/1/host", "spiffe://test/host/h1", -7200, -60);
	world_issue(w, "tls/2/host", "spiffe://test/host/other", 0, 0);
	world_issue(w, "tls/3/host", "spiffe://test/host/h1", 0, 0);
	link_to(w, "..data/host.pem", "tls/host.pem");
	link_to(w, "..data/host.key", "tls/host.key");
	link_to(w, "1", "tls/..data");
	w->certificate = "tls/host";
	held_by(w, "expired");
	link_to(w, "2", "tls/..data");
	expect_alarm(w, "mismatch");
	link_to(w, "3", "tls/..data");
	expect_alarm(w, "ok");
	world_greet(w);
}

/* The path itself goes through a link. */
static void test_swapped_folder(void **state)
{
	struct world *w = *state;

	w->base_ms = w->cap_ms = 3600 * 1000;
	assert_int_equal(mkdir(pki_path(&w->pki, "site", ""), 0700), 0);
	assert_int_equal(mkdir(pki_path(&w->pki, "site/1", ""), 0700), 0);
	assert_int_equal(mkdir(pki_path(&w->pki, "site/2", ""), 0700), 0);
	world_issue(w, "site/1/host", "spiffe://test/host/h1", -7200, -60);
	world_issue(w, "site/2/host", "spiffe://test/host/h1", 0, 0);
	link_to(w, "1", "site/live");
	w->certificate = "site/live/host";
	held_by(w, "expired");
	link_to(w, "2", "site/live");
	expect_alarm(w, "ok");
	world_greet(w);
}

static void test_expiring(void **state)
{
	struct world *w = *state;

	world_issue(w, "host", "spiffe://test/host/h1", -3600, 60);
	world_spawn(w);
	world_expect(w, FRAME_HELLO);
	world_configure(w);
	expect_alarm(w, "expiring");
	world_greet(w); /* and it is used */
}

static void test_refused_by_the_server(void **state)
{
	struct world *w = *state;

	w->script.refuse = RPC_PERMISSION_DENIED;
	world_spawn(w);
	world_expect(w, FRAME_HELLO);
	world_configure(w);
	expect_alarm(w, "refused");
	world_expect_session(w, FRAME_SESSION_HELD);
	assert_true(world_text_is(w->frame.session.cause, "auth"));
	world_expect_session(w, FRAME_SESSION_HELD); /* it goes on asking */
	pthread_mutex_lock(&w->script.lock);
	w->script.refuse = 0;
	pthread_mutex_unlock(&w->script.lock);
	while (world_expect_any(w, FRAME_SESSION, FRAME_SESSION_WANTED)->type == FRAME_SESSION)
		;
	world_answer(w);
	world_expect_session(w, FRAME_SESSION_UP);
	expect_alarm(w, "ok");
}

/* The aggregator does not trust our CA: TLS itself ends it, and only after some attempts it is
 * believed. */
static void test_foreign_certificate(void **state)
{
	const struct pki_leaf foreign = { .ca = "ca2",
					  .name = "host",
					  .uri = "spiffe://test/host/h1" };
	struct world *w = *state;

	pki_issue(&w->pki, &foreign);
	w->base_ms = 1;
	w->cap_ms = 200;
	world_spawn(w);
	world_expect(w, FRAME_HELLO);
	world_configure(w);
	world_expect_session(w, FRAME_SESSION_DOWN);
	assert_true(world_text_is(w->frame.session.cause, "tls"));
	world_expect_session(w, FRAME_SESSION_DOWN);
	world_expect_session(w, FRAME_SESSION_HELD);
	assert_int_equal(w->script.control_hellos, 0);
	world_issue(w, "host", "spiffe://test/host/h1", 0, 0);
	while (world_expect_any(w, FRAME_SESSION, FRAME_SESSION_WANTED)->type == FRAME_SESSION)
		;
	world_answer(w);
	world_expect_session(w, FRAME_SESSION_UP);
}

/* New files while a session is up: the new connection is accepted before the old one is given up.
 */
static void test_renewal(void **state)
{
	struct world *w = *state;

	w->base_ms = w->cap_ms = 3600 * 1000; /* no attempt of the ordinary kind can help */
	world_up(w);
	world_issue(w, "host", "spiffe://test/host/h1", -60, 600);
	world_expect_session(w, FRAME_SESSION_DOWN);
	assert_true(world_text_is(w->frame.session.cause, "drained"));
	world_greet(w);
	assert_int_equal(w->script.hellos, 2);
	assert_int_equal(w->script.generation, 41);
	world_batch(w, 1, 1, 10);
	world_expect(w, FRAME_ACK);
}

static void test_renewal_that_fails_keeps_the_session(void **state)
{
	const struct pki_leaf foreign = { .ca = "ca2",
					  .name = "host",
					  .uri = "spiffe://test/host/h1" };
	struct world *w = *state;

	world_up(w);
	pki_issue(&w->pki, &foreign);
	expect_alarm(w, "refused");
	world_batch(w, 1, 1, 10);
	world_expect(w, FRAME_ACK);
	world_issue(w, "host", "spiffe://test/host/h2", 0, 0);
	expect_alarm(w, "mismatch");
	world_batch(w, 2, 1, 10);
	world_expect(w, FRAME_ACK);
	assert_int_equal(w->script.hellos, 1);
}

/* ---- a hostile or broken server ---- */

static void expect_protocol_error(struct world *w)
{
	world_expect_session(w, FRAME_SESSION_DOWN);
	if (!world_text_is(w->frame.session.cause, "protocol"))
		fail_msg("%.*s: %.*s", (int)w->frame.session.cause.len, w->frame.session.cause.text,
			 (int)w->frame.session.detail.len, w->frame.session.detail.text);
	world_greet(w); /* and it comes back */
}

static void test_garbage(void **state)
{
	static const char *const garbage[] = { "\xff\xff\xff\xff", "\x0a\x7f", "\x0b",
					       "\x12\x02\x08", "\x0a\x01\xff" };
	struct world *w = *state;
	uint8_t noise[256];

	world_up(w);
	for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
		script_send_raw(&w->script, i % 2, garbage[i], strlen(garbage[i]));
		expect_protocol_error(w);
	}
	for (unsigned round = 0; round < 20; round++) {
		for (size_t i = 0; i < sizeof(noise); i++)
			noise[i] = (uint8_t)(round * 131 + i * i * 7 + (i << round % 5));
		script_send_raw(&w->script, round % 2, noise, sizeof(noise));
		expect_protocol_error(w);
	}
}

static void test_empty_and_unknown_messages_are_harmless(void **state)
{
	struct world *w = *state;

	world_up(w);
	script_send_raw(&w->script, false, "", 0);
	script_send_raw(&w->script, true, "", 0);
	script_send_raw(&w->script, false, "\xfa\x7f\x01x", 4); /* field 2047 */
	world_batch(w, 1, 1, 10);
	world_expect(w, FRAME_ACK);
}

static void send_ack_of(struct world *w, const uint8_t *epoch, size_t len, uint64_t seq, int level)
{
	Pathbell__V1__EventsDown down = PATHBELL__V1__EVENTS_DOWN__INIT;
	Pathbell__V1__Ack ack = PATHBELL__V1__ACK__INIT;

	ack.epoch = (ProtobufCBinaryData){ .len = len, .data = (uint8_t *)epoch };
	ack.seq = seq;
	ack.level = (Pathbell__V1__AckLevel)level;
	down.message_case = PATHBELL__V1__EVENTS_DOWN__MESSAGE_ACK;
	down.ack = &ack;
	script_send(&w->script, &down);
}

static void test_forged_acks(void **state)
{
	static const uint8_t other_epoch[16] = { 9 };
	struct world *w = *state;

	world_up(w);
	send_ack_of(w, world_epoch, 16, 1, 2); /* nothing was sent */
	expect_protocol_error(w);
	send_ack_of(w, world_epoch, 16, UINT64_MAX, 2);
	expect_protocol_error(w);
	w->script.mute_acks = true;
	world_batch(w, 1, 3, 10);
	send_ack_of(w, other_epoch, 16, 3, 2); /* of another session: passed over */
	send_ack_of(w, world_epoch, 15, 3, 2);
	script_wait(&w->script, &w->script.batches, 1);
	send_ack_of(w, world_epoch, 16, 3, 7);
	expect_protocol_error(w);
}

static void test_forged_welcome(void **state)
{
	Pathbell__V1__EventsDown down = PATHBELL__V1__EVENTS_DOWN__INIT;
	Pathbell__V1__Welcome welcome = PATHBELL__V1__WELCOME__INIT;
	Pathbell__V1__Credit credit = PATHBELL__V1__CREDIT__INIT;
	Pathbell__V1__ResumePoint point = PATHBELL__V1__RESUME_POINT__INIT, *points[1] = { &point };
	struct world *w = *state;

	down.message_case = PATHBELL__V1__EVENTS_DOWN__MESSAGE_WELCOME;
	down.welcome = &welcome;
	welcome.protocol = 1;
	welcome.credit = &credit;
	welcome.max_batch_records = 1;
	world_up(w);
	script_send(&w->script, &down); /* the second one */
	world_expect_session(w, FRAME_SESSION_DOWN);
	assert_true(world_text_is(w->frame.session.cause, "protocol"));
	w->script.mute_welcome = true;
	world_greet(w);
	script_wait(&w->script, &w->script.hellos, 2);
	point.epoch = (ProtobufCBinaryData){ .len = 16, .data = (uint8_t *)"0123456789abcdef" };
	welcome.n_resume = 1;
	welcome.resume = points;
	script_send(&w->script, &down); /* an epoch that we did not name */
	world_expect_session(w, FRAME_SESSION_DOWN);
	assert_true(world_text_is(w->frame.session.cause, "protocol"));
	world_greet(w);
	script_wait(&w->script, &w->script.hellos, 3);
	welcome.n_resume = 0;
	welcome.protocol = 2;
	script_send(&w->script, &down);
	world_expect_session(w, FRAME_SESSION_DOWN);
	assert_true(world_text_is(w->frame.session.cause, "protocol"));
}

static void test_too_large_message(void **state)
{
	struct world *w = *state;
	uint8_t *large = calloc(1, 1024 * 1024);

	assert_non_null(large);
	world_up(w);
	script_send_raw(&w->script, true, large, 1024 * 1024);
	world_expect_session(w, FRAME_SESSION_DOWN);
	world_greet(w);
	free(large);
}

static void test_goodbye(void **state)
{
	Pathbell__V1__EventsDown down = PATHBELL__V1__EVENTS_DOWN__INIT;
	Pathbell__V1__Goodbye goodbye = PATHBELL__V1__GOODBYE__INIT;
	struct world *w = *state;

	world_up(w);
	goodbye.reason = (char *)"protocol";
	goodbye.detail = (char *)"I do not like you";
	goodbye.retry_after_ms = 700;
	down.message_case = PATHBELL__V1__EVENTS_DOWN__MESSAGE_GOODBYE;
	down.goodbye = &goodbye;
	script_send(&w->script, &down);
	world_expect_session(w, FRAME_SESSION_DOWN);
	assert_true(world_text_is(w->frame.session.cause, "protocol"));
	assert_true(w->frame.session.retry_ns >
		    500000000); /* later than the backoff's cap of 50 ms */
	world_greet(w);
	goodbye.reason = (char *)"host_id_mismatch";
	script_send(&w->script, &down);
	expect_alarm(w, "refused");
	world_expect_session(w, FRAME_SESSION_HELD);
}

/* A server that floods commands while the agent does not read: the stream is held, nobody grows. */
static void test_flood_of_commands(void **state)
{
	Pathbell__V1__ControlDown down = PATHBELL__V1__CONTROL_DOWN__INIT;
	Pathbell__V1__CommandDelivery command = PATHBELL__V1__COMMAND_DELIVERY__INIT;
	struct world *w = *state;
	uint8_t envelope[3000];

	world_up(w);
	memset(envelope, 'x', sizeof(envelope));
	command.envelope = (ProtobufCBinaryData){ .len = sizeof(envelope), .data = envelope };
	down.message_case = PATHBELL__V1__CONTROL_DOWN__MESSAGE_COMMAND;
	down.command = &command;
	for (int i = 0; i < 1000; i++)
		script_send_control(&w->script, &down);
	for (int i = 0; i < 1000; i++)
		world_expect(w, FRAME_COMMAND);
	world_batch(w, 1, 1, 10);
	world_expect(w, FRAME_ACK);
}

/* ---- a server that stops reading, an agent that does not keep to the credit ---- */

static long resident_kib(pid_t pid)
{
	char path[64], line[128];
	long kib = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "r");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		if (strncmp(line, "VmRSS:", 6) == 0)
			kib = strtol(line + 6, NULL, 10);
	}
	fclose(file);
	return kib;
}

static void test_memory_is_bounded(void **state)
{
	struct world *w = *state;
	struct pollfd pollfd;
	long before;
	uint64_t seq = 1;

	w->script.hold_events = true; /* after Hello it reads no more */
	w->script.mute_acks = true;
	world_up(w);
	before = resident_kib(w->pid);
	pollfd = (struct pollfd){ .fd = w->fd, .events = POLLOUT };
	/* 64 MiB against all credit: the socket fills because the uplink reads no more. */
	while (seq < 64 * 16 * 300 && poll(&pollfd, 1, 1000) == 1) {
		world_batch(w, seq, 300, 200);
		seq += 300;
	}
	assert_true(seq < 64 * 16 * 300);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	assert_true(resident_kib(w->pid) - before < 32 * 1024);
#else
	(void)before;
#endif
}

/* ---- the process ---- */

static void test_stop(void **state)
{
	struct frame stop = { .type = FRAME_STOP, .stop = { UINT64_C(20000000000) } };
	struct world *w = *state;

	w->script.mute_acks = true;
	world_up(w);
	world_batch(w, 1, 5, 10);
	script_wait(&w->script, &w->script.batches, 1);
	world_send(w, &stop);
	script_ack(&w->script, 0, 5, 2);
	assert_int_equal(world_expect(w, FRAME_ACK)->ack.seq, 5); /* it waited for that */
	world_expect_session(w, FRAME_SESSION_DOWN);
	assert_true(world_text_is(w->frame.session.cause, "shutdown"));
	world_expect_exit(w, 0);
}

static void test_stop_without_session(void **state)
{
	struct frame stop = { .type = FRAME_STOP, .stop = { UINT64_C(20000000000) } };
	struct world *w = *state;

	script_kill(&w->script);
	world_spawn(w);
	world_expect(w, FRAME_HELLO);
	world_send(w, &stop); /* before any CONFIG */
	world_expect_exit(w, 0);
	close(w->fd);
	world_spawn(w);
	world_expect(w, FRAME_HELLO);
	world_configure(w);
	world_expect_session(w, FRAME_SESSION_DOWN);
	world_send(w, &stop);
	world_expect_exit(w, 0);
	script_revive(&w->script);
}

static void test_stop_has_a_deadline(void **state)
{
	struct frame stop = { .type = FRAME_STOP, .stop = { UINT64_C(100000000) } };
	struct world *w = *state;

	w->script.mute_acks = true;
	world_up(w);
	world_batch(w, 1, 5, 10);
	script_wait(&w->script, &w->script.batches, 1);
	world_send(w, &stop); /* the ack never comes */
	world_expect_exit(w, 0);
}

static void test_agent_is_gone(void **state)
{
	struct world *w = *state;

	world_up(w);
	close(w->fd);
	w->fd = -1;
	world_expect_exit(w, 0);
	world_spawn(w);
	close(w->fd); /* before anything was said */
	w->fd = -1;
	world_expect_exit(w, 0);
}

static void test_signal(void **state)
{
	struct world *w = *state;

	world_up(w);
	kill(w->pid, SIGTERM);
	world_expect_exit(w, 0);
}

static void test_broken_frames_of_the_agent(void **state)
{
	struct world *w = *state;

	world_up(w);
	assert_int_equal(send(w->fd, "rubbish", 7, 0), 7);
	assert_int_equal(send(w->fd, w->packet, 1, 0), 1);
	world_batch(w, 1, 1, 10);
	world_expect(w, FRAME_ACK);
}

static void test_needs_an_agent(void **state)
{
	int status;

	(void)state;
	status = system(PATHBELL_UPLINK " 3</dev/null 2>/dev/null");
	assert_int_equal(WEXITSTATUS(status), 64);
	status = system(PATHBELL_UPLINK " --nonsense 2>/dev/null");
	assert_int_equal(WEXITSTATUS(status), 64);
	assert_int_equal(system(PATHBELL_UPLINK " --version >/dev/null"), 0);
}

#define WORLD_TEST(fn) cmocka_unit_test_setup_teardown(fn, world_setup, world_teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(test_session),
		WORLD_TEST(test_checksum_is_passed_on),
		WORLD_TEST(test_credit_grows_with_acks),
		WORLD_TEST(test_credit_of_the_server),
		WORLD_TEST(test_gone_and_beat),
		WORLD_TEST(test_commands),
		WORLD_TEST(test_resend),
		WORLD_TEST(test_server_dies_and_returns),
		WORLD_TEST(test_unacked_is_not_acked),
		WORLD_TEST(test_drain),
		WORLD_TEST(test_reconnect_order),
		WORLD_TEST(test_dead_address_is_passed_over),
		WORLD_TEST(test_expired_then_replaced),
		WORLD_TEST(test_not_our_certificate),
		WORLD_TEST(test_missing_folder_is_no_busy_loop),
		WORLD_TEST(test_swapped_symlink),
		WORLD_TEST(test_swapped_folder),
		WORLD_TEST(test_expiring),
		WORLD_TEST(test_refused_by_the_server),
		WORLD_TEST(test_foreign_certificate),
		WORLD_TEST(test_renewal),
		WORLD_TEST(test_renewal_that_fails_keeps_the_session),
		WORLD_TEST(test_garbage),
		WORLD_TEST(test_empty_and_unknown_messages_are_harmless),
		WORLD_TEST(test_forged_acks),
		WORLD_TEST(test_forged_welcome),
		WORLD_TEST(test_too_large_message),
		WORLD_TEST(test_goodbye),
		WORLD_TEST(test_flood_of_commands),
		WORLD_TEST(test_memory_is_bounded),
		WORLD_TEST(test_stop),
		WORLD_TEST(test_stop_without_session),
		WORLD_TEST(test_stop_has_a_deadline),
		WORLD_TEST(test_agent_is_gone),
		WORLD_TEST(test_signal),
		WORLD_TEST(test_broken_frames_of_the_agent),
		cmocka_unit_test(test_needs_an_agent),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
