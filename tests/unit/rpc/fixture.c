/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/log.h"

/* ---- server ---- */

static void serve_echo(struct rpc_call *call, void *data, const uint8_t *message, size_t size)
{
	(void)data;
	rpc_call_enqueue(call, message, size, 64 * 1024 * 1024);
}

static void serve_hold(struct rpc_call *call, void *data, const uint8_t *message, size_t size)
{
	struct fixture *f = data;

	(void)message;
	(void)size;
	pthread_mutex_lock(&f->lock);
	f->served++;
	f->held = call;
	rpc_call_hold(call, !f->open_gate);
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
}

/* One message asks for five answers and a status. */
static void serve_five(struct rpc_call *call, void *data, const uint8_t *message, size_t size)
{
	(void)data;
	for (int i = 0; i < 5; i++)
		rpc_call_enqueue(call, message, size, 1024 * 1024);
	rpc_call_finish(call, RPC_FAILED_PRECONDITION, "five is enough");
}

static void serve_end(struct rpc_call *call, void *data)
{
	struct fixture *f = data;

	rpc_call_finish(call, RPC_OK, NULL);
	pthread_mutex_lock(&f->lock);
	f->ended++;
	pthread_mutex_unlock(&f->lock);
}

static void serve_closed(struct rpc_call *call, void *data, int status, const char *details)
{
	struct fixture *f = data;

	(void)details;
	pthread_mutex_lock(&f->lock);
	if (status == RPC_CANCELLED)
		f->cancelled++;
	if (f->held == call)
		f->held = NULL;
	f->calls--;
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
}

static const struct rpc_call_ops serve_echo_ops = { .on_message = serve_echo,
						    .on_end = serve_end,
						    .on_closed = serve_closed };
static const struct rpc_call_ops serve_hold_ops = { .on_message = serve_hold,
						    .on_end = serve_end,
						    .on_closed = serve_closed };
static const struct rpc_call_ops serve_five_ops = { .on_message = serve_five,
						    .on_closed = serve_closed };

static int serve_call(struct rpc_call *call, void *data, const struct rpc_call_ops **ret_ops,
		      void **ret_data, const char **ret_details)
{
	const struct {
		const char *method;
		const struct rpc_call_ops *ops;
	} methods[] = { { "/t/Echo", &serve_echo_ops },
			{ "/t/Hold", &serve_hold_ops },
			{ "/t/Five", &serve_five_ops } };
	struct fixture *f = data;

	pthread_mutex_lock(&f->lock);
	f->peer = *rpc_call_peer(call);
	pthread_mutex_unlock(&f->lock);
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (strcmp(rpc_call_method(call), methods[i].method) != 0)
			continue;
		*ret_ops = methods[i].ops;
		*ret_data = f;
		pthread_mutex_lock(&f->lock);
		f->calls++;
		pthread_mutex_unlock(&f->lock);
		return RPC_OK;
	}
	*ret_details = "no such method";
	return RPC_UNIMPLEMENTED;
}

static void serve_credentials(void *data, const char *error)
{
	struct fixture *f = data;

	pthread_mutex_lock(&f->lock);
	if (error) {
		f->credentials_bad++;
		snprintf(f->credentials_error, sizeof(f->credentials_error), "%s", error);
	} else {
		f->credentials_good++;
	}
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
}

int fixture_start_server(struct fixture *f, const char *listen, const char *certificate,
			 struct rpc_server **ret_server, struct errmsg *err)
{
	const struct rpc_server_options options = {
		.listen = listen,
		.credentials = { pki_path(&f->pki, "ca", ".pem"),
				 pki_path(&f->pki, certificate, ".pem"),
				 pki_path(&f->pki, certificate, ".key") },
		.data = f,
		.on_call = serve_call,
		.on_credentials = serve_credentials,
	};

	return rpc_server_new(f->rpc, &options, ret_server, err);
}

