/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "aggregator/metrics.h"
#include "aggregator/store/store.h"
#include "rpc/rpc.h"

/*
 * The one thread that writes the store. It takes all that waits, makes it durable as one group and
 * hands the results back to the gRPC thread at once: the time of the commit before is what gathers
 * the next group, there is no timer. writer.c opens with the essay.
 */
struct writer;

/* Embedded by who asks. The job and all that `write` points to stay untouched until `done`. */
struct writer_job {
	STAILQ_ENTRY(writer_job) link;
	struct store_write write;
	size_t bytes; /* what the job holds in memory, for the queue's limit */
	int error;
	/* On the gRPC thread. error 0: durable, results are in `write`. -EINVAL: the store refuses
	 * it for good. -ECANCELED: the writer stopped, nothing is stored. */
	void (*done)(struct writer_job *job);
};
STAILQ_HEAD(writer_jobs, writer_job);

struct writer_options {
	const struct store_ops *ops;
	struct store_options store;
	struct rpc *rpc;
	struct metrics *metrics;
	uint64_t queue_bytes; /* writer_is_full above */
	uint32_t group_rows;  /* of one transaction */
	uint64_t group_bytes;
	uint64_t probe_interval_ns; /* of an idle store */
	struct store_retention retention;
	void *data;
	/* On the gRPC thread. A group is durable and all its `done` have run. */
	void (*on_commit)(void *data, bool events, bool commands);
	/* On the gRPC thread. Commits fail (@error < 0) or work again. */
	void (*on_ready)(void *data, int error);
};

/* Opens the store. 0 or the error of store_open with @err. */
int writer_start(const struct writer_options *options, struct writer **ret_writer,
		 struct errmsg *err);
/* [any thread] Takes the job whatever waits already: who can wait asks writer_is_full before. */
void writer_put(struct writer *writer, struct writer_job *job);
/* [any thread] */
bool writer_is_full(const struct writer *writer);
bool writer_has_room(const struct writer *writer); /* less than half of the limit waits */
void writer_set_retention(struct writer *writer, const struct store_retention *retention);
/* Writes what waits (at most until @deadline_ns, monotonic), then gives back the rest with
 * -ECANCELED; `done` of all is posted when this returns. */
void writer_stop(struct writer *writer, uint64_t deadline_ns);
struct writer *writer_free(struct writer *writer); /* after rpc_stop; returns NULL */
