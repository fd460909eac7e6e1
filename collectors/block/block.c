/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/block/block.h"

#include <errno.h>
#include <stdlib.h>

#include "collectors/bell.h"
#include "collectors/block/decode.h"
#include "collectors/block/merge.h"
#include "collectors/topology/topology.h"
#include "collectors/tracefs/instance.h"
#include "core/clock.h"
#include "core/log.h"
#include "handlers/choose.h"

/*
 * open      a tracefs instance, block_rq_error enabled in it (5.18+), else block_rq_complete with a
 *filter; then it is asked whether it really records. read      record -> block_decode -> identity
 *from topology -> publish. Records of a page that does not fit in the budget or in the pipeline
 *stay in the instance: nothing is read twice or dropped. snapshot  storage.device.state of every
 *disk, 64 in one call.
 *
 * block_rq_complete also tells of requests that the kernel keeps quiet about, and of passthrough
 *commands, which have no sector (all ones): these are left out, as block_rq_error leaves them out.
 *
 * While the watch_queue collector hears block records too, a report may wait up to MERGE_HOLD_NS
 *for its twin: see merge.h. Else there is no timer.
 *
 * A failed flush is an event with sector 0 and no sectors. Time-outs and dead paths of SCSI come as
 *EIO: the block layer knows no better, the scsi collector does.
 */
#define BLOCK_SNAPSHOT_STEP 64
#define BLOCK_NO_SECTOR	    UINT64_MAX

struct block_collector {
	struct collector_ctx *ctx;
	struct instance *instance;
	struct block_decoder decoder;
	const char *interface;
	bool completions;	    /* block_rq_complete is what we listen to */
	bool held;		    /* `record` was refused by a full pipeline */
	bool is_merged;		    /* takes part in merge_shared() */
	bool undecoded;		    /* `record` is not what the layout says */
	enum merge_verdict verdict; /* on `record` */
	struct merge_report report; /* what `record` says */
	struct instance_record record;
	struct bell
		bell; /* the instance's doorbell, and the time when a report waited long enough */
	struct topology_disk *disks; /* of the snapshot that runs */
	size_t n_disks, next_disk;
	bool started; /* one snapshot has been finished */
};

static const char *const block_tracepoint_names[] = { "auto", "block_rq_error", "block_rq_complete",
						      NULL };

static const struct config_option block_options[] = {
	{ .name = "buffer_size",
	  .type = CONFIG_SIZE,
	  .offset = offsetof(struct block_config, buffer_size),
	  .initial = "64KiB",
	  .min = 8192,
	  .max = 64 << 20,
	  .help = "Kernel ring buffer for each CPU. One failed request needs about 60 bytes; what "
		  "does not "
		  "fit is counted in a collector.gap event." },
	{ .name = "tracepoint",
	  .type = CONFIG_ENUM,
	  .offset = offsetof(struct block_config, tracepoint),
	  .initial = "auto",
	  .names = block_tracepoint_names,
	  .help = "Trace event to use. auto takes block_rq_error where the kernel has it (5.18 and "
		  "later), "
		  "else block_rq_complete." },
};

const struct config_table block_config_table = {
	.options = block_options,
	.n_options = sizeof(block_options) / sizeof(block_options[0]),
	.size = sizeof(struct block_config),
};

static int block_enable(struct block_collector *block, bool completions, struct format *format,
			struct errmsg *err)
{
	block->completions = completions;
	block->interface = completions ? "tracefs:block_rq_complete" : "tracefs:block_rq_error";
	return instance_enable(block->instance, "block",
			       completions ? "block_rq_complete" : "block_rq_error",
			       completions ? "error != 0" : NULL, format, err);
}

/* 0, INSTANCE_E_ABSENT, -errno. */
static int block_listen(struct block_collector *block, const struct block_config *config,
			struct errmsg *err)
{
	struct format *format = malloc(sizeof(*format));
	int r = INSTANCE_E_ABSENT;

