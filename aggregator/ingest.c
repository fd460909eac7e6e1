/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hosts to store. A message of a host becomes one action of the pure machine (peer.c); a batch is
 * copied once, as it is, into a job for the writer. When the group is durable the job comes back:
 * the ack is noted, and ingest_on_commit sends one cumulative ack for each stream of the group.
 *
 * Back-pressure: while the store's queue is full, or one host has more in flight than its window,
 * its stream is held: gRPC stops reading, HTTP/2 windows fill, the host's spool keeps the data.
 * Acks that a slow host does not take are not queued up: the newest one replaces what waits.
 *
 * A session outlives its call until its jobs are back. Two streams of one host: the higher
 * session_generation wins and the other is told (fenced).
 */
#include "aggregator/ingest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aggregator/commands.h"
#include "aggregator/peer.h"
#include "core/clock.h"
#include "core/id.h"
#include "core/log.h"

#define INGEST_SEND_MAX	     65536 /* queued bytes towards one host */
#define INGEST_RETRY_BUSY_MS 5000

struct session {
	struct aggregator *aggregator;
	struct rpc_call *call; /* NULL: closed */
	struct host *host;     /* set after Hello */
	struct caller caller;
	struct peer peer;
	uint64_t not_after_unix_ns;
	unsigned jobs; /* under way */
	bool is_held, is_dirty, ack_waits, credit_waits;
	struct {
		uint8_t epoch[16];
		uint64_t seq;
	} ack; /* if ack_waits */
	LIST_ENTRY(session) held_link;
	LIST_ENTRY(session) dirty_link;
};

/* Sessions with something to send after the group, and those that wait for room. gRPC thread. */
static LIST_HEAD(, session) ingest_dirty = LIST_HEAD_INITIALIZER(ingest_dirty);
static LIST_HEAD(, session) ingest_held = LIST_HEAD_INITIALIZER(ingest_held);

struct session_job {
	struct writer_job job; /* first */
	struct session *session;
	size_t weight;
	uint64_t records;
	uint8_t *data; /* what `write` points to */
};

/* ---- sending ---- */

static int session_send(struct session *session, const Pathbell__V1__EventsDown *message)
{
	size_t size = pathbell__v1__events_down__get_packed_size(message);
	uint8_t *bytes = malloc(size);
	int r;

	if (!bytes)
		return -ENOBUFS;
	pathbell__v1__events_down__pack(message, bytes);
	r = session->call ? rpc_call_enqueue(session->call, bytes, size, INGEST_SEND_MAX)
			  : RPC_E_CLOSED;
	free(bytes);
	return r;
}

static int session_send_ack(struct session *session, Pathbell__V1__Rejection **rejections,
			    size_t n_rejections)
{
	Pathbell__V1__EventsDown message = PATHBELL__V1__EVENTS_DOWN__INIT;
	Pathbell__V1__Ack ack = PATHBELL__V1__ACK__INIT;
	int r;

	ack.epoch.data = session->ack.epoch;
	ack.epoch.len = 16;
	ack.seq = session->ack.seq;
	ack.level = PATHBELL__V1__ACK_LEVEL__ACK_LEVEL_LOCAL;
	ack.rejections = rejections;
	ack.n_rejections = n_rejections;
	message.message_case = PATHBELL__V1__EVENTS_DOWN__MESSAGE_ACK;
	message.ack = &ack;
	r = session_send(session, &message);
	if (r == 0)
		counter_add(&session->aggregator->metrics.acks, 1);
	return r;
}

static int session_send_credit(struct session *session)
{
	Pathbell__V1__EventsDown message = PATHBELL__V1__EVENTS_DOWN__INIT;
	Pathbell__V1__Credit credit = PATHBELL__V1__CREDIT__INIT;

	credit.bytes = session->peer.granted_bytes;
	credit.records = session->peer.granted_records;
	message.message_case = PATHBELL__V1__EVENTS_DOWN__MESSAGE_CREDIT;
	message.credit = &credit;
	return session_send(session, &message);
}

