/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/client.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/fd.h"
#include "ctl/when.h"
#include "proto/codec.h"
#include "rpc/rpc.h"

/*
 * The gRPC thread owns the call; the main thread waits in poll(2) on an eventfd and, when
 * interrupts are caught, on a signalfd. Between them is a queue of message copies under a mutex.
 *
 * Happy path: 1. client_stream_open packs the request and posts the start. 2. On the gRPC thread
 * the call is made, the request sent, half-closed. 3. on_message copies into the queue and raises
 * the eventfd; with CLIENT_QUEUE_HIGH waiting, reading is held, so that a slow terminal is felt by
 * the server as HTTP/2 back-pressure and memory stays bounded. 4. on_closed leaves the status.
 *
 * A stream is freed only after its last posted function has run (`released`) and on_closed came:
 * posting is in order, so nothing can arrive at freed memory. `call` is touched on the gRPC thread
 * alone.
 */

#define CLIENT_QUEUE_HIGH  64
#define CLIENT_QUEUE_LOW   16
#define CLIENT_MAX_MESSAGE (16U << 20)

/* Pages of 1000 events, records of 10000 hosts: larger than what a daemon accepts of its peers. */
static const struct scan_limits client_limits = {
	.max_size = CLIENT_MAX_MESSAGE,
	.max_fields = 2000000,
	.max_depth = 12,
	.max_elements = 20000,
	.max_allocation = 256U << 20,
};

struct client {
	const struct settings *settings;
	struct rpc *rpc;
	struct rpc_channel *channel; /* gRPC thread */
	int signal_fd;
};

struct client_message {
	STAILQ_ENTRY(client_message) entry;
	size_t size;
	uint8_t data[];
};

struct client_stream {
	struct client *client;
	const char *method;
	const ProtobufCMessageDescriptor *reply;
	uint8_t *request;
	size_t request_size;
	uint32_t deadline_ms;
	int event_fd;

	struct rpc_call *call; /* gRPC thread */

	pthread_mutex_t lock;
	STAILQ_HEAD(, client_message) queue;
	size_t n_queued;
	bool held, closed, released;
	int status;
	char details[512], reason[512];
};

/* ---- on the gRPC thread ---- */

static void client_wake(int event_fd)
{
	uint64_t one = 1;
	ssize_t r = write(event_fd, &one, sizeof(one));

	(void)r; /* it can only be full, and then it is readable anyway */
}

static void client_end(struct client_stream *stream, int status, const char *details)
{
	pthread_mutex_lock(&stream->lock);
	stream->closed = true;
	stream->status = status;
	snprintf(stream->details, sizeof(stream->details), "%s", details ? details : "");
	if (stream->client->channel)
		snprintf(stream->reason, sizeof(stream->reason), "%s",
			 rpc_channel_last_error(stream->client->channel));
	client_wake(stream->event_fd); /* under the lock: behind it the stream may be freed */
	pthread_mutex_unlock(&stream->lock);
}

static void client_on_message(struct rpc_call *call, void *data, const uint8_t *bytes, size_t size)
{
	struct client_stream *stream = data;
	struct client_message *message = malloc(sizeof(*message) + size);
	bool hold;

	if (!message) {
		rpc_call_cancel(call);
		return;
	}
	message->size = size;
	memcpy(message->data, bytes, size);
	pthread_mutex_lock(&stream->lock);
	STAILQ_INSERT_TAIL(&stream->queue, message, entry);
	hold = ++stream->n_queued >= CLIENT_QUEUE_HIGH && !stream->held;
	stream->held |= hold;
	pthread_mutex_unlock(&stream->lock);
	if (hold)
		rpc_call_hold(call, true);
	client_wake(stream->event_fd);
}

static void client_on_closed(struct rpc_call *call, void *data, int status, const char *details)
{
	struct client_stream *stream = data;

	stream->call = NULL;
	client_end(stream, status, details);
}

static const struct rpc_call_ops client_ops = { .on_message = client_on_message,
						.on_closed = client_on_closed };

static void client_do_start(void *data)
{
	struct client_stream *stream = data;
	struct iovec request = { stream->request, stream->request_size };
	int r = rpc_call_new(stream->client->channel, stream->method, stream->deadline_ms,
			     &client_ops, stream, &stream->call);

	if (r == 0 && rpc_call_send(stream->call, &request, 1) == 0)
		rpc_call_finish(stream->call, RPC_OK, NULL);
	else if (r != 0)
		client_end(stream, RPC_INTERNAL, "the call could not be made");
	/* A send that failed means that the call has ended: on_closed tells. */
}

