/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One bidi call, of either side. Each kind of operation has its own tag inside the call, because
 * only one of a kind may be under way (pitfall 1). `refs` counts operations under way and callbacks
 * that run; when it falls to nought after the end is known, on_closed is called and the memory goes
 * (pitfall 4). A message is read only after on_message returned for the one before and while the
 * call is not held, so that a slow user fills the HTTP/2 window and not our memory.
 *
 * End, client: the status came (end_tag). A receive that comes back without bytes says only that
 * there will be no more; the status tells why (pitfall 3). End, server: RECV_CLOSE came back, after
 * the status was sent or because the peer is gone.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/support/alloc.h>
#include <grpc/support/string_util.h>

#include "rpc/internal.h"

struct rpc_out {
	STAILQ_ENTRY(rpc_out) link;
	grpc_byte_buffer *buffer;
	size_t size;
};

#define CALL_OF(tag_pointer, member) \
	((struct rpc_call *)((char *)(tag_pointer)-offsetof(struct rpc_call, member)))

static void rpc_call_flush(struct rpc_call *call);

/* ---- life ---- */

static void rpc_call_sent(struct rpc_tag *tag, bool ok);
static void rpc_call_received(struct rpc_tag *tag, bool ok);

static void rpc_call_tag_done(struct rpc_tag *tag, bool ok)
{
	(void)ok; /* of finish_tag: the end is reported by end_tag */
	rpc_call_unref(CALL_OF(tag, finish_tag));
}

struct rpc_call *rpc_call_alloc(struct rpc *rpc, bool is_server)
{
	struct rpc_call *call = gpr_zalloc(sizeof(*call));

	call->rpc = rpc;
	call->is_server = is_server;
	call->send_tag.done = rpc_call_sent;
	call->receive_tag.done = rpc_call_received;
	call->finish_tag.done = rpc_call_tag_done;
	call->status_details = grpc_empty_slice();
	grpc_metadata_array_init(&call->initial_metadata);
	grpc_metadata_array_init(&call->trailing_metadata);
	STAILQ_INIT(&call->out);
	LIST_INSERT_HEAD(&rpc->calls, call, link);
	return call;
}

static void rpc_call_drop_out(struct rpc_call *call)
{
	struct rpc_out *out;

	while ((out = STAILQ_FIRST(&call->out))) {
		STAILQ_REMOVE_HEAD(&call->out, link);
		grpc_byte_buffer_destroy(out->buffer);
		gpr_free(out);
	}
	call->out_bytes = 0;
}

static void rpc_call_free(struct rpc_call *call)
{
	LIST_REMOVE(call, link);
	rpc_call_drop_out(call);
	grpc_slice_unref(call->status_details);
	gpr_free((void *)call->error_string);
	grpc_metadata_array_destroy(&call->initial_metadata);
	grpc_metadata_array_destroy(&call->trailing_metadata);
	if (call->call)
		grpc_call_unref(call->call);
	gpr_free(call->finish_details);
	gpr_free(call->method);
	gpr_free(call);
}

void rpc_call_ref(struct rpc_call *call)
{
	call->refs++;
}

static void rpc_call_report_closed(struct rpc_call *call)
{
	char *details = grpc_slice_to_c_string(call->status_details);
	int status =
		call->is_server ? (call->cancelled ? RPC_CANCELLED : RPC_OK) : (int)call->status;

	if (call->ops && call->ops->on_closed)
		call->ops->on_closed(call, call->data, status, details);
	gpr_free(details);
}

void rpc_call_unref(struct rpc_call *call)
{
	if (--call->refs > 0)
		return;
	call->refs = 1; /* for on_closed */
	rpc_call_report_closed(call);
	rpc_call_free(call);
}

/* Starts operations; the tag holds a reference until it is back. */
int rpc_call_batch(struct rpc_call *call, const grpc_op *ops, size_t n_ops, struct rpc_tag *tag)
{
	grpc_call_error error;

	rpc_tag_start(call->rpc, tag);
	rpc_call_ref(call);
	error = grpc_call_start_batch(call->call, ops, n_ops, tag, NULL);
	if (error == GRPC_CALL_OK)
		return 0;
	rpc_tag_cancel(call->rpc);
	call->refs--;
	return -EINVAL;
}

/* ---- receiving ---- */

