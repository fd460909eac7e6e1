/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/forwarder.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "agent/child.h"
#include "agent/generation.h"
#include "agent/link.h"
#include "core/backoff.h"
#include "core/clock.h"
#include "core/fd.h"
#include "core/log.h"

/*
 * Happy path: forwarder_start makes a socketpair and a child that gets one end as descriptor 3 and
 * becomes uplink.user; HELLO comes within HELLO_NS, CONFIG goes out, a session comes up, batches
 * flow.
 *
 * Failure modes
 * - The process dies, or does not keep to the protocol: it is killed where it still lives, EXITED
 * is announced, the next one starts after a backoff. The cursor goes back to what is acked.
 * - It cannot be started (program or user missing): the same, with the reason.
 * - The session is lost: `down` is announced once with its cause; further failed attempts of the
 * same cause are not.
 * - It does not stop in time: SIGKILL.
 */
#define FORWARDER_HELLO_NS     (10 * CLOCK_NS_PER_S)
#define FORWARDER_SOCKET_BYTES (1024 * 1024)
#define FORWARDER_MAX_ENV      16

static const struct backoff_options forwarder_backoff = {
	.base_ns = 100 * CLOCK_NS_PER_MS,
	.cap_ns = 30 * CLOCK_NS_PER_S,
	.healthy_ns = 10 * CLOCK_NS_PER_S,
};

struct forwarder {
	struct forwarder_options options;
	const struct settings *settings;
	struct spool_cursor *cursor;
	struct child child;
	struct link link;
	struct backoff backoff;
	struct ev_timer timer; /* HELLO's deadline, the restart, or the end of the stop */
	bool stopping;
	uint64_t n_started;
	struct forwarder_status status;
	struct frame_stats stats;
	char hostname[256];
	struct utsname uname;
};

static const char *const forwarder_state_names[] = { "off",  "starting", "connecting", "up",
						     "held", "down",	 "exited" };

const char *forwarder_state_name(enum forwarder_state state)
{
	return forwarder_state_names[state];
}

static void forwarder_spawn(struct forwarder *forwarder);

static void forwarder_copy_text(const struct frame_text *text, char *ret_text, size_t size)
{
	size_t len = text->len < size - 1 ? text->len : size - 1;

	if (len)
		memcpy(ret_text, text->text, len);
	ret_text[len] = 0;
}

static void forwarder_set_cause(struct forwarder *forwarder, const char *cause, const char *detail)
{
	snprintf(forwarder->status.cause, sizeof(forwarder->status.cause), "%s", cause);
	snprintf(forwarder->status.detail, sizeof(forwarder->status.detail), "%s", detail);
}

static void forwarder_say(struct forwarder *forwarder, unsigned kind, unsigned severity,
			  uint64_t retry_ns, int exit_status)
{
	const struct forwarder_status *status = &forwarder->status;
	struct spool_cursor_stats cursor;
	struct announce_forwarder said = {
		.name = forwarder->options.name,
		.state = forwarder_state_name(status->state),
		.cause = status->cause,
		.detail = status->detail,
		.address = status->address,
		.not_after_unix_ns = status->certificate_not_after_unix_ns,
		.retry_ms = retry_ns / CLOCK_NS_PER_MS,
		.exit_status = exit_status,
	};

	spool_cursor_stats(forwarder->cursor, &cursor);
	said.unacked = cursor.unacked;
	log_notice("forwarder name=%s state=%s cause=%s address=%s detail=\"%s\" unacked=%llu",
		   said.name, said.state, *said.cause ? said.cause : "none",
		   *said.address ? said.address : "none", said.detail,
		   (unsigned long long)said.unacked);
	announce_forwarder(&forwarder->options.announcer, kind, severity, &said);
	forwarder->options.changed(forwarder->options.data);
}

static void forwarder_set_timer(struct forwarder *forwarder, uint64_t delay_ns)
{
	ev_timer_stop(forwarder->options.loop, &forwarder->timer);
	ev_timer_set(&forwarder->timer, (double)delay_ns / 1e9, 0.);
	ev_timer_start(forwarder->options.loop, &forwarder->timer);
}

/* What the link tells */

static struct frame_text forwarder_text(const char *text)
{
	return (struct frame_text){ text ? text : "", text ? strlen(text) : 0 };
}

