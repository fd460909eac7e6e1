/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/cxl/capi.h"

#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "collectors/bell.h"
#include "collectors/cxl/capi_afu.h"
#include "collectors/cxl/capi_event.h"
#include "collectors/cxl/capi_queue.h"
#include "collectors/topology/topology.h"
#include "core/clock.h"
#include "core/fd.h"
#include "core/log.h"

/*
 * open	     every AFU that the configured paths and globs name, non-blocking, into one epoll, with
 *	     an inotify of their folders for those that come later, and a timer that is armed only
 *	     while one is being opened again.
 * read	     takes what all AFUs have, round robin and one event for each read, into a bounded
 *	     queue; publishes driver events first, as the driver does for one AFU (afu_read,
 *	     drivers/misc/cxl/file.c 6.12), and keeps each until it was delivered. What finds no
 *	     room stays in the devices, which merge interrupts of one number, faults and errors.
 * delivered true: forgotten. false (its place in the spool is now a tombstone): submitted again, up
 *	     to `resubmit` times; then a collector.gap says that it did not get through.
 *
 * Failure modes
 *   - EIO: the link is down or the context was closed. capi.afu.link_down, raised as a fault; the
 *     AFU is closed (a closed context is readable for ever) and opened again with backoff, at once
 *     when its node appears anew. When no AFU is open any more the collector is blind.
 *   - A node that is no AFU (EINVAL, end of file, not pollable) is closed and tried again later.
 *   - EFAULT: the driver dropped an event that is too large: a loss of one.
 *   - A record that cannot be decoded travels as it is in `raw`.
 *   - Closed while driver events are kept: they are in the spool, but nobody submits them again.
 */
#define CAPI_MAX_AFUS	 32
#define CAPI_MAX_WAITING 256
#define CAPI_MAX_RAISED	 CAPI_MAX_AFUS

struct capi {
	struct collector_ctx *ctx;
	const struct capi_config *config;
	struct capi_afu_options options;
	bool big_endian;
	struct bell bell;
	int watch_fd;
	size_t n_afus, n_open;
	bool is_settled; /* what lasts has been told since open */
	struct capi_afu afus[CAPI_MAX_AFUS];
	size_t n_left_out; /* nodes above CAPI_MAX_AFUS */
	struct capi_queue queue;
	struct log_limit limit;
	uint8_t buffer[CAPI_READ_SIZE];
};

/* Link faults that were raised and not cleared: they outlive an opening of the collector. */
static struct capi_identity capi_raised[CAPI_MAX_RAISED];
static size_t capi_n_raised;

static const char *const capi_byte_orders[] = { "native", "little", "big", NULL };

#define AT(field) offsetof(struct capi_config, field)
static const struct config_option capi_options[] = {
	{ .name = "devices",
	  .type = CONFIG_STRINGS,
	  .offset = AT(devices),
	  .initial = "[\"/dev/cxl/afu*\"]",
	  .max = 8,
	  .help = "Absolute paths or globs of AFU devices; the folder part holds no wildcard." },
	{ .name = "byte_order",
	  .type = CONFIG_ENUM,
	  .offset = AT(byte_order),
	  .initial = "native",
	  .names = capi_byte_orders,
	  .help = "Byte order of the records; native is that of this machine." },
	{ .name = "decoder",
	  .type = CONFIG_ENUM,
	  .offset = AT(decoder),
	  .initial = "none",
	  .names = capi_decoder_names,
	  .help = "How the data of AFU driver events is told besides its bytes: text, or words of "
		  "32 bits in hexadecimal." },
	{ .name = "keep",
	  .type = CONFIG_UINT,
	  .offset = AT(keep),
	  .initial = "256",
	  .max = 4096,
	  .help = "AFU driver events that are kept in memory until they are delivered; the oldest "
		  "are let go above that, at most 4 KiB each." },
	{ .name = "resubmit",
	  .type = CONFIG_UINT,
	  .offset = AT(resubmit),
	  .initial = "3",
	  .max = 100,
	  .help = "How many times an AFU driver event that was not delivered is submitted again." },
	{ .name = "start_work",
	  .type = CONFIG_BOOL,
	  .offset = AT(start_work),
	  .initial = "false",
	  .help = "Start the context of each AFU that is opened (ioctl START_WORK). Only for AFUs "
		  "that nobody else drives." },
	{ .name = "wed",
	  .type = CONFIG_UINT,
	  .offset = AT(wed),
	  .initial = "0",
	  .max = UINT64_MAX,
	  .help = "With start_work: the work element descriptor, which means what the AFU says." },
	{ .name = "irqs",
	  .type = CONFIG_UINT,
	  .offset = AT(irqs),
	  .initial = "0",
	  .max = INT16_MAX,
	  .help = "With start_work: number of interrupts; 0 = as many as the AFU needs." },
};
#undef AT

