/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/guard.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collectors/ledger.h"
#include "collectors/retry.h"
#include "core/clock.h"
#include "core/log.h"

/*
 * Happy path
 *   guard_start -> open -> UP: collector.up, then a snapshot in steps (collector.snapshot_started
 *... finished), then reads whenever the descriptor is readable. A read that has more is called
 *again in the next turn of the loop, by an idle watcher of the highest priority: other sources have
 *their turn between two calls and can't starve it. When there is nothing to do, one descriptor is
 *in epoll and no timer runs.
 *
 * States
 *	    open=0		    read<0			 timer
 *   CLOSED ------> UP --------------------> FAILED -----------------------> (open again)
 *     |  \open=ABSENT--> PARKED --(path appeared, mount changed, or timer)-> (open again)
 *     |   \open=BLIND--> BLIND: stays open, may still hear; opened anew by timer
 *     `-- read=END ----> ENDED
 *   An event is published when the state or its reason changes, not for each attempt. blind, failed
 *and parked raise the fault "collector:NAME", up clears it.
 *
 * Failure modes
 *   - The pipeline is full: the collector keeps its event, the guard stops all watchers until
 *guard_resume; its own events wait in the ledger.
 *   - Loss: the ledger sums it and it is published after the call that told it; a snapshot follows,
 *at most every SNAPSHOT_PAUSE_NS, when the storm allows.
 *   - A collector that publishes beyond its budget is refused as if the pipeline were full.
 *   - A descriptor that is ready again and again with nothing to read is looked at only every
 *EMPTY_PAUSE_NS.
 *   - The end: guard_drain reads what the kernel had before; what a storm leaves after
 *GUARD_DRAIN_NS, or a full pipeline, is told as a gap of unknown count.
 */
#define GUARD_BUDGET		256
#define GUARD_SNAPSHOT_PAUSE_NS (10 * CLOCK_NS_PER_S)
#define GUARD_EMPTY_READS	64
#define GUARD_EMPTY_PAUSE_NS	(100 * CLOCK_NS_PER_MS)
#define GUARD_WATCH_PAUSE_NS	CLOCK_NS_PER_S
#define GUARD_DRAIN_NS		(250 * CLOCK_NS_PER_MS)
#define GUARD_DRAIN_EMPTY	4

struct guard {
	struct guard_options options;
	struct collector_ctx ctx;
	enum guard_state state;
	char reason[LEDGER_REASON]; /* of the outcome of the callback that runs, then of the state
				     */
	char noted_reason[LEDGER_REASON]; /* of the state that was published last */
	void *collector;		  /* the collector's own state */
	bool is_open; /* open was called and close was not: callbacks of ctx are allowed */
	struct collector_fd fd;
	bool paused;	       /* the sink has no room */
	bool more;	       /* read wants to be called again */
	bool snapshot_due;     /* wanted, at next_snapshot_ns or later */
	bool snapshot_running; /* begun, in steps */
	bool settled_due;      /* the collector has called settled, the sink was not told */
	const char *snapshot_reason;
	uint64_t next_snapshot_ns;
	uint64_t pause_until_ns; /* CLOCK_MONOTONIC; reads wait */
	unsigned allowance;	 /* events that the running callback may still publish */
	unsigned empty_reads;	 /* in a row */
	uint64_t last_event_ns;	 /* CLOCK_REALTIME */
	uint64_t offered;	 /* events handed to publish, refused ones included */
	uint64_t reopened;
	bool opened_once;
	struct ledger ledger;
	struct retry retry;
	struct ev_io io;
	struct ev_idle idle;
	struct ev_timer pace;
};

static void guard_arm(struct guard *guard);

static double guard_seconds(uint64_t from_ns, uint64_t to_ns)
{
	return to_ns > from_ns ? (double)(to_ns - from_ns) / 1e9 : 0.0;
}

/* What collectors call. */