	if (format == NULL)
		return -ENOMEM;
	if (config->tracepoint != BLOCK_TRACEPOINT_RQ_COMPLETE)
		r = block_enable(block, false, format, err);
	if (r == INSTANCE_E_ABSENT && config->tracepoint != BLOCK_TRACEPOINT_RQ_ERROR)
		r = block_enable(block, true, format, err);
	if (r == 0 && block_decoder_init(&block->decoder, format, err) < 0)
		r = INSTANCE_E_ABSENT;
	free(format);
	return r;
}

static void block_publish(struct block_collector *block, const struct merge_report *report,
			  bool via_watch_queue)
{
	const struct block_record *record = &report->record;
	Pathbell__V1__Attribute gone = PATHBELL__V1__ATTRIBUTE__INIT, *extra[] = { &gone };
	Pathbell__V1__Event event = PATHBELL__V1__EVENT__INIT;
	Pathbell__V1__Source source = PATHBELL__V1__SOURCE__INIT;
	Pathbell__V1__Subject subject;
	Pathbell__V1__ErrorVerdict verdict;
	Pathbell__V1__BlockError error;

	block_describe(record, &error);
	error.via_watch_queue = via_watch_queue;
	if (topology_fill_subject(block->ctx->topology, record->major, record->minor, &subject) ==
	    TOPOLOGY_GONE) {
		gone.key = (char *)"subject.gone";
		gone.value = (char *)"true";
		event.extra = extra;
		event.n_extra = 1;
	}
	choose_judge_errno(topology_sysfs_path(block->ctx->topology), &subject, record->error,
			   &verdict);
	error.verdict = &verdict;
	source.interface = (char *)block->interface;
	source.cpu = (uint32_t)report->cpu + 1;
	event.kind = PATHBELL__V1__EVENT_KIND__EVENT_KIND_STORAGE_BLOCK_ERROR;
	event.severity = block_severity(error.error_class);
	event.time_unix_ns = report->time_unix_ns;
	event.source_clock_ns = report->source_clock_ns;
	event.source = &source;
	event.subject = &subject;
	event.payload_case = PATHBELL__V1__EVENT__PAYLOAD_BLOCK_ERROR;
	event.block_error = &error;
	block->ctx->publish(block->ctx, &event, 0);
}

/* Reports that waited for the pipe's. False: @budget or the pipeline had no room for all. */
static bool block_publish_waiting(struct block_collector *block, unsigned *budget, uint64_t now_ns)
{
	const struct merge_item *item;

	while ((item = merge_next(merge_shared(), MERGE_TRACE, now_ns)) != NULL) {
		if (*budget == 0)
			return false;
		block_publish(block, &item->report, item->state == MERGE_CONFIRMED);
		if (block->ctx->pipeline_full)
			return false;
		merge_published(merge_shared(), item, now_ns);
		--*budget;
	}
	return true;
}

/* The pipe's record has come, or will not come any more. */
static void block_wake(void *data)
{
	struct block_collector *block = data;

	bell_arm(&block->bell, merge_deadline(merge_shared(), MERGE_TRACE));
}

/* Nothing waits any more when this collector is gone. */
static void block_leave(struct block_collector *block)
{
	unsigned budget = MERGE_MAX_ITEMS;
	size_t n_waiting;

	if (!block->is_merged)
		return;
	(void)block_publish_waiting(block, &budget, UINT64_MAX);
	n_waiting = merge_down(merge_shared(), MERGE_TRACE);
	if (n_waiting > 0)
		block->ctx->lost(block->ctx, "budget", n_waiting, false, -1);
}

static void block_close(void *state)
{
	struct block_collector *block = state;

	block_leave(block);
	bell_close(&block->bell);
	instance_close(block->instance);
	free(block->disks);
	free(block);
}

