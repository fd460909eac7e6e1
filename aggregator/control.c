/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aggregator/campaign/campaigns.h"
#include "aggregator/commands.h"
#include "aggregator/peer.h"
#include "core/clock.h"
#include "core/log.h"
#include "proto/codec.h"

#define CONTROL_SEND_MAX (1u << 20)

struct control {
	struct aggregator *aggregator;
	struct rpc_call *call;
	struct host *host; /* after ControlHello */
	struct caller caller;
	uint64_t generation;
	bool is_closed;
};

static int control_send(struct control *control, const Pathbell__V1__ControlDown *message)
{
	size_t size = pathbell__v1__control_down__get_packed_size(message);
	uint8_t *bytes = malloc(size);
	int r;

	if (!bytes)
		return -ENOBUFS;
	pathbell__v1__control_down__pack(message, bytes);
	r = rpc_call_enqueue(control->call, bytes, size, CONTROL_SEND_MAX);
	free(bytes);
	return r == RPC_E_CLOSED ? -EPIPE : r;
}

int control_send_command(struct control *control, const uint8_t *envelope, size_t size)
{
	Pathbell__V1__ControlDown message = PATHBELL__V1__CONTROL_DOWN__INIT;
	Pathbell__V1__CommandDelivery delivery = PATHBELL__V1__COMMAND_DELIVERY__INIT;

	if (control->is_closed)
		return -EPIPE;
	delivery.envelope.data = (uint8_t *)envelope;
	delivery.envelope.len = size;
	message.message_case = PATHBELL__V1__CONTROL_DOWN__MESSAGE_COMMAND;
	message.command = &delivery;
	return control_send(control, &message);
}

static void control_close(struct control *control, int status, const char *reason, const char *text)
{
	static struct log_limit limit;
	Pathbell__V1__ControlDown message = PATHBELL__V1__CONTROL_DOWN__INIT;
	Pathbell__V1__Goodbye goodbye = PATHBELL__V1__GOODBYE__INIT;

	if (control->is_closed)
		return;
	log_limited(&limit, LOG_LEVEL_WARNING, "control closed host=%s reason=%s detail=\"%s\"",
		    control->caller.name, reason, text);
	goodbye.reason = (char *)reason;
	goodbye.detail = (char *)text;
	message.message_case = PATHBELL__V1__CONTROL_DOWN__MESSAGE_GOODBYE;
	message.goodbye = &goodbye;
	control_send(control, &message);
	control->is_closed = true;
	rpc_call_finish(control->call, status, text);
}

static void control_protocol(struct control *control, const char *text)
{
	counter_add(&control->aggregator->metrics.refused_protocol, 1);
	control_close(control, RPC_INVALID_ARGUMENT, "protocol", text);
}

/* False: refused. */
static bool control_fence(struct control *control, struct host *host)
{
	struct control *other = host->control;

	if (!other)
		return true;
	if (!other->is_closed && other->generation >= control->generation) {
		counter_add(&control->aggregator->metrics.refused_fenced, 1);
		control_close(control, RPC_ABORTED, "fenced",
			      "another session of this host has the same or a higher generation");
		return false;
	}
	control_close(other, RPC_ABORTED, "fenced", "a newer session of this host has connected");
	other->host = NULL;
	host->control = NULL;
	commands_disconnected(control->aggregator->commands, host->id);
	return true;
}

static void control_welcome(struct control *control)
{
	Pathbell__V1__ControlDown message = PATHBELL__V1__CONTROL_DOWN__INIT;
	Pathbell__V1__ControlWelcome welcome = PATHBELL__V1__CONTROL_WELCOME__INIT;

	welcome.protocol = PEER_PROTOCOL;
	welcome.unix_ns = clock_realtime_ns();
	message.message_case = PATHBELL__V1__CONTROL_DOWN__MESSAGE_WELCOME;
	message.welcome = &welcome;
	control_send(control, &message);
}