static void forwarder_on_config(void *data, struct frame_config *ret_config)
{
	struct forwarder *forwarder = data;
	const struct settings *settings = forwarder->settings;
	const struct settings_uplink *uplink = &settings->uplink;
	struct frame_config *config = ret_config;

	config->host_id = forwarder_text(settings->host_id);
	config->agent_version = forwarder_text(PATHBELL_VERSION);
	config->hostname = forwarder_text(forwarder->hostname);
	config->kernel_release = forwarder_text(forwarder->uname.release);
	config->n_addresses = uplink->addresses.n_items;
	for (size_t i = 0; i < config->n_addresses; i++)
		config->addresses[i] = forwarder_text(uplink->addresses.items[i]);
	config->ca_file = forwarder_text(uplink->ca_file);
	config->certificate_file = forwarder_text(uplink->certificate_file);
	config->key_file = forwarder_text(uplink->key_file);
	config->server_name = forwarder_text(uplink->server_name);
	config->http_proxy = forwarder_text(uplink->http_proxy);
	config->backoff_base_ns = uplink->backoff_base_ns;
	config->backoff_cap_ns = uplink->backoff_cap_ns;
	config->keepalive_ns = uplink->keepalive_ns;
	config->keepalive_timeout_ns = uplink->keepalive_timeout_ns;
	config->max_unacked_bytes = uplink->max_unacked_bytes;
	config->session_generation =
		forwarder->options.generation | forwarder->n_started << GENERATION_PROCESS_SHIFT;
	config->log_level = (uint8_t)settings_log_level(settings);
}

static void forwarder_on_beat(void *data, struct frame_beat *ret_beat)
{
	struct forwarder *forwarder = data;
	struct spool_cursor_stats cursor;
	struct spool_stats spool;

	spool_cursor_stats(forwarder->cursor, &cursor);
	spool_stats(forwarder->options.spool, &spool);
	*ret_beat = (struct frame_beat){ spool.tail_seq, cursor.unacked,
					 cursor.oldest_unacked_unix_ns, spool.degraded };
}

static void forwarder_on_hello(void *data, const struct frame_hello *hello)
{
	struct forwarder *forwarder = data;

	if (hello->version != FRAME_VERSION) {
		char detail[96];

		snprintf(detail, sizeof(detail),
			 "it speaks version %u of the frame protocol, not %u", hello->version,
			 FRAME_VERSION);
		forwarder_set_cause(forwarder, "protocol", detail);
		return;
	}
	ev_timer_stop(forwarder->options.loop, &forwarder->timer);
	forwarder->status.state = FORWARDER_CONNECTING;
	log_info("forwarder name=%s program=%.*s pid=%u", forwarder->options.name,
		 (int)(hello->program.len < 64 ? hello->program.len : 64), hello->program.text,
		 hello->pid);
}

static void forwarder_session_up(struct forwarder *forwarder)
{
	forwarder->status.state = FORWARDER_UP;
	forwarder->status.sessions++;
	backoff_up(&forwarder->backoff, clock_monotonic_ns());
	forwarder_say(forwarder, PATHBELL__V1__EVENT_KIND__EVENT_KIND_FORWARDER_UP,
		      PATHBELL__V1__SEVERITY__SEVERITY_INFO, 0, 0);
}

static void forwarder_on_session(void *data, const struct frame_session_state *session)
{
	static const enum forwarder_state states[] = {
		[FRAME_SESSION_DOWN] = FORWARDER_DOWN,
		[FRAME_SESSION_UP] = FORWARDER_UP,
		[FRAME_SESSION_CONNECTING] = FORWARDER_CONNECTING,
		[FRAME_SESSION_HELD] = FORWARDER_HELD,
	};
	struct forwarder *forwarder = data;
	struct forwarder_status *status = &forwarder->status;
	enum forwarder_state before = status->state;
	char cause[sizeof(status->cause)];

	memcpy(cause, status->cause, sizeof(cause));
	if (session->state != FRAME_SESSION_CONNECTING) {
		forwarder_copy_text(&session->cause, status->cause, sizeof(status->cause));
		forwarder_copy_text(&session->detail, status->detail, sizeof(status->detail));
	}
	forwarder_copy_text(&session->address, status->address, sizeof(status->address));
	if (session->state == FRAME_SESSION_UP) {
		forwarder_session_up(forwarder);
		return;
	}
	status->state = states[session->state];
	if (session->state == FRAME_SESSION_CONNECTING && before != FORWARDER_UP)
		return;
	/* one event for a lost session and for each new cause, not for each attempt */
	if (before == FORWARDER_UP || strcmp(cause, status->cause) != 0)
		forwarder_say(forwarder, PATHBELL__V1__EVENT_KIND__EVENT_KIND_FORWARDER_DOWN,
			      PATHBELL__V1__SEVERITY__SEVERITY_WARNING, session->retry_ns, 0);
}

