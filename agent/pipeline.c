/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/pipeline.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/encode.h"
#include "agent/registry.h"
#include "core/clock.h"
#include "core/id.h"
#include "core/log.h"
#include "proto/codec.h"
#include "proto/kind.h"

/*
 * Happy path: pipeline_publish counts, asks the filter, stamps what the collector left to us,
 * encodes into one buffer that lives as long as the agent, and appends to the spool in the lane of
 * its kind.
 *
 * Failure modes
 * - The spool is full (SPOOL_E_FULL): the collector keeps the event and is paused; `room` resumes
 * it. Nothing is lost: pressure goes back to the source, which counts what it loses.
 * - Own events cannot be held back by their origin: they wait in a short queue. When that is full
 * too the oldest goes, counted.
 * - Larger than CODEC_EVENT_MAX: the raw record and the extra fields go first; an event that is
 * still too large is refused, counted, and a collector.gap says so.
 * - More events under way than tickets, as when no forwarder is up for long: they are captured all
 * the same, and their collector is not told of their delivery, counted.
 */
#define PIPELINE_MAX_TICKETS 4096
#define PIPELINE_MAX_OWN     64
#define PIPELINE_GAP_NS	     (10 * CLOCK_NS_PER_S)

_Static_assert(CODEC_EVENT_MAX <= SPOOL_RECORD_MAX, "an event fits a record");

struct pipeline_ticket {
	const struct collector_ops *ops;
	uint64_t ticket, seq;
	uint8_t epoch[16];
	bool gone; /* a tombstone */
};

struct pipeline_own {
	uint8_t *data;
	size_t size;
	enum spool_lane lane;
};

struct pipeline {
	struct pipeline_options options;
	struct spool *spool;
	struct filter filter;
	struct pipeline_counters counters;
	/* ring of events whose collector wants to know: tickets[first % MAX], ... n_tickets of them
	 */
	struct pipeline_ticket *tickets;
	size_t first_ticket, n_tickets;
	uint64_t next_ticket;
	struct pipeline_own own[PIPELINE_MAX_OWN];
	size_t n_own;
	uint64_t gap_count, gap_next_ns;
	struct latency latency;
	struct faults faults;
	uint8_t buffer[CODEC_EVENT_MAX];
};

int pipeline_new(struct pipeline **ret_pipeline, const struct pipeline_options *options)
{
	struct pipeline *pipeline = calloc(1, sizeof(*pipeline));

	if (!pipeline)
		return -ENOMEM;
	pipeline->options = *options;
	pipeline->next_ticket = 1;
	filter_configure(&pipeline->filter, options->settings);
	*ret_pipeline = pipeline;
	return 0;
}

struct pipeline *pipeline_free(struct pipeline *pipeline)
{
	if (!pipeline)
		return NULL;
	for (size_t i = 0; i < pipeline->n_own; i++)
		free(pipeline->own[i].data);
	free(pipeline->tickets);
	faults_deinit(&pipeline->faults);
	free(pipeline);
	return NULL;
}

void pipeline_attach(struct pipeline *pipeline, struct spool *spool)
{
	pipeline->spool = spool;
}

void pipeline_configure(struct pipeline *pipeline, const struct settings *settings)
{
	pipeline->options.settings = settings;
	filter_configure(&pipeline->filter, settings);
}

/* Times and origin, where the collector did not say. */
static void pipeline_stamp(Pathbell__V1__Event *event, uint64_t now_ns)
{
	event->observed_unix_ns = now_ns;
	if (!event->time_unix_ns)
		event->time_unix_ns = now_ns;
	/* A recording keeps the boot in which its event happened. */
	if (event->replayed && event->boot_id.len)
		return;
	event->boottime_ns = clock_boottime_ns();
	event->boot_id.data = (uint8_t *)id_boot();
	event->boot_id.len = ID_SIZE;
}

