/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/child.h"
#include "core/fd.h"
#include "core/log.h"
#include "proto/codec.h"

#define CONTROL_ARENA_MAX  (512 * 1024)
#define CONTROL_MAX_GROUPS 64

struct control_client {
	struct control *control;
	int fd; /* -1 = free */
	bool may_change;
	struct ev_io io;
};

struct control {
	struct control_options options;
	char *path;
	bool has_group;
	gid_t group;
	int fd;
	struct ev_io io;
	struct arena *arena;
	struct control_client clients[CONTROL_MAX_CLIENTS];
	struct log_limit refused;
};

static bool control_has_group(int fd, gid_t group)
{
	gid_t groups[CONTROL_MAX_GROUPS];
	socklen_t size = sizeof(groups);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size))
		return false;
	for (size_t i = 0; i < size / sizeof(groups[0]); i++)
		if (groups[i] == group)
			return true;
	return false;
}

static bool control_may_ask(struct control *control, int fd, bool *ret_may_change)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size))
		return false;
	*ret_may_change = peer.uid == 0 || peer.uid == geteuid();
	if (*ret_may_change)
		return true;
	if (control->has_group &&
	    (peer.gid == control->group || control_has_group(fd, control->group)))
		return true;
	log_limited(&control->refused, LOG_LEVEL_WARNING,
		    "control socket: refused uid=%u gid=%u pid=%d", peer.uid, peer.gid, peer.pid);
	return false;
}

static void control_drop(struct control_client *client)
{
	if (client->fd < 0)
		return;
	ev_io_stop(client->control->options.loop, &client->io);
	client->fd = fd_close(client->fd);
}

/* Too large to be one packet: an error instead. 0 or -errno. */
static int control_send(struct control *control, int fd, Pathbell__V1__LocalResponse *response)
{
	Pathbell__V1__LocalResponse error = PATHBELL__V1__LOCAL_RESPONSE__INIT;
	size_t size = pathbell__v1__local_response__get_packed_size(response);
	uint8_t *packet;

	if (size > CONTROL_MAX_REPLY) {
		error.error = (char *)"the answer is too large";
		response = &error;
		size = pathbell__v1__local_response__get_packed_size(response);
	}
	packet = arena_alloc(control->arena, size ? size : 1);
	if (!packet)
		return -ENOMEM;
	pathbell__v1__local_response__pack(response, packet);
	return send(fd, packet, size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int control_serve(struct control_client *client, const uint8_t *packet, size_t size)
{
	struct control *control = client->control;
	Pathbell__V1__LocalResponse response = PATHBELL__V1__LOCAL_RESPONSE__INIT;
	Pathbell__V1__LocalRequest *request;
	struct errmsg err = { 0 };
	int r;

	request = codec_unpack(&pathbell__v1__local_request__descriptor, &scan_limits_request,
			       control->arena, packet, size, &err);
	if (request)
		control->options.answer(control->options.data, client->may_change, request,
					&response, control->arena);
	else
		response.error = err.text;
	r = control_send(control, client->fd, &response);
	arena_reset(control->arena);
	return r;
}

static void control_on_client(EV_P_ struct ev_io *io, int revents)
{
	struct control_client *client = io->data;
	uint8_t packet[CONTROL_MAX_REQUEST];
	ssize_t n = recv(client->fd, packet, sizeof(packet), MSG_DONTWAIT | MSG_TRUNC);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || n > (ssize_t)sizeof(packet) || control_serve(client, packet, (size_t)n))
		control_drop(client);
}

static struct control_client *control_free_client(struct control *control)
{
	for (size_t i = 0; i < CONTROL_MAX_CLIENTS; i++)
		if (control->clients[i].fd < 0)
			return &control->clients[i];
	return NULL;
}

static void control_serve_client(struct control *control, struct control_client *client, int fd,
				 bool may_change)
{
	int size = 2 * CONTROL_MAX_REPLY;

	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	client->control = control;
	client->fd = fd;
	client->may_change = may_change;
	ev_io_init(&client->io, control_on_client, fd, EV_READ);
	client->io.data = client;
	ev_io_start(control->options.loop, &client->io);
}

static void control_on_accept(EV_P_ struct ev_io *io, int revents)
{
	struct control *control = io->data;
	int fd = accept4(control->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct control_client *client = control_free_client(control);
	bool may_change = false;

	if (fd < 0)
		return;
	if (client && control_may_ask(control, fd, &may_change))
		control_serve_client(control, client, fd, may_change);
	else
		fd_close(fd);
}

/* A live agent answers connect; what a dead one left does not. */
static int control_remove_stale(const struct sockaddr_un *address)
{
	_cleanup_fd_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN)
		return -EADDRINUSE;
	if (unlink(address->sun_path) && errno != ENOENT)
		return -errno;
	return 0;
}

static int control_listen(struct control *control)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	mode_t mask;
	int r;

	if (strlen(control->path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, control->path, strlen(control->path) + 1);
	r = control_remove_stale(&address);
	if (r)
		return r;
	control->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (control->fd < 0)
		return -errno;
	mask = umask(0117);
	r = bind(control->fd, (struct sockaddr *)&address, sizeof(address)) ? -errno : 0;
	umask(mask);
	if (r)
		return r;
	if (control->has_group && chown(control->path, (uid_t)-1, control->group))
		return -errno;
	return listen(control->fd, CONTROL_MAX_CLIENTS) ? -errno : 0;
}

int control_open(struct control **ret_control, const struct control_options *options,
		 struct errmsg *err)
{
	struct control *control = calloc(1, sizeof(*control));
	int r = -ENOMEM;

	if (!control)
		return r;
	control->options = *options;
	control->fd = -1;
	for (size_t i = 0; i < CONTROL_MAX_CLIENTS; i++)
		control->clients[i].fd = -1;
	control->path = strdup(options->path);
	if (control->path)
		r = arena_new(&control->arena, CONTROL_ARENA_MAX);
	if (r == 0 && options->group) {
		r = child_group_find(options->group, &control->group);
		control->has_group = r == 0;
	}
	if (r)
		errmsg_set(err, "control.group: cannot find \"%s\"",
			   options->group ? options->group : "");
	else
		r = control_listen(control);
	if (r) {
		errmsg_set(err, "cannot open the control socket %s: %s", options->path,
			   log_errno(r));
		control->path = r == -EADDRINUSE ? (free(control->path), NULL) : control->path;
		control_close(control);
		return r;
	}
	ev_io_init(&control->io, control_on_accept, control->fd, EV_READ);
	control->io.data = control;
	ev_io_start(options->loop, &control->io);
	*ret_control = control;
	return 0;
}

struct control *control_close(struct control *control)
{
	if (!control)
		return NULL;
	for (size_t i = 0; i < CONTROL_MAX_CLIENTS; i++)
		control_drop(&control->clients[i]);
	if (control->fd >= 0) {
		ev_io_stop(control->options.loop, &control->io);
		fd_close(control->fd);
		if (control->path)
			unlink(control->path);
	}
	arena_free(control->arena);
	free(control->path);
	free(control);
	return NULL;
}
