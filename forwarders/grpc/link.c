/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the agent's CONFIG to a session that lasts.
 *
 * Happy path: 1. CONFIG comes; our certificate is looked at and a connection opened to the first
 * address of this host's order. 2. The server answers on Control; the agent is asked for its
 * epochs; Hello goes out. 3. Welcome comes: SESSION up. From there on frames become messages and
 * acks become frames without anybody here. 4. The connection ends; `session` says when to try again
 * and where.
 *
 * Failure modes. A certificate that is expired, not ours or refused: HELD, nothing is sent, the
 * agent keeps its data and raises an alarm; a changed file wakes us at once, else the long delay
 * does (facts: delivery 4 and 6: nobody drops data for a certificate, and nobody spins). New files
 * while a session is up: `next` is opened with them first; if the server refuses it, the old
 * session stays. The agent does not read: the streams are held. The agent is gone: all is
 * cancelled, we exit.
 */
#include "link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "connection.h"
#include "core/clock.h"
#include "trim.h"

#define LINK_DAY_NS	  (86400 * CLOCK_NS_PER_S)
#define LINK_RENEW_NS	  (5 * CLOCK_NS_PER_S) /* the old session may take that long to give up */
#define LINK_RECONNECT_NS (10 * CLOCK_NS_PER_S)
#define LINK_TRIM_MS	  30000

static void link_on_due(void *data);

/* ---- time ---- */

uint64_t link_random(struct link *link)
{
	link->random ^= link->random >> 12; /* xorshift64* */
	link->random ^= link->random << 25;
	link->random ^= link->random >> 27;
	return (link->random * UINT64_C(0x2545F4914F6CDD1D)) >> 16;
}

static uint32_t link_ms(uint64_t ns)
{
	uint64_t ms = (ns + CLOCK_NS_PER_MS - 1) / CLOCK_NS_PER_MS;

	return ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
}

static void link_timer(struct link *link, struct rpc_timer **timer, uint64_t delay_ns,
		       void (*fn)(void *data))
{
	rpc_timer_cancel(*timer);
	*timer = rpc_timer_start(link->rpc, link_ms(delay_ns), fn, link);
}

static uint64_t link_delay_ns(const struct link *link, uint64_t now_ns)
{
	uint64_t due_ns = session_due_ns(&link->session);

	return due_ns > now_ns ? due_ns - now_ns : 0;
}

static void link_schedule(struct link *link)
{
	rpc_timer_cancel(link->attempt);
	link->attempt = NULL;
	if (link->stopping || session_due_ns(&link->session) == UINT64_MAX)
		return;
	link_timer(link, &link->attempt, link_delay_ns(link, clock_monotonic_ns()), link_on_due);
}

/* ---- what the agent is told ---- */

static struct frame_text link_text(const char *text)
{
	return (struct frame_text){ text, strlen(text) };
}

static void link_send_session(struct link *link, enum frame_session state, const char *cause,
			      const char *detail)
{
	struct frame frame = { .type = FRAME_SESSION };

	frame.session.state = state;
	frame.session.cause = link_text(cause);
	frame.session.detail = link_text(detail);
	frame.session.address = link_text(session_address(&link->session));
	if (session_due_ns(&link->session) != UINT64_MAX)
		frame.session.retry_ns = link_delay_ns(link, clock_monotonic_ns());
	outbox_send(link->outbox, &frame);
}

void link_send_stats(struct link *link)
{
	struct frame frame = { .type = FRAME_STATS };

	frame.stats = (struct frame_stats){ .reconnects = link->counts.reconnects,
					    .batches = link->counts.batches,
					    .bytes = link->counts.bytes,
					    .acks = link->counts.acks,
					    .commands = link->counts.commands,
					    .certificate_not_after_unix_ns =
						    link->certificates.not_after_unix_ns };
	outbox_send(link->outbox, &frame);
}

static void link_send_alarm(struct link *link, const char *what, const char *detail)
{
	struct frame frame = { .type = FRAME_ALARM };

	if (link->alarm && strcmp(link->alarm, what) == 0)
		return;
	frame.alarm.what = link_text(what);
	frame.alarm.detail = link_text(detail);
	frame.alarm.not_after_unix_ns = link->certificates.not_after_unix_ns;
	outbox_send(link->outbox, &frame);
	log_write(strcmp(what, "ok") == 0 ? LOG_LEVEL_NOTICE : LOG_LEVEL_WARNING,
		  "certificate %s detail=\"%s\"", what, detail);
	link->alarm = strcmp(what, "ok") == 0 ? NULL : what;
}