/* Size of the encoded event at *ret_data within the buffer, 0 = refused. */
static size_t pipeline_encode(struct pipeline *pipeline, Pathbell__V1__Event *event,
			      uint8_t **ret_data)
{
	size_t size =
		encode_message(&event->base, pipeline->buffer, sizeof(pipeline->buffer), ret_data);

	if (size == 0 && (event->raw.len || event->n_extra)) {
		event->raw.len = 0;
		event->n_extra = 0;
		counter_add(&pipeline->counters.cut, 1);
		size = encode_message(&event->base, pipeline->buffer, sizeof(pipeline->buffer),
				      ret_data);
	}
	if (size == 0)
		counter_add(&pipeline->counters.oversize, 1);
	return size;
}

static enum spool_lane pipeline_lane(const Pathbell__V1__Event *event)
{
	return kind_is_important(event->kind) ? SPOOL_LANE_IMPORTANT : SPOOL_LANE_BULK;
}

/* Own events */

static int pipeline_append_own(struct pipeline *pipeline, const struct pipeline_own *own)
{
	struct spool_append append = { .data = own->data,
				       .size = own->size,
				       .lane = own->lane,
				       .now_ns = clock_realtime_ns() };
	uint64_t seq;
	int r = pipeline->spool ? spool_append(pipeline->spool, &append, &seq) : SPOOL_E_FULL;

	if (r == 0)
		counter_add(&pipeline->counters.appended, 1);
	return r;
}

static void pipeline_drop_own(struct pipeline *pipeline)
{
	free(pipeline->own[0].data);
	pipeline->n_own--;
	memmove(&pipeline->own[0], &pipeline->own[1], pipeline->n_own * sizeof(pipeline->own[0]));
}

static void pipeline_queue_own(struct pipeline *pipeline, const struct pipeline_own *own)
{
	struct pipeline_own copy = *own;

	if (pipeline->n_own == PIPELINE_MAX_OWN) {
		counter_add(&pipeline->counters.own_dropped, 1);
		pipeline_drop_own(pipeline);
	}
	copy.data = malloc(own->size);
	if (!copy.data) {
		counter_add(&pipeline->counters.own_dropped, 1);
		return;
	}
	memcpy(copy.data, own->data, own->size);
	pipeline->own[pipeline->n_own++] = copy;
	counter_add(&pipeline->counters.own_queued, 1);
}

static void pipeline_publish_own(void *data, Pathbell__V1__Event *event)
{
	struct pipeline *pipeline = data;
	Pathbell__V1__Source source = PATHBELL__V1__SOURCE__INIT;
	struct pipeline_own own = { .lane = pipeline_lane(event) };

	source.collector = (char *)"agent";
	source.interface = (char *)"agent";
	event->source = &source;
	pipeline_stamp(event, clock_realtime_ns());
	own.size = pipeline_encode(pipeline, event, &own.data);
	event->source = NULL;
	if (!own.size)
		return;
	if (pipeline->n_own || pipeline_append_own(pipeline, &own))
		pipeline_queue_own(pipeline, &own);
}

static int pipeline_sync(void *data, void (*done)(void *data), void *done_data)
{
	struct pipeline *pipeline = data;

	if (pipeline->n_own || !pipeline->spool)
		return -EAGAIN; /* what waits here would not be covered */
	return spool_sync(pipeline->spool, done, done_data);
}

struct announcer pipeline_announcer(struct pipeline *pipeline)
{
	return (struct announcer){ pipeline, pipeline_publish_own, pipeline_sync, NULL };
}

/* Gaps of our own making: what was too large. */

static void pipeline_announce_gap(struct pipeline *pipeline, const char *collector)
{
	Pathbell__V1__Event event = PATHBELL__V1__EVENT__INIT;
	Pathbell__V1__Gap gap = PATHBELL__V1__GAP__INIT;
	uint64_t now = clock_monotonic_ns();

	pipeline->gap_count++;
	if (now < pipeline->gap_next_ns)
		return;
	gap.collector = (char *)collector;
	gap.cause = (char *)"oversize";
	gap.count = pipeline->gap_count;
	event.kind = PATHBELL__V1__EVENT_KIND__EVENT_KIND_COLLECTOR_GAP;
	event.severity = PATHBELL__V1__SEVERITY__SEVERITY_WARNING;
	event.payload_case = PATHBELL__V1__EVENT__PAYLOAD_GAP;
	event.gap = &gap;
	pipeline->gap_count = 0;
	pipeline->gap_next_ns = now + PIPELINE_GAP_NS;
	log_warning("event refused collector=%s cause=oversize limit=%d", collector,
		    CODEC_EVENT_MAX);
	pipeline_publish_own(pipeline, &event);
}