static uint64_t guard_sink(struct guard *guard, Pathbell__V1__Event *event, uint64_t cursor)
{
	bool full = false;
	uint64_t ticket = guard->options.sink.publish(guard->options.sink.data, guard->options.ops,
						      event, cursor, &full);

	if (full) {
		guard->paused = true;
		return 0;
	}
	return ticket;
}

static uint64_t guard_publish(struct collector_ctx *ctx, Pathbell__V1__Event *event,
			      uint64_t cursor)
{
	struct guard *guard = ctx->host;
	Pathbell__V1__Source source = PATHBELL__V1__SOURCE__INIT;
	uint64_t ticket;

	if (!guard->is_open)
		return 0;
	if (guard->allowance == 0 || guard->paused) {
		guard->more = true;
		ctx->pipeline_full = true;
		return 0;
	}
	if (event->source == NULL)
		event->source = &source;
	event->source->collector = (char *)guard->options.ops->name;
	ticket = guard_sink(guard, event, cursor);
	if (event->source == &source)
		event->source = NULL;
	if (guard->paused) {
		ctx->pipeline_full = true;
		return 0;
	}
	guard->allowance--;
	guard->offered++;
	guard->ledger.events += ticket != 0;
	guard->last_event_ns = event->time_unix_ns;
	ledger_heard(&guard->ledger, event->time_unix_ns);
	if (cursor > ctx->resume_cursor)
		ctx->resume_cursor = cursor;
	return ticket;
}

static void guard_lost(struct collector_ctx *ctx, const char *cause, uint64_t count,
		       bool count_is_minimum, int cpu)
{
	struct guard *guard = ctx->host;

	if (!guard->is_open)
		return;
	ledger_lost(&guard->ledger, cause, count, count_is_minimum, cpu, guard->last_event_ns);
	guard->empty_reads = 0;
	if (guard->options.ops->snapshot != NULL && !guard->snapshot_due) {
		guard->snapshot_due = true;
		guard->snapshot_reason = "loss";
	}
}

static void guard_settled(struct collector_ctx *ctx)
{
	struct guard *guard = ctx->host;

	guard->settled_due = guard->is_open && guard->options.sink.settled != NULL;
}

static void __attribute__((format(printf, 2, 3)))
guard_reason(struct collector_ctx *ctx, const char *format, ...)
{
	struct guard *guard = ctx->host;
	va_list args;

	va_start(args, format);
	vsnprintf(guard->reason, sizeof(guard->reason), format, args);
	va_end(args);
}

/* The guard's own events. */

static bool guard_publish_own(void *data, Pathbell__V1__Event *event)
{
	struct guard *guard = data;

	(void)guard_sink(guard, event, 0);
	return !guard->paused;
}

/* True: nothing waits any more. */
static bool guard_flush(struct guard *guard)
{
	if (guard->paused)
		return false;
	if ((guard->ledger.n_gaps > 0 || guard->ledger.n_notes > 0) &&
	    !ledger_flush(&guard->ledger, clock_realtime_ns(), guard_publish_own, guard))
		return false;
	if (guard->settled_due)
		guard->paused =
			!guard->options.sink.settled(guard->options.sink.data, guard->options.ops);
	guard->settled_due = guard->settled_due && guard->paused;
	return !guard->paused;
}

static void guard_note_snapshot(struct guard *guard, Pathbell__V1__EventKind kind)
{
	struct ledger_note note = { .kind = kind,
				    .severity = PATHBELL__V1__SEVERITY__SEVERITY_INFO,
				    .state = guard_state_name(guard->state),
				    .time_ns = clock_realtime_ns() };

	snprintf(note.reason, sizeof(note.reason), "%s", guard->snapshot_reason);
	ledger_note(&guard->ledger, &note);
}

