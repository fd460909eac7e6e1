/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/multipath/multipath.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "collectors/multipath/maps.h"
#include "collectors/multipath/publish.h"
#include "collectors/topology/topology.h"
#include "collectors/uevent/uevent.h"
#include "core/clock.h"
#include "core/fd.h"
#include "mapper/dm.h"

/*
 * Two sources. Uevents say which path failed or was reinstated, in detail, but may be lost and say
 * nothing of groups. The control node (DM_DEV_ARM_POLL) says only that something happened, but
 * never loses that: a survey (a forked child, survey.h) then reads the status of each map whose
 * event_nr has moved, and what differs from what the uevents told is told too.
 *
 * One epoll descriptor holds the uevent socket, the control node, the pipe of a running survey and
 * a timer. A turn of read:
 *   1. publish what waits; as long as something waits, nothing new is taken in
 *   2. apply a survey that has ended, one map at a time
 *   3. take uevents until there are none
 *   4. control node: arm again first, so that nothing between the arming and the survey is missed;
 *      then a survey is wanted
 *   5. timer, pipe; start the survey that is wanted
 *
 * The timer is armed only while a survey runs (its deadline), for the pause between two surveys
 * (100 ms: a storm of events costs ten children a second) and while a path is marginal. Idle: none.
 *
 * Turning queue_if_no_path on or off raises neither an event number nor a uevent (queue_if_no_path,
 * drivers/md/dm-mpath.c, Linux 6.12): it is found with the next survey that looks at the map.
 *
 * device-mapper without the multipath target is not absence: the first map would load it, and that
 * is heard.
 */
#define MULTIPATH_WORK	   512 /* uevents or records in one call */
#define MULTIPATH_PAUSE_NS (100 * CLOCK_NS_PER_MS)

struct multipath {
	struct collector_ctx *ctx;
	const struct multipath_config *config;
	int epoll, control, timer;
	struct uevent_socket *uevents;
	struct offspring survey;
	struct maps maps;
	bool applying; /* survey.answer is complete */
	size_t report_offset;
	bool wants_state;  /* the next survey tells the state of all maps */
	bool telling;	   /* the running one does */
	bool settled;	   /* it is applied: what lasts is told when its changes are published */
	uint64_t start_ns; /* a survey not before this */
	uint64_t deadline_ns;
	uint64_t timer_ns; /* as armed; 0 = not */
};

static const struct config_option multipath_options[] = {
	{ .name = "receive_buffer",
	  .type = CONFIG_SIZE,
	  .offset = offsetof(struct multipath_config, receive_buffer),
	  .initial = "4MiB",
	  .min = 4096,
	  .max = 256 << 20,
	  .help = "Receive buffer of the uevent socket. What does not fit is counted in a "
		  "collector.gap event, and the maps are looked at again." },
	{ .name = "survey_timeout",
	  .type = CONFIG_DURATION,
	  .offset = offsetof(struct multipath_config, survey_timeout),
	  .initial = "5s",
	  .min = CLOCK_NS_PER_MS * 100,
	  .max = CLOCK_NS_PER_S * 600,
	  .help = "How long device-mapper may take to tell the status of its maps before the "
		  "collector is reported as blind." },
	{ .name = "damping_limit",
	  .type = CONFIG_UINT,
	  .offset = offsetof(struct multipath_config, damping_limit),
	  .initial = "5000",
	  .min = 0,
	  .max = DAMP_CAP,
	  .help = "Penalty at which a flapping path becomes marginal: its changes are counted, "
		  "not told, until it has calmed down. Each failure adds 1000. 0 turns damping "
		  "off." },
	{ .name = "damping_half_life",
	  .type = CONFIG_DURATION,
	  .offset = offsetof(struct multipath_config, damping_half_life),
	  .initial = "60s",
	  .min = CLOCK_NS_PER_S,
	  .max = CLOCK_NS_PER_S * 86400,
	  .help = "Time after which half of a path's penalty is forgotten. A path is marginal no "
		  "longer below a penalty of 500." },
};

const struct config_table multipath_config_table = {
	.options = multipath_options,
	.n_options = sizeof(multipath_options) / sizeof(multipath_options[0]),
	.size = sizeof(struct multipath_config),
};

