/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/scsi/scsi_tell.h"

#include <stdio.h>
#include <string.h>

#include "collectors/scsi/place.h"
#include "core/clock.h"
#include "handlers/choose.h"

#define KIND(x)		  PATHBELL__V1__EVENT_KIND__EVENT_KIND_##x
#define SCSI_TELL_MAX_RAW 4096

static void scsi_tell_time(const struct instance_record *raw, Pathbell__V1__Event *event,
			   Pathbell__V1__Source *source)
{
	source->cpu = (uint32_t)raw->cpu + 1;
	event->time_unix_ns = raw->time_unix_ns != 0 ? raw->time_unix_ns : clock_realtime_ns();
	event->source_clock_ns = raw->source_clock_ns;
}

static void scsi_tell_undecoded(struct collector_ctx *ctx, const struct instance_record *raw,
				Pathbell__V1__Event *event)
{
	event->severity = PATHBELL__V1__SEVERITY__SEVERITY_ERROR;
	event->raw.data = (uint8_t *)raw->data;
	event->raw.len = raw->size < SCSI_TELL_MAX_RAW ? raw->size : SCSI_TELL_MAX_RAW;
	ctx->publish(ctx, event, 0);
}

void scsi_tell_command(struct collector_ctx *ctx, const struct instance_record *raw,
		       const struct scsi_record *record, bool timed_out)
{
	Pathbell__V1__Event event = PATHBELL__V1__EVENT__INIT;
	Pathbell__V1__Source source = PATHBELL__V1__SOURCE__INIT;
	Pathbell__V1__ErrorVerdict verdict;
	Pathbell__V1__ScsiCommandError error;
	Pathbell__V1__Subject subject;
	struct handler_error question;
	char address[SCSI_ADDRESS_SIZE];
	struct place place;

	source.interface = (char *)(timed_out ? "tracefs:scsi_dispatch_cmd_timeout"
					      : "tracefs:scsi_dispatch_cmd_done");
	event.source = &source;
	event.kind = timed_out ? KIND(SCSI_COMMAND_TIMEOUT) : KIND(SCSI_COMMAND_ERROR);
	scsi_tell_time(raw, &event, &source);
	if (record == NULL) {
		scsi_tell_undecoded(ctx, raw, &event);
		return;
	}
	snprintf(address, sizeof(address), "%u:%u:%u:%u", record->host, record->channel, record->id,
		 record->lun);
	place_of_device(&place, ctx->topology, address, &subject);
	scsi_describe(record, timed_out, place.address, &error);
	if (scsi_question(record, timed_out, &question)) {
		choose_fill(choose_handler(topology_sysfs_path(ctx->topology), &subject), &question,
			    &verdict);
		error.verdict = &verdict;
	}
	event.severity = scsi_severity(record, timed_out);
	event.subject = &subject;
	event.payload_case = PATHBELL__V1__EVENT__PAYLOAD_SCSI_COMMAND_ERROR;
	event.scsi_command_error = &error;
	ctx->publish(ctx, &event, 0);
}

bool scsi_tell_change(struct collector_ctx *ctx, const struct uevent *uevent)
{
	const char *attention = uevent_get(uevent, "SDEV_UA");
	bool media = attention == NULL && uevent_get(uevent, "SDEV_MEDIA_CHANGE") != NULL;
	const char *address = scsi_address_of(uevent->devpath);
	Pathbell__V1__ScsiUnitAttention payload = PATHBELL__V1__SCSI_UNIT_ATTENTION__INIT;
	Pathbell__V1__Event event = PATHBELL__V1__EVENT__INIT;
	Pathbell__V1__Source source = PATHBELL__V1__SOURCE__INIT;
	const struct scsi_attention *known;
	Pathbell__V1__Subject subject;
	struct place place;

	if (address == NULL || (attention == NULL && !media))
		return false;
	payload.attention = (char *)(media ? "SDEV_MEDIA_CHANGE" : attention);
	known = scsi_attention_find(payload.attention);
	place_of_device(&place, ctx->topology, address, &subject);
	payload.address = place.address;
	payload.asc = known != NULL ? known->asc : 0;
	payload.ascq = known != NULL ? known->ascq : 0;
	source.interface = (char *)"netlink:uevent";
	source.seq = uevent->seqnum;
	event.kind = media ? KIND(STORAGE_DEVICE_MEDIA_CHANGED) : KIND(SCSI_UNIT_ATTENTION);
	event.severity = known != NULL ? known->severity : PATHBELL__V1__SEVERITY__SEVERITY_NOTICE;
	event.time_unix_ns = clock_realtime_ns();
	event.source = &source;
	event.subject = &subject;
	event.payload_case = PATHBELL__V1__EVENT__PAYLOAD_SCSI_UNIT_ATTENTION;
	event.scsi_unit_attention = &payload;
	ctx->publish(ctx, &event, 0);
	return true;
}

void scsi_tell_fpin(struct collector_ctx *ctx, const struct fpin *fpin)
{
	Pathbell__V1__Attribute all = PATHBELL__V1__ATTRIBUTE__INIT, *extra[] = { &all };
	Pathbell__V1__Event event = PATHBELL__V1__EVENT__INIT;
	Pathbell__V1__Source source = PATHBELL__V1__SOURCE__INIT;
	Pathbell__V1__FcFpin payload = fpin->fpin;
	Pathbell__V1__Subject subject;
	struct place place;
	char n_ports[16];

	place_of_port(&place, ctx->topology, fpin->host, payload.attached_port_name, &subject);
	payload.host = place.host;
	source.interface = (char *)"netlink:scsi_transport_fc";
	source.seq = fpin->event_num;
	event.kind = KIND(FC_FPIN);
	event.severity = fpin_severity(&payload);
	event.time_unix_ns = clock_realtime_ns();
	event.source = &source;
	event.subject = &subject;
	event.payload_case = PATHBELL__V1__EVENT__PAYLOAD_FC_FPIN;
	event.fc_fpin = &payload;
	if (fpin->n_ports > payload.n_port_names) {
		snprintf(n_ports, sizeof(n_ports), "%u", fpin->n_ports);
		all.key = (char *)"port_names.told";
		all.value = n_ports;
		event.extra = extra;
		event.n_extra = 1;
	}
	event.raw.data = (uint8_t *)fpin->raw;
	event.raw.len = fpin->raw_size;
	ctx->publish(ctx, &event, 0);
}