/* What does not fit now stays and goes with on_sent. */
static void session_flush(struct session *session)
{
	if (!session->call)
		return;
	if (session->ack_waits && session_send_ack(session, NULL, 0) == 0)
		session->ack_waits = false;
	if (session->credit_waits && session_send_credit(session) == 0)
		session->credit_waits = false;
}

static void session_dirty(struct session *session)
{
	if (session->is_dirty)
		return;
	session->is_dirty = true;
	LIST_INSERT_HEAD(&ingest_dirty, session, dirty_link);
}

/* ---- end ---- */

static void session_free(struct session *session)
{
	if (session->call || session->jobs > 0)
		return;
	if (session->is_dirty)
		LIST_REMOVE(session, dirty_link);
	free(session);
}

static void session_detach(struct session *session)
{
	struct metrics *metrics = &session->aggregator->metrics;
	struct host *host = session->host;

	if (session->is_held)
		LIST_REMOVE(session, held_link);
	session->is_held = false;
	session->host = NULL;
	session->peer.state = PEER_CLOSED;
	if (!host || host->session != session)
		return;
	host->session = NULL;
	counter_add(&metrics->hosts_connected, (uint64_t)-1);
	hosts_release(session->aggregator->hosts, host);
}

static void session_goodbye(struct session *session, const char *reason, const char *text,
			    uint32_t retry_ms)
{
	Pathbell__V1__EventsDown message = PATHBELL__V1__EVENTS_DOWN__INIT;
	Pathbell__V1__Goodbye goodbye = PATHBELL__V1__GOODBYE__INIT;

	goodbye.reason = (char *)reason;
	goodbye.detail = (char *)text;
	goodbye.retry_after_ms = retry_ms;
	message.message_case = PATHBELL__V1__EVENTS_DOWN__MESSAGE_GOODBYE;
	message.goodbye = &goodbye;
	session_send(session, &message);
}

/* One limit for each reason, so that a flood of one does not hide another. */
static struct log_limit *session_limit(const char *reason)
{
	static struct {
		const char *reason;
		struct log_limit limit;
	} limits[16];
	size_t i = 0;

	while (i < 15 && limits[i].reason && strcmp(limits[i].reason, reason) != 0)
		i++;
	limits[i].reason = reason;
	return &limits[i].limit;
}

static void session_close(struct session *session, int status, const char *reason, const char *text)
{
	uint32_t retry = status == RPC_RESOURCE_EXHAUSTED || status == RPC_UNAVAILABLE
				 ? INGEST_RETRY_BUSY_MS
				 : 0;

	if (!session->call)
		return;
	log_limited(session_limit(reason), LOG_LEVEL_WARNING,
		    "session closed host=%s reason=%s detail=\"%s\" peer=%s", session->caller.name,
		    reason, text, rpc_call_peer(session->call)->address);
	session_flush(session);
	session_goodbye(session, reason, text, retry);
	session->peer.state = PEER_CLOSED;
	rpc_call_finish(session->call, status, text);
}

/* ---- jobs back from the writer ---- */

static void session_stored(struct session *session, const struct session_job *job)
{
	if (peer_stored(&session->peer, job->weight, job->records)) {
		session->credit_waits = true;
		session_dirty(session);
	}
}

static void session_ack(struct session *session, const uint8_t epoch[16], uint64_t seq)
{
	/* Cumulative per epoch: another epoch's ack must not be replaced. */
	if (session->ack_waits && memcmp(session->ack.epoch, epoch, 16) != 0)
		session_flush(session);
	memcpy(session->ack.epoch, epoch, 16);
	session->ack.seq = seq;
	session->ack_waits = true;
	session_dirty(session);
}

static void session_rejections(struct session *session, const struct store_batch *batch)
{
	static struct log_limit limit;
	Pathbell__V1__Rejection rejections[STORE_MAX_REJECTIONS];
	Pathbell__V1__Rejection *pointers[STORE_MAX_REJECTIONS];
	size_t n = batch->ret_rejected < STORE_MAX_REJECTIONS ? batch->ret_rejected
							      : STORE_MAX_REJECTIONS;

	for (size_t i = 0; i < n; i++) {
		pathbell__v1__rejection__init(&rejections[i]);
		rejections[i].seq = batch->ret_rejections[i].seq;
		rejections[i].reason = (char *)batch->ret_rejections[i].reason;
		pointers[i] = &rejections[i];
	}
	log_limited(&limit, LOG_LEVEL_ERROR,
		    "events rejected and kept as alarms host=%s seq=%llu count=%llu reason=\"%s\"",
		    session->caller.name, (unsigned long long)rejections[0].seq,
		    (unsigned long long)batch->ret_rejected, rejections[0].reason);
	if (session_send_ack(session, pointers, n) == 0)
		session->ack_waits = false;
}

