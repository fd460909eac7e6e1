/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/watch_queue/watch_queue.h"

#include <errno.h>
#include <stdlib.h>

#include "collectors/bell.h"
#include "collectors/block/merge.h"
#include "collectors/topology/topology.h"
#include "collectors/watch_queue/devices.h"
#include "collectors/watch_queue/filter.h"
#include "collectors/watch_queue/pipe.h"
#include "collectors/watch_queue/ring.h"
#include "collectors/watch_queue/watches.h"
#include "core/clock.h"
#include "core/log.h"
#include "handlers/choose.h"

/*
 * Happy path
 *   open      the pipe: made, sized, filtered (in this order: before it has a size a watch succeeds
 *	       and its records vanish), then the watches: block records by watch_devices, keys.
 *Where a ring is configured: the device opened, sized, filtered, mapped, watch_devices on it. read
 *what waited long enough for its twin from the trace event (merge.h); then records of the pipe
 *until EAGAIN, also after a wake-up that brought few: a loss record that is due does not make the
 *pipe readable; then records of the ring until it is empty; then keys that are missing. snapshot
 *after a loss: is every watched key still there? One that is gone without a record gets its
 *watch.removed now.
 *
 * Failure modes
 *   - A kernel without the pipe, a configuration that asks for nothing: parked.
 *   - The queue overflows: the kernel says so once, without a count: collector.gap, count unknown.
 *   - A watched key goes: watch.removed; a key that the same text names is watched when it comes.
 *   - A record of an unknown type or length: event collector.schema_changed with its bytes.
 *   - Bytes that are no record: the same, and a collector.gap for what stood behind them.
 *   - The pipeline is full: the record stays at the front of its queue.
 *
 * Records carry no time: the event's is when it was read. No timer runs but one: while a block
 * record waits for its twin (100 ms), or a configured key is missing (10 s to 10 min).
 *
 * KEYCTL_WATCH_KEY takes no key that is under construction (security/keys/keyctl.c, 5.8 to 6.18:
 * keyctl_watch_key looks the key up without KEY_LOOKUP_PARTIAL, which waits), so mainline cannot
 * post INSTANTIATED to us although the subtype exists.
 */
struct watch_queue_source {
	const char *interface;
	enum note_dialect dialect;
	bool held; /* the record at the front was judged, and refused by a full pipeline */
	enum merge_verdict verdict; /* on it */
	struct merge_report report;
};

struct watch_queue {
	struct collector_ctx *ctx;
	const struct watch_queue_config *config;
	struct bell bell;
	struct pipe_queue pipe;
	struct ring ring;
	struct watch_queue_source pipe_source, ring_source;
	struct watches watches;
	bool is_merged;	  /* takes part in merge_shared() */
	size_t next_gone; /* of the snapshot that runs */
};

/* Publishing. False: the pipeline is full. */

static bool watch_queue_publish(struct watch_queue *queue, struct note_event *event)
{
	queue->ctx->publish(queue->ctx, &event->event, 0);
	return !queue->ctx->pipeline_full;
}

/* An error that only the queue has told. */
static bool watch_queue_publish_block(struct watch_queue *queue, const struct merge_report *report)
{
	Pathbell__V1__Event event = PATHBELL__V1__EVENT__INIT;
	Pathbell__V1__Source source = PATHBELL__V1__SOURCE__INIT;
	Pathbell__V1__ErrorVerdict verdict;
	Pathbell__V1__Subject subject;
	Pathbell__V1__BlockError error;

	block_describe(&report->record, &error);
	error.via_watch_queue = true;
	topology_fill_subject(queue->ctx->topology, report->record.major, report->record.minor,
			      &subject);
	choose_judge_errno(topology_sysfs_path(queue->ctx->topology), &subject,
			   report->record.error, &verdict);
	error.verdict = &verdict;
	source.interface =
		(char *)(queue->ring.fd >= 0 ? queue->ring_source.interface : queue->pipe_source.interface);
	event.kind = PATHBELL__V1__EVENT_KIND__EVENT_KIND_STORAGE_BLOCK_ERROR;
	event.severity = block_severity(report->error_class);
	event.time_unix_ns = report->time_unix_ns;
	event.source = &source;
	event.subject = &subject;
	event.payload_case = PATHBELL__V1__EVENT__PAYLOAD_BLOCK_ERROR;
	event.block_error = &error;
	queue->ctx->publish(queue->ctx, &event, 0);
	return !queue->ctx->pipeline_full;
}

