/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include <stdlib.h>
#include <string.h>

#define HARNESS_KIND(x) PATHBELL__V1__EVENT_KIND__EVENT_KIND_##x

/* The wrapped callbacks need to find the harness: one at a time. */
static struct harness *harness_current;

static uint64_t harness_publish(void *data, const struct collector_ops *ops,
				Pathbell__V1__Event *event, uint64_t cursor, bool *ret_full)
{
	struct harness *harness = data;
	size_t size = pathbell__v1__event__get_packed_size(event);
	uint8_t *bytes;

	if (harness->room == 0 || harness->n_events == HARNESS_MAX_EVENTS) {
		*ret_full = true;
		return 0;
	}
	harness->room--;
	bytes = malloc(size);
	pathbell__v1__event__pack(event, bytes);
	harness->cursors[harness->n_events] = cursor;
	harness->events[harness->n_events++] = pathbell__v1__event__unpack(NULL, size, bytes);
	free(bytes);
	return harness->n_events;
}

static int harness_open_wrapped(struct collector_ctx *ctx, void **ret_state,
				struct collector_fd *ret_fd)
{
	int r = harness_current->inner->open(ctx, ret_state, ret_fd);

	harness_current->is_open = r == 0;
	harness_current->fd = *ret_fd;
	return r;
}

static int harness_read_wrapped(void *state, unsigned budget, struct collector_fd *fd)
{
	struct harness *harness = harness_current;
	size_t before = harness->n_events;
	int r;

	harness->n_after_close += !harness->is_open;
	harness->n_reads++;
	r = harness->inner->read(state, budget, fd);
	if (harness->n_events - before > harness->max_in_call)
		harness->max_in_call = harness->n_events - before;
	return r;
}

static int harness_snapshot_wrapped(void *state)
{
	harness_current->n_after_close += !harness_current->is_open;
	return harness_current->inner->snapshot(state);
}

static void harness_close_wrapped(void *state)
{
	harness_current->n_after_close += !harness_current->is_open;
	harness_current->is_open = false;
	harness_current->inner->close(state);
}

void harness_open(struct harness *harness, const struct collector_ops *ops, const void *config,
		  const char *tracefs_path, unsigned budget, uint64_t resume_cursor)
{
	struct guard_options options = { .config = config,
					 .tracefs_path = tracefs_path,
					 .resume_cursor = resume_cursor,
					 .budget = budget };

	memset(harness, 0, sizeof(*harness));
	harness_current = harness;
	harness->room = SIZE_MAX;
	harness->budget = budget;
	harness->inner = ops;
	harness->ops = *ops;
	harness->ops.open = harness_open_wrapped;
	harness->ops.read = harness_read_wrapped;
	harness->ops.snapshot = ops->snapshot != NULL ? harness_snapshot_wrapped : NULL;
	harness->ops.close = harness_close_wrapped;
	harness->loop = ev_loop_new(EVFLAG_AUTO);
	if (topology_new(&harness->topology, NULL) < 0)
		abort();
	options.ops = &harness->ops;
	options.loop = harness->loop;
	options.topology = harness->topology;
	options.sink = (struct guard_sink){ .data = harness, .publish = harness_publish };
	if (guard_new(&harness->guard, &options) < 0)
		abort();
	guard_start(harness->guard);
}

void harness_close(struct harness *harness)
{
	harness->guard = guard_free(harness->guard);
	harness->topology = topology_free(harness->topology);
	for (size_t i = 0; i < harness->n_events; i++)
		pathbell__v1__event__free_unpacked(harness->events[i], NULL);
	harness->n_events = 0;
	if (harness->loop != NULL)
		ev_loop_destroy(harness->loop);
	harness->loop = NULL;
}

size_t harness_count(const struct harness *harness, unsigned kind)
{
	size_t n = 0;

	for (size_t i = 0; i < harness->n_events; i++)
		n += harness->events[i]->kind == kind;
	return n;
}

const Pathbell__V1__Event *harness_last(const struct harness *harness, unsigned kind)
{
	for (size_t i = harness->n_events; i > 0; i--) {
		if (harness->events[i - 1]->kind == kind)
			return harness->events[i - 1];
	}
	return NULL;
}

enum guard_state harness_state(const struct harness *harness)
{
	struct guard_status status;

	guard_status(harness->guard, &status);
	return status.state;
}

static void harness_on_timeout(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	*(bool *)timer->data = true;
}

bool harness_run(struct harness *harness, bool (*is_true)(const struct harness *harness, size_t n),
		 size_t n)
{
	struct ev_timer timer;
	bool timed_out = false;

	ev_timer_init(&timer, harness_on_timeout, 20.0, 0.0);
	timer.data = &timed_out;
	ev_now_update(harness->loop);
	ev_timer_start(harness->loop, &timer);
	while (!is_true(harness, n) && !timed_out)
		ev_run(harness->loop, EVRUN_ONCE);
	ev_timer_stop(harness->loop, &timer);
	return is_true(harness, n);
}

bool harness_has_events(const struct harness *harness, size_t n)
{
	return harness->n_events >= n;
}

bool harness_has_blocks(const struct harness *harness, size_t n)
{
	return harness_count(harness, HARNESS_KIND(STORAGE_BLOCK_ERROR)) >= n;
}

bool harness_is_state(const struct harness *harness, size_t state)
{
	return harness_state(harness) == state;
}

bool harness_has_snapshots(const struct harness *harness, size_t n)
{
	return harness_count(harness, HARNESS_KIND(COLLECTOR_SNAPSHOT_FINISHED)) >= n;
}

void harness_settle(struct harness *harness)
{
	size_t before;

	do {
		before = harness->n_events + harness->n_reads;
		ev_run(harness->loop, EVRUN_NOWAIT);
	} while (harness->n_events + harness->n_reads != before);
}