static void forwarder_on_epoch_changed(void *data)
{
	struct forwarder *forwarder = data;
	struct spool_stats stats;

	spool_stats(forwarder->options.spool, &stats);
	log_warning("spool epoch changed: the receiver has more than this spool ever held");
	announce_spool(&forwarder->options.announcer,
		       PATHBELL__V1__EVENT_KIND__EVENT_KIND_SPOOL_EPOCH_CHANGED,
		       PATHBELL__V1__SEVERITY__SEVERITY_WARNING,
		       "the receiver has more than this spool ever held", 0, stats.epoch);
}

static void forwarder_on_acked(void *data)
{
}

static void forwarder_on_command(void *data, const struct frame_command *command)
{
	struct forwarder *forwarder = data;

	forwarder->options.command(forwarder->options.data, command->envelope,
				   command->envelope_size);
}

static void forwarder_on_alarm(void *data, const struct frame_alarm *alarm)
{
	struct forwarder *forwarder = data;
	struct forwarder_status *status = &forwarder->status;
	struct announce_forwarder said = { .name = forwarder->options.name,
					   .state = forwarder_state_name(status->state),
					   .address = status->address,
					   .not_after_unix_ns = alarm->not_after_unix_ns };
	char what[64], detail[256];
	bool expiring;

	forwarder_copy_text(&alarm->what, what, sizeof(what));
	forwarder_copy_text(&alarm->detail, detail, sizeof(detail));
	if (alarm->not_after_unix_ns)
		status->certificate_not_after_unix_ns = alarm->not_after_unix_ns;
	if (strcmp(what, "ok") == 0) {
		log_info("certificate is good again detail=\"%s\"", detail);
		return;
	}
	expiring = strcmp(what, "expiring") == 0;
	said.cause = what;
	said.detail = detail;
	log_warning("certificate %s detail=\"%s\"", what, detail);
	announce_forwarder(
		&forwarder->options.announcer,
		expiring ? PATHBELL__V1__EVENT_KIND__EVENT_KIND_FORWARDER_CERTIFICATE_EXPIRING
			 : PATHBELL__V1__EVENT_KIND__EVENT_KIND_FORWARDER_CERTIFICATE_REFUSED,
		expiring ? PATHBELL__V1__SEVERITY__SEVERITY_WARNING
			 : PATHBELL__V1__SEVERITY__SEVERITY_ERROR,
		&said);
}

static void forwarder_on_stats(void *data, const struct frame_stats *stats)
{
	struct forwarder *forwarder = data;

	forwarder->stats = *stats;
	if (stats->certificate_not_after_unix_ns)
		forwarder->status.certificate_not_after_unix_ns =
			stats->certificate_not_after_unix_ns;
}

/* The link is of no use any more; the process goes, and comes again. */
static void forwarder_on_link_ended(void *data, int error)
{
	struct forwarder *forwarder = data;

	if (error == -EPROTO || error == -EBADMSG) {
		if (strcmp(forwarder->status.cause, "protocol") != 0)
			forwarder_set_cause(forwarder, "protocol",
					    "it sent a frame that it must not send");
	}
	link_close(&forwarder->link);
	/* It may be ending by itself; if not, it must. */
	child_signal(&forwarder->child, SIGKILL);
}

static const struct link_callbacks forwarder_link_callbacks = {
	.config = forwarder_on_config,
	.beat = forwarder_on_beat,
	.hello = forwarder_on_hello,
	.session = forwarder_on_session,
	.epoch_changed = forwarder_on_epoch_changed,
	.acked = forwarder_on_acked,
	.command = forwarder_on_command,
	.alarm = forwarder_on_alarm,
	.stats = forwarder_on_stats,
	.ended = forwarder_on_link_ended,
};

/* The process */

static void forwarder_on_exit(void *data, enum child_end end, int status)
{
	struct forwarder *forwarder = data;
	uint64_t now = clock_monotonic_ns(), next;
	char detail[128];

	link_drain(&forwarder->link);
	link_close(&forwarder->link);
	ev_timer_stop(forwarder->options.loop, &forwarder->timer);
	forwarder->status.pid = 0;
	if (forwarder->stopping) {
		forwarder->status.state = FORWARDER_OFF;
		forwarder->options.stopped(forwarder->options.data);
		return;
	}
	if (strcmp(forwarder->status.cause, "protocol") != 0) {
		snprintf(detail, sizeof(detail),
			 status > 128 ? "killed by signal %d" : "exit status %d",
			 status > 128 ? status - 128 : status);
		forwarder_set_cause(forwarder, "exited", detail);
	}
	forwarder->status.state = FORWARDER_EXITED;
	forwarder->status.restarts++;
	next = backoff_down(&forwarder->backoff, now);
	forwarder_set_timer(forwarder, next > now ? next - now : 0);
	forwarder_say(forwarder, PATHBELL__V1__EVENT_KIND__EVENT_KIND_FORWARDER_EXITED,
		      PATHBELL__V1__SEVERITY__SEVERITY_WARNING, next - now, status);
}

