/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/nvme/nvme.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collectors/bell.h"
#include "collectors/nvme/controllers.h"
#include "collectors/nvme/decode.h"
#include "collectors/nvme/tell.h"
#include "collectors/nvme/twins.h"
#include "collectors/topology/topology.h"
#include "collectors/tracefs/instance.h"
#include "collectors/uevent/uevent.h"
#include "core/clock.h"
#include "core/log.h"
#include "fabrics/look.h"

/*
 * Three sources in one epoll descriptor. A turn of read: publish what waits; go on with a look that
 * runs, one controller at a time; a uevent; a trace record; begin a look that is due.
 *
 *   uevents	controllers added, removed, connected (5.18+); discovery, SMART, error and vendor
 *AENs trace	nvme_async_event: every AEN, also namespace, ANA and firmware ones, which never
 *become uevents. It exists only while nvme_core is loaded; the first uevent of a controller makes
 *the collector try again.
 *   looks	sysfs. A lost connection sends no uevent, and `state` is never notified
 *		(sysfs_notify), so it cannot be polled: reading is the only way.
 *
 * What looks cost: none without a fabrics controller. With one, `state` of each is read every
 * `interval` (5 s): one wake-up. All attributes are read only of those whose state has changed, and
 * for NVME_SETTLE_NS after a uevent, an AEN or a failed request of which the transport is guilty
 * (block_rq_error, ENOLINK: filtered in the kernel), every NVME_QUICK_NS. PCIe controllers are read
 * only then: they reset, but are not reconnected.
 *
 * Without the trace event the ANA states are read with every look.
 *
 * Failure modes: uevents lost (ENOBUFS): told, and the guard's snapshot lists everything anew.
 * Trace records lost: told. A name that stands for another controller: controllers.c.
 */
#define NVME_WORK	  512
#define NVME_QUICK_NS	  (250 * CLOCK_NS_PER_MS)
#define NVME_SETTLE_NS	  (3 * CLOCK_NS_PER_S)
#define NVME_LINK_FILTER  "error == -67" /* ENOLINK, asm-generic/errno.h */
#define NVME_SOURCE_SYSFS "sysfs:nvme"

struct nvme {
	struct collector_ctx *ctx;
	const struct nvme_config *config;
	struct bell bell;
	struct uevent_socket *uevents;
	struct instance *instance; /* NULL: no trace event here, or not yet */
	struct decode_trace trace;
	struct twins twins;
	struct controllers controllers;
	struct tell_source source; /* of the changes that wait */
	struct look look;	   /* too large for a stack */
	char (*names)[LOOK_NAME];  /* of the look that runs */
	size_t n_names, next_name;
	size_t n_unseen;  /* controllers above the limit, as told */
	bool is_snapshot; /* it tells all states */
	bool in_snapshot; /* a snapshot was begun and is not finished */
	bool is_settling; /* since open: what lasts is not all told yet */
	uint64_t settle_until_ns;
	uint64_t next_look_ns;
};

static const struct config_option nvme_options[] = {
	{ .name = "interval",
	  .type = CONFIG_DURATION,
	  .offset = offsetof(struct nvme_config, interval),
	  .initial = "5s",
	  .min = CLOCK_NS_PER_MS * 250,
	  .max = CLOCK_NS_PER_S * 3600,
	  .help = "How often the state of each NVMe over Fabrics controller is read: the kernel "
		  "does not tell when a connection is lost. Nothing is read while there is no such "
		  "controller." },
	{ .name = "receive_buffer",
	  .type = CONFIG_SIZE,
	  .offset = offsetof(struct nvme_config, receive_buffer),
	  .initial = "4MiB",
	  .min = 4096,
	  .max = 256 << 20,
	  .help = "Receive buffer of the uevent socket. What does not fit is counted in a "
		  "collector.gap event, and the controllers are looked at again." },
	{ .name = "buffer_size",
	  .type = CONFIG_SIZE,
	  .offset = offsetof(struct nvme_config, buffer_size),
	  .initial = "16KiB",
	  .min = 8192,
	  .max = 64 << 20,
	  .help = "Kernel ring buffer for each CPU. One asynchronous event needs about 20 bytes; "
		  "what does not fit is counted in a collector.gap event." },
};

const struct config_table nvme_config_table = {
	.options = nvme_options,
	.n_options = sizeof(nvme_options) / sizeof(nvme_options[0]),
	.size = sizeof(struct nvme_config),
};