static bool watch_queue_publish_waiting(struct watch_queue *queue, unsigned *budget,
					uint64_t now_ns)
{
	const struct merge_item *item;

	while ((item = merge_next(merge_shared(), MERGE_PIPE, now_ns)) != NULL) {
		if (*budget == 0 || !watch_queue_publish_block(queue, &item->report))
			return false;
		merge_published(merge_shared(), item, now_ns);
		--*budget;
	}
	return true;
}

/* One record. False: the pipeline is full, it must come again. */

static bool watch_queue_on_device(struct watch_queue *queue, struct watch_queue_source *source,
				  const struct note *note)
{
	if (!source->held) {
		source->report = (struct merge_report){
			.record = { .major = note->device.major,
				    .minor = note->device.minor,
				    .sector = note->device.sector,
				    .error = block_class_error(
					    (Pathbell__V1__BlockErrorClass)note->subtype) },
			.error_class = (Pathbell__V1__BlockErrorClass)note->subtype,
			.time_unix_ns = clock_realtime_ns(),
			.cpu = -1
		};
		source->verdict = merge_offer(merge_shared(), MERGE_PIPE, &source->report,
					      clock_monotonic_ns());
	}
	if (source->verdict != MERGE_PUBLISH)
		return true;
	return watch_queue_publish_block(queue, &source->report);
}

static bool watch_queue_on_note(struct watch_queue *queue, struct watch_queue_source *source,
				const struct note *note)
{
	struct note_watch watch = watches_name(&queue->watches, note->watch_id);
	struct note_event event;

	if (note->kind == NOTE_DEVICE)
		return watch_queue_on_device(queue, source, note);
	if (note->kind == NOTE_LOSS) {
		queue->ctx->lost(queue->ctx, "loss_record", 0, true, -1);
		return true;
	}
	note_describe(note, source->dialect, source->interface, &watch, clock_realtime_ns(),
		      &event);
	if (!watch_queue_publish(queue, &event))
		return false;
	if (note->kind == NOTE_REMOVAL)
		watches_removed(&queue->watches, note->watch_id, (uint32_t)note->object_id,
				clock_monotonic_ns());
	return true;
}

/* @note has the bytes that are no record. */
static bool watch_queue_on_garbage(struct watch_queue *queue,
				   const struct watch_queue_source *source, const struct note *note)
{
	struct note_event event;

	note_describe_raw(note->data, note->size, source->interface, clock_realtime_ns(), &event);
	if (!watch_queue_publish(queue, &event))
		return false;
	queue->ctx->lost(queue->ctx, "decode", 0, true, -1);
	return true;
}

/* The queues. Each: 0 = drained, COLLECTOR_E_MORE, -errno. */

static int watch_queue_drain_pipe(struct watch_queue *queue, unsigned *budget)
{
	struct watch_queue_source *source = &queue->pipe_source;
	struct note note;

	while (*budget > 0) {
		int r = pipe_peek(&queue->pipe, source->dialect, &note);

		if (r == PIPE_E_EMPTY)
			return 0;
		if (r < 0 && r != -EBADMSG) {
			queue->ctx->reason(queue->ctx, "reading the notification pipe: %s",
					   log_errno(r));
			return r;
		}
		source->held = !(r == 0 ? watch_queue_on_note(queue, source, &note)
					: watch_queue_on_garbage(queue, source, &note));
		if (source->held)
			break;
		pipe_advance(&queue->pipe, &note);
		--*budget;
	}
	return COLLECTOR_E_MORE;
}

/* What the ring says besides records. False: no room in the pipeline. */
static bool watch_queue_on_ring_fault(struct watch_queue *queue, int fault, const struct note *note)
{
	if (fault == RING_E_LOSS) {
		queue->ctx->lost(queue->ctx, "loss_record", 0, true, -1);
		return true;
	}
	if (watch_queue_on_garbage(queue, &queue->ring_source, note))
		return true;
	/* The ring has gone on already: without the bytes, the gap tells alone. */
	queue->ctx->lost(queue->ctx, "decode", 0, true, -1);
	return false;
}