static const struct {
	Pathbell__V1__EventKind kind;
	Pathbell__V1__Severity severity;
	enum ledger_role role;
	enum log_level level;
	const char *name;
} guard_states[] = {
	[GUARD_CLOSED] = { .name = "closed" },
	[GUARD_UP] = { PATHBELL__V1__EVENT_KIND__EVENT_KIND_COLLECTOR_UP,
		       PATHBELL__V1__SEVERITY__SEVERITY_INFO, LEDGER_CLEARS, LOG_LEVEL_NOTICE,
		       "up" },
	[GUARD_PARKED] = { PATHBELL__V1__EVENT_KIND__EVENT_KIND_COLLECTOR_PARKED,
			   PATHBELL__V1__SEVERITY__SEVERITY_NOTICE, LEDGER_FAULT, LOG_LEVEL_NOTICE,
			   "parked" },
	[GUARD_BLIND] = { PATHBELL__V1__EVENT_KIND__EVENT_KIND_COLLECTOR_BLIND,
			  PATHBELL__V1__SEVERITY__SEVERITY_WARNING, LEDGER_FAULT, LOG_LEVEL_WARNING,
			  "blind" },
	[GUARD_FAILED] = { PATHBELL__V1__EVENT_KIND__EVENT_KIND_COLLECTOR_FAILED,
			   PATHBELL__V1__SEVERITY__SEVERITY_ERROR, LEDGER_FAULT, LOG_LEVEL_ERROR,
			   "failed" },
	[GUARD_ENDED] = { .level = LOG_LEVEL_NOTICE, .name = "ended" },
};

const char *guard_state_name(enum guard_state state)
{
	return guard_states[state].name;
}

/* Says the new state once: the same state for the same reason is no news. */
static void guard_enter(struct guard *guard, enum guard_state state, int error, uint32_t retry_ms)
{
	struct ledger_note note = { .kind = guard_states[state].kind,
				    .severity = guard_states[state].severity,
				    .role = guard_states[state].role,
				    .state = guard_states[state].name,
				    .error = error,
				    .retry_ms = retry_ms };

	if (state == guard->state && strcmp(guard->reason, guard->noted_reason) == 0)
		return;
	guard->state = state;
	snprintf(guard->noted_reason, sizeof(guard->noted_reason), "%s", guard->reason);
	log_write(guard_states[state].level, "collector %s collector=%s reason=\"%s\"",
		  guard_states[state].name, guard->options.ops->name, guard->reason);
	if (note.kind == PATHBELL__V1__EVENT_KIND__EVENT_KIND_UNSPECIFIED)
		return;
	snprintf(note.reason, sizeof(note.reason), "%s", guard->reason);
	note.time_ns = clock_realtime_ns();
	ledger_note(&guard->ledger, &note);
}

/* Closing and trying again. */

static void guard_close(struct guard *guard)
{
	if (!guard->is_open)
		return;
	guard->allowance = UINT32_MAX;
	guard->options.ops->close(guard->collector);
	guard->is_open = false;
	guard->collector = NULL;
	guard->fd = (struct collector_fd){ .fd = -1 };
	guard->more = guard->snapshot_due = guard->snapshot_running = guard->settled_due = false;
	guard->empty_reads = 0;
	guard->pause_until_ns = 0;
	guard_arm(guard);
}

static void guard_park(struct guard *guard)
{
	const struct collector_ops *ops = guard->options.ops;
	const char *path = ops->retry_path != NULL ? ops->retry_path(&guard->ctx) : NULL;
	uint32_t retry_ms = 0;

	if (!retry_watch(&guard->retry, path))
		retry_ms = retry_after_absence(&guard->retry);
	guard_enter(guard, GUARD_PARKED, 0, retry_ms);
}

static void guard_fail(struct guard *guard, int error)
{
	if (guard->reason[0] == '\0')
		snprintf(guard->reason, sizeof(guard->reason), "%s", log_errno(error));
	guard_close(guard);
	guard_enter(guard, GUARD_FAILED, error, retry_after_failure(&guard->retry));
}