static void client_do_unhold(void *data)
{
	struct client_stream *stream = data;

	if (stream->call)
		rpc_call_hold(stream->call, false);
}

static void client_do_release(void *data)
{
	struct client_stream *stream = data;

	if (stream->call)
		rpc_call_cancel(stream->call);
	pthread_mutex_lock(&stream->lock);
	stream->released = true;
	client_wake(stream->event_fd);
	pthread_mutex_unlock(&stream->lock);
}

/* ---- running a function on the gRPC thread and waiting for it ---- */

struct client_errand {
	struct client *client;
	struct errmsg err;
	int result;
	int event_fd;
};

static void client_do_channel(void *data)
{
	struct client_errand *errand = data;
	const struct settings *settings = errand->client->settings;
	const struct rpc_channel_options options = {
		.target = settings->server,
		.server_name = settings->server_name && *settings->server_name
				       ? settings->server_name
				       : NULL,
		.credentials = { settings->ca_file, settings->certificate_file,
				 settings->key_file },
		.keepalive_ns = 20 * CLOCK_NS_PER_S,
		.keepalive_timeout_ns = 10 * CLOCK_NS_PER_S,
		.max_message = CLIENT_MAX_MESSAGE,
	};
	int event_fd = errand->event_fd;

	if (errand->client->channel)
		errand->client->channel = rpc_channel_free(errand->client->channel);
	else
		errand->result = rpc_channel_new(errand->client->rpc, &options,
						 &errand->client->channel, &errand->err);
	client_wake(event_fd); /* the errand is on the waiter's stack: not touched behind this */
}

/* Makes the channel, or frees it. */
static int client_run_channel(struct client *client, struct errmsg *err)
{
	struct client_errand errand = { .client = client, .event_fd = eventfd(0, EFD_CLOEXEC) };
	uint64_t count;

	if (errand.event_fd < 0) {
		errmsg_set(err, "eventfd: %s", strerror(errno));
		return -EMFILE;
	}
	rpc_post(client->rpc, client_do_channel, &errand);
	while (read(errand.event_fd, &count, sizeof(count)) < 0 && errno == EINTR)
		;
	fd_close(errand.event_fd);
	if (err)
		*err = errand.err;
	return errand.result;
}

/* ---- opening ---- */

static int client_check_file(const char *path, const char *option, const char *how)
{
	if (path && *path) {
		if (access(path, R_OK) == 0)
			return CLI_OK;
		return cli_fail(errno == ENOENT ? CLI_NOT_FOUND : CLI_PERMISSION, "%s: %s; %s",
				path, strerror(errno), how);
	}
	return cli_fail(CLI_CONFIG, "no %s: set %s_file in pathbell.yaml or give --%s; %s", option,
			option, option, how);
}

static int client_check_certificate(const struct settings *settings)
{
	struct rpc_credentials credentials = { settings->ca_file, settings->certificate_file,
					       settings->key_file };
	struct rpc_certificate certificate;
	struct errmsg err = { 0 };
	char when[WHEN_TEXT_SIZE];
	uint64_t now_ns = clock_realtime_ns();

	if (rpc_credentials_check(&credentials, &err) != 0 ||
	    rpc_certificate_read(settings->certificate_file, &certificate, &err) != 0)
		return cli_fail_errmsg(CLI_PERMISSION, &err);
	if (certificate.not_after_unix_ns <= now_ns) {
		when_format(certificate.not_after_unix_ns, false, when);
		return cli_fail(CLI_PERMISSION,
				"%s expired on %s; make a new one: pathbell pki operator NAME "
				"--dir DIR --force",
				settings->certificate_file, when);
	}
	if (certificate.not_before_unix_ns > now_ns) {
		when_format(certificate.not_before_unix_ns, false, when);
		return cli_fail(CLI_PERMISSION,
				"%s is not valid before %s; check this machine's clock",
				settings->certificate_file, when);
	}
	return CLI_OK;
}

