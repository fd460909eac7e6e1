/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/nvme_monitor/decision_event.h"

#include <stdio.h>
#include <string.h>

#define KIND(name)	      PATHBELL__V1__EVENT_KIND__EVENT_KIND_NVME_##name
#define SEVERITY(name)	      PATHBELL__V1__SEVERITY__SEVERITY_##name
#define DECISION_EVENT_SOURCE "nvme_monitor"

struct decision_event_texts {
	char id[sizeof(((struct tid *)0)->nqn) + 8];
	char address[TID_TEXT], from[TID_TEXT], fault[TID_TEXT + 300];
};

static unsigned decision_event_severity(unsigned event)
{
	switch (event) {
	case KIND(DISCOVERY_STARTED):
	case KIND(DISCOVERY_QUEUED):
	case KIND(CONNECT_STARTED):
	case KIND(CONNECT_RETRY):
		return SEVERITY(DEBUG);
	case KIND(DISCOVERY_FAILED):
	case KIND(DISCOVERY_STUCK):
	case KIND(CONNECT_FAILED):
	case KIND(CONNECT_STUCK):
	case KIND(CONNECT_GIVEN_UP):
		return SEVERITY(WARNING);
	case KIND(CONNECT_SKIPPED):
	case KIND(CONNECT_FORGOTTEN):
	case KIND(DISCONNECTED):
		return SEVERITY(NOTICE);
	default:
		return SEVERITY(INFO);
	}
}

static void decision_event_address(const struct connection *connection,
				   struct decision_event_texts *texts,
				   Pathbell__V1__Subject *subject, Pathbell__V1__NvmeEvent *nvme)
{
	const struct tid *tid = &connection->tid;

	tid_format(tid, texts->address, sizeof(texts->address));
	if (tid->nqn[0] != '\0')
		snprintf(texts->id, sizeof(texts->id), "nqn:%s", tid->nqn);
	else
		snprintf(texts->id, sizeof(texts->id), "addr:%.200s", texts->address);
	subject->type = PATHBELL__V1__SUBJECT_TYPE__SUBJECT_TYPE_NVME_CONTROLLER;
	subject->id = texts->id;
	subject->nqn = nvme->subsystem_nqn = (char *)tid->nqn;
	subject->transport_address = texts->address;
	nvme->transport = (char *)tid->transport;
	nvme->traddr = (char *)tid->traddr;
	nvme->trsvcid = (char *)tid->trsvcid;
	nvme->host_traddr = (char *)tid->host_traddr;
	nvme->host_iface = (char *)tid->host_iface;
}

static void decision_event_life(const struct connections *connections,
				const struct decision *decision, struct decision_event_texts *texts,
				Pathbell__V1__NvmeEvent *nvme)
{
	const struct connection *connection = decision->connection;
	const struct connection *from =
		connection->from != 0 ? connections_find_id(connections, connection->from) : NULL;

	texts->from[0] = '\0';
	if (from != NULL)
		tid_format(&from->tid, texts->from, sizeof(texts->from));
	nvme->discovered_from = texts->from;
	nvme->controller = (char *)decision->controller;
	nvme->connection_state = (char *)connection_state_name(decision->state);
	nvme->desired_by = (char *)connection_desired_by(decision->sources);
	nvme->owner = (char *)connection->owner;
	nvme->discovery_controller = connection->is_discovery;
	nvme->persistent = connection->persistent;
	nvme->attempt = decision->attempt;
	nvme->retry_ms = decision->retry_ms;
	nvme->duration_ms = decision->duration_ms;
	nvme->error_number = decision->error;
	nvme->genctr = decision->genctr;
	nvme->records = decision->records;
	nvme->reason = (char *)decision->reason;
}

static void decision_event_fault(const struct decision *decision,
				 struct decision_event_texts *texts, Pathbell__V1__Event *event)
{
	if (decision->phase == DECISION_NO_FAULT)
		return;
	snprintf(texts->fault, sizeof(texts->fault), "nvme_wanted:%s nqn=%s", texts->address,
		 decision->connection->tid.nqn);
	event->fault_id = texts->fault;
	event->fault_phase = decision->phase == DECISION_RAISES
				     ? PATHBELL__V1__FAULT_PHASE__FAULT_PHASE_RAISED
				     : PATHBELL__V1__FAULT_PHASE__FAULT_PHASE_CLEARED;
}

void decision_event_publish(struct collector_ctx *ctx, const struct connections *connections,
			    const struct decision *decision, uint64_t unix_ns)
{
	Pathbell__V1__Event event = PATHBELL__V1__EVENT__INIT;
	Pathbell__V1__Source source = PATHBELL__V1__SOURCE__INIT;
	Pathbell__V1__Subject subject = PATHBELL__V1__SUBJECT__INIT;
	Pathbell__V1__NvmeEvent nvme = PATHBELL__V1__NVME_EVENT__INIT;
	struct decision_event_texts texts;

	decision_event_address(decision->connection, &texts, &subject, &nvme);
	decision_event_life(connections, decision, &texts, &nvme);
	subject.name = (char *)decision->controller;
	decision_event_fault(decision, &texts, &event);
	source.interface = (char *)DECISION_EVENT_SOURCE;
	event.kind = decision->event;
	event.severity = decision_event_severity(decision->event);
	event.time_unix_ns = unix_ns;
	event.source = &source;
	event.subject = &subject;
	event.payload_case = PATHBELL__V1__EVENT__PAYLOAD_NVME;
	event.nvme = &nvme;
	ctx->publish(ctx, &event, 0);
}

void decision_event_rules(struct collector_ctx *ctx, unsigned kind, const char *reason,
			  uint64_t unix_ns)
{
	Pathbell__V1__Event event = PATHBELL__V1__EVENT__INIT;
	Pathbell__V1__Source source = PATHBELL__V1__SOURCE__INIT;
	Pathbell__V1__Subject subject = PATHBELL__V1__SUBJECT__INIT;
	Pathbell__V1__NvmeEvent nvme = PATHBELL__V1__NVME_EVENT__INIT;

	source.interface = (char *)DECISION_EVENT_SOURCE;
	subject.type = PATHBELL__V1__SUBJECT_TYPE__SUBJECT_TYPE_HOST;
	subject.id = (char *)"udev:nvmf-autoconnect";
	nvme.reason = (char *)reason;
	event.kind = kind;
	event.severity = SEVERITY(NOTICE);
	event.time_unix_ns = unix_ns;
	event.source = &source;
	event.subject = &subject;
	event.payload_case = PATHBELL__V1__EVENT__PAYLOAD_NVME;
	event.nvme = &nvme;
	ctx->publish(ctx, &event, 0);
}
