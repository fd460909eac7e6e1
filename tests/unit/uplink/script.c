/* SPDX-License-Identifier: Apache-2.0 */
#include "script.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define SCRIPT_QUEUE (4 * 1024 * 1024)

/* ---- sending; on the gRPC thread ---- */

static void script_put(struct rpc_call *call, const ProtobufCMessage *message)
{
	size_t size = protobuf_c_message_get_packed_size(message);
	uint8_t *packed = malloc(size + 1);

	if (!packed)
		abort();
	protobuf_c_message_pack(message, packed);
	rpc_call_enqueue(call, packed, size, SCRIPT_QUEUE);
	free(packed);
}

static void script_put_ack(struct script *script, struct rpc_call *call, ProtobufCBinaryData epoch,
			   uint64_t seq, int level)
{
	Pathbell__V1__EventsDown down = PATHBELL__V1__EVENTS_DOWN__INIT;
	Pathbell__V1__Ack ack = PATHBELL__V1__ACK__INIT;

	(void)script;
	ack.epoch = epoch;
	ack.seq = seq;
	ack.level = (Pathbell__V1__AckLevel)level;
	down.message_case = PATHBELL__V1__EVENTS_DOWN__MESSAGE_ACK;
	down.ack = &ack;
	script_put(call, &down.base);
}

static void script_put_welcome(struct script *script, struct rpc_call *call)
{
	Pathbell__V1__EventsDown down = PATHBELL__V1__EVENTS_DOWN__INIT;
	Pathbell__V1__Welcome welcome = PATHBELL__V1__WELCOME__INIT;
	Pathbell__V1__Credit credit = PATHBELL__V1__CREDIT__INIT;
	Pathbell__V1__ResumePoint points[SCRIPT_MAX_EPOCHS], *pointers[SCRIPT_MAX_EPOCHS];

	for (size_t i = 0; i < script->n_epochs; i++) {
		pathbell__v1__resume_point__init(&points[i]);
		points[i].epoch = (ProtobufCBinaryData){ .len = 16, .data = script->epochs[i] };
		points[i].seq = script->marks[i];
		pointers[i] = &points[i];
	}
	credit.bytes = script->credit_bytes;
	credit.records = script->credit_records;
	welcome.protocol = 1;
	welcome.n_resume = script->n_epochs;
	welcome.resume = pointers;
	welcome.credit = &credit;
	welcome.max_message_bytes = 1 << 20;
	welcome.max_batch_records = 8192;
	welcome.heartbeat_interval_ms = script->heartbeat_ms;
	welcome.reconnect_window_ms = script->window_ms;
	welcome.aggregator = (char *)"script";
	down.message_case = PATHBELL__V1__EVENTS_DOWN__MESSAGE_WELCOME;
	down.welcome = &welcome;
	script_put(call, &down.base);
}

/* ---- receiving; on the gRPC thread, with the lock ---- */

static void script_on_hello(struct script *script, struct rpc_call *call,
			    const Pathbell__V1__Hello *hello)
{
	script->generation = hello->session_generation;
	script->n_epochs =
		hello->n_epochs < SCRIPT_MAX_EPOCHS ? hello->n_epochs : SCRIPT_MAX_EPOCHS;
	for (size_t i = 0; i < script->n_epochs; i++) {
		memcpy(script->epochs[i], hello->epochs[i]->epoch.data, 16);
		script->tail_seq = hello->epochs[i]->tail_seq;
	}
	snprintf(script->host_id, sizeof(script->host_id), "%s", hello->host_id);
	snprintf(script->agent_version, sizeof(script->agent_version), "%s", hello->agent_version);
	script->hellos++;
	script->expected = 0;
	if (!script->mute_welcome)
		script_put_welcome(script, call);
}

static void script_on_batch(struct script *script, struct rpc_call *call,
			    const Pathbell__V1__Batch *batch)
{
	uint8_t *pos = script->last_events;

	script->batches++;
	script->first_seq = batch->first_seq;
	script->last_seq = batch->first_seq + batch->count - 1;
	script->n_events += batch->n_events;
	script->last_crc = batch->crc32c;
	if (script->expected && script->expected != batch->first_seq)
		script->order_broken = true;
	script->expected = script->last_seq + 1;
	if (batch->count != batch->n_events)
		script->order_broken = true;
	for (size_t i = 0; i < batch->n_events; i++) {
		size_t size = batch->events[i].len;

		if ((size_t)(pos - script->last_events) + size > sizeof(script->last_events))
			break;
		memcpy(pos, batch->events[i].data, size);
		pos += size;
	}
	script->last_events_size = (size_t)(pos - script->last_events);
	if (!script->mute_acks)
		script_put_ack(script, call, batch->epoch, script->last_seq, 2);
}