static struct controllers_clock nvme_clock(void)
{
	return (struct controllers_clock){ .now_ns = clock_monotonic_ns(),
					   .unix_ns = clock_realtime_ns() };
}

static const char *nvme_sysfs(const struct nvme *nvme)
{
	return topology_sysfs_path(nvme->ctx->topology);
}

/* Looks. */

static void nvme_wake(struct nvme *nvme, uint64_t now_ns)
{
	nvme->settle_until_ns = now_ns + NVME_SETTLE_NS;
	if (now_ns + NVME_QUICK_NS < nvme->next_look_ns)
		nvme->next_look_ns = now_ns + NVME_QUICK_NS;
}

static void nvme_plan(struct nvme *nvme, uint64_t now_ns)
{
	uint64_t due_ns = controllers_due(&nvme->controllers);

	nvme->next_look_ns = UINT64_MAX;
	if (nvme->controllers.n > 0 && now_ns < nvme->settle_until_ns)
		nvme->next_look_ns = now_ns + NVME_QUICK_NS;
	else if (controllers_n_fabrics(&nvme->controllers) > 0)
		nvme->next_look_ns = now_ns + nvme->config->interval;
	/* Never at once: what is due may be one that can't be read. */
	if (due_ns < now_ns + NVME_QUICK_NS)
		due_ns = now_ns + NVME_QUICK_NS;
	if (due_ns < nvme->next_look_ns)
		nvme->next_look_ns = due_ns;
}

/* The names of a snapshot are what sysfs lists and what is known; else what is known. */
static int nvme_begin_look(struct nvme *nvme, bool is_snapshot)
{
	const struct controllers *controllers = &nvme->controllers;
	size_t n_listed = 0, n_unseen = 0;
	int r = 0;

	free(nvme->names);
	nvme->n_names = nvme->next_name = 0;
	nvme->names = calloc(CONTROLLERS_MAX * 2, sizeof(nvme->names[0]));
	if (nvme->names == NULL)
		return -ENOMEM;
	if (is_snapshot)
		r = look_list(nvme_sysfs(nvme), CONTROLLERS_MAX, nvme->names, &n_listed, &n_unseen);
	if (r < 0) {
		nvme->ctx->reason(nvme->ctx, "the controllers in sysfs can't be listed");
		return r;
	}
	/* Once: a loss is answered with a snapshot, which finds the same. */
	if (n_unseen > nvme->n_unseen) {
		nvme->ctx->lost(nvme->ctx, "controllers_limit", n_unseen - nvme->n_unseen, false,
				-1);
		nvme->n_unseen = n_unseen;
	}
	nvme->n_names = n_listed;
	for (size_t i = 0; i < controllers->n; i++) {
		const char *name = controllers->items[i]->seen.name;
		size_t at = 0;

		while (at < n_listed && strcmp(nvme->names[at], name) != 0)
			at++;
		if (at == n_listed)
			memcpy(nvme->names[nvme->n_names++], name, LOOK_NAME);
	}
	nvme->is_snapshot = is_snapshot;
	return 0;
}

static bool nvme_is_looking(const struct nvme *nvme)
{
	return nvme->next_name < nvme->n_names;
}

static void nvme_end_look(struct nvme *nvme)
{
	free(nvme->names);
	nvme->names = NULL;
	nvme->n_names = nvme->next_name = 0;
	nvme_plan(nvme, clock_monotonic_ns());
}

/* True: nothing but the state needs to be read, and that is as it was. */
static bool nvme_is_unchanged(const struct nvme *nvme, const struct controller *controller,
			      uint64_t now_ns)
{
	char state[LOOK_NAME];

	if (controller == NULL || nvme->is_snapshot || now_ns < nvme->settle_until_ns)
		return false;
	if (!controller_is_fabrics(controller))
		return true;
	if (nvme->instance == NULL || strcmp(controller->seen.state, "live") != 0)
		return false;
	return look_read_state(nvme_sysfs(nvme), controller->seen.name, state) == 0 &&
	       strcmp(state, controller->seen.state) == 0;
}

