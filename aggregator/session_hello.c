/* SPDX-License-Identifier: Apache-2.0 */
/* The beginning of a session: fencing, marks, Welcome. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aggregator/session.h"
#include "core/clock.h"
#include "core/id.h"
#include "core/log.h"

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
	struct session_job *job = session_job_new(session, STORE_HELLO, session_hello_done);
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

void session_on_hello(struct session *session, const Pathbell__V1__Hello *hello)
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