static void guard_blind(struct guard *guard)
{
	uint32_t retry_ms = 0;

	if (!retry_is_timed(&guard->retry))
		retry_ms = retry_after_absence(&guard->retry);
	guard_enter(guard, GUARD_BLIND, 0, retry_ms);
}

static void guard_end(struct guard *guard)
{
	guard_close(guard);
	retry_stop(&guard->retry);
	guard_enter(guard, GUARD_ENDED, 0, 0);
}

static void guard_up(struct guard *guard)
{
	guard->reason[0] = '\0';
	retry_up(&guard->retry);
	guard_enter(guard, GUARD_UP, 0, 0);
}

static void guard_open(void *data)
{
	struct guard *guard = data;
	const struct collector_ops *ops = guard->options.ops;
	int r;

	retry_stop(&guard->retry);
	guard_close(guard);
	guard->reason[0] = '\0';
	guard->reopened += guard->opened_once;
	guard->opened_once = true;
	guard->ctx.pipeline_full = false;
	guard->allowance = 0;
	guard->fd = (struct collector_fd){ .fd = -1 };
	guard->is_open = true;
	if (guard->options.sink.opened != NULL)
		guard->options.sink.opened(guard->options.sink.data, ops);
	r = ops->open(&guard->ctx, &guard->collector, &guard->fd);
	guard->is_open = r == 0 || r == COLLECTOR_E_BLIND;
	guard->more = false;
	if (guard->is_open && ops->snapshot != NULL) {
		guard->snapshot_due = true;
		guard->snapshot_reason = "start";
		guard->next_snapshot_ns = 0;
	}
	if (r == 0)
		guard_up(guard);
	else if (r == COLLECTOR_E_BLIND)
		guard_blind(guard);
	else if (r == COLLECTOR_E_ABSENT)
		guard_park(guard);
	else
		guard_fail(guard, r < 0 ? r : -EPROTO);
	(void)guard_flush(guard);
	guard_arm(guard);
}

/* Work. */

/* Before and after each call of read and snapshot. */
static void guard_begin(struct guard *guard, unsigned allowance)
{
	guard->reason[0] = '\0';
	guard->ctx.pipeline_full = false;
	guard->allowance = allowance;
}

static void guard_step_snapshot(struct guard *guard)
{
	int r;

	if (!guard->snapshot_running) {
		guard->snapshot_running = true;
		guard->snapshot_due = false;
		guard_note_snapshot(
			guard, PATHBELL__V1__EVENT_KIND__EVENT_KIND_COLLECTOR_SNAPSHOT_STARTED);
		if (!guard_flush(guard))
			return;
	}
	guard_begin(guard, UINT32_MAX);
	r = guard->options.ops->snapshot(guard->collector);
	if (r == COLLECTOR_E_MORE || (r == 0 && guard->ctx.pipeline_full))
		return;
	guard->snapshot_running = false;
	guard->next_snapshot_ns = clock_monotonic_ns() + GUARD_SNAPSHOT_PAUSE_NS;
	guard_note_snapshot(guard,
			    PATHBELL__V1__EVENT_KIND__EVENT_KIND_COLLECTOR_SNAPSHOT_FINISHED);
	if (r == COLLECTOR_E_BLIND)
		guard_blind(guard);
	else if (r != 0)
		guard_fail(guard, r < 0 ? r : -EPROTO);
}

static void guard_count_empty(struct guard *guard, bool progress)
{
	if (progress || guard->fd.always) {
		guard->empty_reads = 0;
		return;
	}
	if (++guard->empty_reads < GUARD_EMPTY_READS)
		return;
	guard->empty_reads = GUARD_EMPTY_READS;
	guard->pause_until_ns = clock_monotonic_ns() + GUARD_EMPTY_PAUSE_NS;
}

