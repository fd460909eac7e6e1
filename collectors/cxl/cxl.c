/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/cxl/cxl.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

#include "collectors/cxl/decode.h"
#include "collectors/cxl/memdev.h"
#include "collectors/topology/topology.h"
#include "collectors/tracefs/instance.h"
#include "core/clock.h"
#include "core/crc32c.h"

/*
 * open	    one tracefs instance with all events of system cxl that this kernel has. The driver
 *	    reads a device's log, emits the trace events and then clears the record in the device
 *	    (cxl_mem_get_event_records, drivers/cxl/core/mbox.c 6.12): what nobody listened to is
 *	    gone, so this collector should be up before the devices bind.
 * read	    record -> decoder of its common_type -> publish. A record that a full pipeline refused
 *	    stays in the instance and is decoded again.
 * snapshot cxl.memdev.state of every memory device, some in one call.
 *
 * Losses: of the ring as with every instance; and cxl_overflow, with which the device says that its
 * own log ran over. That one is an event and a collector.gap with its count.
 *
 * A layout that differs from all known ones is told once for each event (collector.schema_changed)
 * and does not stop anything.
 *
 * Absent: no system cxl in tracefs. The module cxl_core brings it, and neither tracefs (eventfs,
 * 6.6+) nor sysfs gives inotify events for that; the first /dev/cxl/memN does, so that is watched.
 */
#define CXL_SYSTEM	  "cxl"
#define CXL_SNAPSHOT_STEP 16
#define CXL_MAX_DECODERS  INSTANCE_MAX_EVENTS
#define CXL_MAX_TOLD	  64
#define CXL_MAX_RAW	  4096

struct cxl_collector {
	struct collector_ctx *ctx;
	struct instance *instance;
	size_t n_decoders;
	struct cxl_decoder *decoders; /* CXL_MAX_DECODERS */
	char interfaces[CXL_MAX_DECODERS][96];
	size_t next_notice;
	bool held; /* `raw` was refused by a full pipeline */
	struct instance_record raw;
	struct cxl_record record;
	struct memdev_list list; /* of the snapshot that runs */
	size_t next_memdev;
	bool listing, started;
};

/* Layouts that were told about, for as long as this process lives. */
static uint32_t cxl_told[CXL_MAX_TOLD];
static size_t cxl_n_told;

static const struct config_option cxl_options[] = {
	{ .name = "buffer_size",
	  .type = CONFIG_SIZE,
	  .offset = offsetof(struct cxl_config, buffer_size),
	  .initial = "64KiB",
	  .min = 8192,
	  .max = 64 << 20,
	  .help = "Kernel ring buffer for each CPU. One event needs about 200 bytes, an AER error "
		  "600; what does not fit is counted in a collector.gap event." },
	{ .name = "events",
	  .type = CONFIG_STRINGS,
	  .offset = offsetof(struct cxl_config, events),
	  .max = 4,
	  .help = "Further trace events to hear, each as SYSTEM:EVENT=RECORD: EVENT of SYSTEM is "
		  "decoded like RECORD, for example vendor:my_dram=cxl_dram. They are looked for "
		  "when the collector opens." },
};

const struct config_table cxl_config_table = {
	.options = cxl_options,
	.n_options = sizeof(cxl_options) / sizeof(cxl_options[0]),
	.size = sizeof(struct cxl_config),
};

/* 0 (also where this kernel lacks the event), -errno with @err. */
static int cxl_enable(struct cxl_collector *cxl, const char *system, const char *name,
		      const struct cxl_event *event, struct errmsg *err)
{
	struct format *format;
	int r;

	if (cxl->n_decoders == CXL_MAX_DECODERS)
		return 0;
	format = malloc(sizeof(*format));
	if (format == NULL)
		return -ENOMEM;
	r = instance_enable(cxl->instance, system, name, NULL, format, err);
	if (r == 0)
		r = cxl_decoder_init(&cxl->decoders[cxl->n_decoders], event, format, err);
	free(format);
	if (r != 0)
		return r == INSTANCE_E_ABSENT ? 0 : r;
	snprintf(cxl->interfaces[cxl->n_decoders], sizeof(cxl->interfaces[0]), "tracefs:%s", name);
	cxl->n_decoders++;
	return 0;
}