static void forwarder_cannot_start(struct forwarder *forwarder, const char *detail)
{
	uint64_t now = clock_monotonic_ns(), next = backoff_down(&forwarder->backoff, now);
	bool same = forwarder->status.state == FORWARDER_EXITED &&
		    strcmp(forwarder->status.detail, detail) == 0;

	forwarder->status.state = FORWARDER_EXITED;
	forwarder->status.restarts++;
	forwarder_set_cause(forwarder, "start", detail);
	forwarder_set_timer(forwarder, next > now ? next - now : 0);
	if (!same)
		forwarder_say(forwarder, PATHBELL__V1__EVENT_KIND__EVENT_KIND_FORWARDER_EXITED,
			      PATHBELL__V1__SEVERITY__SEVERITY_ERROR, next - now, 0);
}

static int forwarder_make_sockets(int ret_fds[2])
{
	int size = FORWARDER_SOCKET_BYTES;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ret_fds))
		return -errno;
	for (int i = 0; i < 2; i++) {
		/* beyond net.core.wmem_max where we may, else up to it: 208 KiB, room for one BATCH
		 * and more */
		if (setsockopt(ret_fds[i], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)))
			setsockopt(ret_fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
		if (setsockopt(ret_fds[i], SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
			setsockopt(ret_fds[i], SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	}
	return 0;
}

/*
 * What the process may see of our environment: where its log goes, and what developers set for its
 * libraries and sanitizers. Proxies and the like never.
 */
static void forwarder_make_env(const char *ret_env[FORWARDER_MAX_ENV])
{
	static const char *const names[] = { "JOURNAL_STREAM=", "GRPC_VERBOSITY=", "GRPC_TRACE=",
					     "ASAN_OPTIONS=",	"LSAN_OPTIONS=",   "TSAN_OPTIONS=",
					     "UBSAN_OPTIONS=" };
	size_t n = 0;

	ret_env[n++] = "PATHBELL_FORWARDER_FD=3";
	ret_env[n++] = "LANG=C";
	for (char **env = environ; *env; env++)
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			if (n < FORWARDER_MAX_ENV - 1 &&
			    strncmp(*env, names[i], strlen(names[i])) == 0)
				ret_env[n++] = *env;
	ret_env[n] = NULL;
}

static int forwarder_find_user(struct forwarder *forwarder, struct child_user *ret_user)
{
	const char *name = forwarder->settings->uplink.user;
	char detail[160];
	int r;

	if (geteuid() != 0)
		return 0;
	r = child_user_find(name, ret_user);
	if (r == 0)
		return 0;
	snprintf(detail, sizeof(detail), "uplink.user \"%s\" is not in /etc/passwd", name);
	forwarder_cannot_start(forwarder, detail);
	return r;
}

static int forwarder_fork(struct forwarder *forwarder, const char *program,
			  const struct child_user *user, int *ret_fd)
{
	static const char *const argv[] = { "pathbell-uplink", NULL };
	const char *envp[FORWARDER_MAX_ENV];
	struct child_spec spec = {
		.program = program,
		.argv = argv,
		.envp = envp,
		.n_fds = 4,
		.user = *user,
		.data = forwarder,
		.ended = forwarder_on_exit,
	};
	int fds[2], r = forwarder_make_sockets(fds);

	if (r)
		return r;
	forwarder_make_env(envp);
	spec.fds[0] = -1;
	spec.fds[1] = spec.fds[2] = STDERR_FILENO;
	spec.fds[3] = fds[1];
	r = child_start(&forwarder->child, forwarder->options.loop, &spec);
	fd_close(fds[1]);
	if (r) {
		fd_close(fds[0]);
		return r;
	}
	*ret_fd = fds[0];
	return 0;
}

static void forwarder_spawn(struct forwarder *forwarder)
{
	struct link_callbacks callbacks = forwarder_link_callbacks;
	struct child_user user = { 0 };
	char program[PATH_MAX], detail[PATH_MAX + 64];
	int fd, r;

	r = child_program_find(forwarder->settings->uplink.program, forwarder->options.libexec,
			       "pathbell-uplink", program, sizeof(program));
	if (r) {
		snprintf(detail, sizeof(detail), "the program %s is not there", program);
		forwarder_cannot_start(forwarder, detail);
		return;
	}
	if (forwarder_find_user(forwarder, &user))
		return;
	forwarder->n_started++;
	r = forwarder_fork(forwarder, program, &user, &fd);
	if (r) {
		snprintf(detail, sizeof(detail), "cannot start %s: %s", program, log_errno(r));
		forwarder_cannot_start(forwarder, detail);
		return;
	}
	forwarder->status.state = FORWARDER_STARTING;
	forwarder->status.cause[0] = forwarder->status.detail[0] = 0;
	forwarder->status.pid = (uint32_t)forwarder->child.pid;
	callbacks.data = forwarder;
	if (link_open(&forwarder->link, forwarder->options.loop, fd, forwarder->cursor,
		      &callbacks)) {
		child_signal(&forwarder->child, SIGKILL);
		return;
	}
	forwarder_set_timer(forwarder, FORWARDER_HELLO_NS);
}

static void forwarder_on_timer(EV_P_ struct ev_timer *timer, int revents)
{
	struct forwarder *forwarder = timer->data;

	if (forwarder->stopping) {
		child_signal(&forwarder->child, SIGKILL);
	} else if (child_is_running(&forwarder->child)) {
		forwarder_set_cause(forwarder, "protocol", "it said no HELLO within 10 s");
		child_signal(&forwarder->child, SIGKILL);
	} else {
		forwarder_spawn(forwarder);
	}
}

int forwarder_new(struct forwarder **ret_forwarder, const struct forwarder_options *options,
		  const struct settings *settings)
{
	struct forwarder *forwarder = calloc(1, sizeof(*forwarder));
	int r;

	if (!forwarder)
		return -ENOMEM;
	forwarder->options = *options;
	forwarder->settings = settings;
	r = spool_cursor_open(options->spool, options->name, &forwarder->cursor);
	if (r) {
		free(forwarder);
		return r;
	}
	if (gethostname(forwarder->hostname, sizeof(forwarder->hostname) - 1))
		forwarder->hostname[0] = 0;
	uname(&forwarder->uname);
	backoff_init(&forwarder->backoff, &forwarder_backoff,
		     clock_realtime_ns() ^ options->generation);
	ev_timer_init(&forwarder->timer, forwarder_on_timer, 0., 0.);
	forwarder->timer.data = forwarder;
	*ret_forwarder = forwarder;
	return 0;
}

void forwarder_start(struct forwarder *forwarder)
{
	if (forwarder->status.state == FORWARDER_OFF && !forwarder->stopping)
		forwarder_spawn(forwarder);
}

void forwarder_configure(struct forwarder *forwarder, const struct settings *settings)
{
	forwarder->settings = settings;
	link_send_config(&forwarder->link);
}

void forwarder_kick(struct forwarder *forwarder)
{
	link_flush(&forwarder->link);
}

void forwarder_receipt(struct forwarder *forwarder, const uint8_t id[16])
{
	link_send_receipt(&forwarder->link, id);
}

bool forwarder_reconnect(struct forwarder *forwarder, const char *address, uint64_t *ret_sessions)
{
	if (!link_is_open(&forwarder->link) || !forwarder->link.greeted)
		return false;
	*ret_sessions = forwarder->status.sessions;
	link_send_reconnect(&forwarder->link, address, "command");
	return true;
}

void forwarder_stop(struct forwarder *forwarder, uint64_t timeout_ns)
{
	forwarder->stopping = true;
	if (!child_is_running(&forwarder->child)) {
		ev_timer_stop(forwarder->options.loop, &forwarder->timer);
		forwarder->status.state = FORWARDER_OFF;
		forwarder->options.stopped(forwarder->options.data);
		return;
	}
	forwarder_set_timer(forwarder, timeout_ns);
	link_send_stop(&forwarder->link, timeout_ns);
}

void forwarder_status(const struct forwarder *forwarder, struct forwarder_status *ret_status)
{
	*ret_status = forwarder->status;
	ret_status->reconnects = forwarder->stats.reconnects;
	ret_status->batches = forwarder->link.n_batches;
	ret_status->bad_acks = forwarder->link.n_bad_acks;
	ret_status->receipts_lost = forwarder->link.n_receipts_lost;
	spool_cursor_stats(forwarder->cursor, &ret_status->cursor);
}

struct forwarder *forwarder_free(struct forwarder *forwarder)
{
	if (!forwarder)
		return NULL;
	ev_timer_stop(forwarder->options.loop, &forwarder->timer);
	link_close(&forwarder->link);
	child_deinit(&forwarder->child);
	spool_cursor_close(forwarder->cursor);
	free(forwarder);
	return NULL;
}