const struct config_table capi_config_table = {
	.options = capi_options,
	.n_options = sizeof(capi_options) / sizeof(capi_options[0]),
	.size = sizeof(struct capi_config),
};

/* Link faults. */

static size_t capi_find_raised(const struct capi_identity *identity)
{
	size_t i = 0;

	while (i < capi_n_raised && strcmp(capi_raised[i].id, identity->id) != 0)
		i++;
	return i;
}

static void capi_raise(const struct capi_identity *identity)
{
	if (capi_find_raised(identity) == capi_n_raised && capi_n_raised < CAPI_MAX_RAISED)
		capi_raised[capi_n_raised++] = *identity;
}

static void capi_clear(const struct capi_identity *identity)
{
	size_t i = capi_find_raised(identity);

	if (i < capi_n_raised)
		capi_raised[i] = capi_raised[--capi_n_raised];
}

/* Devices. */

static struct capi_afu *capi_find(struct capi *capi, const char *path)
{
	for (size_t i = 0; i < capi->n_afus; i++) {
		if (strcmp(capi->afus[i].path, path) == 0)
			return &capi->afus[i];
	}
	return NULL;
}

static void capi_refused(struct capi *capi, struct capi_afu *afu, const char *what, int error)
{
	afu->error = error;
	log_limited(&capi->limit, LOG_LEVEL_WARNING, "%s an AFU failed path=%s error=\"%s\"", what,
		    afu->path, log_errno(error));
}

static void capi_try(struct capi *capi, struct capi_afu *afu)
{
	const char *what;
	int r = capi_afu_open(afu, &capi->options, &what);

	if (r < 0) {
		capi_refused(capi, afu, what, r);
		return;
	}
	afu->retry_ns = UINT64_MAX;
	r = bell_add(&capi->bell, afu->fd);
	if (r < 0) {
		/* A plain file (EPERM): no AFU until something else has its name. */
		capi_afu_close(afu);
		capi_refused(capi, afu, "polling", r);
		return;
	}
	capi->n_open++;
	afu->tell_up = capi_find_raised(&afu->identity) < capi_n_raised;
}

static void capi_add(struct capi *capi, const char *path)
{
	struct capi_afu *afu = capi_find(capi, path);

	if (afu != NULL) {
		/* Perhaps a node of the same name, made anew. */
		if (afu->fd < 0 && afu->retry_ns == UINT64_MAX)
			capi_try(capi, afu);
		return;
	}
	if (capi->n_afus == CAPI_MAX_AFUS || strlen(path) >= sizeof(afu->path)) {
		capi->n_left_out++;
		log_limited(&capi->limit, LOG_LEVEL_WARNING,
			    "an AFU is not heard: limit of %d path=%s", CAPI_MAX_AFUS, path);
		return;
	}
	afu = &capi->afus[capi->n_afus++];
	capi_afu_init(afu, path);
	capi_try(capi, afu);
}

static void capi_scan(struct capi *capi)
{
	for (size_t i = 0; i < capi->config->devices.n_items; i++) {
		glob_t found = { 0 };

		if (glob(capi->config->devices.items[i], 0, NULL, &found) == 0) {
			for (size_t n = 0; n < found.gl_pathc; n++)
				capi_add(capi, found.gl_pathv[n]);
		}
		globfree(&found);
	}
}

/* The folder of a configured path, with the slash at its end. */
static bool capi_folder(const char *pattern, char *ret_folder, size_t size)
{
	const char *slash = strrchr(pattern, '/');

	if (pattern[0] != '/' || slash == NULL || (size_t)(slash - pattern) + 2 > size)
		return false;
	snprintf(ret_folder, size, "%.*s", (int)(slash - pattern) + 1, pattern);
	return true;
}

static int capi_watch(struct capi *capi)
{
	char folder[PATH_MAX];

	capi->watch_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (capi->watch_fd < 0)
		return -errno;
	for (size_t i = 0; i < capi->config->devices.n_items; i++) {
		if (capi_folder(capi->config->devices.items[i], folder, sizeof(folder)))
			(void)inotify_add_watch(capi->watch_fd, folder,
						IN_CREATE | IN_MOVED_TO | IN_ATTRIB | IN_ONLYDIR);
	}
	return bell_add(&capi->bell, capi->watch_fd);
}