void rpc_call_receive(struct rpc_call *call)
{
	grpc_op op = { .op = GRPC_OP_RECV_MESSAGE };

	if (call->receiving || call->held || call->ended || call->peer_ended ||
	    (call->is_server && call->finished))
		return;
	op.data.recv_message.recv_message = &call->receive_buffer;
	if (rpc_call_batch(call, &op, 1, &call->receive_tag) == 0)
		call->receiving = true;
}

/* Contiguous bytes: in place when gRPC has them in one slice, which small messages are. */
static void rpc_call_deliver(struct rpc_call *call, grpc_byte_buffer *buffer)
{
	grpc_slice_buffer *slices = &buffer->data.raw.slice_buffer;
	grpc_byte_buffer_reader reader;
	grpc_slice all;

	if (slices->count == 1) {
		call->ops->on_message(call, call->data, GRPC_SLICE_START_PTR(slices->slices[0]),
				      GRPC_SLICE_LENGTH(slices->slices[0]));
		return;
	}
	if (!grpc_byte_buffer_reader_init(&reader, buffer)) {
		rpc_call_cancel(call);
		return;
	}
	all = grpc_byte_buffer_reader_readall(&reader);
	call->ops->on_message(call, call->data, GRPC_SLICE_START_PTR(all), GRPC_SLICE_LENGTH(all));
	grpc_slice_unref(all);
	grpc_byte_buffer_reader_destroy(&reader);
}

static void rpc_call_peer_end(struct rpc_call *call)
{
	call->peer_ended = true;
	/* After a cancel or a lost peer there is no message either (pitfall 3): that is no orderly
	 * end. */
	if (call->ended || !call->ops || !call->ops->on_end ||
	    grpc_call_failed_before_recv_message(call->call))
		return;
	call->ops->on_end(call, call->data);
}

static void rpc_call_received(struct rpc_tag *tag, bool ok)
{
	struct rpc_call *call = CALL_OF(tag, receive_tag);
	grpc_byte_buffer *buffer = call->receive_buffer;

	call->receiving = false;
	call->receive_buffer = NULL;
	if (buffer && ok && call->ops) {
		rpc_call_deliver(call, buffer);
		rpc_call_receive(call);
	} else if (!buffer) {
		rpc_call_peer_end(call);
	}
	if (buffer)
		grpc_byte_buffer_destroy(buffer);
	rpc_call_unref(call);
}

void rpc_call_hold(struct rpc_call *call, bool hold)
{
	call->held = hold;
	if (!hold && call->ops)
		rpc_call_receive(call);
}

/* ---- sending ---- */

static grpc_byte_buffer *rpc_call_gather(const struct iovec *parts, int n_parts, size_t size)
{
	grpc_slice slice = grpc_slice_malloc(size);
	uint8_t *pos = GRPC_SLICE_START_PTR(slice);
	grpc_byte_buffer *buffer;

	for (int i = 0; i < n_parts; i++) {
		if (parts[i].iov_len)
			memcpy(pos, parts[i].iov_base, parts[i].iov_len);
		pos += parts[i].iov_len;
	}
	buffer = grpc_raw_byte_buffer_create(&slice, 1);
	grpc_slice_unref(slice);
	return buffer;
}

static grpc_op rpc_call_headers_op(struct rpc_call *call)
{
	call->headers_sent = true;
	return (grpc_op){ .op = GRPC_OP_SEND_INITIAL_METADATA };
}

static int rpc_call_start_send(struct rpc_call *call, grpc_byte_buffer *buffer)
{
	grpc_op ops[2];
	size_t n_ops = 0;

	if (!call->headers_sent)
		ops[n_ops++] = rpc_call_headers_op(call);
	ops[n_ops] = (grpc_op){ .op = GRPC_OP_SEND_MESSAGE };
	ops[n_ops++].data.send_message.send_message = buffer;
	if (rpc_call_batch(call, ops, n_ops, &call->send_tag) < 0) {
		grpc_byte_buffer_destroy(buffer);
		return RPC_E_CLOSED;
	}
	call->sending = true;
	call->send_buffer = buffer; /* destroyed after the tag (pitfall 5) */
	return 0;
}

static bool rpc_call_is_writable(const struct rpc_call *call)
{
	return !call->ended && !call->finishing && !call->finished;
}