/* The next controller of the look. 0 or -errno. */
static int nvme_step_look(struct nvme *nvme)
{
	const char *name = nvme->names[nvme->next_name];
	struct controller *controller = controllers_find(&nvme->controllers, name);
	struct controllers_clock clock = nvme_clock();
	int r;

	nvme->source = (struct tell_source){ .interface = NVME_SOURCE_SYSFS, .cpu = -1 };
	if (nvme_is_unchanged(nvme, controller, clock.now_ns)) {
		nvme->next_name++;
	} else if (look_read(nvme_sysfs(nvme), name, &nvme->look) == 0) {
		r = controllers_see(&nvme->controllers, &nvme->look, nvme->is_snapshot, &clock);
		if (r == -ENOMEM)
			return r;
		/* The next turn has the same name and no old controller any more. */
		if (r != CONTROLLERS_E_AGAIN)
			nvme->next_name++;
	} else {
		/* What can't be read is told as gone only when it is. */
		if (controller != NULL &&
		    !look_is_same(nvme_sysfs(nvme), name, controller->seen.inode))
			controllers_see_gone(&nvme->controllers, controller, &clock);
		nvme->next_name++;
	}
	if (!nvme_is_looking(nvme))
		nvme_end_look(nvme);
	return 0;
}

/* The trace event. */

/* 0, INSTANCE_E_ABSENT, -errno; nothing is left open but with 0. */
static int nvme_listen_trace(struct nvme *nvme, struct errmsg *err)
{
	struct instance_options options = { .tracefs_path = nvme->ctx->tracefs_path,
					    .collector = "nvme",
					    .buffer_size = nvme->config->buffer_size };
	struct format *format = malloc(sizeof(*format));
	struct errmsg ignored = { 0 };
	int r = format == NULL ? -ENOMEM : instance_open(&nvme->instance, &options, err);

	if (r == 0)
		r = instance_enable(nvme->instance, "nvme", "nvme_async_event", NULL, format, err);
	if (r == 0)
		r = decode_trace_init(&nvme->trace, format, err);
	/* Only a reason to look sooner: kernels before 5.18 do without. */
	if (r == 0)
		(void)instance_enable(nvme->instance, "block", "block_rq_error", NVME_LINK_FILTER,
				      format, &ignored);
	if (r == 0)
		r = bell_add(&nvme->bell, instance_doorbell(nvme->instance));
	free(format);
	if (r != 0)
		nvme->instance = instance_close(nvme->instance);
	return r;
}

static bool nvme_has_driver(const struct nvme *nvme)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/class/nvme", nvme_sysfs(nvme));
	return access(path, F_OK) == 0;
}

static void nvme_hear_aen(struct nvme *nvme, enum twins_source source, const char *name,
			  uint32_t aen, const struct controllers_clock *clock)
{
	nvme_wake(nvme, clock->now_ns);
	if (!twins_is_told(&nvme->twins, source, name, aen, clock->now_ns))
		controllers_hear_aen(&nvme->controllers, name, aen, clock);
}

static void nvme_hear_record(struct nvme *nvme, const struct instance_record *record)
{
	struct controllers_clock clock = nvme_clock();
	uint32_t instance, aen;
	char name[LOOK_NAME];
	int r = decode_trace_record(&nvme->trace, record->data, record->size, &instance, &aen);

	if (r < 0)
		nvme->ctx->lost(nvme->ctx, "decode", 1, false, record->cpu);
	if (r == DECODE_E_OTHER_EVENT)
		nvme_wake(nvme, clock.now_ns);
	if (r != 0)
		return;
	if (record->time_unix_ns != 0)
		clock.unix_ns = record->time_unix_ns;
	snprintf(name, sizeof(name), "nvme%u", instance);
	nvme->source = (struct tell_source){ .interface = "tracefs:nvme_async_event",
					     .cpu = record->cpu,
					     .source_clock_ns = record->source_clock_ns };
	nvme_hear_aen(nvme, TWINS_TRACE, name, aen, &clock);
}

/* 0, INSTANCE_E_EMPTY, -errno. */
static int nvme_step_trace(struct nvme *nvme)
{
	struct instance_record record;
	int r;

	if (nvme->instance == NULL)
		return INSTANCE_E_EMPTY;
	r = instance_next(nvme->instance, &record);
	if (r == 0)
		nvme_hear_record(nvme, &record);
	if (r == INSTANCE_E_LOSS) {
		nvme->ctx->lost(nvme->ctx, record.loss_cause, record.loss_count,
				record.loss_is_minimum, record.cpu);
		r = 0;
	}
	if (r < 0)
		nvme->ctx->reason(nvme->ctx, "reading the trace buffer failed");
	return r;
}