static struct map_clock multipath_clock(const struct multipath *multipath)
{
	return (struct map_clock){ .now_ns = clock_monotonic_ns(),
				   .unix_ns = clock_realtime_ns(),
				   .damp = { .limit = (uint32_t)multipath->config->damping_limit,
					     .half_life_ns =
						     multipath->config->damping_half_life } };
}

/* The timer. */

static int multipath_arm(struct multipath *multipath)
{
	uint64_t at_ns = multipath->maps.due_ns;
	struct itimerspec when = { 0 };

	if (offspring_is_running(&multipath->survey)) {
		if (multipath->deadline_ns < at_ns)
			at_ns = multipath->deadline_ns;
	} else if (multipath->maps.wants_survey && multipath->start_ns < at_ns) {
		at_ns = multipath->start_ns;
	}
	if (at_ns == UINT64_MAX)
		at_ns = 0;
	if (at_ns == multipath->timer_ns)
		return 0;
	multipath->timer_ns = at_ns;
	when.it_value.tv_sec = (time_t)(at_ns / CLOCK_NS_PER_S);
	when.it_value.tv_nsec = (long)(at_ns % CLOCK_NS_PER_S);
	return timerfd_settime(multipath->timer, TFD_TIMER_ABSTIME, &when, NULL) == 0 ? 0 : -errno;
}

static void multipath_take_timer(struct multipath *multipath)
{
	uint64_t n;

	if (read(multipath->timer, &n, sizeof(n)) == (ssize_t)sizeof(n))
		multipath->timer_ns = 0;
}

/* Surveys. */