static void script_on_events(struct rpc_call *call, void *data, const uint8_t *message, size_t size)
{
	struct script *script = data;
	Pathbell__V1__EventsUp *up = codec_unpack(&pathbell__v1__events_up__descriptor,
						  &scan_limits_stream, NULL, message, size, NULL);

	pthread_mutex_lock(&script->lock);
	if (!up) {
		script->order_broken = true;
	} else if (up->message_case == PATHBELL__V1__EVENTS_UP__MESSAGE_HELLO) {
		script_on_hello(script, call, up->hello);
	} else if (up->message_case == PATHBELL__V1__EVENTS_UP__MESSAGE_BATCH) {
		script_on_batch(script, call, up->batch);
	} else if (up->message_case == PATHBELL__V1__EVENTS_UP__MESSAGE_GONE) {
		script->gone_first = up->gone->first_seq;
		script->gone_last = up->gone->last_seq;
		script->gone_reason = up->gone->reason;
		script->expected = up->gone->last_seq + 1;
		script->gones++;
		script_put_ack(script, call, up->gone->epoch, up->gone->last_seq, 2);
	} else if (up->message_case == PATHBELL__V1__EVENTS_UP__MESSAGE_HEARTBEAT) {
		script->beat_tail = up->heartbeat->tail_seq;
		script->heartbeats++;
	}
	if (script->hold_events)
		rpc_call_hold(call, true);
	pthread_cond_broadcast(&script->changed);
	pthread_mutex_unlock(&script->lock);
	if (up)
		protobuf_c_message_free_unpacked(&up->base, NULL);
}

static void script_put_control_welcome(struct rpc_call *call)
{
	Pathbell__V1__ControlDown down = PATHBELL__V1__CONTROL_DOWN__INIT;
	Pathbell__V1__ControlWelcome welcome = PATHBELL__V1__CONTROL_WELCOME__INIT;

	welcome.protocol = 1;
	down.message_case = PATHBELL__V1__CONTROL_DOWN__MESSAGE_WELCOME;
	down.welcome = &welcome;
	script_put(call, &down.base);
}

static void script_on_control(struct rpc_call *call, void *data, const uint8_t *message,
			      size_t size)
{
	struct script *script = data;
	Pathbell__V1__ControlUp *up = codec_unpack(&pathbell__v1__control_up__descriptor,
						   &scan_limits_stream, NULL, message, size, NULL);

	pthread_mutex_lock(&script->lock);
	if (up && up->message_case == PATHBELL__V1__CONTROL_UP__MESSAGE_HELLO) {
		script->control_hellos++;
		script->control_generation = up->hello->session_generation;
		script_put_control_welcome(call);
	} else if (up && up->message_case == PATHBELL__V1__CONTROL_UP__MESSAGE_RECEIPT) {
		memcpy(script->last_receipt, up->receipt->command_id.data, 16);
		script->receipts++;
	}
	pthread_cond_broadcast(&script->changed);
	pthread_mutex_unlock(&script->lock);
	if (up)
		protobuf_c_message_free_unpacked(&up->base, NULL);
}

static void script_on_end(struct rpc_call *call, void *data)
{
	struct script *script = data;

	pthread_mutex_lock(&script->lock);
	script->half_closed++;
	pthread_mutex_unlock(&script->lock);
	rpc_call_finish(call, RPC_OK, NULL);
}

static void script_on_closed(struct rpc_call *call, void *data, int status, const char *details)
{
	struct script *script = data;

	(void)status;
	(void)details;
	pthread_mutex_lock(&script->lock);
	if (script->events == call)
		script->events = NULL;
	if (script->control == call)
		script->control = NULL;
	script->calls_open--;
	pthread_cond_broadcast(&script->changed);
	pthread_mutex_unlock(&script->lock);
}

static const struct rpc_call_ops script_events = { .on_message = script_on_events,
						   .on_end = script_on_end,
						   .on_closed = script_on_closed };
static const struct rpc_call_ops script_control = { .on_message = script_on_control,
						    .on_end = script_on_end,
						    .on_closed = script_on_closed };

static int script_on_call(struct rpc_call *call, void *data, const struct rpc_call_ops **ret_ops,
			  void **ret_data, const char **ret_details)
{
	struct script *script = data;
	bool is_events = strcmp(rpc_call_method(call), "/pathbell.v1.Ingest/Events") == 0;
	int status = RPC_OK;

	pthread_mutex_lock(&script->lock);
	if (!is_events && strcmp(rpc_call_method(call), "/pathbell.v1.Ingest/Control") != 0) {
		status = RPC_UNIMPLEMENTED;
	} else if (script->refuse) {
		status = script->refuse;
		script->refused++;
	} else {
		script->calls_open++;
		*(is_events ? &script->events : &script->control) = call;
	}
	pthread_cond_broadcast(&script->changed);
	pthread_mutex_unlock(&script->lock);
	*ret_ops = is_events ? &script_events : &script_control;
	*ret_data = script;
	*ret_details = "the script says no";
	return status;
}