/* Uevents. */

static int nvme_hear_controller(struct nvme *nvme, const struct decode_notice *notice,
				const struct controllers_clock *clock)
{
	const struct controller *known = controllers_find(&nvme->controllers, notice->name);
	const struct look *look = NULL;
	struct errmsg ignored = { 0 };

	nvme_wake(nvme, clock->now_ns);
	/* The driver has come after this collector. */
	if (nvme->instance == NULL && notice->kind == DECODE_ADDED)
		(void)nvme_listen_trace(nvme, &ignored);
	/* The class link goes before the uevent: with the link still there, it is of another one.
	 */
	if (notice->kind == DECODE_REMOVED && known != NULL &&
	    look_is_same(nvme_sysfs(nvme), notice->name, known->seen.inode))
		return 0;
	if (notice->kind != DECODE_REMOVED &&
	    look_read(nvme_sysfs(nvme), notice->name, &nvme->look) == 0 &&
	    (known == NULL || known->seen.inode == 0 || known->seen.inode == nvme->look.inode))
		look = &nvme->look;
	return controllers_hear(&nvme->controllers, notice, look, clock);
}

static int nvme_hear_uevent(struct nvme *nvme, const struct uevent *uevent)
{
	struct controllers_clock clock = nvme_clock();
	struct decode_notice notice;

	if (decode_uevent(uevent, &notice) != 0) {
		nvme->ctx->lost(nvme->ctx, "decode", 1, false, -1);
		return 0;
	}
	nvme->source = (struct tell_source){ .interface = "netlink:uevent",
					     .seq = notice.seqnum,
					     .cpu = -1 };
	switch (notice.kind) {
	case DECODE_OTHER:
		return 0;
	case DECODE_CHANGED:
		nvme_wake(nvme, clock.now_ns);
		return 0;
	case DECODE_AEN:
		nvme_hear_aen(nvme, TWINS_UEVENT, notice.name, notice.aen, &clock);
		return 0;
	case DECODE_FC_DISCOVERY:
		controllers_hear_fc(&nvme->controllers, &notice, &clock);
		return 0;
	default:
		return nvme_hear_controller(nvme, &notice, &clock);
	}
}

/* 0, UEVENT_E_EMPTY, -errno. */
static int nvme_step_uevent(struct nvme *nvme)
{
	struct uevent uevent;
	uint64_t lost;
	int r = uevent_next(nvme->uevents, &uevent, &lost);

	if (r == 0)
		return nvme_hear_uevent(nvme, &uevent);
	if (r == UEVENT_E_LOST) {
		nvme->ctx->lost(nvme->ctx, "enobufs", lost, lost == 0, -1);
		controllers_lost(&nvme->controllers);
		return 0;
	}
	if (r < 0)
		nvme->ctx->reason(nvme->ctx, "the uevent socket failed");
	return r;
}

/* The contract. */

static void nvme_tell_losses(struct nvme *nvme)
{
	struct controllers *controllers = &nvme->controllers;

	if (controllers->n_refused > 0)
		nvme->ctx->lost(nvme->ctx, "controllers_limit", controllers->n_refused, false, -1);
	controllers->n_refused = 0;
}

/* 0: all is published; COLLECTOR_E_MORE: not all, later. */
static int nvme_publish(struct nvme *nvme, unsigned *budget)
{
	struct controllers *controllers = &nvme->controllers;

	nvme_tell_losses(nvme);
	while (controllers->next_change < controllers->n_changes) {
		if (*budget == 0)
			return COLLECTOR_E_MORE;
		tell_change(nvme->ctx, controllers->subject,
			    &controllers->changes[controllers->next_change], &nvme->source);
		if (nvme->ctx->pipeline_full)
			return COLLECTOR_E_MORE;
		controllers->next_change++;
		--*budget;
	}
	controllers_published(controllers);
	return 0;
}