static int watch_queue_drain_ring(struct watch_queue *queue, unsigned *budget)
{
	struct watch_queue_source *source = &queue->ring_source;
	struct note note;

	for (; *budget > 0; --*budget) {
		int r = ring_peek(&queue->ring, &note);

		if (r == RING_E_EMPTY)
			return 0;
		if (r != 0) {
			if (!watch_queue_on_ring_fault(queue, r, &note))
				break;
			continue;
		}
		source->held = !watch_queue_on_note(queue, source, &note);
		if (source->held)
			break;
		ring_advance(&queue->ring, &note);
	}
	return COLLECTOR_E_MORE;
}

static void watch_queue_arm(struct watch_queue *queue)
{
	uint64_t when_ns = queue->watches.retry_ns;

	if (queue->is_merged && merge_deadline(merge_shared(), MERGE_PIPE) < when_ns)
		when_ns = merge_deadline(merge_shared(), MERGE_PIPE);
	bell_arm(&queue->bell, when_ns);
}

static void watch_queue_wake(void *data)
{
	watch_queue_arm(data);
}

static int watch_queue_drain(struct watch_queue *queue, unsigned budget)
{
	int r = 0, r_ring = 0;

	if (queue->pipe.read_fd >= 0)
		r = watch_queue_drain_pipe(queue, &budget);
	if (r < 0 || queue->ctx->pipeline_full)
		return r;
	if (queue->ring.fd >= 0)
		r_ring = watch_queue_drain_ring(queue, &budget);
	return r_ring != 0 ? r_ring : r;
}

static int watch_queue_read(void *state, unsigned budget, struct collector_fd *fd)
{
	struct watch_queue *queue = state;
	int r = COLLECTOR_E_MORE;

	if (watch_queue_publish_waiting(queue, &budget, clock_monotonic_ns()))
		r = watch_queue_drain(queue, budget);
	if (queue->pipe.read_fd >= 0 && queue->watches.retry_ns != UINT64_MAX)
		watches_search(&queue->watches, queue->pipe.read_fd, clock_monotonic_ns());
	watch_queue_arm(queue);
	return r;
}

static int watch_queue_snapshot(void *state)
{
	struct watch_queue *queue = state;
	size_t i;

	while ((i = watches_find_gone(&queue->watches, queue->next_gone)) < queue->watches.n_keys) {
		struct note note = { .kind = NOTE_REMOVAL,
				     .watch_id = (uint32_t)i + 1,
				     .object_id = (uint32_t)queue->watches.keys[i].serial };

		if (!watch_queue_on_note(queue, &queue->pipe_source, &note))
			return COLLECTOR_E_MORE;
		queue->next_gone = i + 1;
	}
	queue->next_gone = 0;
	watch_queue_arm(queue);
	return 0;
}

/* Opening. 0, COLLECTOR_E_ABSENT, -errno; with @err. */

static int watch_queue_open_pipe(struct watch_queue *queue, struct errmsg *err)
{
	const struct watch_queue_config *config = queue->config;
	int r = pipe_open(&queue->pipe, (unsigned)config->pipe_notes, err);

	if (r == PIPE_E_ABSENT)
		return COLLECTOR_E_ABSENT;
	if (r == 0 && config->keys.n_items == 0 && config->devices.syscall == 0) {
		errmsg_set(err, "nothing is configured to be watched: see keys, devices and ring "
				"of collectors.watch_queue");
		return COLLECTOR_E_ABSENT;
	}
	if (r == 0)
		r = filter_set(queue->pipe.read_fd, FILTER_IOC_SET_FILTER, &config->filters, err);
	if (r == 0)
		r = bell_add(&queue->bell, queue->pipe.read_fd);
	return r;
}

static int watch_queue_open_ring(struct watch_queue *queue, struct errmsg *err)
{
	const struct watch_queue_config *config = queue->config;
	int r = ring_open(&queue->ring, config->ring.path, (unsigned)config->ring.pages,
			  queue->ring_source.dialect, &config->filters, err);

	if (r == RING_E_ABSENT)
		return COLLECTOR_E_ABSENT;
	return r == 0 ? bell_add(&queue->bell, queue->ring.fd) : r;
}

