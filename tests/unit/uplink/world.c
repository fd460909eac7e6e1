/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/crc32c.h"

extern char **environ;

const uint8_t world_epoch[16] = { 7, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };

void world_issue(struct world *w, const char *name, const char *uri, int from_s, int to_s)
{
	const struct pki_leaf leaf = {
		.ca = "ca", .name = name, .uri = uri, .from_s = from_s, .to_s = to_s
	};

	pki_issue(&w->pki, &leaf);
}

int world_setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	w->fd = -1;
	w->certificate = "host";
	w->max_unacked = 512 * 1024;
	w->base_ms = 5;
	w->cap_ms = 50;
	w->first_unacked = 1;
	pki_init(&w->pki);
	pki_ca(&w->pki, "ca");
	pki_ca(&w->pki, "ca2");
	world_issue(w, "server", "spiffe://test/aggregator/a1", 0, 0);
	world_issue(w, "host", "spiffe://test/host/h1", 0, 0);
	script_start(&w->script, &w->pki);
	*state = w;
	return 0;
}

int world_teardown(void **state)
{
	struct world *w = *state;

	if (w->pid > 0) {
		kill(w->pid, SIGKILL);
		waitpid(w->pid, NULL, 0);
	}
	if (w->fd >= 0)
		close(w->fd);
	script_stop(&w->script);
	if (w->has_other)
		script_stop(&w->other);
	pki_deinit(&w->pki);
	free(w);
	return 0;
}