/* What comes next, when nothing waits. 0: something was done; UEVENT_E_EMPTY: nothing to do. */
static int nvme_step(struct nvme *nvme)
{
	int r;

	if (nvme_is_looking(nvme))
		return nvme_step_look(nvme);
	r = nvme_step_trace(nvme);
	if (r != INSTANCE_E_EMPTY)
		return r;
	r = nvme_step_uevent(nvme);
	if (r != UEVENT_E_EMPTY)
		return r;
	if (nvme->controllers.n > 0 && clock_monotonic_ns() >= nvme->next_look_ns)
		return nvme_begin_look(nvme, false);
	return UEVENT_E_EMPTY;
}

/* All is told when no controller is waiting to be called lost: the first look alone can't tell a
 * lost one from one that is being reset. */
static void nvme_settle(struct nvme *nvme)
{
	if (!nvme->is_settling || nvme->in_snapshot || nvme->controllers.n_changes > 0 ||
	    controllers_due(&nvme->controllers) != UINT64_MAX)
		return;
	nvme->is_settling = false;
	nvme->ctx->settled(nvme->ctx);
}

static int nvme_read(void *state, unsigned budget, struct collector_fd *fd)
{
	struct nvme *nvme = state;

	for (unsigned work = 0; work < NVME_WORK; work++) {
		int r = nvme_publish(nvme, &budget);

		if (r == 0)
			r = nvme_step(nvme);
		if (r == UEVENT_E_EMPTY && nvme->controllers.n_changes == 0) {
			bell_arm(&nvme->bell,
				 nvme->controllers.n > 0 ? nvme->next_look_ns : UINT64_MAX);
			nvme_settle(nvme);
			return 0;
		}
		if (r != 0)
			return r;
	}
	return COLLECTOR_E_MORE;
}

static int nvme_snapshot(void *state)
{
	struct nvme *nvme = state;
	unsigned budget = CONTROLLERS_MAX_CHANGES * 2;
	int r = nvme_publish(nvme, &budget);

	if (r == 0 && !nvme->in_snapshot) {
		nvme->in_snapshot = true;
		r = nvme_begin_look(nvme, true);
	}
	for (int work = 0; work < 32 && r == 0 && nvme_is_looking(nvme); work++) {
		r = nvme_step_look(nvme);
		if (r == 0)
			r = nvme_publish(nvme, &budget);
	}
	if (r == 0 && nvme_is_looking(nvme))
		return COLLECTOR_E_MORE;
	if (r == 0) {
		nvme->in_snapshot = false;
		nvme_end_look(nvme);
		bell_arm(&nvme->bell, nvme->next_look_ns);
		nvme_settle(nvme);
	}
	return r;
}

static void nvme_close(void *state)
{
	struct nvme *nvme = state;

	controllers_deinit(&nvme->controllers);
	instance_close(nvme->instance);
	uevent_close(nvme->uevents);
	bell_close(&nvme->bell);
	free(nvme->names);
	free(nvme);
}

static int nvme_open(struct collector_ctx *ctx, void **ret_state, struct collector_fd *ret_fd)
{
	struct nvme *nvme = calloc(1, sizeof(*nvme));
	struct errmsg err = { 0 };
	int r;

	if (nvme == NULL)
		return -ENOMEM;
	nvme->ctx = ctx;
	nvme->config = ctx->config;
	nvme->next_look_ns = UINT64_MAX;
	nvme->is_settling = true;
	r = bell_open(&nvme->bell);
	if (r == 0)
		r = uevent_open(&nvme->uevents, nvme->config->receive_buffer);
	if (r == 0)
		r = bell_add(&nvme->bell, uevent_fd(nvme->uevents));
	if (r < 0) {
		ctx->reason(ctx, "the uevent socket can't be opened");
		nvme_close(nvme);
		return r;
	}
	if (nvme_has_driver(nvme) && nvme_listen_trace(nvme, &err) != 0)
		log_write(LOG_LEVEL_NOTICE,
			  "namespace, ANA and firmware AENs are not heard collector=nvme "
			  "reason=\"%s\"",
			  err.text);
	*ret_state = nvme;
	*ret_fd = (struct collector_fd){ .fd = nvme->bell.fd };
	return 0;
}

const struct collector_ops nvme_collector = {
	.name = "nvme",
	.help = "NVMe controllers: added, lost, reconnected, removed; asynchronous events; ANA. "
		"Wakes up every `interval` (5 s) while there is a fabrics controller.",
	.config = &nvme_config_table,
	.open = nvme_open,
	.read = nvme_read,
	.snapshot = nvme_snapshot,
	.close = nvme_close,
};
