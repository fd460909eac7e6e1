/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/ledger.h"

#include <stdio.h>
#include <string.h>

#define LEDGER_ID_SIZE 96

void ledger_init(struct ledger *ledger, const char *collector)
{
	*ledger = (struct ledger){ .collector = collector };
}

static struct ledger_gap *ledger_find(struct ledger *ledger, const char *cause, int cpu)
{
	for (size_t i = 0; i < ledger->n_gaps; i++) {
		if (ledger->gaps[i].cpu == cpu && strcmp(ledger->gaps[i].cause, cause) == 0)
			return &ledger->gaps[i];
	}
	return NULL;
}

static struct ledger_gap *ledger_make(struct ledger *ledger, const char *cause, int cpu,
				      uint64_t from_ns)
{
	struct ledger_gap *gap;

	if (ledger->n_gaps == LEDGER_MAX_GAPS)
		return &ledger->gaps[LEDGER_MAX_GAPS - 1];
	gap = &ledger->gaps[ledger->n_gaps++];
	*gap = (struct ledger_gap){ .cpu = cpu, .from_ns = from_ns };
	snprintf(gap->cause, sizeof(gap->cause), "%s", cause);
	return gap;
}

void ledger_lost(struct ledger *ledger, const char *cause, uint64_t count, bool count_is_minimum,
		 int cpu, uint64_t from_ns)
{
	struct ledger_gap *gap;

	/* The last place is for what does not fit: one for all CPUs and causes. */
	if (ledger->n_gaps >= LEDGER_MAX_GAPS - 1 && ledger_find(ledger, cause, cpu) == NULL) {
		cause = "several";
		cpu = -1;
	}
	gap = ledger_find(ledger, cause, cpu);
	if (gap == NULL)
		gap = ledger_make(ledger, cause, cpu, from_ns);
	gap->count += count;
	gap->count_is_minimum |= count_is_minimum;
	gap->to_ns = 0;
	ledger->open_gaps = true;
	ledger->lost += count;
}

void ledger_heard(struct ledger *ledger, uint64_t time_ns)
{
	if (!ledger->open_gaps)
		return;
	for (size_t i = 0; i < ledger->n_gaps; i++) {
		if (ledger->gaps[i].to_ns == 0)
			ledger->gaps[i].to_ns = time_ns;
	}
	ledger->open_gaps = false;
}

void ledger_note(struct ledger *ledger, const struct ledger_note *note)
{
	if (ledger->n_notes == LEDGER_MAX_NOTES) {
		ledger->n_notes--;
		ledger->replaced++;
	}
	ledger->notes[ledger->n_notes++] = *note;
}

/* What both kinds of event share. */
static void ledger_fill(const struct ledger *ledger, Pathbell__V1__Event *event,
			Pathbell__V1__Source *source, Pathbell__V1__Subject *subject,
			char id[LEDGER_ID_SIZE])
{
	pathbell__v1__event__init(event);
	pathbell__v1__source__init(source);
	pathbell__v1__subject__init(subject);
	snprintf(id, LEDGER_ID_SIZE, "collector:%s", ledger->collector);
	source->collector = (char *)ledger->collector;
	subject->type = PATHBELL__V1__SUBJECT_TYPE__SUBJECT_TYPE_COLLECTOR;
	subject->id = id;
	subject->name = (char *)ledger->collector;
	event->source = source;
	event->subject = subject;
}

static bool ledger_publish_gap(struct ledger *ledger, const struct ledger_gap *gap, uint64_t now_ns,
			       bool (*publish)(void *data, Pathbell__V1__Event *event), void *data)
{
	Pathbell__V1__Gap payload = PATHBELL__V1__GAP__INIT;
	Pathbell__V1__Event event;
	Pathbell__V1__Source source;
	Pathbell__V1__Subject subject;
	char id[LEDGER_ID_SIZE];

	ledger_fill(ledger, &event, &source, &subject, id);
	payload.collector = (char *)ledger->collector;
	payload.cause = (char *)gap->cause;
	payload.count = gap->count;
	payload.count_is_minimum = gap->count_is_minimum;
	payload.from_unix_ns = gap->from_ns;
	payload.to_unix_ns = gap->to_ns != 0 ? gap->to_ns : now_ns;
	payload.cpu = gap->cpu < 0 ? 0 : (uint32_t)gap->cpu + 1;
	event.kind = PATHBELL__V1__EVENT_KIND__EVENT_KIND_COLLECTOR_GAP;
	event.severity = PATHBELL__V1__SEVERITY__SEVERITY_WARNING;
	event.time_unix_ns = payload.to_unix_ns;
	event.payload_case = PATHBELL__V1__EVENT__PAYLOAD_GAP;
	event.gap = &payload;
	return publish(data, &event);
}

static Pathbell__V1__FaultPhase ledger_phase(const struct ledger *ledger, enum ledger_role role)
{
	if (role == LEDGER_FAULT && !ledger->raised)
		return PATHBELL__V1__FAULT_PHASE__FAULT_PHASE_RAISED;
	if (role == LEDGER_CLEARS && ledger->raised)
		return PATHBELL__V1__FAULT_PHASE__FAULT_PHASE_CLEARED;
	/* A fault that changes its kind (parked, then failed) is still the one that was raised. */
	return PATHBELL__V1__FAULT_PHASE__FAULT_PHASE_UNSPECIFIED;
}

static bool ledger_publish_note(struct ledger *ledger, const struct ledger_note *note,
				bool (*publish)(void *data, Pathbell__V1__Event *event), void *data)
{
	Pathbell__V1__CollectorState payload = PATHBELL__V1__COLLECTOR_STATE__INIT;
	Pathbell__V1__Event event;
	Pathbell__V1__Source source;
	Pathbell__V1__Subject subject;
	char id[LEDGER_ID_SIZE];

	ledger_fill(ledger, &event, &source, &subject, id);
	payload.collector = (char *)ledger->collector;
	payload.state = (char *)note->state;
	payload.reason = (char *)note->reason;
	payload.error_number = note->error;
	payload.events = ledger->events;
	payload.lost = ledger->lost;
	payload.retry_ms = note->retry_ms;
	event.kind = note->kind;
	event.severity = note->severity;
	event.time_unix_ns = note->time_ns;
	event.fault_phase = ledger_phase(ledger, note->role);
	if (note->role == LEDGER_FAULT || ledger->raised)
		event.fault_id = note->role == LEDGER_PLAIN ? event.fault_id : id;
	event.payload_case = PATHBELL__V1__EVENT__PAYLOAD_COLLECTOR_STATE;
	event.collector_state = &payload;
	if (!publish(data, &event))
		return false;
	if (note->role != LEDGER_PLAIN)
		ledger->raised = note->role == LEDGER_FAULT;
	return true;
}

bool ledger_flush(struct ledger *ledger, uint64_t now_ns,
		  bool (*publish)(void *data, Pathbell__V1__Event *event), void *data)
{
	while (ledger->n_gaps > 0) {
		if (!ledger_publish_gap(ledger, &ledger->gaps[0], now_ns, publish, data))
			return false;
		ledger->n_gaps--;
		ledger->n_published_gaps++;
		memmove(&ledger->gaps[0], &ledger->gaps[1],
			ledger->n_gaps * sizeof(ledger->gaps[0]));
	}
	ledger->open_gaps = false;
	while (ledger->n_notes > 0) {
		if (!ledger_publish_note(ledger, &ledger->notes[0], publish, data))
			return false;
		ledger->n_notes--;
		memmove(&ledger->notes[0], &ledger->notes[1],
			ledger->n_notes * sizeof(ledger->notes[0]));
	}
	return true;
}