static void session_gap(struct session *session)
{
	counter_add(&session->aggregator->metrics.refused_gap, 1);
	session_close(session, RPC_FAILED_PRECONDITION, "protocol",
		      "gap: the store has not what comes before; connect again and resume");
}

static void session_job_free(struct session_job *job)
{
	struct session *session = job->session;

	store_write_release(&job->job.write);
	free(job->data);
	free(job);
	session->jobs--;
	session_free(session);
}

/* The store has refused it for good, or the writer stopped: no ack, the host keeps the data. */
static bool session_job_failed(struct session_job *job)
{
	if (job->job.error == 0)
		return false;
	session_close(job->session, job->job.error == -ECANCELED ? RPC_UNAVAILABLE : RPC_INTERNAL,
		      job->job.error == -ECANCELED ? "shutdown" : "store",
		      job->job.error == -ECANCELED ? "the aggregator stops"
						   : "the store refuses this data");
	return true;
}

/* Two disks with one epoch, as after a restored snapshot. What came is kept as alarms; the host
 * goes on behind the mark. */
static void session_conflict(struct session *session, const struct store_batch *batch)
{
	log_error(
		"integrity alarm: other content for stored events host=%s first_seq=%llu count=%u",
		session->caller.name, (unsigned long long)batch->first_seq, batch->ret_conflicts);
	session_close(session, RPC_ABORTED, "epoch_conflict",
		      "this epoch has other content here: a cloned or restored spool");
}

static void session_batch_done(struct writer_job *writer_job)
{
	struct session_job *job = (struct session_job *)writer_job;
	struct session *session = job->session;
	struct store_batch *batch = &writer_job->write.batch;

	if (writer_job->error == 0 && batch->ret_n_changes > 0)
		commands_on_changes(session->aggregator->commands, session->caller.name,
				    batch->ret_changes, batch->ret_n_changes);
	if (session_job_failed(job) || writer_job->write.ret_outcome == STORE_E_GAP) {
		if (writer_job->error == 0)
			session_gap(session);
		session_job_free(job);
		return;
	}
	if (batch->ret_conflicts > 0) {
		session_conflict(session, batch);
		session_job_free(job);
		return;
	}
	session_stored(session, job);
	session_ack(session, batch->epoch, batch->ret_mark);
	if (batch->ret_rejected > 0)
		session_rejections(session, batch);
	session_job_free(job);
}

static void session_gone_done(struct writer_job *writer_job)
{
	struct session_job *job = (struct session_job *)writer_job;
	struct store_gone *gone = &writer_job->write.gone;

	if (session_job_failed(job)) {
		session_job_free(job);
		return;
	}
	if (writer_job->write.ret_outcome == STORE_E_GAP) {
		session_gap(job->session);
	} else {
		counter_add(&job->session->aggregator->metrics.events_tombstoned,
			    gone->last_seq - gone->first_seq + 1);
		session_stored(job->session, job);
		session_ack(job->session, gone->epoch, gone->ret_mark);
	}
	session_job_free(job);
}

static struct session_job *session_job(struct session *session, enum store_write_type type,
				       void (*done)(struct writer_job *job))
{
	struct session_job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	job->session = session;
	job->job.write.type = type;
	job->job.write.host_id = session->caller.name;
	job->job.write.now_unix_ns = clock_realtime_ns();
	job->job.bytes = sizeof(*job);
	job->job.done = done;
	return job;
}

static void session_put(struct session *session, struct session_job *job)
{
	session->jobs++;
	writer_put(session->aggregator->writer, &job->job);
}

/* ---- actions ---- */