/* `refused` is the server's word: only a session clears it. */
static void link_clear_alarm(struct link *link, bool also_refused)
{
	if (link->alarm && (also_refused || strcmp(link->alarm, "refused") != 0))
		link_send_alarm(link, "ok", link->settings.certificate_file);
}

/* ---- certificates ---- */

static void link_on_certificate_time(void *data);

static void link_watch_time(struct link *link, uint64_t now_unix_ns)
{
	uint64_t next_ns = link->certificates.next_unix_ns;
	uint64_t delay_ns = next_ns > now_unix_ns ? next_ns - now_unix_ns : LINK_DAY_NS;

	/* Once a day at least: the clock may have been set. */
	link_timer(link, &link->certificate_timer, delay_ns < LINK_DAY_NS ? delay_ns : LINK_DAY_NS,
		   link_on_certificate_time);
}

static bool link_look_at_certificates(struct link *link)
{
	uint64_t now_unix_ns = clock_realtime_ns();

	link->certificate_stamp = certificates_stamp(&link->settings);
	certificates_check(&link->settings, now_unix_ns, &link->certificates);
	if (link->certificates.state == CERTIFICATES_OK)
		link_clear_alarm(link, false);
	else
		link_send_alarm(link, certificates_state_name(link->certificates.state),
				link->certificates.detail);
	link_watch_time(link, now_unix_ns);
	return certificates_is_usable(&link->certificates);
}

static void link_on_certificate_time(void *data)
{
	struct link *link = data;

	link->certificate_timer = NULL;
	link_look_at_certificates(link);
}

void link_on_files(struct link *link)
{
	if (!link->configured || link->stopping ||
	    certificates_stamp(&link->settings) == link->certificate_stamp)
		return;
	link->on_configured(link->data); /* folders behind symlinks may be others now */
	if (!link_look_at_certificates(link))
		return; /* a session that is up goes on; else the next change or the long delay */
	if (link->current)
		link_renew(link);
	session_wake(&link->session, clock_monotonic_ns());
	link_schedule(link);
}

/* ---- attempts ---- */

static void link_failed(struct link *link, const struct session_end *end)
{
	bool held;

	session_ended(&link->session, clock_monotonic_ns(), end);
	held = link->session.state == SESSION_HELD;
	if (held && certificates_is_usable(&link->certificates))
		link_send_alarm(link, "refused", end->detail);
	link_send_session(link, held ? FRAME_SESSION_HELD : FRAME_SESSION_DOWN,
			  session_cause_name(end->cause), end->detail);
	link_send_stats(link);
	log_limited(
		&link->limits.ended, LOG_LEVEL_NOTICE,
		"no session%s cause=%s retry_ms=%llu detail=\"%s\"",
		held ? ", held until a person or a new file helps" : "",
		session_cause_name(end->cause),
		(unsigned long long)(link_delay_ns(link, clock_monotonic_ns()) / CLOCK_NS_PER_MS),
		end->detail);
	link_schedule(link);
}

static void link_failed_for(struct link *link, enum session_cause cause, const char *detail)
{
	struct session_end end = { .cause = cause };

	snprintf(end.detail, sizeof(end.detail), "%s", detail);
	link_failed(link, &end);
}

static void link_connect(struct link *link)
{
	struct errmsg err = { .line = 0 };
	int r;

	session_connecting(&link->session);
	if (!link_look_at_certificates(link)) {
		link_failed_for(link, SESSION_AUTH, link->certificates.detail);
		return;
	}
	link_send_session(link, FRAME_SESSION_CONNECTING, "", "");
	r = connection_new(link, session_address(&link->session), link->certificate_stamp,
			   &link->current, &err);
	if (r < 0)
		link_failed_for(link, SESSION_AUTH, err.text[0] ? err.text : log_errno(r));
}

static void link_on_due(void *data)
{
	struct link *link = data;

	link->attempt = NULL;
	if (!link->current && !link->stopping)
		link_connect(link);
}

/* ---- renewal ---- */

static void link_on_renew_again(void *data)
{
	struct link *link = data;

	link->renew_timer = NULL;
	link_renew(link);
}

void link_renew(struct link *link)
{
	struct errmsg err = { .line = 0 };

	if (link->stopping || !link->current)
		return;
	if (link->next) {
		connection_end(link->next, SESSION_DRAINED,
			       "newer files came"); /* tried again when it is closed */
		return;
	}
	if (!link_look_at_certificates(link))
		return;
	if (connection_new(link, session_address(&link->session), link->certificate_stamp,
			   &link->next, &err) < 0)
		link_timer(link, &link->renew_timer, link->session.backoff.options.cap_ns,
			   link_on_renew_again);
}