/* "SYSTEM:EVENT=RECORD" */
static int cxl_enable_configured(struct cxl_collector *cxl, const char *text, struct errmsg *err)
{
	char system[64], name[64], record[64];
	const struct cxl_event *event;
	int end = 0;

	if (sscanf(text, "%63[A-Za-z0-9_]:%63[A-Za-z0-9_]=%63[a-z_]%n", system, name, record,
		   &end) != 3 ||
	    text[end] != '\0') {
		errmsg_set(err, "collectors.cxl.events: \"%s\" is not SYSTEM:EVENT=RECORD", text);
		return -EINVAL;
	}
	event = cxl_event_find(record);
	if (event == NULL) {
		errmsg_set(err, "collectors.cxl.events: \"%s\" is no known record", record);
		return -EINVAL;
	}
	return cxl_enable(cxl, system, name, event, err);
}

/* 0, INSTANCE_E_ABSENT, -errno. */
static int cxl_listen(struct cxl_collector *cxl, const struct cxl_config *config,
		      struct errmsg *err)
{
	int r = 0;

	for (size_t i = 0; i < CXL_N_EVENTS && r == 0; i++)
		r = cxl_enable(cxl, CXL_SYSTEM, cxl_events[i].name, &cxl_events[i], err);
	for (size_t i = 0; i < config->events.n_items && r == 0; i++)
		r = cxl_enable_configured(cxl, config->events.items[i], err);
	if (r == 0 && cxl->n_decoders == 0) {
		errmsg_set(err, "this kernel has no trace events of system cxl: they came with "
				"6.3 and are there once the module cxl_core is loaded");
		return INSTANCE_E_ABSENT;
	}
	return r;
}

static void cxl_close(void *state)
{
	struct cxl_collector *cxl = state;

	instance_close(cxl->instance);
	free(cxl->decoders);
	free(cxl);
}

static int cxl_open(struct collector_ctx *ctx, void **ret_state, struct collector_fd *ret_fd)
{
	const struct cxl_config *config = ctx->config;
	struct instance_options options = { .tracefs_path = ctx->tracefs_path,
					    .collector = "cxl",
					    .buffer_size = config->buffer_size };
	struct cxl_collector *cxl = calloc(1, sizeof(*cxl));
	struct errmsg err = { 0 };
	int r;

	if (cxl == NULL)
		return -ENOMEM;
	cxl->ctx = ctx;
	cxl->decoders = calloc(CXL_MAX_DECODERS, sizeof(*cxl->decoders));
	r = cxl->decoders == NULL ? -ENOMEM : instance_open(&cxl->instance, &options, &err);
	if (r == 0)
		r = cxl_listen(cxl, config, &err);
	if (r != 0) {
		ctx->reason(ctx, "%s", err.text);
		cxl_close(cxl);
		return r < 0 ? r : COLLECTOR_E_ABSENT;
	}
	*ret_state = cxl;
	*ret_fd = (struct collector_fd){ .fd = instance_doorbell(cxl->instance) };
	if (instance_check(cxl->instance, &err) != 0) {
		ctx->reason(ctx, "%s", err.text);
		return COLLECTOR_E_BLIND;
	}
	return 0;
}

static uint32_t cxl_sum(const struct cxl_decoder *decoder)
{
	uint32_t sum = crc32c(0, decoder->event->name, strlen(decoder->event->name));

	return crc32c(sum, decoder->notice, strlen(decoder->notice));
}

static bool cxl_was_told(uint32_t sum)
{
	for (size_t i = 0; i < cxl_n_told; i++) {
		if (cxl_told[i] == sum)
			return true;
	}
	return false;
}