static void fixture_issue(struct fixture *f)
{
	const struct pki_leaf leaves[] = {
		{ .ca = "ca", .name = "server", .uri = "spiffe://test/aggregator/a1" },
		{ .ca = "ca", .name = "host1", .uri = "spiffe://test/host/h1" },
		{ .ca = "ca",
		  .name = "double",
		  .uri = "spiffe://test/host/h1",
		  .uri2 = "spiffe://test/host/h2" },
		{ .ca = "ca2", .name = "foreign", .uri = "spiffe://test/host/h1" },
	};

	pki_ca(&f->pki, "ca");
	pki_ca(&f->pki, "ca2");
	for (size_t i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++)
		pki_issue(&f->pki, &leaves[i]);
}

int fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct errmsg err = { .line = 0 };

	assert_non_null(f);
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->changed, NULL);
	pki_init(&f->pki);
	fixture_issue(f);
	assert_int_equal(rpc_start(&f->rpc, &err), 0);
	assert_int_equal(fixture_start_server(f, "127.0.0.1:0", "server", &f->server, &err), 0);
	snprintf(f->target, sizeof(f->target), "127.0.0.1:%u", rpc_server_port(f->server));
	*state = f;
	return 0;
}

int fixture_teardown(void **state)
{
	struct fixture *f = *state;

	rpc_server_free(f->server);
	if (f->rpc)
		rpc_stop(f->rpc);
	pki_deinit(&f->pki);
	pthread_cond_destroy(&f->changed);
	pthread_mutex_destroy(&f->lock);
	free(f);
	return 0;
}

/* ---- to the gRPC thread and back ---- */

struct fixture_job {
	struct fixture *f;
	void (*fn)(void *data);
	void *data;
	bool done;
};

static void fixture_job_run(void *data)
{
	struct fixture_job *job = data;
	struct fixture *f = job->f;

	job->fn(job->data);
	pthread_mutex_lock(&f->lock);
	job->done = true;
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
}

void fixture_run(struct fixture *f, void (*fn)(void *data), void *data)
{
	struct fixture_job job = { .f = f, .fn = fn, .data = data };

	rpc_post(f->rpc, fixture_job_run, &job);
	pthread_mutex_lock(&f->lock);
	while (!job.done)
		pthread_cond_wait(&f->changed, &f->lock);
	pthread_mutex_unlock(&f->lock);
}

/* ---- client ---- */

static void client_on_message(struct rpc_call *call, void *data, const uint8_t *message,
			      size_t size)
{
	struct client *c = data;

	(void)call;
	pthread_mutex_lock(&c->fixture->lock);
	c->messages++;
	c->last_size = size;
	memcpy(c->last, message, size < sizeof(c->last) ? size : sizeof(c->last));
	pthread_cond_broadcast(&c->fixture->changed);
	pthread_mutex_unlock(&c->fixture->lock);
}

static void client_on_sent(struct rpc_call *call, void *data)
{
	struct client *c = data;

	(void)call;
	pthread_mutex_lock(&c->fixture->lock);
	c->sent++;
	pthread_cond_broadcast(&c->fixture->changed);
	pthread_mutex_unlock(&c->fixture->lock);
}

static void client_on_headers(struct rpc_call *call, void *data)
{
	struct client *c = data;

	pthread_mutex_lock(&c->fixture->lock);
	c->headers = true;
	c->peer = *rpc_call_peer(call);
	pthread_mutex_unlock(&c->fixture->lock);
}

static void client_on_end(struct rpc_call *call, void *data)
{
	(void)call;
	((struct client *)data)->ended = true;
}

static void client_on_closed(struct rpc_call *call, void *data, int status, const char *details)
{
	struct client *c = data;

	(void)call;
	pthread_mutex_lock(&c->fixture->lock);
	c->status = status;
	snprintf(c->details, sizeof(c->details), "%s", details);
	c->call = NULL;
	c->closed = true;
	pthread_cond_broadcast(&c->fixture->changed);
	pthread_mutex_unlock(&c->fixture->lock);
}

static const struct rpc_call_ops client_ops = {
	.on_message = client_on_message,
	.on_sent = client_on_sent,
	.on_headers = client_on_headers,
	.on_end = client_on_end,
	.on_closed = client_on_closed,
};

