/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/nvme/tell.h"

#include <stdio.h>
#include <string.h>

#include "collectors/nvme/aen.h"

#define TELL_TEXT 1024

struct tell_texts {
	char id[LOOK_NQN + 32];
	char address[TELL_TEXT];
};

static size_t tell_append(char *text, size_t at, const char *key, const char *value)
{
	int n;

	if (value[0] == '\0' || at >= TELL_TEXT)
		return at;
	n = snprintf(text + at, TELL_TEXT - at, "%s%s=%s", at > 0 ? " " : "", key, value);
	return at + (size_t)n;
}

static void tell_address(const struct controller *controller, char text[TELL_TEXT])
{
	size_t at = tell_append(text, 0, "transport", controller->seen.transport);

	at = tell_append(text, at, "traddr", controller->address.traddr);
	at = tell_append(text, at, "trsvcid", controller->address.trsvcid);
	at = tell_append(text, at, "host_traddr", controller->address.host_traddr);
	tell_append(text, at, "host_iface", controller->address.host_iface);
}

static void tell_subject(const struct controller *controller, struct tell_texts *texts,
			 Pathbell__V1__Subject *subject)
{
	const struct look *seen = &controller->seen;

	texts->address[0] = '\0';
	tell_address(controller, texts->address);
	if (seen->nqn[0] != '\0')
		snprintf(texts->id, sizeof(texts->id), "nqn:%s", seen->nqn);
	else if (seen->major != 0)
		snprintf(texts->id, sizeof(texts->id), "dev:%u:%u", seen->major, seen->minor);
	else if (seen->name[0] != '\0')
		snprintf(texts->id, sizeof(texts->id), "name:%s", seen->name);
	else
		snprintf(texts->id, sizeof(texts->id), "fc:%.240s", controller->address.traddr);
	subject->type = seen->name[0] != '\0'
				? PATHBELL__V1__SUBJECT_TYPE__SUBJECT_TYPE_NVME_CONTROLLER
				: PATHBELL__V1__SUBJECT_TYPE__SUBJECT_TYPE_FC_PORT;
	subject->id = texts->id;
	subject->name = (char *)seen->name;
	subject->major = seen->major;
	subject->minor = seen->minor;
	subject->nqn = (char *)seen->nqn;
	subject->transport_address = texts->address;
	subject->generation = seen->inode;
	if (strcmp(seen->transport, "pcie") == 0)
		subject->bus_address = (char *)seen->address;
}

static void tell_controller(const struct controller *controller, Pathbell__V1__NvmeEvent *nvme)
{
	const struct look *seen = &controller->seen;

	nvme->controller = (char *)seen->name;
	nvme->transport = (char *)seen->transport;
	nvme->traddr = (char *)controller->address.traddr;
	nvme->trsvcid = (char *)controller->address.trsvcid;
	nvme->host_traddr = (char *)controller->address.host_traddr;
	nvme->host_iface = (char *)controller->address.host_iface;
	nvme->subsystem_nqn = (char *)seen->nqn;
	nvme->state = (char *)seen->state;
	nvme->discovery_controller = strcmp(seen->cntrltype, "discovery") == 0;
	/* Without keep-alive a discovery controller does not live longer than who made it. */
	nvme->persistent = nvme->discovery_controller && seen->kato > 0;
	nvme->controller_id = seen->cntlid;
	nvme->ctrl_loss_tmo_seconds = seen->has_loss_timeout ? seen->ctrl_loss_tmo : 0;
	nvme->reconnect_delay_seconds = seen->reconnect_delay;
	nvme->removal_unix_ns = controller->removal_unix_ns;
}

static void tell_detail(const struct controllers_change *change, Pathbell__V1__NvmeEvent *nvme)
{
	nvme->previous_state = (char *)change->previous_state;
	nvme->reason = (char *)change->reason;
	if (change->kind == PATHBELL__V1__EVENT_KIND__EVENT_KIND_NVME_CONTROLLER_REMOVED)
		nvme->state = (char *)"removed";
	if (change->path.name[0] != '\0') {
		nvme->namespace_ = (char *)change->path.name;
		nvme->ana_state = (char *)change->path.state;
		nvme->ana_group = change->path.group;
	}
	if (change->has_aen) {
		struct aen aen;

		aen_decode(change->aen, &aen);
		nvme->aen = aen.word;
		nvme->aen_type = aen.type;
		nvme->aen_info = aen.info;
		nvme->aen_log_page = aen.log_page;
		nvme->aen_meaning = (char *)aen.meaning;
	}
}

void tell_change(struct collector_ctx *ctx, const struct controller *controller,
		 const struct controllers_change *change, const struct tell_source *from)
{
	Pathbell__V1__Event event = PATHBELL__V1__EVENT__INIT;
	Pathbell__V1__Source source = PATHBELL__V1__SOURCE__INIT;
	Pathbell__V1__Subject subject = PATHBELL__V1__SUBJECT__INIT;
	Pathbell__V1__NvmeEvent nvme = PATHBELL__V1__NVME_EVENT__INIT;
	Pathbell__V1__Attribute unseen = PATHBELL__V1__ATTRIBUTE__INIT, *extra[] = { &unseen };
	struct tell_texts texts;
	char n_unseen[24];

	tell_subject(controller, &texts, &subject);
	tell_controller(controller, &nvme);
	tell_detail(change, &nvme);
	source.interface = (char *)from->interface;
	source.seq = from->seq;
	source.cpu = (uint32_t)(from->cpu + 1);
	event.kind = change->kind;
	event.severity = change->severity;
	event.fault_phase = change->phase;
	if (change->phase != PATHBELL__V1__FAULT_PHASE__FAULT_PHASE_UNSPECIFIED)
		event.fault_id = (char *)controller->fault_id;
	event.time_unix_ns = change->time_unix_ns;
	event.source_clock_ns = from->source_clock_ns;
	event.source = &source;
	event.subject = &subject;
	if (controller->seen.n_paths_unseen > 0) {
		snprintf(n_unseen, sizeof(n_unseen), "%zu", controller->seen.n_paths_unseen);
		unseen.key = (char *)"nvme.paths_unseen";
		unseen.value = n_unseen;
		event.extra = extra;
		event.n_extra = 1;
	}
	event.payload_case = PATHBELL__V1__EVENT__PAYLOAD_NVME;
	event.nvme = &nvme;
	ctx->publish(ctx, &event, 0);
}