/* False: the pipeline is full. */
static bool cxl_publish_notices(struct cxl_collector *cxl)
{
	for (; cxl->next_notice < cxl->n_decoders; cxl->next_notice++) {
		const struct cxl_decoder *decoder = &cxl->decoders[cxl->next_notice];
		Pathbell__V1__Event event = PATHBELL__V1__EVENT__INIT;
		Pathbell__V1__Source source = PATHBELL__V1__SOURCE__INIT;
		Pathbell__V1__CollectorState state = PATHBELL__V1__COLLECTOR_STATE__INIT;
		char reason[256];

		if (decoder->notice[0] == '\0' || cxl_was_told(cxl_sum(decoder)))
			continue;
		snprintf(reason, sizeof(reason), "%s: %s", decoder->event->name, decoder->notice);
		source.interface = cxl->interfaces[cxl->next_notice];
		state.collector = (char *)"cxl";
		state.state = (char *)"up";
		state.reason = reason;
		event.kind = PATHBELL__V1__EVENT_KIND__EVENT_KIND_COLLECTOR_SCHEMA_CHANGED;
		event.severity = PATHBELL__V1__SEVERITY__SEVERITY_NOTICE;
		event.time_unix_ns = clock_realtime_ns();
		event.source = &source;
		event.payload_case = PATHBELL__V1__EVENT__PAYLOAD_COLLECTOR_STATE;
		event.collector_state = &state;
		cxl->ctx->publish(cxl->ctx, &event, 0);
		if (cxl->ctx->pipeline_full)
			return false;
		if (cxl_n_told < CXL_MAX_TOLD)
			cxl_told[cxl_n_told++] = cxl_sum(decoder);
	}
	return true;
}

static void cxl_publish(struct cxl_collector *cxl, const struct cxl_decoder *decoder,
			const char *interface)
{
	struct instance_record *raw = &cxl->raw;
	struct cxl_record *record = &cxl->record;
	Pathbell__V1__Event event = PATHBELL__V1__EVENT__INIT;
	Pathbell__V1__Source source = PATHBELL__V1__SOURCE__INIT;
	Pathbell__V1__Subject subject;
	struct cxl_names names;

	source.interface = (char *)interface;
	source.cpu = (uint32_t)raw->cpu + 1;
	event.source = &source;
	event.time_unix_ns = raw->time_unix_ns != 0 ? raw->time_unix_ns : clock_realtime_ns();
	event.source_clock_ns = raw->source_clock_ns;
	event.kind = decoder != NULL ? decoder->event->kind
				     : PATHBELL__V1__EVENT_KIND__EVENT_KIND_CXL_GENERIC;
	event.severity = PATHBELL__V1__SEVERITY__SEVERITY_ERROR;
	if (decoder == NULL || record->partial) {
		event.raw.data = (uint8_t *)raw->data;
		event.raw.len = raw->size < CXL_MAX_RAW ? raw->size : CXL_MAX_RAW;
	}
	if (decoder != NULL) {
		cxl_subject(decoder->event, record, &names, &subject);
		event.severity = cxl_severity(decoder->event, &record->mem);
		event.subject = &subject;
		event.payload_case = PATHBELL__V1__EVENT__PAYLOAD_CXL_MEM;
		event.cxl_mem = &record->mem;
		event.extra = record->extra;
		event.n_extra = record->n_extra;
	}
	cxl->ctx->publish(cxl->ctx, &event, 0);
}

/* The device's own loss. Some kernels and devices state the loss without a number. */
static void cxl_report_overflow(struct cxl_collector *cxl)
{
	const Pathbell__V1__CxlMemEvent *mem = &cxl->record.mem;

	cxl->ctx->lost(cxl->ctx, "device_overflow", mem->overflow_count, mem->overflow_count == 0,
		       -1);
}

/* False: the pipeline is full, the record is kept for the next call. */
static bool cxl_handle(struct cxl_collector *cxl)
{
	const struct cxl_decoder *decoder = NULL;
	const char *interface = "tracefs:cxl";
	int r = CXL_E_OTHER_EVENT;

	for (size_t i = 0; i < cxl->n_decoders && r == CXL_E_OTHER_EVENT; i++) {
		decoder = &cxl->decoders[i];
		interface = cxl->interfaces[i];
		r = cxl_decode(decoder, cxl->raw.data, cxl->raw.size, &cxl->record);
	}
	if (r == CXL_E_OTHER_EVENT) {
		cxl->held = false;
		return true;
	}
	cxl_publish(cxl, r == 0 ? decoder : NULL, interface);
	cxl->held = cxl->ctx->pipeline_full;
	if (!cxl->held && r == 0 && decoder->event->id == CXL_OVERFLOW)
		cxl_report_overflow(cxl);
	return !cxl->held;
}