struct client *client_new(struct fixture *f, const char *certificate, const char *method,
			  uint32_t deadline_ms)
{
	struct client *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	c->fixture = f;
	c->deadline_ms = deadline_ms;
	snprintf(c->target, sizeof(c->target), "%s", f->target);
	snprintf(c->certificate, sizeof(c->certificate), "%s", certificate);
	snprintf(c->ca, sizeof(c->ca), "ca");
	snprintf(c->server_name, sizeof(c->server_name), "localhost");
	snprintf(c->method, sizeof(c->method), "%s", method);
	return c;
}

static void client_start_now(void *data)
{
	struct client *c = data;
	const struct pki *pki = &c->fixture->pki;
	struct errmsg err = { .line = 0 };
	const struct rpc_channel_options options = {
		.target = c->target,
		.server_name = c->server_name,
		.credentials = { pki_path(pki, c->ca, ".pem"),
				 pki_path(pki, c->certificate, ".pem"),
				 pki_path(pki, c->certificate, ".key") },
		.keepalive_ns = UINT64_C(30000000000),
		.keepalive_timeout_ns = UINT64_C(10000000000),
		.http_proxy = c->proxy[0] ? c->proxy : NULL,
	};

	assert_int_equal(rpc_channel_new(c->fixture->rpc, &options, &c->channel, &err), 0);
	assert_int_equal(
		rpc_call_new(c->channel, c->method, c->deadline_ms, &client_ops, c, &c->call), 0);
}

void client_start(struct client *c)
{
	fixture_run(c->fixture, client_start_now, c);
}

struct client *client_open(struct fixture *f, const char *certificate, const char *method,
			   uint32_t deadline_ms)
{
	struct client *c = client_new(f, certificate, method, deadline_ms);

	client_start(c);
	return c;
}

struct client_sending {
	struct client *c;
	struct iovec part;
	int result;
};

static void client_send_now(void *data)
{
	struct client_sending *sending = data;

	sending->result = sending->c->call ? rpc_call_send(sending->c->call, &sending->part, 1)
					   : RPC_E_CLOSED;
}

void client_send(struct client *c, const void *data, size_t size)
{
	struct client_sending sending = { .c = c, .part = { (void *)data, size } };
	unsigned sent;

	for (;;) {
		pthread_mutex_lock(&c->fixture->lock);
		sent = c->sent;
		pthread_mutex_unlock(&c->fixture->lock);
		fixture_run(c->fixture, client_send_now, &sending);
		if (sending.result != RPC_E_BUSY)
			return;
		pthread_mutex_lock(&c->fixture->lock);
		while (c->sent == sent && !c->closed)
			pthread_cond_wait(&c->fixture->changed, &c->fixture->lock);
		pthread_mutex_unlock(&c->fixture->lock);
	}
}

void client_wait_messages(struct client *c, unsigned n)
{
	pthread_mutex_lock(&c->fixture->lock);
	while (c->messages < n && !c->closed)
		pthread_cond_wait(&c->fixture->changed, &c->fixture->lock);
	pthread_mutex_unlock(&c->fixture->lock);
	assert_true(c->messages >= n);
}

void client_wait_closed(struct client *c)
{
	pthread_mutex_lock(&c->fixture->lock);
	while (!c->closed)
		pthread_cond_wait(&c->fixture->changed, &c->fixture->lock);
	pthread_mutex_unlock(&c->fixture->lock);
}

static void client_finish_now(void *data)
{
	struct client *c = data;

	if (c->call)
		rpc_call_finish(c->call, RPC_OK, NULL);
}

void client_finish(struct client *c)
{
	fixture_run(c->fixture, client_finish_now, c);
}

static void client_cancel_now(void *data)
{
	struct client *c = data;

	if (c->call)
		rpc_call_cancel(c->call);
}

void client_cancel(struct client *c)
{
	fixture_run(c->fixture, client_cancel_now, c);
}

static void client_free_now(void *data)
{
	struct client *c = data;

	c->channel = rpc_channel_free(c->channel);
}

void client_close(struct client *c)
{
	fixture_run(c->fixture, client_free_now, c);
	client_wait_closed(c);
	free(c);
}