static void session_hold(struct session *session)
{
	if (session->is_held ||
	    !(writer_is_full(session->aggregator->writer) || peer_is_over(&session->peer)))
		return;
	session->is_held = true;
	LIST_INSERT_HEAD(&ingest_held, session, held_link);
	counter_add(&session->aggregator->metrics.holds, 1);
	rpc_call_hold(session->call, true);
}

static void session_no_memory(struct session *session)
{
	session_close(session, RPC_UNAVAILABLE, "busy", "no memory");
}

static void session_put_gone(struct session *session, const struct peer_range *range,
			     uint32_t reason, size_t weight, uint64_t records)
{
	struct session_job *job = session_job(session, STORE_GONE, session_gone_done);

	if (!job) {
		session_no_memory(session);
		return;
	}
	memcpy(job->job.write.gone.epoch, range->epoch, 16);
	job->job.write.gone.first_seq = range->first_seq;
	job->job.write.gone.last_seq = range->last_seq;
	job->job.write.gone.reason = reason;
	job->weight = weight;
	job->records = records;
	session_put(session, job);
}

static void session_on_batch(struct session *session, const struct peer_action *action)
{
	struct session_job *job;
	struct store_batch *batch;

	if (action->declared) {
		counter_add(&session->aggregator->metrics.declared_lost,
			    action->range.last_seq - action->range.first_seq + 1);
		log_warning("host cannot send what this store lacks host=%s first_seq=%llu "
			    "last_seq=%llu",
			    session->caller.name, (unsigned long long)action->range.first_seq,
			    (unsigned long long)action->range.last_seq);
		session_put_gone(session, &action->range, 0, 0, 0);
	}
	job = session_job(session, STORE_BATCH, session_batch_done);
	if (job)
		job->data = malloc(action->batch.events_size);
	if (!job || !job->data) {
		free(job);
		session_no_memory(session);
		return;
	}
	memcpy(job->data, action->batch.events, action->batch.events_size);
	batch = &job->job.write.batch;
	memcpy(batch->epoch, action->batch.epoch, 16);
	batch->first_seq = action->batch.first_seq;
	batch->count = action->batch.count;
	batch->events = job->data;
	batch->events_size = action->batch.events_size;
	job->job.bytes += batch->events_size;
	job->weight = action->weight;
	job->records = batch->count;
	counter_add(&session->aggregator->metrics.batches, 1);
	counter_add(&session->aggregator->metrics.batch_bytes, action->weight);
	session_put(session, job);
	session_hold(session);
}

static void session_on_heartbeat(struct session *session, const Pathbell__V1__Heartbeat *heartbeat)
{
	counter_add(&session->aggregator->metrics.heartbeats, 1);
	if (!session->host)
		return;
	session->host->unacked = heartbeat->unacked;
	session->host->degraded = heartbeat->degraded;
}

static void session_on_resend(struct session *session, const struct peer_range *range)
{
	Pathbell__V1__EventsDown message = PATHBELL__V1__EVENTS_DOWN__INIT;
	Pathbell__V1__Resend resend = PATHBELL__V1__RESEND__INIT;

	counter_add(&session->aggregator->metrics.resends, 1);
	log_warning("gap, asking again host=%s first_seq=%llu last_seq=%llu", session->caller.name,
		    (unsigned long long)range->first_seq, (unsigned long long)range->last_seq);
	resend.epoch.data = (uint8_t *)range->epoch;
	resend.epoch.len = 16;
	resend.first_seq = range->first_seq;
	resend.last_seq = range->last_seq;
	resend.reason = (char *)"gap";
	message.message_case = PATHBELL__V1__EVENTS_DOWN__MESSAGE_RESEND;
	message.resend = &resend;
	session_send(session, &message);
}

/* ---- Hello ---- */