/* ---- life ---- */

static void script_listen(struct script *script, const char *listen)
{
	const struct rpc_server_options options = {
		.listen = listen,
		.credentials = { pki_path(script->pki, "ca", ".pem"),
				 pki_path(script->pki, "server", ".pem"),
				 pki_path(script->pki, "server", ".key") },
		.data = script,
		.on_call = script_on_call,
	};
	struct errmsg err = { .line = 0 };

	if (rpc_server_new(script->rpc, &options, &script->server, &err) < 0)
		fail_msg("%s", err.text);
}

void script_start(struct script *script, const struct pki *pki)
{
	struct errmsg err = { .line = 0 };

	memset(script, 0, sizeof(*script));
	script->pki = pki;
	script->credit_bytes = UINT64_C(1) << 40;
	script->credit_records = UINT64_C(1) << 40;
	pthread_mutex_init(&script->lock, NULL);
	pthread_cond_init(&script->changed, NULL);
	assert_int_equal(rpc_start(&script->rpc, &err), 0);
	script_listen(script, "127.0.0.1:0");
	snprintf(script->address, sizeof(script->address), "127.0.0.1:%u",
		 rpc_server_port(script->server));
}

void script_kill(struct script *script)
{
	script->server = rpc_server_free(script->server);
}

void script_revive(struct script *script)
{
	script_listen(script, script->address);
}

void script_stop(struct script *script)
{
	rpc_server_free(script->server);
	rpc_stop(script->rpc);
	pthread_cond_destroy(&script->changed);
	pthread_mutex_destroy(&script->lock);
}

void script_wait(struct script *script, const unsigned *counter, unsigned n)
{
	struct timespec deadline;
	int r = 0;

	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += 30;
	pthread_mutex_lock(&script->lock);
	while (*counter < n && r == 0)
		r = pthread_cond_timedwait(&script->changed, &script->lock, &deadline);
	pthread_mutex_unlock(&script->lock);
	if (r != 0)
		fail_msg("waited for %u, have %u", n, *counter);
}

/* ---- orders from the test's thread ---- */

struct script_order {
	struct script *script;
	bool control, finish, done;
	uint8_t *bytes;
	size_t size;
	int status;
	const char *details;
};

static void script_order_now(void *data)
{
	struct script_order *order = data;
	struct script *script = order->script;
	struct rpc_call *call;

	pthread_mutex_lock(&script->lock);
	call = order->control ? script->control : script->events;
	if (call && order->finish)
		rpc_call_finish(call, order->status, order->details);
	else if (call)
		rpc_call_enqueue(call, order->bytes, order->size, SCRIPT_QUEUE);
	order->done = true;
	pthread_cond_broadcast(&script->changed);
	pthread_mutex_unlock(&script->lock);
}

static void script_order_run(struct script_order *order)
{
	struct script *script = order->script;

	rpc_post(script->rpc, script_order_now, order);
	pthread_mutex_lock(&script->lock);
	while (!order->done)
		pthread_cond_wait(&script->changed, &script->lock);
	pthread_mutex_unlock(&script->lock);
}

void script_send_raw(struct script *script, bool control, const void *data, size_t size)
{
	struct script_order order = {
		.script = script, .control = control, .bytes = (void *)data, .size = size
	};

	script_order_run(&order);
}

static void script_send_message(struct script *script, bool control,
				const ProtobufCMessage *message)
{
	uint8_t packed[4096];

	assert_true(protobuf_c_message_get_packed_size(message) <= sizeof(packed));
	script_send_raw(script, control, packed, protobuf_c_message_pack(message, packed));
}

void script_send(struct script *script, const Pathbell__V1__EventsDown *down)
{
	script_send_message(script, false, &down->base);
}

void script_send_control(struct script *script, const Pathbell__V1__ControlDown *down)
{
	script_send_message(script, true, &down->base);
}

void script_ack(struct script *script, size_t epoch, uint64_t seq, int level)
{
	Pathbell__V1__EventsDown down = PATHBELL__V1__EVENTS_DOWN__INIT;
	Pathbell__V1__Ack ack = PATHBELL__V1__ACK__INIT;

	ack.epoch = (ProtobufCBinaryData){ .len = 16, .data = script->epochs[epoch] };
	ack.seq = seq;
	ack.level = (Pathbell__V1__AckLevel)level;
	down.message_case = PATHBELL__V1__EVENTS_DOWN__MESSAGE_ACK;
	down.ack = &ack;
	script_send(script, &down);
}

void script_finish(struct script *script, int status, const char *details)
{
	struct script_order order = {
		.script = script, .finish = true, .status = status, .details = details
	};

	script_order_run(&order);
}