static void capi_drain_watch(struct capi *capi)
{
	char buffer[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	bool changed = false;

	while (read(capi->watch_fd, buffer, sizeof(buffer)) > 0)
		changed = true;
	if (changed)
		capi_scan(capi);
}

static void capi_reopen_due(struct capi *capi)
{
	uint64_t now_ns = clock_monotonic_ns();

	for (size_t i = 0; i < capi->n_afus; i++) {
		if (capi->afus[i].fd < 0 && capi->afus[i].retry_ns <= now_ns)
			capi_try(capi, &capi->afus[i]);
	}
}

/* Publishing. False: the pipeline is full. */

static bool capi_publish(struct capi *capi, Pathbell__V1__Event *event,
			 const struct capi_identity *identity, uint64_t *ret_ticket)
{
	Pathbell__V1__Source source = PATHBELL__V1__SOURCE__INIT;
	Pathbell__V1__Subject subject = PATHBELL__V1__SUBJECT__INIT;

	source.interface = (char *)"capi:afu";
	subject.type = PATHBELL__V1__SUBJECT_TYPE__SUBJECT_TYPE_AFU;
	subject.id = (char *)identity->id;
	subject.name = (char *)identity->name;
	subject.bus_address = (char *)identity->address;
	subject.major = identity->major;
	subject.minor = identity->minor;
	event->source = &source;
	event->subject = &subject;
	*ret_ticket = capi->ctx->publish(capi->ctx, event, 0);
	return !capi->ctx->pipeline_full;
}

static bool capi_publish_item(struct capi *capi, struct capi_item *item)
{
	static struct capi_text told, again = { .key = "resubmitted" };
	Pathbell__V1__Attribute attributes[2] = { PATHBELL__V1__ATTRIBUTE__INIT,
						  PATHBELL__V1__ATTRIBUTE__INIT };
	Pathbell__V1__Attribute *extra[2];
	Pathbell__V1__Event event = PATHBELL__V1__EVENT__INIT;
	Pathbell__V1__CapiAfuEvent afu;
	struct capi_event decoded;
	uint64_t ticket;

	event.extra = extra;
	if (capi_event_decode(item->data, item->size, capi->big_endian, &decoded) < 0) {
		event.raw.data = item->data;
		event.raw.len = item->size;
	}
	capi_event_describe(&decoded, &afu);
	if (capi_event_tell(&decoded, capi->config->decoder, capi->big_endian, &told)) {
		afu.decoder = (char *)capi_decoder_names[capi->config->decoder];
		attributes[event.n_extra].key = told.key;
		attributes[event.n_extra].value = told.value;
		extra[event.n_extra] = &attributes[event.n_extra];
		event.n_extra++;
	}
	if (item->resubmitted > 0) {
		snprintf(again.value, sizeof(again.value), "%u", item->resubmitted);
		attributes[event.n_extra].key = again.key;
		attributes[event.n_extra].value = again.value;
		extra[event.n_extra] = &attributes[event.n_extra];
		event.n_extra++;
	}
	event.kind = capi_event_kind(&decoded);
	event.severity = capi_event_severity(&decoded);
	event.time_unix_ns = item->time_unix_ns;
	event.payload_case = PATHBELL__V1__EVENT__PAYLOAD_CAPI_AFU;
	event.capi_afu = &afu;
	if (!capi_publish(capi, &event, &item->afu, &ticket))
		return false;
	capi_queue_taken(&capi->queue, item, ticket);
	return true;
}

static bool capi_publish_link(struct capi *capi, struct capi_afu *afu, bool down)
{
	Pathbell__V1__Attribute why = PATHBELL__V1__ATTRIBUTE__INIT, *extra[] = { &why };
	Pathbell__V1__Event event = PATHBELL__V1__EVENT__INIT;
	Pathbell__V1__CapiAfuEvent payload = PATHBELL__V1__CAPI_AFU_EVENT__INIT;
	char fault_id[192];
	uint64_t ticket;

	capi_afu_fault_id(&afu->identity, fault_id, sizeof(fault_id));
	why.key = (char *)"reason";
	why.value = (char *)log_errno(afu->error);
	event.kind = PATHBELL__V1__EVENT_KIND__EVENT_KIND_CAPI_AFU_LINK_DOWN;
	event.severity = down ? PATHBELL__V1__SEVERITY__SEVERITY_ERROR
			      : PATHBELL__V1__SEVERITY__SEVERITY_INFO;
	event.fault_phase = down ? PATHBELL__V1__FAULT_PHASE__FAULT_PHASE_RAISED
				 : PATHBELL__V1__FAULT_PHASE__FAULT_PHASE_CLEARED;
	event.fault_id = fault_id;
	event.time_unix_ns = clock_realtime_ns();
	event.payload_case = PATHBELL__V1__EVENT__PAYLOAD_CAPI_AFU;
	event.capi_afu = &payload;
	event.extra = extra;
	event.n_extra = down ? 1 : 0;
	return capi_publish(capi, &event, &afu->identity, &ticket);
}

/* What AFUs said comes before what became of them. */
static bool capi_publish_links(struct capi *capi, unsigned *budget)
{
	for (size_t i = 0; i < capi->n_afus; i++) {
		struct capi_afu *afu = &capi->afus[i];

		if (afu->tell_down) {
			bool known = capi_find_raised(&afu->identity) < capi_n_raised;

			if (*budget == 0 || (!known && !capi_publish_link(capi, afu, true)))
				return false;
			*budget -= !known;
			capi_raise(&afu->identity);
			afu->tell_down = false;
		}
		if (afu->tell_up && afu->fd >= 0) {
			if (*budget == 0 || !capi_publish_link(capi, afu, false))
				return false;
			--*budget;
			capi_clear(&afu->identity);
			afu->tell_up = false;
		}
	}
	return true;
}

/* One event of one AFU into the queue. False: it has no more now. */
static bool capi_take(struct capi *capi, struct capi_afu *afu)
{
	size_t size = 0;
	int r;

	if (afu->fd < 0)
		return false;
	r = capi_afu_read(afu, capi->buffer, &size);
	if (r == CAPI_AFU_E_OVERSIZE) {
		capi->ctx->lost(capi->ctx, "oversize", 1, false, -1);
		return false;
	}
	if (r == CAPI_AFU_E_EMPTY)
		return false;
	if (r != 0) {
		capi->n_open--;
		log_limited(&capi->limit, LOG_LEVEL_WARNING, "AFU closed path=%s error=\"%s\"",
			    afu->path, log_errno(afu->error));
		return false;
	}
	if (capi_queue_push(&capi->queue, &afu->identity,
			    capi_event_is_driver(capi->buffer, size, capi->big_endian),
			    clock_realtime_ns(), capi->buffer, size) < 0)
		capi->ctx->lost(capi->ctx, "budget", 1, false, -1);
	return true;
}

/* Round robin, until nobody has more or the queue is full. */
static void capi_fill(struct capi *capi)
{
	bool more = true;

	while (more) {
		more = false;
		for (size_t i = 0; i < capi->n_afus; i++) {
			if (!capi_queue_has_room(&capi->queue))
				return;
			more |= capi_take(capi, &capi->afus[i]);
		}
	}
}

static void capi_arm(struct capi *capi)
{
	uint64_t next_ns = UINT64_MAX;

	for (size_t i = 0; i < capi->n_afus; i++) {
		if (capi->afus[i].fd < 0 && capi->afus[i].retry_ns < next_ns)
			next_ns = capi->afus[i].retry_ns;
	}
	bell_arm(&capi->bell, next_ns);
}

static void capi_say_deaf(struct capi *capi)
{
	const struct capi_afu *afu = &capi->afus[0];

	capi->ctx->reason(capi->ctx, "no AFU can be heard: %s: %s", afu->path,
			  log_errno(afu->error));
}

/* All links are up and none was told as down: whatever an earlier life told has ended. */
static void capi_settle(struct capi *capi)
{
	if (capi->is_settled || capi_n_raised > 0 || capi->n_open < capi->n_afus)
		return;
	capi->is_settled = true;
	capi->ctx->settled(capi->ctx);
}

static int capi_read(void *state, unsigned budget, struct collector_fd *fd)
{
	struct capi *capi = state;
	struct capi_item *item;

	capi_drain_watch(capi);
	capi_reopen_due(capi);
	capi_fill(capi);
	while (budget > 0 && (item = capi_queue_next(&capi->queue)) != NULL) {
		if (!capi_publish_item(capi, item))
			return COLLECTOR_E_MORE;
		budget--;
	}
	if (capi->queue.n_waiting > 0 || !capi_publish_links(capi, &budget))
		return COLLECTOR_E_MORE;
	capi_arm(capi);
	capi_settle(capi);
	if (capi->n_open == 0) {
		capi_say_deaf(capi);
		return COLLECTOR_E_BLIND;
	}
	return 0;
}

static void capi_close(void *state)
{
	struct capi *capi = state;
	struct capi_item *item;

	while ((item = capi_queue_next(&capi->queue)) != NULL && capi_publish_item(capi, item))
		;
	if (capi->queue.n_waiting > 0)
		capi->ctx->lost(capi->ctx, "budget", capi->queue.n_waiting, false, -1);
	if (capi->queue.n_kept > 0 || capi->queue.n_forgotten > 0)
		log_info("AFU driver events were let go before their delivery was known kept=%zu "
			 "forgotten=%ju",
			 capi->queue.n_kept, (uintmax_t)capi->queue.n_forgotten);
	for (size_t i = 0; i < capi->n_afus; i++)
		capi_afu_close(&capi->afus[i]);
	capi->watch_fd = fd_close(capi->watch_fd);
	bell_close(&capi->bell);
	capi_queue_deinit(&capi->queue);
	free(capi);
}

static int capi_begin(struct capi *capi)
{
	int r = bell_open(&capi->bell);

	if (r == 0)
		r = capi_watch(capi);
	if (r < 0) {
		capi->ctx->reason(capi->ctx, "cannot wait for AFUs: %s", log_errno(r));
		return r;
	}
	capi_scan(capi);
	if (capi->n_open > 0)
		return 0;
	if (capi->n_afus > 0) {
		capi_say_deaf(capi);
		return COLLECTOR_E_BLIND;
	}
	capi->ctx->reason(capi->ctx, "no AFU device: nothing is at %s",
			  capi->config->devices.n_items > 0 ? capi->config->devices.items[0]
							    : "collectors.capi.devices");
	return COLLECTOR_E_ABSENT;
}

static int capi_open(struct collector_ctx *ctx, void **ret_state, struct collector_fd *ret_fd)
{
	const struct capi_config *config = ctx->config;
	struct capi *capi = calloc(1, sizeof(*capi));
	int r;

	if (capi == NULL)
		return -ENOMEM;
	capi->ctx = ctx;
	capi->config = config;
	capi->bell = (struct bell){ .fd = -1, .timer_fd = -1 };
	capi->watch_fd = -1;
	capi->big_endian =
		config->byte_order == CAPI_BIG ||
		(config->byte_order == CAPI_NATIVE && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);
	capi->options = (struct capi_afu_options){ .sysfs_path = topology_sysfs_path(ctx->topology),
						   .start_work = config->start_work,
						   .wed = config->wed,
						   .irqs = config->irqs };
	capi_queue_init(&capi->queue, CAPI_MAX_WAITING, config->keep, config->resubmit);
	r = capi_begin(capi);
	if (r != 0 && r != COLLECTOR_E_BLIND) {
		capi_close(capi);
		return r;
	}
	/* Rings once: links that are down, or up again, must be told. */
	bell_arm(&capi->bell, 0);
	*ret_state = capi;
	*ret_fd = (struct collector_fd){ .fd = capi->bell.fd };
	return r;
}

static void capi_delivered(void *state, uint64_t ticket, bool delivered)
{
	struct capi *capi = state;

	switch (capi_queue_delivered(&capi->queue, ticket, delivered)) {
	case CAPI_QUEUE_E_AGAIN:
		bell_arm(&capi->bell, 0);
		break;
	case CAPI_QUEUE_E_GIVEN_UP:
		capi->ctx->lost(capi->ctx, "undelivered", 1, false, -1);
		bell_arm(&capi->bell, 0);
		break;
	default:
		break;
	}
}

static const char *capi_retry_path(struct collector_ctx *ctx)
{
	static char folder[PATH_MAX];
	const struct capi_config *config = ctx->config;

	if (config->devices.n_items == 0 ||
	    !capi_folder(config->devices.items[0], folder, sizeof(folder)))
		return NULL;
	return folder;
}

const struct collector_ops capi_collector = {
	.name = "capi",
	.help = "Events of IBM CAPI accelerators, from their AFU devices.",
	.config = &capi_config_table,
	.open = capi_open,
	.read = capi_read,
	.close = capi_close,
	.delivered = capi_delivered,
	.retry_path = capi_retry_path,
};