static void session_welcome_send(struct session *session, Pathbell__V1__Welcome *welcome)
{
	const struct settings_ingest *ingest = &session->aggregator->live.ingest;
	Pathbell__V1__EventsDown message = PATHBELL__V1__EVENTS_DOWN__INIT;
	Pathbell__V1__Credit credit = PATHBELL__V1__CREDIT__INIT;
	uint8_t id[ID_SIZE];

	id_random(id);
	welcome->protocol = PEER_PROTOCOL;
	welcome->session_id.data = id;
	welcome->session_id.len = ID_SIZE;
	credit.bytes = session->peer.granted_bytes;
	credit.records = session->peer.granted_records;
	welcome->credit = &credit;
	welcome->max_message_bytes = (uint32_t)ingest->max_message_bytes;
	welcome->max_batch_records = session->peer.limits.max_batch_records;
	welcome->heartbeat_interval_ms =
		(uint32_t)(ingest->heartbeat_interval_ns / CLOCK_NS_PER_MS);
	welcome->reconnect_window_ms = (uint32_t)(ingest->reconnect_window_ns / CLOCK_NS_PER_MS);
	welcome->aggregator = session->aggregator->name;
	welcome->unix_ns = clock_realtime_ns();
	message.message_case = PATHBELL__V1__EVENTS_DOWN__MESSAGE_WELCOME;
	message.welcome = welcome;
	session_send(session, &message);
}

static void session_welcome(struct session *session, const struct store_hello *hello)
{
	Pathbell__V1__Welcome welcome = PATHBELL__V1__WELCOME__INIT;
	Pathbell__V1__ResumePoint points[PEER_MAX_EPOCHS];
	Pathbell__V1__ResumePoint *pointers[PEER_MAX_EPOCHS];

	for (size_t i = 0; i < hello->n_epochs; i++) {
		pathbell__v1__resume_point__init(&points[i]);
		points[i].epoch.data = (uint8_t *)hello->epochs + 16 * i;
		points[i].epoch.len = 16;
		points[i].seq = hello->ret_marks[i];
		pointers[i] = &points[i];
	}
	welcome.resume = pointers;
	welcome.n_resume = hello->n_epochs;
	/* An engine that lost its tail, or another store than before: the replay window repairs it.
	 */
	if (peer_resumed(&session->peer, hello->ret_marks) > 0) {
		counter_add(&session->aggregator->metrics.mark_regressions, 1);
		log_warning("integrity alarm: more was acknowledged than is stored host=%s",
			    session->caller.name);
	}
	session_welcome_send(session, &welcome);
}

static void session_hello_done(struct writer_job *writer_job)
{
	struct session_job *job = (struct session_job *)writer_job;
	struct session *session = job->session;

	if (!session_job_failed(job) && session->call && session->peer.state == PEER_RESUMING) {
		session_welcome(session, &writer_job->write.hello);
		log_info("host connected host=%s peer=%s generation=%llu epochs=%zu",
			 session->caller.name, rpc_call_peer(session->call)->address,
			 (unsigned long long)session->peer.generation,
			 writer_job->write.hello.n_epochs);
	}
	session_job_free(job);
}

/* False: this session is the older one and was told so. */
static bool session_fence(struct session *session, struct host *host)
{
	struct session *other = host->session;

	if (!other)
		return true;
	if (other->peer.state != PEER_CLOSED &&
	    other->peer.generation >= session->peer.generation) {
		counter_add(&session->aggregator->metrics.refused_fenced, 1);
		session_close(session, RPC_ABORTED, "fenced",
			      "another session of this host has the same or a higher generation");
		return false;
	}
	if (other->peer.state != PEER_CLOSED) {
		counter_add(&session->aggregator->metrics.refused_fenced, 1);
		session_close(other, RPC_ABORTED, "fenced",
			      "a newer session of this host has connected");
	}
	host->session = NULL;
	counter_add(&session->aggregator->metrics.hosts_connected, (uint64_t)-1);
	other->host = NULL;
	return true;
}