void world_spawn(struct world *w)
{
	char *argv[] = { (char *)PATHBELL_UPLINK, NULL };
	posix_spawn_file_actions_t actions;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	posix_spawn_file_actions_init(&actions);
	/* Through another number: a dup2 onto itself would keep close-on-exec. */
	posix_spawn_file_actions_adddup2(&actions, pair[1], 100);
	posix_spawn_file_actions_adddup2(&actions, 100, FRAME_FD);
	posix_spawn_file_actions_addclose(&actions, 100);
	assert_int_equal(posix_spawn(&w->pid, argv[0], &actions, NULL, argv, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	close(pair[1]);
	w->fd = pair[0];
}

bool world_text_is(struct frame_text text, const char *value)
{
	return text.len == strlen(value) && memcmp(text.text, value, text.len) == 0;
}

static struct frame_text world_text(const char *value)
{
	return (struct frame_text){ value, strlen(value) };
}

/*
 * What the scripts note and what tests read is ordered by the uplink, another process: a lock tells
 * ThreadSanitizer so.
 */
static void world_sync(struct world *w)
{
	pthread_mutex_lock(&w->script.lock);
	pthread_mutex_unlock(&w->script.lock);
	if (!w->has_other)
		return;
	pthread_mutex_lock(&w->other.lock);
	pthread_mutex_unlock(&w->other.lock);
}

void world_send(struct world *w, const struct frame *frame)
{
	struct pollfd pollfd = { .fd = w->fd, .events = POLLOUT };
	int r;

	world_sync(w);
	while ((r = frame_send(w->fd, frame)) == FRAME_E_AGAIN)
		assert_int_equal(poll(&pollfd, 1, 30000), 1);
	assert_int_equal(r, 0);
}

void world_configure(struct world *w)
{
	struct frame config = { .type = FRAME_CONFIG };

	config.config = (struct frame_config){
		.host_id = world_text("h1"),
		.agent_version = world_text("9.9"),
		.hostname = world_text("hostname"),
		.kernel_release = world_text("6.1"),
		.addresses = { world_text(w->script.address),
			       world_text(w->has_other ? w->other.address : "") },
		.n_addresses = w->has_other ? 2 : 1,
		.ca_file = world_text(pki_path(&w->pki, "ca", ".pem")),
		.certificate_file = world_text(pki_path(&w->pki, w->certificate, ".pem")),
		.key_file = world_text(pki_path(&w->pki, w->certificate, ".key")),
		.server_name = world_text("localhost"),
		.backoff_base_ns = w->base_ms * UINT64_C(1000000),
		.backoff_cap_ns = w->cap_ms * UINT64_C(1000000),
		.keepalive_ns = UINT64_C(30000000000),
		.keepalive_timeout_ns = UINT64_C(10000000000),
		.max_unacked_bytes = w->max_unacked,
		.session_generation = 40,
		.log_level = 4,
	};
	world_send(w, &config);
}

static bool world_is_passed_over(const struct frame *frame, enum frame_type wanted)
{
	if (frame->type == wanted)
		return false;
	if (frame->type == FRAME_SESSION)
		return frame->session.state == FRAME_SESSION_CONNECTING;
	return frame->type == FRAME_STATS || frame->type == FRAME_ALARM ||
	       frame->type == FRAME_CREDIT;
}

static void world_receive(struct world *w)
{
	struct pollfd pollfd = { .fd = w->fd, .events = POLLIN };
	int r;

	while ((r = frame_receive(w->fd, w->packet, &w->frame)) == FRAME_E_AGAIN)
		assert_int_equal(poll(&pollfd, 1, 30000), 1);
	if (r != 0)
		fail_msg("the uplink is gone: %d", r);
	world_sync(w);
}

const struct frame *world_expect_any(struct world *w, enum frame_type type, enum frame_type other)
{
	do
		world_receive(w);
	while (w->frame.type != type && w->frame.type != other);
	return &w->frame;
}

const struct frame *world_expect(struct world *w, enum frame_type type)
{
	do
		world_receive(w);
	while (world_is_passed_over(&w->frame, type));
	if (w->frame.type != type)
		fail_msg("expected %s, got %s (state %d, %.*s: %.*s)", frame_type_name(type),
			 frame_type_name(w->frame.type), w->frame.session.state,
			 (int)w->frame.session.cause.len, w->frame.session.cause.text,
			 (int)w->frame.session.detail.len, w->frame.session.detail.text);
	return &w->frame;
}

const struct frame_session_state *world_expect_session(struct world *w, enum frame_session state)
{
	const struct frame_session_state *session;

	do
		session = &world_expect(w, FRAME_SESSION)->session;
	while (session->state == FRAME_SESSION_CONNECTING && state != FRAME_SESSION_CONNECTING);
	if (session->state != state)
		fail_msg("expected session state %d, got %d (%.*s: %.*s)", state, session->state,
			 (int)session->cause.len, session->cause.text, (int)session->detail.len,
			 session->detail.text);
	return session;
}

void world_answer(struct world *w)
{
	struct frame epochs = { .type = FRAME_EPOCHS };

	memcpy(epochs.epochs.epochs[0].epoch, world_epoch, 16);
	epochs.epochs.epochs[0].oldest_seq = w->tail ? 1 : 0;
	epochs.epochs.epochs[0].first_unacked_seq = w->first_unacked;
	epochs.epochs.epochs[0].tail_seq = w->tail;
	epochs.epochs.n_epochs = 1;
	world_send(w, &epochs);
}

void world_greet(struct world *w)
{
	world_expect(w, FRAME_SESSION_WANTED);
	world_answer(w);
	if (!w->script.mute_welcome)
		world_expect_session(w, FRAME_SESSION_UP);
}

void world_up(struct world *w)
{
	world_spawn(w);
	assert_int_equal(world_expect(w, FRAME_HELLO)->hello.version, FRAME_VERSION);
	world_configure(w);
	world_greet(w);
}

void world_batch(struct world *w, uint64_t first_seq, uint32_t count, size_t size)
{
	struct frame batch = { .type = FRAME_BATCH };
	uint8_t *events = malloc(count * (codec_framed_size(size) + 8)), *pos = events;

	assert_non_null(events);
	for (uint32_t i = 0; i < count; i++) {
		pos = codec_put_frame(pos, size);
		memset(pos, (int)('a' + (first_seq + i) % 26), size);
		pos += size;
	}
	memcpy(batch.batch.epoch, world_epoch, 16);
	batch.batch.first_seq = first_seq;
	batch.batch.count = count;
	batch.batch.events = events;
	batch.batch.events_size = (size_t)(pos - events);
	batch.batch.crc32c = crc32c(0, events, batch.batch.events_size);
	world_send(w, &batch);
	free(events);
}

void world_expect_exit(struct world *w, int status)
{
	int got;

	assert_int_equal(waitpid(w->pid, &got, 0), w->pid);
	w->pid = 0;
	if (!WIFEXITED(got) || WEXITSTATUS(got) != status)
		fail_msg("wait status 0x%x", got);
}