static int cxl_read(void *state, unsigned budget, struct collector_fd *fd)
{
	struct cxl_collector *cxl = state;
	struct instance_record *raw = &cxl->raw;

	while (budget > 0) {
		int r = cxl->held ? 0 : instance_next(cxl->instance, raw);

		if (r == INSTANCE_E_EMPTY)
			return 0;
		if (r < 0) {
			cxl->ctx->reason(cxl->ctx, "reading the trace buffer failed");
			return r;
		}
		if (r == INSTANCE_E_LOSS) {
			cxl->ctx->lost(cxl->ctx, raw->loss_cause, raw->loss_count,
				       raw->loss_is_minimum, raw->cpu);
			continue;
		}
		if (!cxl_handle(cxl))
			break;
		budget--;
	}
	return COLLECTOR_E_MORE;
}

static void cxl_publish_memdev(struct cxl_collector *cxl, struct memdev *memdev)
{
	Pathbell__V1__Event event = PATHBELL__V1__EVENT__INIT;
	Pathbell__V1__Source source = PATHBELL__V1__SOURCE__INIT;

	memdev->state.reason = (char *)(cxl->started ? "resync" : "start");
	source.interface = (char *)"sysfs:cxl";
	event.kind = PATHBELL__V1__EVENT_KIND__EVENT_KIND_CXL_MEMDEV_STATE;
	event.severity = PATHBELL__V1__SEVERITY__SEVERITY_INFO;
	event.time_unix_ns = clock_realtime_ns();
	event.source = &source;
	event.subject = &memdev->subject;
	event.payload_case = PATHBELL__V1__EVENT__PAYLOAD_DEVICE_STATE;
	event.device_state = &memdev->state;
	event.extra = memdev->extra;
	event.n_extra = memdev->n_extra;
	cxl->ctx->publish(cxl->ctx, &event, 0);
}

static int cxl_begin_snapshot(struct cxl_collector *cxl)
{
	const char *sysfs = topology_sysfs_path(cxl->ctx->topology);
	struct errmsg err = { 0 };
	int r;

	if (instance_check(cxl->instance, &err) != 0) {
		cxl->ctx->reason(cxl->ctx, "%s", err.text);
		return COLLECTOR_E_BLIND;
	}
	r = memdev_list(sysfs, &cxl->list);
	if (r < 0) {
		cxl->ctx->reason(cxl->ctx, "listing %s/bus/cxl/devices failed", sysfs);
		return r;
	}
	if (cxl->list.n_left_out > 0)
		cxl->ctx->lost(cxl->ctx, "budget", cxl->list.n_left_out, false, -1);
	cxl->next_memdev = 0;
	cxl->listing = true;
	return 0;
}

static int cxl_snapshot(void *state)
{
	struct cxl_collector *cxl = state;
	const char *sysfs = topology_sysfs_path(cxl->ctx->topology);
	struct memdev memdev;
	int r;

	if (!cxl->listing) {
		r = cxl_begin_snapshot(cxl);
		if (r != 0)
			return r;
	}
	if (!cxl_publish_notices(cxl))
		return COLLECTOR_E_MORE;
	for (int step = 0; step < CXL_SNAPSHOT_STEP && cxl->next_memdev < cxl->list.n; step++) {
		if (memdev_read(sysfs, cxl->list.numbers[cxl->next_memdev], &memdev) == 0)
			cxl_publish_memdev(cxl, &memdev);
		if (cxl->ctx->pipeline_full)
			return COLLECTOR_E_MORE;
		cxl->next_memdev++;
	}
	if (cxl->next_memdev < cxl->list.n)
		return COLLECTOR_E_MORE;
	cxl->listing = false;
	cxl->started = true;
	return 0;
}

static const char *cxl_retry_path(struct collector_ctx *ctx)
{
	struct statfs fs;

	if (statfs(ctx->tracefs_path, &fs) < 0 || (unsigned long)fs.f_type != TRACEFS_MAGIC)
		return "/proc/self/mountinfo";
	return "/dev/cxl/mem0";
}

const struct collector_ops cxl_collector = {
	.name = "cxl",
	.help = "Compute Express Link memory events, from the trace events of system cxl.",
	.config = &cxl_config_table,
	.open = cxl_open,
	.read = cxl_read,
	.snapshot = cxl_snapshot,
	.close = cxl_close,
	.retry_path = cxl_retry_path,
};
