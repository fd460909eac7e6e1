/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/replay/replay.h"

#include <errno.h>
#include <stdlib.h>

#include "collectors/replay/recording.h"
#include "core/clock.h"
#include "core/log.h"
#include "proto/arena.h"
#include "proto/codec.h"

/*
 * The smallest whole collector: copy this file to write another. It shows
 *   - open: take the options from ctx->config, set up, say with ctx->reason what is missing, set
 * the fd;
 *   - read: publish up to the budget; keep an event that a full pipeline refused and offer it
 * again;
 *   - a cursor: the position of the event is stored with it, and open gets back the highest stored
 * one, so that a restart goes on exactly behind it (positions count from 1 over all repeats);
 *   - losses told with ctx->lost: a record with a bad checksum counts, the next one is tried.
 * A recording has no descriptor that could tell "ready", therefore fd.always, with fd.not_before_ns
 * for the rate.
 */
#define REPLAY_ARENA_MAX (1U << 20)
#define REPLAY_SKIP_STEP 16384 /* records that one call skips at most: the loop must go on */
#define REPLAY_MAX_LAG	 CLOCK_NS_PER_S

struct replay {
	struct collector_ctx *ctx;
	const struct replay_config *config;
	struct recording *recording;
	struct arena *arena;
	Pathbell__V1__Event *held; /* in the arena: was refused by a full pipeline */
	uint64_t position;	   /* of the record that was read last, over all repeats */
	uint64_t pass;		   /* from 1 */
	uint64_t start_ns;	   /* CLOCK_MONOTONIC at which event number `paced` = 0 was due */
	uint64_t paced;
};

static const struct config_option replay_options[] = {
	{ .name = "file",
	  .type = CONFIG_PATH,
	  .offset = offsetof(struct replay_config, file),
	  .help = "Recording to play; made with pathbell-recording." },
	{ .name = "rate",
	  .type = CONFIG_UINT,
	  .offset = offsetof(struct replay_config, rate),
	  .initial = "0",
	  .max = 10000000,
	  .help = "Events in a second; 0 = as fast as possible." },
	{ .name = "repeat",
	  .type = CONFIG_UINT,
	  .offset = offsetof(struct replay_config, repeat),
	  .initial = "1",
	  .min = 1,
	  .max = 1000000000,
	  .help = "How many times the file is played." },
	{ .name = "restamp",
	  .type = CONFIG_BOOL,
	  .offset = offsetof(struct replay_config, restamp),
	  .initial = "true",
	  .help = "true: the time of an event is when it is played; false: as recorded." },
};

const struct config_table replay_config_table = {
	.options = replay_options,
	.n_options = sizeof(replay_options) / sizeof(replay_options[0]),
	.size = sizeof(struct replay_config),
};

static void replay_close(void *state)
{
	struct replay *replay = state;

	recording_close(replay->recording);
	arena_free(replay->arena);
	free(replay);
}

static int replay_open_file(struct replay *replay)
{
	struct collector_ctx *ctx = replay->ctx;
	int r;

	if (replay->config->file == NULL) {
		ctx->reason(ctx, "no file is configured: set collectors.replay.file");
		return COLLECTOR_E_ABSENT;
	}
	r = recording_open(&replay->recording, replay->config->file);
	if (r == -ENOENT) {
		ctx->reason(ctx, "%s does not exist", replay->config->file);
		return COLLECTOR_E_ABSENT;
	}
	if (r == -EBADMSG)
		ctx->reason(ctx, "%s is not a recording", replay->config->file);
	else if (r < 0)
		ctx->reason(ctx, "cannot read %s: %s", replay->config->file, log_errno(r));
	return r;
}

static int replay_open(struct collector_ctx *ctx, void **ret_state, struct collector_fd *ret_fd)
{
	struct replay *replay = calloc(1, sizeof(*replay));
	int r;

	if (replay == NULL)
		return -ENOMEM;
	replay->ctx = ctx;
	replay->config = ctx->config;
	replay->pass = 1;
	r = arena_new(&replay->arena, REPLAY_ARENA_MAX);
	if (r == 0)
		r = replay_open_file(replay);
	if (r != 0) {
		replay_close(replay);
		return r;
	}
	*ret_state = replay;
	*ret_fd = (struct collector_fd){ .fd = -1, .always = true };
	return 0;
}

/*
 * The next record, over all passes. 0, COLLECTOR_E_END, RECORDING_E_BAD, -errno. Whole passes that
 * were played before a restart are skipped by arithmetic once the first has told the length.
 */
static int replay_next(struct replay *replay, const uint8_t **ret_data, size_t *ret_size)
{
	int r = recording_next(replay->recording, ret_data, ret_size);

	while (r == RECORDING_E_END) {
		uint64_t length = replay->position / replay->pass, skip;

		if (replay->pass >= replay->config->repeat || length == 0)
			return COLLECTOR_E_END;
		if (replay->position < replay->ctx->resume_cursor) {
			skip = (replay->ctx->resume_cursor - replay->position) / length;
			if (skip > replay->config->repeat - replay->pass)
				skip = replay->config->repeat - replay->pass;
			replay->position += skip * length;
			replay->pass += skip;
			if (replay->pass >= replay->config->repeat)
				return COLLECTOR_E_END;
		}
		r = recording_rewind(replay->recording);
		if (r < 0)
			return r;
		replay->pass++;
		r = recording_next(replay->recording, ret_data, ret_size);
	}
	if (r == 0 || r == RECORDING_E_BAD)
		replay->position++;
	return r;
}

