/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libmicrohttpd without threads: its epoll descriptor is an ev_io of our loop, its next timeout an
 * ev_timer that exists only when it asks for one, so an idle server wakes nobody. Requests that
 * need the store suspend their connection, a job goes to the reader, the mailbox brings the answer
 * back, the connection is resumed (request.c).
 */
#include "aggregator/http/http.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aggregator/http/address.h"
#include "aggregator/http/internal.h"
#include "core/clock.h"
#include "core/log.h"

#define HTTP_MEMORY_PER_CLIENT 32768 /* of the request's head */
#define HTTP_IDLE_S	       60

static void http_arm(struct http *http)
{
	MHD_UNSIGNED_LONG_LONG ms;

	ev_timer_stop(http->aggregator->loop, &http->timeout);
	if (MHD_get_timeout(http->daemon, &ms) != MHD_YES)
		return;
	ev_timer_set(&http->timeout, (double)ms / 1000, 0);
	ev_timer_start(http->aggregator->loop, &http->timeout);
}

void http_run(struct http *http)
{
	if (http->is_running)
		return;
	http->is_running = true;
	MHD_run(http->daemon);
	http->is_running = false;
	http_arm(http);
}

static void http_on_io(struct ev_loop *loop, ev_io *io, int events)
{
	http_run(io->data);
}

static void http_on_timeout(struct ev_loop *loop, ev_timer *timer, int events)
{
	http_run(timer->data);
}

static void http_on_heartbeat(struct ev_loop *loop, ev_timer *timer, int events)
{
	sse_heartbeat(timer->data);
}

static void http_told(void *data)
{
	struct http *http = data;

	atomic_store(&http->is_told, false);
	sse_wake(http);
}

static void http_told_late(void *data)
{
}

void http_on_commit(struct http *http)
{
	if (!atomic_exchange(&http->is_told, true))
		mailbox_post(http->aggregator->mailbox, http_told, http_told_late, http);
}

static void http_log(void *cls, const char *format, va_list arguments)
{
	static struct log_limit limit;
	char text[256];

	vsnprintf(text, sizeof(text), format, arguments);
	text[strcspn(text, "\n")] = '\0';
	log_limited(&limit, LOG_LEVEL_DEBUG, "http detail=\"%s\"", text);
}

static int http_listen(struct http *http, const struct address *address, struct errmsg *err)
{
	const struct settings_http *settings = &http->aggregator->settings.http;
	unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;

	if (address->any.sa_family == AF_INET6)
		flags |= MHD_USE_IPv6;
	errno = 0;
	http->daemon = MHD_start_daemon(
		flags, 0, NULL, NULL, request_on_access, http, MHD_OPTION_EXTERNAL_LOGGER, http_log,
		NULL, MHD_OPTION_SOCK_ADDR, &address->any, MHD_OPTION_CONNECTION_LIMIT,
		(unsigned)settings->max_clients, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)HTTP_MEMORY_PER_CLIENT, MHD_OPTION_CONNECTION_TIMEOUT, HTTP_IDLE_S,
		MHD_OPTION_URI_LOG_CALLBACK, request_begin, http, MHD_OPTION_NOTIFY_COMPLETED,
		request_on_completed, http, MHD_OPTION_END);
	if (http->daemon)
		return 0;
	errmsg_set(err, "cannot listen on %s: %s", settings->listen,
		   errno ? log_errno(errno) : "refused");
	return errno ? -errno : -EADDRINUSE;
}

static void http_watch(struct http *http)
{
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	double beat = (double)http->aggregator->settings.http.heartbeat_ns / CLOCK_NS_PER_S;

	ev_io_init(&http->io, http_on_io, info->epoll_fd, EV_READ);
	http->io.data = http;
	ev_io_start(http->aggregator->loop, &http->io);
	ev_init(&http->timeout, http_on_timeout);
	http->timeout.data = http;
	ev_timer_init(&http->heartbeat, http_on_heartbeat, beat, beat);
	http->heartbeat.data = http;
}

int http_new(struct aggregator *aggregator, struct http **ret_http, struct errmsg *err)
{
	struct http *http = calloc(1, sizeof(*http));
	struct address address;
	int r;

	if (!http)
		return -ENOMEM;
	http->aggregator = aggregator;
	LIST_INIT(&http->streams);
	http->writers = writers_new(&aggregator->settings.http, err);
	r = !http->writers ? -EINVAL
	    : address_parse(aggregator->settings.http.listen, &address)
		    ? http_listen(http, &address, err)
		    : -EINVAL;
	if (r < 0) {
		writers_free(http->writers);
		free(http);
		return r;
	}
	http_watch(http);
	*ret_http = http;
	return 0;
}

struct http *http_free(struct http *http)
{
	if (!http)
		return NULL;
	sse_stop(http);
	ev_io_stop(http->aggregator->loop, &http->io);
	ev_timer_stop(http->aggregator->loop, &http->timeout);
	ev_timer_stop(http->aggregator->loop, &http->heartbeat);
	MHD_stop_daemon(http->daemon);
	writers_free(http->writers);
	free(http);
	return NULL;
}

int http_reload(struct http *http, const struct settings_http *settings, struct errmsg *err)
{
	struct writers *writers = writers_new(settings, err);

	if (!writers)
		return -EINVAL;
	writers_free(http->writers);
	http->writers = writers;
	return 0;
}

unsigned http_port(const struct http *http)
{
	return MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
}