static void guard_step_read(struct guard *guard)
{
	uint64_t offered = guard->offered, lost = guard->ledger.lost;
	int r;

	guard_begin(guard, guard->options.budget);
	guard->more = false;
	r = guard->options.ops->read(guard->collector, guard->options.budget, &guard->fd);
	switch (r) {
	case 0:
	case COLLECTOR_E_MORE:
		guard->more |= r == COLLECTOR_E_MORE;
		guard_count_empty(guard, guard->more || guard->offered != offered ||
						 guard->ledger.lost != lost);
		if (guard->state == GUARD_BLIND && guard->offered != offered)
			guard_up(guard);
		return;
	case COLLECTOR_E_BLIND:
		guard_blind(guard);
		return;
	case COLLECTOR_E_END:
		guard_end(guard);
		return;
	default:
		guard_fail(guard, r < 0 ? r : -EPROTO);
	}
}

static bool guard_wants_snapshot(const struct guard *guard, uint64_t now_ns)
{
	return guard->snapshot_running ||
	       (guard->snapshot_due && now_ns >= guard->next_snapshot_ns);
}

/* One turn: one call into the collector. */
static void guard_turn(struct guard *guard)
{
	if (guard_flush(guard) && guard->is_open) {
		/* During a storm the ring is emptied first. The first snapshot comes before any
		 * read. */
		if (guard_wants_snapshot(guard, clock_monotonic_ns()) &&
		    (!guard->more || guard->next_snapshot_ns == 0))
			guard_step_snapshot(guard);
		else
			guard_step_read(guard);
		(void)guard_flush(guard);
	}
	guard_arm(guard);
}

/* Sets the watchers to what is wanted next. */

static void guard_arm_pace(struct guard *guard, uint64_t now_ns, uint64_t wake_ns)
{
	ev_timer_stop(guard->options.loop, &guard->pace);
	if (wake_ns == UINT64_MAX)
		return;
	ev_timer_set(&guard->pace, guard_seconds(now_ns, wake_ns), 0.0);
	ev_timer_start(guard->options.loop, &guard->pace);
}

static void guard_arm_io(struct guard *guard, bool wanted)
{
	if (!wanted || guard->fd.fd < 0) {
		ev_io_stop(guard->options.loop, &guard->io);
		return;
	}
	if (ev_is_active(&guard->io))
		return;
	ev_io_set(&guard->io, guard->fd.fd, EV_READ);
	ev_io_start(guard->options.loop, &guard->io);
}

static void guard_arm(struct guard *guard)
{
	bool working = guard->is_open && !guard->paused;
	uint64_t now_ns = clock_monotonic_ns(), wake_ns = UINT64_MAX, read_ns = 0;
	bool busy;

	if (guard->fd.always)
		read_ns = guard->fd.not_before_ns;
	if (guard->pause_until_ns > read_ns)
		read_ns = guard->pause_until_ns;
	busy = working && (guard->more || guard_wants_snapshot(guard, now_ns) ||
			   (guard->fd.always && read_ns <= now_ns));
	if (busy)
		ev_idle_start(guard->options.loop, &guard->idle);
	else
		ev_idle_stop(guard->options.loop, &guard->idle);
	guard_arm_io(guard, working && !busy && !guard->fd.always && read_ns <= now_ns);
	if (working && !busy && read_ns > now_ns)
		wake_ns = read_ns;
	if (working && !busy && guard->snapshot_due && guard->next_snapshot_ns < wake_ns)
		wake_ns = guard->next_snapshot_ns;
	guard_arm_pace(guard, now_ns, wake_ns);
}

static void guard_on_io(struct ev_loop *loop, struct ev_io *io, int events)
{
	guard_turn(io->data);
}

static void guard_on_idle(struct ev_loop *loop, struct ev_idle *idle, int events)
{
	guard_turn(idle->data);
}

static void guard_on_pace(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	guard_turn(timer->data);
}

/* Public. */