static Pathbell__V1__Event *replay_unpack(struct replay *replay, const uint8_t *data, size_t size)
{
	Pathbell__V1__Event *event;

	arena_reset(replay->arena);
	event = codec_unpack(&pathbell__v1__event__descriptor, &scan_limits_event, replay->arena,
			     data, size, NULL);
	if (event == NULL)
		return NULL;
	if (event->source == NULL) {
		event->source = arena_alloc(replay->arena, sizeof(*event->source));
		if (event->source == NULL)
			return NULL;
		pathbell__v1__source__init(event->source);
	}
	return event;
}

/* False: the pipeline is full, the event is kept. */
static bool replay_publish(struct replay *replay, Pathbell__V1__Event *event)
{
	event->replayed = true;
	event->source->seq = replay->position;
	if (replay->config->restamp)
		event->time_unix_ns = clock_realtime_ns();
	replay->ctx->publish(replay->ctx, event, replay->position);
	replay->held = replay->ctx->pipeline_full ? event : NULL;
	return replay->held == NULL;
}

/* One record, also one that is skipped or bad. 0, COLLECTOR_E_MORE (pipeline full),
 * COLLECTOR_E_END, -errno. */
static int replay_step(struct replay *replay, bool *ret_published)
{
	Pathbell__V1__Event *event;
	const uint8_t *data;
	size_t size;
	int r = replay_next(replay, &data, &size);

	*ret_published = false;
	if (r == COLLECTOR_E_END)
		return r;
	if (r < 0) {
		replay->ctx->reason(replay->ctx, "%s: record %llu: %s", replay->config->file,
				    (unsigned long long)replay->position + 1, log_errno(r));
		return r;
	}
	if (replay->position <= replay->ctx->resume_cursor)
		return 0;
	event = r == 0 ? replay_unpack(replay, data, size) : NULL;
	if (event == NULL) {
		replay->ctx->lost(replay->ctx, "decode", 1, false, -1);
		return 0;
	}
	*ret_published = true;
	return replay_publish(replay, event) ? 0 : COLLECTOR_E_MORE;
}

/* When event number @n is due, from the start; without overflow for any run. */
static uint64_t replay_offset_ns(uint64_t n, uint64_t rate)
{
	return n / rate * CLOCK_NS_PER_S + n % rate * CLOCK_NS_PER_S / rate;
}

/* How many events are due now, and when the next call makes sense. */
static uint64_t replay_due(struct replay *replay, unsigned budget, struct collector_fd *fd)
{
	uint64_t rate = replay->config->rate, now_ns, elapsed_ns, due;

	if (rate == 0)
		return budget;
	now_ns = clock_monotonic_ns();
	elapsed_ns = now_ns - replay->start_ns;
	due = elapsed_ns / CLOCK_NS_PER_S * rate +
	      elapsed_ns % CLOCK_NS_PER_S * rate / CLOCK_NS_PER_S + 1;
	/* After a stop (first call, full pipeline) it goes on at the rate, without a burst. */
	if (replay->start_ns == 0 ||
	    elapsed_ns > replay_offset_ns(replay->paced, rate) + REPLAY_MAX_LAG) {
		replay->start_ns = now_ns;
		replay->paced = 0;
		due = 1;
	}
	fd->not_before_ns = replay->start_ns + replay_offset_ns(due, rate);
	due = due > replay->paced ? due - replay->paced : 0;
	return due < budget ? due : budget;
}

static int replay_read(void *state, unsigned budget, struct collector_fd *fd)
{
	struct replay *replay = state;
	uint64_t due = replay_due(replay, budget, fd), n_published = 0;
	unsigned skipped = 0;
	int r = 0;

	if (due > 0 && replay->held != NULL) {
		if (!replay_publish(replay, replay->held))
			return COLLECTOR_E_MORE;
		n_published++;
	}
	while (r == 0 && n_published < due && skipped < REPLAY_SKIP_STEP) {
		bool published;

		r = replay_step(replay, &published);
		n_published += published;
		skipped += !published;
	}
	replay->paced += r == COLLECTOR_E_MORE ? n_published - 1 : n_published;
	if (r != 0)
		return r;
	return replay->config->rate == 0 || n_published < due || due == budget ? COLLECTOR_E_MORE
									       : 0;
}

const struct collector_ops replay_collector = {
	.name = "replay",
	.help = "Plays events of a recording; they are marked as replayed.",
	.config = &replay_config_table,
	.open = replay_open,
	.read = replay_read,
	.close = replay_close,
	.retry_path = NULL,
};