static int client_check(const struct settings *settings)
{
	const char *colon = strrchr(settings->server, ':');
	int code;

	if (!colon || colon == settings->server || !colon[1] ||
	    strspn(colon + 1, "0123456789") != strlen(colon + 1))
		return cli_fail(CLI_USAGE, "server '%s' is not HOST:PORT", settings->server);
	code = client_check_file(settings->ca_file, "ca", "it is the ca.pem of: pathbell pki init");
	if (code == CLI_OK)
		code = client_check_file(settings->certificate_file, "certificate",
					 "make one: pathbell pki operator NAME --dir DIR");
	if (code == CLI_OK)
		code = client_check_file(settings->key_file, "key",
					 "it is the .key beside the certificate");
	return code == CLI_OK ? client_check_certificate(settings) : code;
}

int client_open(const struct settings *settings, struct client **ret_client)
{
	struct errmsg err = { 0 };
	struct client *client;
	int code = client_check(settings);

	if (code != CLI_OK)
		return code;
	client = calloc(1, sizeof(*client));
	if (!client)
		return cli_fail(CLI_FAILED, "out of memory");
	client->settings = settings;
	client->signal_fd = -1;
	if (rpc_start(&client->rpc, &err) != 0 || client_run_channel(client, &err) != 0) {
		client_close(client);
		return cli_fail_errmsg(CLI_FAILED, &err);
	}
	*ret_client = client;
	return CLI_OK;
}

struct client *client_close(struct client *client)
{
	if (!client)
		return NULL;
	if (client->channel)
		client_run_channel(client, NULL);
	if (client->rpc)
		client->rpc = rpc_stop(client->rpc);
	fd_close(client->signal_fd);
	free(client);
	return NULL;
}

int client_catch_interrupts(struct client *client)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &signals, NULL) == 0)
		client->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (client->signal_fd < 0)
		return cli_fail(CLI_FAILED, "signalfd: %s", strerror(errno));
	return CLI_OK;
}

/* 0 = the event came; CLIENT_E_TIMEOUT, CLIENT_E_INTERRUPTED. */
static int client_poll(const struct client *client, int event_fd, uint64_t deadline_ns)
{
	struct pollfd fds[] = { { .fd = event_fd, .events = POLLIN },
				{ .fd = client->signal_fd, .events = POLLIN } };

	for (;;) {
		uint64_t now_ns = clock_monotonic_ns();
		uint64_t left_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
		struct timespec left = { (time_t)(left_ns / CLOCK_NS_PER_S),
					 (long)(left_ns % CLOCK_NS_PER_S) };
		int n = ppoll(fds, 2, deadline_ns ? &left : NULL, NULL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n > 0 && fds[1].revents)
			return CLIENT_E_INTERRUPTED;
		return n > 0 ? 0 : CLIENT_E_TIMEOUT;
	}
}

bool client_is_interrupted(const struct client *client)
{
	struct pollfd fd = { .fd = client->signal_fd, .events = POLLIN };

	return client->signal_fd >= 0 && poll(&fd, 1, 0) > 0;
}

int client_reconnect(struct client *client)
{
	struct errmsg err = { 0 };

	if (client->channel)
		client_run_channel(client, NULL);
	return client_run_channel(client, &err) == 0 ? CLI_OK : cli_fail_errmsg(CLI_FAILED, &err);
}

bool client_pause(struct client *client, uint64_t ns)
{
	return client_poll(client, -1, clock_monotonic_ns() + ns) == CLIENT_E_INTERRUPTED;
}

/* ---- streams ---- */

static struct client_stream *client_stream_start(struct client *client, const char *method,
						 const ProtobufCMessage *request,
						 const ProtobufCMessageDescriptor *reply,
						 uint64_t deadline_ns)
{
	struct client_stream *stream = calloc(1, sizeof(*stream));

	if (!stream)
		return NULL;
	stream->client = client;
	stream->method = method;
	stream->reply = reply;
	stream->deadline_ms = (uint32_t)(deadline_ns / CLOCK_NS_PER_MS);
	stream->request_size = protobuf_c_message_get_packed_size(request);
	stream->request = malloc(stream->request_size + 1);
	stream->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!stream->request || stream->event_fd < 0) {
		fd_close(stream->event_fd);
		free(stream->request);
		free(stream);
		return NULL;
	}
	protobuf_c_message_pack(request, stream->request);
	STAILQ_INIT(&stream->queue);
	pthread_mutex_init(&stream->lock, NULL);
	rpc_post(client->rpc, client_do_start, stream);
	return stream;
}