int guard_new(struct guard **ret_guard, const struct guard_options *options)
{
	struct guard *guard = calloc(1, sizeof(*guard));

	if (guard == NULL)
		return -ENOMEM;
	guard->options = *options;
	if (guard->options.budget == 0)
		guard->options.budget = GUARD_BUDGET;
	guard->fd.fd = -1;
	guard->ctx = (struct collector_ctx){ .host = guard,
					     .publish = guard_publish,
					     .lost = guard_lost,
					     .settled = guard_settled,
					     .reason = guard_reason,
					     .topology = options->topology,
					     .config = options->config,
					     .resume_cursor = options->resume_cursor,
					     .tracefs_path = options->tracefs_path != NULL
								     ? options->tracefs_path
								     : "/sys/kernel/tracing" };
	ledger_init(&guard->ledger, options->ops->name);
	ev_init(&guard->io, guard_on_io);
	ev_init(&guard->idle, guard_on_idle);
	ev_init(&guard->pace, guard_on_pace);
	ev_set_priority(&guard->idle, EV_MAXPRI);
	guard->io.data = guard->idle.data = guard->pace.data = guard;
	retry_init(&guard->retry, options->loop, guard_open, guard);
	*ret_guard = guard;
	return 0;
}

void guard_start(struct guard *guard)
{
	guard_open(guard);
}

void guard_snapshot(struct guard *guard)
{
	if (!guard->is_open || guard->options.ops->snapshot == NULL)
		return;
	guard->snapshot_due = true;
	guard->snapshot_reason = "request";
	guard->next_snapshot_ns = 0;
	guard_arm(guard);
}

void guard_resume(struct guard *guard)
{
	if (!guard->paused)
		return;
	guard->paused = false;
	/* An event may be held back in the collector, where no descriptor tells of it. */
	guard->more = guard->is_open;
	(void)guard_flush(guard);
	guard_arm(guard);
}

void guard_delivered(struct guard *guard, uint64_t ticket, bool delivered)
{
	if (guard->is_open && guard->options.ops->delivered != NULL)
		guard->options.ops->delivered(guard->collector, ticket, delivered);
}

void guard_status(const struct guard *guard, struct guard_status *ret_status)
{
	*ret_status = (struct guard_status){ .state = guard->state,
					     .events = guard->ledger.events,
					     .lost = guard->ledger.lost,
					     .gaps = guard->ledger.n_published_gaps,
					     .reopened = guard->reopened };
	snprintf(ret_status->reason, sizeof(ret_status->reason), "%s", guard->noted_reason);
}

const char *guard_name(const struct guard *guard)
{
	return guard->options.ops->name;
}

static bool guard_is_readable(const struct guard *guard)
{
	struct pollfd poll_fd = { .fd = guard->fd.fd, .events = POLLIN };

	return guard->more || poll(&poll_fd, 1, 0) > 0;
}

void guard_drain(struct guard *guard)
{
	uint64_t end_ns = clock_monotonic_ns() + GUARD_DRAIN_NS;
	unsigned n_empty = 0;

	while (guard->is_open && !guard->fd.always && n_empty < GUARD_DRAIN_EMPTY &&
	       guard_is_readable(guard)) {
		uint64_t offered = guard->offered;

		/* The gap that stands for the rest must itself get through. */
		if (guard->paused || clock_monotonic_ns() >= end_ns) {
			guard_lost(&guard->ctx, "shutdown", 0, true, -1);
			break;
		}
		guard_step_read(guard);
		n_empty = guard->offered == offered && !guard->more ? n_empty + 1 : 0;
		(void)guard_flush(guard);
	}
	(void)guard_flush(guard);
}

void *guard_collector(const struct guard *guard)
{
	return guard->is_open ? guard->collector : NULL;
}

void guard_set_ending(struct guard *guard)
{
	guard->ctx.ending = true;
}

struct guard *guard_free(struct guard *guard)
{
	if (guard == NULL)
		return NULL;
	guard_close(guard);
	retry_stop(&guard->retry);
	ev_timer_stop(guard->options.loop, &guard->pace);
	ev_idle_stop(guard->options.loop, &guard->idle);
	ev_io_stop(guard->options.loop, &guard->io);
	free(guard);
	return NULL;
}
