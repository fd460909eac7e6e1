/* SPDX-License-Identifier: Apache-2.0 */
/* The way of a session's data to the writer, and what comes back. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aggregator/campaign/campaigns.h"
#include "aggregator/commands.h"
#include "aggregator/session.h"
#include "core/clock.h"
#include "core/log.h"

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

void session_job_free(struct session_job *job)
{
	struct session *session = job->session;

	store_write_release(&job->job.write);
	free(job->data);
	free(job);
	session->jobs--;
	session_free(session);
}

/* The store has refused it for good, or the writer stopped: no ack, the host keeps the data. */
bool session_job_failed(struct session_job *job)
{
	if (job->job.error == 0)
		return false;
	session_close(job->session, job->job.error == -ECANCELED ? RPC_UNAVAILABLE : RPC_INTERNAL,
		      job->job.error == -ECANCELED ? "shutdown" : "store",
		      job->job.error == -ECANCELED ? "the aggregator stops"
						   : "the store refuses this data");
	return true;
}

static void session_changes(struct session *session, const struct store_batch *batch)
{
	struct aggregator *aggregator = session->aggregator;

	if (batch->ret_faults > 0)
		campaigns_on_faults(aggregator->campaigns, batch->ret_faults);
	if (batch->ret_n_changes == 0)
		return;
	commands_on_changes(aggregator->commands, session->caller.name, batch->ret_changes,
			    batch->ret_n_changes);
	for (size_t i = 0; i < batch->ret_n_changes; i++)
		campaigns_on_life(aggregator->campaigns, session->caller.name,
				  batch->ret_changes[i].command_id, batch->ret_changes[i].life);
}

static void session_batch_done(struct writer_job *writer_job)
{
	struct session_job *job = (struct session_job *)writer_job;
	struct session *session = job->session;
	struct store_batch *batch = &writer_job->write.batch;

	if (writer_job->error == 0)
		session_changes(session, batch);
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

struct session_job *session_job_new(struct session *session, enum store_write_type type,
				    void (*done)(struct writer_job *job))
{
	struct session_job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	job->session = session;
	job->job.write.type = type;
	job->job.write.host_id = session->caller.name;
	job->job.write.actor = &session->actor;
	job->job.write.now_unix_ns = clock_realtime_ns();
	job->job.bytes = sizeof(*job);
	job->job.done = done;
	return job;
}

void session_put(struct session *session, struct session_job *job)
{
	session->jobs++;
	writer_put(session->aggregator->writer, &job->job);
}

void session_put_gone(struct session *session, const struct peer_range *range, uint32_t reason,
		      size_t weight, uint64_t records)
{
	struct session_job *job = session_job_new(session, STORE_GONE, session_gone_done);

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

void session_put_batch(struct session *session, const struct peer_action *action)
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
	job = session_job_new(session, STORE_BATCH, session_batch_done);
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

static void session_seen_done(struct writer_job *job)
{
	session_job_free((struct session_job *)job);
}

/* Its last word goes to the store, where it is found when the host is away. */
void session_put_seen(struct session *session)
{
	struct session_job *job = session_job_new(session, STORE_SEEN, session_seen_done);

	if (!job)
		return;
	job->job.write.seen.unacked = session->host->unacked;
	job->job.write.seen.degraded = session->host->degraded;
	session_put(session, job);
}