/* Tickets */

static bool pipeline_has_ticket_room(struct pipeline *pipeline)
{
	if (!pipeline->tickets)
		pipeline->tickets = calloc(PIPELINE_MAX_TICKETS, sizeof(*pipeline->tickets));
	return pipeline->tickets && pipeline->n_tickets < PIPELINE_MAX_TICKETS;
}

static void pipeline_keep_ticket(struct pipeline *pipeline, const struct collector_ops *ops,
				 uint64_t seq)
{
	struct pipeline_ticket *ticket;
	struct spool_stats stats;

	spool_stats(pipeline->spool, &stats);
	ticket = &pipeline->tickets[(pipeline->first_ticket + pipeline->n_tickets) %
				    PIPELINE_MAX_TICKETS];
	*ticket =
		(struct pipeline_ticket){ .ops = ops, .ticket = pipeline->next_ticket, .seq = seq };
	memcpy(ticket->epoch, stats.epoch, sizeof(ticket->epoch));
	pipeline->n_tickets++;
}

void pipeline_on_lost(struct pipeline *pipeline)
{
	for (size_t i = 0; pipeline->spool && i < pipeline->n_tickets; i++) {
		struct pipeline_ticket *ticket =
			&pipeline->tickets[(pipeline->first_ticket + i) % PIPELINE_MAX_TICKETS];

		ticket->gone =
			ticket->gone || spool_is_gone(pipeline->spool, ticket->epoch, ticket->seq);
	}
}

void pipeline_on_acked(struct pipeline *pipeline, const uint8_t epoch[16], uint64_t seq)
{
	struct spool_stats stats;

	latency_acked(&pipeline->latency, epoch, seq, clock_monotonic_ns());
	if (!pipeline->n_tickets || !pipeline->spool)
		return;
	spool_stats(pipeline->spool, &stats);
	while (pipeline->n_tickets) {
		struct pipeline_ticket ticket = pipeline->tickets[pipeline->first_ticket];

		if (memcmp(ticket.epoch, epoch, 16) == 0 && ticket.seq > seq)
			return;
		if (memcmp(ticket.epoch, epoch, 16) != 0 &&
		    memcmp(ticket.epoch, stats.epoch, 16) == 0)
			return; /* an ack of an older epoch */
		pipeline->first_ticket = (pipeline->first_ticket + 1) % PIPELINE_MAX_TICKETS;
		pipeline->n_tickets--;
		pipeline->options.delivered(pipeline->options.data, ticket.ops, ticket.ticket,
					    !ticket.gone);
	}
}

static void pipeline_watch_latency(struct pipeline *pipeline, uint64_t seq)
{
	struct spool_stats stats;

	spool_stats(pipeline->spool, &stats);
	latency_begin(&pipeline->latency, stats.epoch, seq, clock_monotonic_ns());
}

/* Faults. */

static void pipeline_note_fault(struct pipeline *pipeline, const Pathbell__V1__Event *event,
				bool kept)
{
	uint64_t version = pipeline->faults.version;

	faults_note(&pipeline->faults, event, kept);
	if (pipeline->faults.version != version && pipeline->options.faults_changed)
		pipeline->options.faults_changed(pipeline->options.data);
}