int rpc_call_send(struct rpc_call *call, const struct iovec *parts, int n_parts)
{
	size_t size = 0;

	if (!rpc_call_is_writable(call))
		return RPC_E_CLOSED;
	if (call->sending || !STAILQ_EMPTY(&call->out))
		return RPC_E_BUSY;
	for (int i = 0; i < n_parts; i++)
		size += parts[i].iov_len;
	return rpc_call_start_send(call, rpc_call_gather(parts, n_parts, size));
}

int rpc_call_enqueue(struct rpc_call *call, const void *message, size_t size, size_t max_bytes)
{
	struct iovec part = { .iov_base = (void *)message, .iov_len = size };
	struct rpc_out *out;

	if (!rpc_call_is_writable(call))
		return RPC_E_CLOSED;
	if (!call->sending && STAILQ_EMPTY(&call->out))
		return rpc_call_start_send(call, rpc_call_gather(&part, 1, size));
	if (call->out_bytes + size > max_bytes)
		return -ENOBUFS;
	out = gpr_malloc(sizeof(*out));
	*out = (struct rpc_out){ .buffer = rpc_call_gather(&part, 1, size), .size = size };
	STAILQ_INSERT_TAIL(&call->out, out, link);
	call->out_bytes += size;
	return 0;
}

size_t rpc_call_queued(const struct rpc_call *call)
{
	return call->out_bytes;
}

static void rpc_call_sent(struct rpc_tag *tag, bool ok)
{
	struct rpc_call *call = CALL_OF(tag, send_tag);

	call->sending = false;
	grpc_byte_buffer_destroy(call->send_buffer);
	call->send_buffer = NULL;
	if (!ok || call->ended)
		rpc_call_drop_out(call); /* the end is on its way */
	else
		rpc_call_flush(call);
	if (ok && !call->ended && !call->sending && !call->finishing && call->ops &&
	    call->ops->on_sent)
		call->ops->on_sent(call, call->data);
	rpc_call_unref(call);
}

void rpc_call_headers(struct rpc_call *call)
{
	grpc_op op;

	if (call->headers_sent || call->ended)
		return;
	op = rpc_call_headers_op(call);
	if (rpc_call_batch(call, &op, 1, &call->headers_tag) < 0)
		rpc_call_cancel(call);
}

/* ---- ending ---- */

static void rpc_call_send_finish(struct rpc_call *call)
{
	grpc_slice details;
	grpc_op ops[2];
	size_t n_ops = 0;

	call->finishing = false;
	call->finished = true;
	if (!call->is_server) {
		ops[n_ops++] = (grpc_op){ .op = GRPC_OP_SEND_CLOSE_FROM_CLIENT };
		rpc_call_batch(call, ops, n_ops, &call->finish_tag);
		return;
	}
	details = grpc_slice_from_copied_string(call->finish_details ? call->finish_details : "");
	if (!call->headers_sent)
		ops[n_ops++] = rpc_call_headers_op(call);
	ops[n_ops] = (grpc_op){ .op = GRPC_OP_SEND_STATUS_FROM_SERVER };
	ops[n_ops].data.send_status_from_server.status = (grpc_status_code)call->finish_status;
	ops[n_ops++].data.send_status_from_server.status_details = &details;
	if (rpc_call_batch(call, ops, n_ops, &call->finish_tag) < 0)
		rpc_call_cancel(call);
	grpc_slice_unref(details);
}

/* The next message that waits, then the end that waits. */
static void rpc_call_flush(struct rpc_call *call)
{
	struct rpc_out *out = STAILQ_FIRST(&call->out);

	if (call->sending || call->ended)
		return;
	if (out) {
		STAILQ_REMOVE_HEAD(&call->out, link);
		call->out_bytes -= out->size;
		rpc_call_start_send(call, out->buffer);
		gpr_free(out);
		return;
	}
	if (call->finishing)
		rpc_call_send_finish(call);
}

void rpc_call_finish(struct rpc_call *call, int status, const char *details)
{
	if (!rpc_call_is_writable(call))
		return;
	call->finishing = true;
	call->finish_status = status;
	call->finish_details = gpr_strdup(details ? details : "");
	rpc_call_flush(call);
}

void rpc_call_cancel(struct rpc_call *call)
{
	if (!call->ended)
		grpc_call_cancel(call->call, NULL);
}

/* ---- questions ---- */

void *rpc_call_data(const struct rpc_call *call)
{
	return call->data;
}

const struct rpc_peer *rpc_call_peer(const struct rpc_call *call)
{
	return &call->peer;
}

const char *rpc_call_method(const struct rpc_call *call)
{
	return call->method;
}
