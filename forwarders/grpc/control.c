/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Control stream: commands down, receipts up. A command is passed to the agent as it came; who
 * signed it and whether it may run is decided there, by a process that never saw the network.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "connection.h"
#include "link.h"

#define CONTROL_PROTOCOL     1
#define CONTROL_MAX_ENVELOPE 131072
#define CONTROL_MAX_UP	     4096 /* bytes of ControlHello and of receipts that wait */

static const struct scan_limits control_limits = { .max_size = CONNECTION_MAX_MESSAGE,
						   .max_fields = 256,
						   .max_depth = 3,
						   .max_elements = 16,
						   .max_allocation = 256 * 1024 };

static int control_send(struct connection *connection, const Pathbell__V1__ControlUp *up)
{
	uint8_t packed[512];

	if (pathbell__v1__control_up__get_packed_size(up) > sizeof(packed))
		return -EMSGSIZE;
	return rpc_call_enqueue(connection->control, packed,
				pathbell__v1__control_up__pack(up, packed), CONTROL_MAX_UP);
}

int control_send_hello(struct connection *connection)
{
	Pathbell__V1__ControlUp up = PATHBELL__V1__CONTROL_UP__INIT;
	Pathbell__V1__ControlHello hello = PATHBELL__V1__CONTROL_HELLO__INIT;

	hello.protocol_min = CONTROL_PROTOCOL;
	hello.protocol_max = CONTROL_PROTOCOL;
	hello.host_id = connection->link->settings.host_id;
	hello.session_generation = connection->generation;
	up.message_case = PATHBELL__V1__CONTROL_UP__MESSAGE_HELLO;
	up.hello = &hello;
	return control_send(connection, &up);
}

/* A receipt that is lost costs a second delivery, which the agent answers from its journal. */
void connection_on_receipt(struct connection *connection, const struct frame_receipt *receipt)
{
	Pathbell__V1__ControlUp up = PATHBELL__V1__CONTROL_UP__INIT;
	Pathbell__V1__CommandReceipt message = PATHBELL__V1__COMMAND_RECEIPT__INIT;

	if (!connection->control || connection->step == CONNECTION_CLOSING)
		return;
	message.command_id =
		(ProtobufCBinaryData){ .len = 16, .data = (uint8_t *)receipt->command_id };
	up.message_case = PATHBELL__V1__CONTROL_UP__MESSAGE_RECEIPT;
	up.receipt = &message;
	if (control_send(connection, &up) != 0)
		connection->link->counts.dropped_frames++;
}

static void control_on_command(struct connection *connection,
			       const Pathbell__V1__CommandDelivery *command)
{
	struct frame frame = { .type = FRAME_COMMAND };

	if (command->envelope.len == 0 || command->envelope.len > CONTROL_MAX_ENVELOPE) {
		connection_protocol_error(connection, "Control",
					  "a command without envelope, or above 128 KiB");
		return;
	}
	frame.command = (struct frame_command){ command->envelope.data, command->envelope.len };
	outbox_send(connection->link->outbox, &frame);
	connection->link->counts.commands++;
}

static void control_dispatch(struct connection *connection, const Pathbell__V1__ControlDown *down)
{
	switch (down->message_case) {
	case PATHBELL__V1__CONTROL_DOWN__MESSAGE_WELCOME:
		if (down->welcome->protocol != CONTROL_PROTOCOL)
			connection_protocol_error(connection, "Control",
						  "a protocol that we did not offer");
		else
			connection_server_ready(connection);
		break;
	case PATHBELL__V1__CONTROL_DOWN__MESSAGE_COMMAND:
		control_on_command(connection, down->command);
		break;
	case PATHBELL__V1__CONTROL_DOWN__MESSAGE_DRAIN:
		events_on_drain(connection, down->drain);
		break;
	case PATHBELL__V1__CONTROL_DOWN__MESSAGE_GOODBYE:
		events_on_goodbye(connection, down->goodbye);
		break;
	default:
		connection->link->counts.unknown_messages++;
		break;
	}
}

static void control_on_message(struct rpc_call *call, void *data, const uint8_t *message,
			       size_t size)
{
	struct connection *connection = data;
	Pathbell__V1__ControlDown *down;
	struct errmsg err = { .line = 0 };

	(void)call;
	if (connection->step == CONNECTION_CLOSING)
		return;
	arena_reset(connection->arena);
	down = codec_unpack(&pathbell__v1__control_down__descriptor, &control_limits,
			    connection->arena, message, size, &err);
	if (!down) {
		connection_protocol_error(connection, "Control", err.text);
		return;
	}
	control_dispatch(connection, down);
	link_check_outbox(connection->link, connection);
}

static void control_on_closed(struct rpc_call *call, void *data, int status, const char *details)
{
	struct connection *connection = data;

	(void)call;
	connection->control = NULL;
	connection_stream_closed(connection, status, details);
}

const struct rpc_call_ops control_ops = {
	.on_message = control_on_message,
	.on_closed = control_on_closed,
};