static uint64_t pipeline_give(struct pipeline *pipeline, const struct collector_ops *ops,
			      Pathbell__V1__Event *event, uint64_t cursor, bool *ret_full)
{
	struct spool_append append = { .cursor = cursor };
	uint8_t *encoded;
	uint64_t seq;
	int r;

	if (!pipeline->spool || pipeline->n_own) {
		counter_add(&pipeline->counters.full, 1);
		*ret_full = true;
		return 0;
	}
	if (!filter_keeps(&pipeline->filter, ops->name, event)) {
		counter_add(&pipeline->counters.captured, 1);
		counter_add(&pipeline->counters.filtered, 1);
		pipeline_note_fault(pipeline, event, false);
		return 0;
	}
	append.now_ns = clock_realtime_ns();
	pipeline_stamp(event, append.now_ns);
	append.size = pipeline_encode(pipeline, event, &encoded);
	if (!append.size) {
		counter_add(&pipeline->counters.captured, 1);
		pipeline_announce_gap(pipeline, ops->name);
		return 0;
	}
	append.data = encoded;
	append.lane = pipeline_lane(event);
	append.source = (uint16_t)(registry_find(ops->name) + 1);
	r = spool_append(pipeline->spool, &append, &seq);
	if (r) {
		counter_add(&pipeline->counters.full, 1);
		*ret_full = r == SPOOL_E_FULL;
		return 0;
	}
	counter_add(&pipeline->counters.captured, 1);
	counter_add(&pipeline->counters.appended, 1);
	pipeline_note_fault(pipeline, event, true);
	if (latency_is_idle(&pipeline->latency))
		pipeline_watch_latency(pipeline, seq);
	if (ops->delivered && pipeline_has_ticket_room(pipeline))
		pipeline_keep_ticket(pipeline, ops, seq);
	else if (ops->delivered)
		counter_add(&pipeline->counters.untold, 1);
	return pipeline->next_ticket++;
}

uint64_t pipeline_publish(void *data, const struct collector_ops *ops, Pathbell__V1__Event *event,
			  uint64_t cursor, bool *ret_full)
{
	struct pipeline *pipeline = data;
	Pathbell__V1__FaultPhase phase = event->fault_phase;
	char *fault_id = event->fault_id;
	uint64_t ticket;

	faults_amend(&pipeline->faults, event);
	ticket = pipeline_give(pipeline, ops, event, cursor, ret_full);
	/* The struct is the collector's, and may come again. */
	event->fault_phase = phase;
	event->fault_id = fault_id;
	return ticket;
}

void pipeline_opened(void *data, const struct collector_ops *ops)
{
	struct pipeline *pipeline = data;

	faults_doubt(&pipeline->faults, ops->name, false);
}

static bool pipeline_clear(struct pipeline *pipeline, const struct collector_ops *ops,
			   const char *reason)
{
	const struct fault *fault;

	while ((fault = faults_next_doubted(&pipeline->faults, ops->name)) != NULL) {
		struct faults_twin twin;
		size_t n = pipeline->faults.n;
		bool full = false;

		faults_make_twin(fault, reason, &twin);
		pipeline_give(pipeline, ops, &twin.event, 0, &full);
		if (full)
			return false;
		counter_add(&pipeline->counters.twins, 1);
		if (pipeline->faults.n == n) /* refused for its size: not again */
			faults_remove(&pipeline->faults, twin.event.fault_id);
	}
	return true;
}

bool pipeline_settled(void *data, const struct collector_ops *ops)
{
	return pipeline_clear(data, ops, "it ended while nobody listened: not there any more");
}

bool pipeline_end_faults(struct pipeline *pipeline, const struct collector_ops *ops)
{
	faults_doubt(&pipeline->faults, ops->name, true);
	return pipeline_clear(pipeline, ops, "the collector is disabled: not watched any more");
}

struct faults *pipeline_faults(struct pipeline *pipeline)
{
	return &pipeline->faults;
}

bool pipeline_on_room(struct pipeline *pipeline)
{
	while (pipeline->n_own) {
		if (pipeline_append_own(pipeline, &pipeline->own[0]))
			return false;
		pipeline_drop_own(pipeline);
	}
	return true;
}

const struct latency *pipeline_latency(const struct pipeline *pipeline)
{
	return &pipeline->latency;
}

const struct pipeline_counters *pipeline_counters(const struct pipeline *pipeline)
{
	return &pipeline->counters;
}

const struct filter *pipeline_filter(const struct pipeline *pipeline)
{
	return &pipeline->filter;
}