static int block_open(struct collector_ctx *ctx, void **ret_state, struct collector_fd *ret_fd)
{
	const struct block_config *config = ctx->config;
	struct instance_options options = { .tracefs_path = ctx->tracefs_path,
					    .collector = "block",
					    .buffer_size = config->buffer_size };
	struct block_collector *block = calloc(1, sizeof(*block));
	struct errmsg err = { 0 };
	int r;

	if (block == NULL)
		return -ENOMEM;
	block->ctx = ctx;
	r = bell_open(&block->bell);
	if (r == 0)
		r = instance_open(&block->instance, &options, &err);
	if (r == 0)
		r = block_listen(block, config, &err);
	if (r == 0)
		r = bell_add(&block->bell, instance_doorbell(block->instance));
	if (r != 0) {
		ctx->reason(ctx, "%s", err.text[0] != '\0' ? err.text : log_errno(r));
		block_close(block);
		return r < 0 ? r : COLLECTOR_E_ABSENT;
	}
	*ret_state = block;
	*ret_fd = (struct collector_fd){ .fd = block->bell.fd };
	if (instance_check(block->instance, &err) != 0) {
		ctx->reason(ctx, "%s", err.text);
		return COLLECTOR_E_BLIND;
	}
	merge_up(merge_shared(), MERGE_TRACE, block_wake, block);
	block->is_merged = true;
	return 0;
}

/* The record cannot be decoded: it travels as it is. */
static void block_publish_raw(struct block_collector *block)
{
	const struct instance_record *raw = &block->record;
	Pathbell__V1__Event event = PATHBELL__V1__EVENT__INIT;
	Pathbell__V1__Source source = PATHBELL__V1__SOURCE__INIT;

	source.interface = (char *)block->interface;
	source.cpu = (uint32_t)raw->cpu + 1;
	event.kind = PATHBELL__V1__EVENT_KIND__EVENT_KIND_STORAGE_BLOCK_ERROR;
	event.severity = PATHBELL__V1__SEVERITY__SEVERITY_ERROR;
	event.time_unix_ns = raw->time_unix_ns != 0 ? raw->time_unix_ns : clock_realtime_ns();
	event.source_clock_ns = raw->source_clock_ns;
	event.source = &source;
	event.raw.data = (uint8_t *)raw->data;
	event.raw.len = raw->size < 4096 ? raw->size : 4096;
	block->ctx->publish(block->ctx, &event, 0);
}

/* What is to be done with `record`; *ret_report is filled when the record can be decoded. */
static enum merge_verdict block_judge(struct block_collector *block,
				      struct merge_report *ret_report)
{
	const struct instance_record *raw = &block->record;

	*ret_report =
		(struct merge_report){ .time_unix_ns = raw->time_unix_ns != 0 ? raw->time_unix_ns
									      : clock_realtime_ns(),
				       .source_clock_ns = raw->source_clock_ns,
				       .cpu = raw->cpu };
	switch (block_decode(&block->decoder, raw->data, raw->size, &ret_report->record)) {
	case 0:
		break;
	case -EBADMSG:
		block->undecoded = true;
		return MERGE_PUBLISH;
	default:
		return MERGE_DROP;
	}
	if (block->completions && ret_report->record.sector == BLOCK_NO_SECTOR)
		return MERGE_DROP;
	ret_report->error_class = block_class(ret_report->record.error);
	if (!block->is_merged)
		return MERGE_PUBLISH;
	return merge_offer(merge_shared(), MERGE_TRACE, ret_report, clock_monotonic_ns());
}

/* False: the pipeline is full, `record` is kept for the next call. */
static bool block_handle(struct block_collector *block)
{
	if (!block->held) {
		block->undecoded = false;
		block->verdict = block_judge(block, &block->report);
	}
	if (block->verdict == MERGE_PUBLISH || block->verdict == MERGE_PUBLISH_BOTH) {
		if (block->undecoded)
			block_publish_raw(block);
		else
			block_publish(block, &block->report, block->verdict == MERGE_PUBLISH_BOTH);
	}
	block->held = block->ctx->pipeline_full;
	return !block->held;
}