struct client_stream *client_stream_open(struct client *client, const char *method,
					 const ProtobufCMessage *request,
					 const ProtobufCMessageDescriptor *reply)
{
	return client_stream_start(client, method, request, reply, 0);
}

static void client_drain_event(const struct client_stream *stream)
{
	uint64_t count;
	ssize_t r = read(stream->event_fd, &count, sizeof(count));

	(void)r;
}

static bool client_is_over(struct client_stream *stream)
{
	bool over;

	pthread_mutex_lock(&stream->lock);
	over = stream->closed && stream->released;
	pthread_mutex_unlock(&stream->lock);
	return over;
}

struct client_stream *client_stream_close(struct client_stream *stream)
{
	struct client_message *message;
	struct pollfd fd;

	if (!stream)
		return NULL;
	rpc_post(stream->client->rpc, client_do_release, stream);
	fd = (struct pollfd){ .fd = stream->event_fd, .events = POLLIN };
	while (!client_is_over(stream)) {
		poll(&fd, 1, -1);
		client_drain_event(stream);
	}
	while ((message = STAILQ_FIRST(&stream->queue))) {
		STAILQ_REMOVE_HEAD(&stream->queue, entry);
		free(message);
	}
	pthread_mutex_destroy(&stream->lock);
	fd_close(stream->event_fd);
	free(stream->request);
	free(stream);
	return NULL;
}

static struct client_message *client_pop(struct client_stream *stream, bool *ret_closed)
{
	struct client_message *message;
	bool unhold = false;

	pthread_mutex_lock(&stream->lock);
	message = STAILQ_FIRST(&stream->queue);
	*ret_closed = stream->closed;
	if (message) {
		STAILQ_REMOVE_HEAD(&stream->queue, entry);
		stream->n_queued--;
		unhold = stream->held && stream->n_queued <= CLIENT_QUEUE_LOW;
		stream->held &= !unhold;
	}
	pthread_mutex_unlock(&stream->lock);
	if (unhold)
		rpc_post(stream->client->rpc, client_do_unhold, stream);
	return message;
}

static int client_decode(struct client_stream *stream, struct client_message *message,
			 void **ret_message)
{
	struct errmsg err = { 0 };
	void *unpacked = codec_unpack(stream->reply, &client_limits, NULL, message->data,
				      message->size, &err);

	free(message);
	if (!unpacked) {
		cli_fail(CLI_FAILED, "%s sent a reply that cannot be read: %s",
			 stream->client->settings->server, err.text);
		return CLIENT_E_BAD_REPLY;
	}
	*ret_message = unpacked;
	return 0;
}

int client_stream_next(struct client_stream *stream, uint64_t deadline_ns, void **ret_message)
{
	for (;;) {
		bool closed = false;
		struct client_message *message = client_pop(stream, &closed);
		int r;

		if (message)
			return client_decode(stream, message, ret_message);
		if (closed)
			return CLIENT_E_END;
		r = client_poll(stream->client, stream->event_fd, deadline_ns);
		if (r != 0)
			return r;
		client_drain_event(stream);
	}
}

int client_stream_status(const struct client_stream *stream)
{
	return stream->status;
}

bool client_status_is_transient(int status)
{
	return status == RPC_UNAVAILABLE || status == RPC_OK || status == RPC_CANCELLED ||
	       status == RPC_UNKNOWN || status == RPC_INTERNAL || status == RPC_ABORTED ||
	       status == RPC_RESOURCE_EXHAUSTED || status == RPC_DEADLINE_EXCEEDED;
}

int client_stream_fail(const struct client_stream *stream)
{
	char text[2048];
	int code = client_explain(stream->client->settings, stream->status, stream->details,
				  stream->reason, text, sizeof(text));

	return cli_fail(code, "%s", text);
}

int client_call(struct client *client, const char *method, const ProtobufCMessage *request,
		const ProtobufCMessageDescriptor *reply, void **ret_reply)
{
	struct client_stream *stream =
		client_stream_start(client, method, request, reply, client->settings->timeout_ns);
	int code = CLI_OK;
	int r;

	if (!stream)
		return cli_fail(CLI_FAILED, "out of memory");
	r = client_stream_next(stream, 0, ret_reply);
	if (r == CLIENT_E_END)
		code = client_stream_fail(stream);
	else if (r != 0) /* interrupted: the caller knows */
		code = CLI_FAILED;
	client_stream_close(stream);
	return code;
}