static void link_next_closed(struct link *link, const struct connection *connection)
{
	link->next = NULL;
	if (link->stopping)
		return;
	if (connection->end.cause == SESSION_DRAINED) {
		link_renew(link);
		return;
	}
	if (connection->end.cause == SESSION_AUTH || connection->end.certificate_refused)
		link_send_alarm(link, "refused", connection->end.detail);
	log_limited(&link->limits.ended, LOG_LEVEL_WARNING, "the old session stays: %s",
		    connection->end.detail);
	link_timer(link, &link->renew_timer, link->session.backoff.options.cap_ns,
		   link_on_renew_again);
}

static void link_promote(struct link *link, const struct session_end *end)
{
	const struct session_end renewed = { .cause = SESSION_DRAINED };
	bool was_up = link->session.state == SESSION_UP;

	session_ended(&link->session, clock_monotonic_ns(), &renewed);
	session_connecting(&link->session);
	link->current = link->next;
	link->next = NULL;
	if (was_up)
		link_send_session(link, FRAME_SESSION_DOWN, session_cause_name(SESSION_DRAINED),
				  end->detail);
	connection_begin(link->current);
}

/* ---- what connections report ---- */

void link_connection_ready(struct link *link, struct connection *connection)
{
	if (connection == link->current)
		connection_begin(connection);
	else if (link->current)
		connection_drain(link->current, LINK_RENEW_NS, SESSION_DRAINED, "renewed");
}

static void link_on_trim(void *data)
{
	struct link *link = data;

	link->trim_timer = NULL;
	trim_memory();
}

void link_connection_up(struct link *link, struct connection *connection, uint64_t window_ns,
			const char *aggregator)
{
	session_up(&link->session, clock_monotonic_ns(), window_ns);
	link->counts.reconnects = link->session.sessions - 1;
	link_clear_alarm(link, link->alarm && strcmp(link->alarm, "refused") == 0);
	link_send_stats(link);
	link_timer(link, &link->trim_timer, LINK_TRIM_MS * CLOCK_NS_PER_MS, link_on_trim);
	log_info("session up aggregator=\"%.64s\" address=%s generation=%llu", aggregator,
		 connection->address, (unsigned long long)connection->generation);
}

static void link_check_stopped(struct link *link)
{
	if (!link->stopping || link->stopped || link->current || link->next)
		return;
	link->stopped = true;
	link->on_stopped(link->data);
}

static void link_current_closed(struct link *link, const struct connection *connection)
{
	link->current = NULL;
	if (link->stopping) {
		if (link->session.state == SESSION_UP)
			link_send_session(link, FRAME_SESSION_DOWN,
					  session_cause_name(SESSION_SHUTDOWN), "");
	} else if (link->next) {
		link_promote(link, &connection->end);
	} else {
		link_failed(link, &connection->end);
	}
}

void link_connection_closed(struct link *link, struct connection *connection)
{
	if (connection == link->next)
		link_next_closed(link, connection);
	else if (connection == link->current)
		link_current_closed(link, connection);
	link_check_stopped(link);
}

bool link_is_replacing(const struct link *link, const struct connection *connection)
{
	return connection == link->current && link->next;
}

void link_check_outbox(struct link *link, struct connection *connection)
{
	if (outbox_is_full(link->outbox))
		connection_hold(connection, true);
}

void link_on_outbox_drained(struct link *link)
{
	if (link->current)
		connection_hold(link->current, false);
	if (link->next)
		connection_hold(link->next, false);
}

/* ---- what the agent says ---- */

static int link_configure_session(struct link *link, const struct settings *settings)
{
	const struct backoff_options options = { .base_ns = settings->backoff_base_ns,
						 .cap_ns = settings->backoff_cap_ns,
						 .healthy_ns = SESSION_HEALTHY_NS };

	return session_configure(&link->session, settings->host_id,
				 (const char *const *)settings->addresses, settings->n_addresses,
				 &options, clock_monotonic_ns());
}

static void link_on_config(struct link *link, const struct frame_config *config)
{
	struct settings settings;
	bool is_same;
	int r = settings_copy(config, &settings);

	if (r == 0)
		r = link_configure_session(link, &settings);
	if (r < 0) {
		log_error("the agent's configuration cannot be used: %s", log_errno(r));
		return;
	}
	log_set_level((enum log_level)config->log_level);
	is_same = link->configured && settings_is_same_connection(&link->settings, &settings);
	settings_deinit(&link->settings);
	link->settings = settings;
	if (!link->configured && config->session_generation > link->generation)
		link->generation = config->session_generation;
	link->configured = true;
	link->on_configured(link->data);
	if (is_same)
		return;
	if (link->current)
		link_renew(link);
	session_wake(&link->session, clock_monotonic_ns());
	link_schedule(link);
}