static void session_put_hello(struct session *session, const Pathbell__V1__Hello *hello)
{
	struct session_job *job = session_job(session, STORE_HELLO, session_hello_done);
	struct store_hello *write;
	const char *texts[] = { hello->hostname, hello->agent_version, hello->kernel_release };
	const char *copies[3];
	size_t size = 16 * hello->n_epochs + 16;
	uint8_t *pos;

	for (size_t i = 0; i < 3; i++)
		size += strlen(texts[i]) + 1;
	if (job)
		job->data = malloc(size);
	if (!job || !job->data) {
		free(job);
		session_no_memory(session);
		return;
	}
	for (pos = job->data; pos < job->data + 16 * hello->n_epochs; pos += 16)
		memcpy(pos, hello->epochs[(pos - job->data) / 16]->epoch.data, 16);
	write = &job->job.write.hello;
	if (hello->boot_id.len == 16)
		write->boot_id = memcpy(pos, hello->boot_id.data, 16);
	pos += 16;
	for (size_t i = 0; i < 3; i++) {
		copies[i] = memcpy(pos, texts[i], strlen(texts[i]) + 1);
		pos += strlen(texts[i]) + 1;
	}
	write->hostname = copies[0];
	write->agent_version = copies[1];
	write->kernel_release = copies[2];
	write->peer = session->host->peer;
	write->certificate_not_after_unix_ns = session->not_after_unix_ns;
	write->epochs = job->data;
	write->n_epochs = hello->n_epochs;
	session_put(session, job);
}

static void session_on_hello(struct session *session, const Pathbell__V1__Hello *hello)
{
	struct aggregator *aggregator = session->aggregator;
	struct host *host = hosts_add(aggregator->hosts, session->caller.name,
				      aggregator->live.ingest.max_hosts);

	if (!host) {
		counter_add(&aggregator->metrics.refused_limit, 1);
		session_close(session, RPC_RESOURCE_EXHAUSTED, "busy",
			      "ingest.max_hosts hosts are connected");
		return;
	}
	if (!session_fence(session, host))
		return;
	session->host = host;
	host->session = session;
	snprintf(host->peer, sizeof(host->peer), "%s", rpc_call_peer(session->call)->address);
	host->certificate_not_after_unix_ns = session->not_after_unix_ns;
	counter_add(&aggregator->metrics.hosts_connected, 1);
	counter_add(&aggregator->metrics.sessions_total, 1);
	session_put_hello(session, hello);
}

/* ---- the call ---- */

static void session_count_refusal(struct session *session, const struct peer_action *action)
{
	struct metrics *metrics = &session->aggregator->metrics;

	if (action->status == RPC_PERMISSION_DENIED)
		counter_add(&metrics->refused_host_id, 1);
	else if (action->status == RPC_FAILED_PRECONDITION)
		counter_add(&metrics->refused_gap, 1);
	else
		counter_add(&metrics->refused_protocol, 1);
}

static void session_act(struct session *session, const struct peer_action *action)
{
	switch (action->type) {
	case PEER_NOTHING:
		break;
	case PEER_HELLO:
		session_on_hello(session, action->hello);
		break;
	case PEER_BATCH:
		session_on_batch(session, action);
		break;
	case PEER_GONE:
		session_put_gone(session, &action->range, action->gone_reason, action->weight, 1);
		session_hold(session);
		break;
	case PEER_HEARTBEAT:
		session_on_heartbeat(session, action->heartbeat);
		break;
	case PEER_RESEND:
		session_on_resend(session, &action->range);
		break;
	case PEER_CLOSE:
		session_count_refusal(session, action);
		session_close(session, action->status, action->reason, action->text);
		break;
	}
}

static void session_on_message(struct rpc_call *call, void *data, const uint8_t *message,
			       size_t size)
{
	struct session *session = data;
	struct peer_action action;
	uint64_t now = clock_realtime_ns();

	if (session->peer.state == PEER_CLOSED)
		return;
	if (session->not_after_unix_ns != 0 && now > session->not_after_unix_ns) {
		counter_add(&session->aggregator->metrics.refused_expired, 1);
		session_close(session, RPC_UNAUTHENTICATED, "certificate_expired",
			      "the host's certificate has expired");
		return;
	}
	if (session->host) {
		session->host->last_heard_ns = clock_monotonic_ns();
		session->host->last_seen_unix_ns = now;
	}
	peer_receive(&session->peer, message, size, &action);
	session_act(session, &action);
	peer_release(&action);
}

static void session_on_sent(struct rpc_call *call, void *data)
{
	session_flush(data);
}

static void session_on_end(struct rpc_call *call, void *data)
{
	/* The host has nothing more to send: what is under way is still acknowledged by the next
	 * session. */
	rpc_call_finish(call, RPC_OK, "");
}