/* Records of the instance, until it is empty. */
static int block_drain(struct block_collector *block, unsigned budget)
{
	struct instance_record *record = &block->record;

	while (budget > 0) {
		int r = block->held ? 0 : instance_next(block->instance, record);

		if (r == INSTANCE_E_EMPTY)
			return 0;
		if (r < 0) {
			block->ctx->reason(block->ctx, "reading the trace buffer failed");
			return r;
		}
		if (r == INSTANCE_E_LOSS) {
			block->ctx->lost(block->ctx, record->loss_cause, record->loss_count,
					 record->loss_is_minimum, record->cpu);
			continue;
		}
		if (!block_handle(block))
			break;
		budget--;
	}
	return COLLECTOR_E_MORE;
}

static int block_read(void *state, unsigned budget, struct collector_fd *fd)
{
	struct block_collector *block = state;
	int r = COLLECTOR_E_MORE;

	if (block_publish_waiting(block, &budget, clock_monotonic_ns()))
		r = block_drain(block, budget);
	if (r >= 0)
		block_wake(block);
	return r;
}

static void block_publish_state(struct block_collector *block, const struct topology_disk *disk)
{
	Pathbell__V1__Event event = PATHBELL__V1__EVENT__INIT;
	Pathbell__V1__Source source = PATHBELL__V1__SOURCE__INIT;
	Pathbell__V1__DeviceState device = PATHBELL__V1__DEVICE_STATE__INIT;
	struct topology *topology = block->ctx->topology;
	Pathbell__V1__Subject subject;
	char state[64];

	topology_read_state(topology, disk->major, disk->minor, state, &device);
	if (!device.present)
		return;
	device.reason = (char *)(block->started ? "resync" : "start");
	topology_fill_subject(topology, disk->major, disk->minor, &subject);
	source.interface = (char *)"sysfs:block";
	event.kind = PATHBELL__V1__EVENT_KIND__EVENT_KIND_STORAGE_DEVICE_STATE;
	event.severity = PATHBELL__V1__SEVERITY__SEVERITY_INFO;
	event.time_unix_ns = clock_realtime_ns();
	event.source = &source;
	event.subject = &subject;
	event.payload_case = PATHBELL__V1__EVENT__PAYLOAD_DEVICE_STATE;
	event.device_state = &device;
	block->ctx->publish(block->ctx, &event, 0);
}

static int block_snapshot(void *state)
{
	struct block_collector *block = state;
	struct errmsg err = { 0 };
	int r;

	if (block->disks == NULL) {
		if (instance_check(block->instance, &err) != 0) {
			block->ctx->reason(block->ctx, "%s", err.text);
			return COLLECTOR_E_BLIND;
		}
		topology_invalidate(block->ctx->topology);
		block->next_disk = block->n_disks = 0;
		r = topology_list_disks(block->ctx->topology, &block->disks, &block->n_disks);
		if (r < 0) {
			block->ctx->reason(block->ctx, "listing the disks in %s failed",
					   topology_sysfs_path(block->ctx->topology));
			return r;
		}
	}
	for (int step = 0; step < BLOCK_SNAPSHOT_STEP && block->next_disk < block->n_disks;
	     step++) {
		block_publish_state(block, &block->disks[block->next_disk]);
		if (block->ctx->pipeline_full)
			return COLLECTOR_E_MORE;
		block->next_disk++;
	}
	if (block->next_disk < block->n_disks)
		return COLLECTOR_E_MORE;
	free(block->disks);
	block->disks = NULL;
	block->started = true;
	return 0;
}

/* A mount of tracefs shows in mountinfo; for all else trying again from time to time must do. */
static const char *block_retry_path(struct collector_ctx *ctx)
{
	return "/proc/self/mountinfo";
}

const struct collector_ops block_collector = {
	.name = "block",
	.help = "Failed block requests, from the trace event block_rq_error.",
	.config = &block_config_table,
	.open = block_open,
	.read = block_read,
	.snapshot = block_snapshot,
	.close = block_close,
	.retry_path = block_retry_path,
};