static int multipath_watch(struct multipath *multipath, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	return epoll_ctl(multipath->epoll, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

static int multipath_start_survey(struct multipath *multipath, uint64_t now_ns)
{
	bool all = multipath->maps.wants_all || multipath->wants_state;
	struct survey_known *known;
	size_t n_known;
	int r = maps_begin(&multipath->maps, all, &known, &n_known);

	if (r == 0)
		r = survey_start(&multipath->survey, multipath->control, known, n_known);
	free(known);
	if (r < 0) {
		multipath->ctx->reason(multipath->ctx, "starting a survey of the maps failed");
		return r;
	}
	multipath->telling = multipath->wants_state;
	multipath->wants_state = false;
	multipath->deadline_ns = now_ns + multipath->config->survey_timeout;
	multipath->start_ns = now_ns + MULTIPATH_PAUSE_NS;
	/* The pipe leaves epoll when it is closed. */
	return multipath_watch(multipath, multipath->survey.fd);
}

static int multipath_late(struct multipath *multipath)
{
	offspring_stop(&multipath->survey);
	multipath->ctx->reason(
		multipath->ctx, "device-mapper has not told the status of its maps within %llu ms",
		(unsigned long long)(multipath->config->survey_timeout / CLOCK_NS_PER_MS));
	return COLLECTOR_E_BLIND;
}

/* Takes what the child has written, or starts one that is wanted. */
static int multipath_step_survey(struct multipath *multipath)
{
	uint64_t now_ns = clock_monotonic_ns();
	bool progress;
	int r;

	if (!offspring_is_running(&multipath->survey)) {
		bool wanted = multipath->maps.wants_survey || multipath->maps.wants_all ||
			      multipath->wants_state;

		multipath->maps.wants_survey |= wanted;
		if (wanted && now_ns >= multipath->start_ns)
			return multipath_start_survey(multipath, now_ns);
		return 0;
	}
	r = offspring_read(&multipath->survey, &progress);
	if (r == OFFSPRING_E_DONE) {
		multipath->applying = true;
		multipath->report_offset = 0;
		return 0;
	}
	if (r == 0 && progress)
		multipath->deadline_ns = now_ns + multipath->config->survey_timeout;
	if (r == 0 && now_ns >= multipath->deadline_ns)
		return multipath_late(multipath);
	return r;
}

static bool multipath_is_present(void *data, uint32_t major, uint32_t minor)
{
	struct multipath *multipath = data;
	char path[256];

	snprintf(path, sizeof(path), "%s/dev/block/%u:%u",
		 topology_sysfs_path(multipath->ctx->topology), major, minor);
	return access(path, F_OK) == 0;
}

/* One record of the complete report. */
static int multipath_apply(struct multipath *multipath)
{
	struct map_clock clock = multipath_clock(multipath);
	struct report_record record;
	int r = report_next(multipath->survey.answer.data, multipath->survey.answer.size,
			    &multipath->report_offset, &record);

	if (r != 0 || (record.kind == REPORT_END && record.error < 0)) {
		multipath->ctx->reason(multipath->ctx, "%s",
				       r != 0 ? "the survey of the maps broke off"
					      : "device-mapper refused to list its maps");
		return r != 0 ? -EIO : record.error;
	}
	if (record.kind == REPORT_END) {
		multipath->applying = false;
		multipath->settled = multipath->telling;
		buf_reset(&multipath->survey.answer);
	}
	return maps_apply(&multipath->maps, &record, multipath->telling, &clock,
			  multipath_is_present, multipath);
}

/* Uevents. */

static int multipath_hear(struct multipath *multipath, const struct uevent *uevent)
{
	struct map_clock clock = multipath_clock(multipath);
	struct event event;

	if (event_decode(uevent, &event) != 0) {
		multipath->maps.n_bad++;
		return 0;
	}
	event.path.time_unix_ns = clock.unix_ns;
	return maps_hear(&multipath->maps, &event, &clock);
}

/* One message. 0, UEVENT_E_EMPTY, -errno. */
static int multipath_step_uevent(struct multipath *multipath)
{
	struct map_clock clock;
	struct uevent uevent;
	uint64_t lost;
	int r = uevent_next(multipath->uevents, &uevent, &lost);

	if (r == 0)
		return multipath_hear(multipath, &uevent);
	if (r != UEVENT_E_LOST)
		return r;
	multipath->ctx->lost(multipath->ctx, "enobufs", lost, lost == 0, -1);
	clock = multipath_clock(multipath);
	return maps_forget_order(&multipath->maps, &clock);
}

/* Output. */

static void multipath_tell_losses(struct multipath *multipath)
{
	struct collector_ctx *ctx = multipath->ctx;
	struct maps *maps = &multipath->maps;

	if (maps->n_missing > 0)
		ctx->lost(ctx, "seqnum", maps->n_missing, false, -1);
	if (maps->n_bad > 0)
		ctx->lost(ctx, "decode", maps->n_bad, false, -1);
	if (maps->n_oversize > 0)
		ctx->lost(ctx, "oversize", maps->n_oversize, false, -1);
	maps->n_missing = maps->n_bad = maps->n_oversize = 0;
}

/* 0: all is published; COLLECTOR_E_MORE: not all, later. */
static int multipath_publish(struct multipath *multipath, unsigned *budget)
{
	struct map_changes *changes = &multipath->maps.changes;

	multipath_tell_losses(multipath);
	while (changes->next < changes->n) {
		int r;

		if (*budget == 0)
			return COLLECTOR_E_MORE;
		r = publish_change(multipath->ctx, &changes->items[changes->next]);
		if (r != 0)
			return r;
		if (multipath->ctx->pipeline_full)
			return COLLECTOR_E_MORE;
		changes->next++;
		(*budget)--;
	}
	maps_published(&multipath->maps);
	if (multipath->settled)
		multipath->ctx->settled(multipath->ctx);
	multipath->settled = false;
	return 0;
}

/* The contract. */

static int multipath_step_control(struct multipath *multipath)
{
	struct pollfd control = { .fd = multipath->control, .events = POLLIN };
	int r;

	if (poll(&control, 1, 0) <= 0 || control.revents == 0)
		return 0;
	r = dm_arm_poll(multipath->control);
	if (r < 0)
		multipath->ctx->reason(multipath->ctx, "DM_DEV_ARM_POLL failed");
	multipath->maps.wants_survey = true;
	return r;
}

/* All sources once, when there is nothing to apply and nothing to hear. */
static int multipath_step_rest(struct multipath *multipath)
{
	struct map_clock clock = multipath_clock(multipath);
	int r = multipath_step_control(multipath);

	multipath_take_timer(multipath);
	if (r == 0 && clock.now_ns >= multipath->maps.due_ns)
		r = maps_settle(&multipath->maps, &clock);
	if (r == 0)
		r = multipath_step_survey(multipath);
	return r;
}

static int multipath_read(void *state, unsigned budget, struct collector_fd *fd)
{
	struct multipath *multipath = state;

	for (unsigned work = 0; work < MULTIPATH_WORK; work++) {
		int r = multipath_publish(multipath, &budget);

		if (r != 0)
			return r;
		if (multipath->applying) {
			r = multipath_apply(multipath);
			if (r < 0)
				return r;
			continue;
		}
		r = multipath_step_uevent(multipath);
		if (r == UEVENT_E_EMPTY) {
			r = multipath_step_rest(multipath);
			if (r == 0 && !multipath->applying && multipath->maps.changes.n == 0)
				return multipath_arm(multipath);
		}
		if (r != 0)
			return r;
	}
	return COLLECTOR_E_MORE;
}

static int multipath_snapshot(void *state)
{
	struct multipath *multipath = state;

	multipath->wants_state = true;
	multipath->start_ns = 1; /* 0 would disarm the timer */
	topology_invalidate(multipath->ctx->topology);
	if (offspring_is_running(&multipath->survey) || multipath->applying)
		return 0;
	multipath->maps.wants_survey = true;
	return multipath_arm(multipath);
}

static void multipath_close(void *state)
{
	struct multipath *multipath = state;

	offspring_deinit(&multipath->survey);
	maps_deinit(&multipath->maps);
	uevent_close(multipath->uevents);
	fd_close(multipath->timer);
	fd_close(multipath->control);
	fd_close(multipath->epoll);
	free(multipath);
}

/* Listens to everything; the first survey comes by snapshot. */
static int multipath_listen(struct multipath *multipath)
{
	int r = uevent_open(&multipath->uevents, multipath->config->receive_buffer);

	if (r < 0)
		return r;
	multipath->control = dm_open();
	if (multipath->control < 0)
		return multipath->control;
	r = dm_arm_poll(multipath->control);
	if (r < 0)
		return r;
	multipath->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	multipath->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (multipath->timer < 0 || multipath->epoll < 0)
		return -errno;
	r = multipath_watch(multipath, multipath->control);
	if (r == 0)
		r = multipath_watch(multipath, multipath->timer);
	if (r == 0)
		r = multipath_watch(multipath, uevent_fd(multipath->uevents));
	return r;
}

static int multipath_open(struct collector_ctx *ctx, void **ret_state, struct collector_fd *ret_fd)
{
	struct multipath *multipath;
	int r;

	if (!dm_is_present()) {
		ctx->reason(ctx, "device-mapper is not in the kernel");
		return COLLECTOR_E_ABSENT;
	}
	multipath = calloc(1, sizeof(*multipath));
	if (multipath == NULL)
		return -ENOMEM;
	multipath->ctx = ctx;
	multipath->config = ctx->config;
	multipath->epoll = multipath->control = multipath->timer = -1;
	offspring_init(&multipath->survey, SURVEY_REPORT_MAX);
	r = maps_init(&multipath->maps);
	if (r == 0)
		r = multipath_listen(multipath);
	if (r < 0) {
		bool absent = r == -ENOENT || r == -ENODEV || r == -ENXIO;

		ctx->reason(ctx, multipath->uevents == NULL ? "the uevent socket can't be opened"
							    : DM_CONTROL " can't be used");
		multipath_close(multipath);
		return absent ? COLLECTOR_E_ABSENT : r;
	}
	*ret_state = multipath;
	*ret_fd = (struct collector_fd){ .fd = multipath->epoll };
	return 0;
}

/* Where the node is there without the driver (made by kmod for autoloading), nothing tells of the
 * driver's coming. */
static const char *multipath_retry_path(struct collector_ctx *ctx)
{
	return access(DM_CONTROL, F_OK) == 0 ? NULL : DM_CONTROL;
}

const struct collector_ops multipath_collector = {
	.name = "multipath",
	.help = "Device-mapper multipath maps: paths, groups, queueing, by uevents and event "
		"numbers.",
	.config = &multipath_config_table,
	.open = multipath_open,
	.read = multipath_read,
	.snapshot = multipath_snapshot,
	.close = multipath_close,
	.retry_path = multipath_retry_path,
};