static void session_seen_done(struct writer_job *job)
{
	session_job_free((struct session_job *)job);
}

/* Its last word goes to the store, where it is found when the host is away. */
static void session_put_seen(struct session *session)
{
	struct session_job *job = session_job(session, STORE_SEEN, session_seen_done);

	if (!job)
		return;
	job->job.write.seen.unacked = session->host->unacked;
	job->job.write.seen.degraded = session->host->degraded;
	session_put(session, job);
}

static void session_on_closed(struct rpc_call *call, void *data, int status, const char *details)
{
	struct session *session = data;

	counter_add(&session->aggregator->metrics.sessions_events, (uint64_t)-1);
	if (session->host) {
		log_info("host disconnected host=%s", session->caller.name);
		session_put_seen(session);
	}
	session->call = NULL;
	session_detach(session);
	session_free(session);
}

static const struct rpc_call_ops session_ops = {
	.on_message = session_on_message,
	.on_sent = session_on_sent,
	.on_end = session_on_end,
	.on_closed = session_on_closed,
};

int ingest_on_events(struct aggregator *aggregator, struct rpc_call *call,
		     const struct caller *caller, const struct rpc_call_ops **ret_ops,
		     void **ret_data, const char **ret_details)
{
	const struct peer_limits limits = {
		.max_batch_records = (uint32_t)aggregator->live.ingest.max_batch_records,
		.window_bytes = aggregator->live.ingest.window_bytes,
		.window_records = aggregator->live.ingest.window_records,
	};
	struct session *session;

	if (aggregator->is_stopping) {
		*ret_details = "the aggregator stops";
		return RPC_UNAVAILABLE;
	}
	session = calloc(1, sizeof(*session));
	if (!session) {
		*ret_details = "no memory";
		return RPC_RESOURCE_EXHAUSTED;
	}
	session->aggregator = aggregator;
	session->call = call;
	session->caller = *caller;
	session->not_after_unix_ns = rpc_call_peer(call)->not_after_unix_ns;
	peer_init(&session->peer, session->caller.name, &limits);
	counter_add(&aggregator->metrics.sessions_events, 1);
	*ret_ops = &session_ops;
	*ret_data = session;
	return RPC_OK;
}

static void ingest_resume(struct aggregator *aggregator)
{
	struct session *session, *next;

	if (LIST_EMPTY(&ingest_held) || !writer_has_room(aggregator->writer))
		return;
	for (session = LIST_FIRST(&ingest_held); session; session = next) {
		next = LIST_NEXT(session, held_link);
		if (peer_is_over(&session->peer))
			continue;
		LIST_REMOVE(session, held_link);
		session->is_held = false;
		if (session->call)
			rpc_call_hold(session->call, false);
	}
}

void ingest_on_commit(struct aggregator *aggregator)
{
	struct session *session;

	while ((session = LIST_FIRST(&ingest_dirty))) {
		LIST_REMOVE(session, dirty_link);
		session->is_dirty = false;
		session_flush(session);
	}
	ingest_resume(aggregator);
}

void ingest_drain(struct aggregator *aggregator, struct host *host, uint32_t return_ms)
{
	Pathbell__V1__EventsDown message = PATHBELL__V1__EVENTS_DOWN__INIT;
	Pathbell__V1__Drain drain = PATHBELL__V1__DRAIN__INIT;
	struct session *session = host->session;

	if (!session || !session->call)
		return;
	drain.deadline_ms = 1000;
	drain.return_after_ms = return_ms;
	drain.reason = (char *)"shutdown";
	message.message_case = PATHBELL__V1__EVENTS_DOWN__MESSAGE_DRAIN;
	message.drain = &drain;
	session_send(session, &message);
	/* What comes from here on is not read: the host keeps it. */
	rpc_call_hold(session->call, true);
}

void ingest_end(struct host *host)
{
	struct session *session = host->session;

	if (!session || !session->call)
		return;
	session_flush(session);
	session->peer.state = PEER_CLOSED;
	rpc_call_finish(session->call, RPC_UNAVAILABLE, "the aggregator stops");
}