static void link_on_reconnect(struct link *link, const struct frame_reconnect *reconnect)
{
	char address[300], reason[300];

	snprintf(address, sizeof(address), "%.*s", (int)reconnect->address.len,
		 reconnect->address.text);
	snprintf(reason, sizeof(reason), "asked to reconnect: %.*s", (int)reconnect->reason.len,
		 reconnect->reason.text);
	if (!address[0]) {
		session_prefer_next(&link->session);
	} else if (!session_prefer(&link->session, address)) {
		log_warning(
			"asked to reconnect to an address that is not configured address=\"%s\"",
			address);
		return;
	}
	if (link->next)
		connection_end(link->next, SESSION_LOST, "%s", reason);
	if (link->current)
		connection_drain(link->current, LINK_RECONNECT_NS, SESSION_DRAINED, reason);
	session_wake(&link->session, clock_monotonic_ns());
	link_schedule(link);
}

void link_close(struct link *link)
{
	link->stopping = true;
	link_schedule(link);
	if (link->next)
		connection_end(link->next, SESSION_SHUTDOWN, "stopped");
	if (link->current)
		connection_end(link->current, SESSION_SHUTDOWN, "stopped");
	link_check_stopped(link);
}

static void link_on_stop_late(void *data)
{
	struct link *link = data;

	link->stop_timer = NULL;
	link_close(link);
}

static void link_on_stop(struct link *link, const struct frame_stop *stop)
{
	if (link->stopping)
		return;
	link->stopping = true;
	link_schedule(link);
	if (link->next)
		connection_end(link->next, SESSION_SHUTDOWN, "stopped");
	if (link->current)
		connection_drain(link->current, stop->deadline_ns, SESSION_SHUTDOWN, "stopped");
	link_timer(link, &link->stop_timer, stop->deadline_ns, link_on_stop_late);
	link_check_stopped(link);
}

static void link_on_frame(struct link *link, const struct frame *frame)
{
	switch (frame->type) {
	case FRAME_CONFIG:
		link_on_config(link, &frame->config);
		break;
	case FRAME_EPOCHS:
		if (link->current)
			connection_on_epochs(link->current, &frame->epochs);
		break;
	case FRAME_GONE:
		if (link->current)
			connection_on_gone(link->current, &frame->gone);
		break;
	case FRAME_RECEIPT:
		if (link->current)
			connection_on_receipt(link->current, &frame->receipt);
		break;
	case FRAME_BEAT:
		if (link->current)
			connection_on_beat(link->current, &frame->beat);
		break;
	case FRAME_RECONNECT:
		link_on_reconnect(link, &frame->reconnect);
		break;
	case FRAME_STOP:
		link_on_stop(link, &frame->stop);
		break;
	default:
		link->counts.dropped_frames++;
		log_limited(&link->limits.frame, LOG_LEVEL_WARNING,
			    "a frame that agents do not send type=%s",
			    frame_type_name(frame->type));
		break;
	}
}

void link_on_parcel(struct link *link, struct parcel *parcel)
{
	struct frame frame;

	if (frame_decode(parcel->packet, parcel->size, &frame) < 0) {
		link->counts.dropped_frames++;
		log_limited(&link->limits.frame, LOG_LEVEL_ERROR,
			    "the agent sent a broken frame size=%zu", parcel->size);
	} else if (frame.type == FRAME_BATCH && link->current) {
		connection_on_batch(link->current, &frame.batch, parcel);
		return;
	} else if (frame.type == FRAME_BATCH) {
		link->counts.dropped_frames++;
	} else {
		link_on_frame(link, &frame);
	}
	parcel_free(parcel);
}

/* ---- life ---- */

void link_init(struct link *link, struct rpc *rpc, struct outbox *outbox)
{
	memset(link, 0, sizeof(*link));
	link->rpc = rpc;
	link->outbox = outbox;
	link->random = clock_boottime_ns() ^ (uint64_t)getpid() << 40;
	link->random |= 1;
	link->generation = 1;
	session_init(&link->session, link->random);
}

void link_deinit(struct link *link)
{
	session_deinit(&link->session);
	settings_deinit(&link->settings);
}
