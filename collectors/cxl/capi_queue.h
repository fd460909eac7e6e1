/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

/*
 * What was read from AFUs and is on its way: waiting for the pipeline, driver events first, and
 * driver events that the pipeline took, kept until it is known whether they were delivered. The
 * delivery rules are those of the AFU driver contract (struct cxl_afu_driver_ops, 4.8):
 * fetch_event, then event_delivered, and the source may submit again. Pure, bounded.
 */
#define CAPI_NAME_SIZE 64

struct capi_identity {
	char id[160], name[CAPI_NAME_SIZE], address[64];
	uint32_t major, minor;
};

struct capi_item {
	TAILQ_ENTRY(capi_item) link;
	struct capi_identity afu;
	bool is_driver;
	unsigned resubmitted; /* times that it was submitted again */
	uint64_t ticket, time_unix_ns;
	size_t size;
	uint8_t data[];
};
TAILQ_HEAD(capi_list, capi_item);

struct capi_queue {
	size_t max_waiting, max_kept, max_resubmit;
	size_t n_waiting, n_kept;
	struct capi_list again, drivers, others, kept;
	/* Since the start. */
	uint64_t n_delivered, n_resubmitted;
	uint64_t n_given_up;  /* not delivered after max_resubmit */
	uint64_t n_forgotten; /* kept no longer: more than max_kept were under way */
};

void capi_queue_init(struct capi_queue *queue, size_t max_waiting, size_t max_kept,
		     size_t max_resubmit);
void capi_queue_deinit(struct capi_queue *queue);
bool capi_queue_has_room(const struct capi_queue *queue);
/* Copies. 0 or -ENOMEM. */
int capi_queue_push(struct capi_queue *queue, const struct capi_identity *afu, bool is_driver,
		    uint64_t time_unix_ns, const void *data, size_t size);
/* The next to publish: driver events first (those that come again before all), each in order. NULL:
 * none. */
struct capi_item *capi_queue_next(const struct capi_queue *queue);
/* @item, which was next, was taken under @ticket (0: filtered): it is kept or freed. */
void capi_queue_taken(struct capi_queue *queue, struct capi_item *item, uint64_t ticket);

#define CAPI_QUEUE_E_AGAIN    1 /* waits again */
#define CAPI_QUEUE_E_GIVEN_UP 2
/* 0 (also: not one of ours), CAPI_QUEUE_E_AGAIN, CAPI_QUEUE_E_GIVEN_UP. */
int capi_queue_delivered(struct capi_queue *queue, uint64_t ticket, bool delivered);