static void control_on_hello(struct control *control, const Pathbell__V1__ControlHello *hello)
{
	struct aggregator *aggregator = control->aggregator;
	struct host *host;

	if (control->host) {
		control_protocol(control, "a second ControlHello");
		return;
	}
	if (strcmp(hello->host_id, control->caller.name) != 0) {
		counter_add(&aggregator->metrics.refused_host_id, 1);
		control_close(control, RPC_PERMISSION_DENIED, "host_id_mismatch",
			      "ControlHello.host_id is not the certificate's");
		return;
	}
	if (hello->protocol_min > PEER_PROTOCOL || hello->protocol_max < PEER_PROTOCOL) {
		control_protocol(control, "no protocol version in common");
		return;
	}
	host = hosts_add(aggregator->hosts, control->caller.name,
			 aggregator->live.ingest.max_hosts);
	if (!host) {
		counter_add(&aggregator->metrics.refused_limit, 1);
		control_close(control, RPC_RESOURCE_EXHAUSTED, "busy",
			      "ingest.max_hosts hosts are connected");
		return;
	}
	control->generation = hello->session_generation;
	if (!control_fence(control, host))
		return;
	control->host = host;
	host->control = control;
	control_welcome(control);
	commands_deliver(aggregator->commands, host);
	campaigns_on_host(aggregator->campaigns);
}

static void control_on_receipt(struct control *control, const Pathbell__V1__CommandReceipt *receipt)
{
	if (!control->host)
		control_protocol(control, "a receipt before ControlHello");
	else if (receipt->command_id.len != 16)
		control_protocol(control, "CommandReceipt.command_id is not 16 bytes");
	else
		commands_on_receipt(control->aggregator->commands, control->caller.name,
				    receipt->command_id.data);
}

static void control_act(struct control *control, const Pathbell__V1__ControlUp *message)
{
	if (control->host)
		control->host->last_heard_ns = clock_monotonic_ns();
	switch (message->message_case) {
	case PATHBELL__V1__CONTROL_UP__MESSAGE_HELLO:
		control_on_hello(control, message->hello);
		break;
	case PATHBELL__V1__CONTROL_UP__MESSAGE_RECEIPT:
		control_on_receipt(control, message->receipt);
		break;
	case PATHBELL__V1__CONTROL_UP__MESSAGE_HEARTBEAT:
		counter_add(&control->aggregator->metrics.heartbeats, 1);
		break;
	default:
		control_protocol(control, "a message of no known kind");
		break;
	}
}

static void control_on_message(struct rpc_call *call, void *data, const uint8_t *message,
			       size_t size)
{
	struct control *control = data;
	struct errmsg err = { 0 };
	Pathbell__V1__ControlUp *up;

	if (control->is_closed)
		return;
	up = codec_unpack(&pathbell__v1__control_up__descriptor, &scan_limits_request, NULL,
			  message, size, &err);
	if (!up) {
		control_protocol(control, err.text);
		return;
	}
	control_act(control, up);
	protobuf_c_message_free_unpacked(&up->base, NULL);
}

static void control_on_sent(struct rpc_call *call, void *data)
{
	struct control *control = data;

	if (control->host && !control->is_closed)
		commands_deliver(control->aggregator->commands, control->host);
}

static void control_on_end(struct rpc_call *call, void *data)
{
	rpc_call_finish(call, RPC_OK, "");
}

static void control_on_closed(struct rpc_call *call, void *data, int status, const char *details)
{
	struct control *control = data;
	struct aggregator *aggregator = control->aggregator;
	struct host *host = control->host;

	counter_add(&aggregator->metrics.sessions_control, (uint64_t)-1);
	if (host && host->control == control) {
		host->control = NULL;
		commands_disconnected(aggregator->commands, host->id);
		hosts_release(aggregator->hosts, host);
	}
	free(control);
}

static const struct rpc_call_ops control_ops = {
	.on_message = control_on_message,
	.on_sent = control_on_sent,
	.on_end = control_on_end,
	.on_closed = control_on_closed,
};

int control_on_call(struct aggregator *aggregator, struct rpc_call *call,
		    const struct caller *caller, const struct rpc_call_ops **ret_ops,
		    void **ret_data, const char **ret_details)
{
	struct control *control;

	if (aggregator->is_stopping) {
		*ret_details = "the aggregator stops";
		return RPC_UNAVAILABLE;
	}
	control = calloc(1, sizeof(*control));
	if (!control) {
		*ret_details = "no memory";
		return RPC_RESOURCE_EXHAUSTED;
	}
	control->aggregator = aggregator;
	control->call = call;
	control->caller = *caller;
	counter_add(&aggregator->metrics.sessions_control, 1);
	*ret_ops = &control_ops;
	*ret_data = control;
	return RPC_OK;
}

void control_end(struct host *host)
{
	if (host->control)
		control_close(host->control, RPC_UNAVAILABLE, "shutdown", "the aggregator stops");
}