static int watch_queue_open_devices(struct watch_queue *queue, struct errmsg *err)
{
	unsigned number = (unsigned)queue->config->devices.syscall;
	int fd = queue->ring.fd >= 0 ? queue->ring.fd : queue->pipe.read_fd;
	int r;

	if (number == 0)
		return 0;
	r = devices_watch(number, fd, WATCH_QUEUE_DEVICES_ID, err);
	/* A number that is refused stays refused until the configuration changes. */
	if (r == DEVICES_E_ABSENT || r == -EINVAL)
		return COLLECTOR_E_ABSENT;
	if (r == 0) {
		merge_up(merge_shared(), MERGE_PIPE, watch_queue_wake, queue);
		queue->is_merged = true;
	}
	return r;
}

static int watch_queue_listen(struct watch_queue *queue, struct errmsg *err)
{
	bool has_ring = queue->config->ring.path != NULL;
	int r = bell_open(&queue->bell);

	if (r == 0 && has_ring)
		r = watch_queue_open_ring(queue, err);
	if (r == 0 && (!has_ring || queue->config->keys.n_items > 0))
		r = watch_queue_open_pipe(queue, err);
	if (r == 0)
		r = watch_queue_open_devices(queue, err);
	if (r == 0 && queue->pipe.read_fd >= 0)
		watches_search(&queue->watches, queue->pipe.read_fd, clock_monotonic_ns());
	if (r == 0)
		watch_queue_arm(queue);
	if (r < 0 && err->text[0] == '\0')
		errmsg_set(err, "%s", log_errno(r));
	return r;
}

static void watch_queue_close(void *state)
{
	struct watch_queue *queue = state;
	unsigned budget = MERGE_MAX_ITEMS;
	size_t n_waiting = 0;

	if (queue->is_merged) {
		(void)watch_queue_publish_waiting(queue, &budget, UINT64_MAX);
		n_waiting = merge_down(merge_shared(), MERGE_PIPE);
	}
	if (n_waiting > 0)
		queue->ctx->lost(queue->ctx, "budget", n_waiting, false, -1);
	ring_close(&queue->ring);
	pipe_close(&queue->pipe);
	bell_close(&queue->bell);
	free(queue);
}

static int watch_queue_open(struct collector_ctx *ctx, void **ret_state,
			    struct collector_fd *ret_fd)
{
	struct watch_queue *queue = calloc(1, sizeof(*queue));
	struct errmsg err = { 0 };
	int r;

	if (queue == NULL)
		return -ENOMEM;
	queue->ctx = ctx;
	queue->config = ctx->config;
	queue->bell = (struct bell){ .fd = -1, .timer_fd = -1 };
	queue->pipe.read_fd = queue->pipe.write_fd = queue->ring.fd = -1;
	queue->pipe_source = (struct watch_queue_source){
		.interface = "pipe:watch_queue",
		.dialect = (enum note_dialect)queue->config->devices.dialect
	};
	queue->ring_source = (struct watch_queue_source){
		.interface = "ring:watch_queue",
		.dialect = (enum note_dialect)(NOTE_RING_V1 + queue->config->ring.dialect)
	};
	watches_init(&queue->watches, &queue->config->keys);
	r = watch_queue_listen(queue, &err);
	if (r != 0) {
		ctx->reason(ctx, "%s", err.text);
		watch_queue_close(queue);
		return r;
	}
	*ret_state = queue;
	*ret_fd = (struct collector_fd){ .fd = queue->bell.fd };
	return 0;
}

/* A device may appear. The rest changes with the kernel, hence with a boot, or with the
 * configuration, which opens anew: the path never changes, so that no timer runs in vain. */
static const char *watch_queue_retry_path(struct collector_ctx *ctx)
{
	const struct watch_queue_config *config = ctx->config;

	return config->ring.path != NULL ? config->ring.path : "/proc/sys/kernel/random/boot_id";
}

const struct collector_ops watch_queue_collector = {
	.name = "watch_queue",
	.help = "Changes of keys, and block errors of patched kernels, from the notification "
		"queue.",
	.config = &watch_queue_config_table,
	.open = watch_queue_open,
	.read = watch_queue_read,
	.snapshot = watch_queue_snapshot,
	.close = watch_queue_close,
	.retry_path = watch_queue_retry_path,
};
