/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <sys/queue.h>

#include "aggregator/metrics.h"
#include "aggregator/store/store.h"
#include "rpc/mailbox.h"
#include "rpc/rpc.h"

/*
 * The one thread that reads the store, for the Fleet service and HTTP. A job runs there with the
 * reading handle (`run`), then `done` is called where the asker lives: on the gRPC thread, or on
 * the loop. The queue is bounded; what does not fit is refused at once. Queries bound their own
 * time (store_query.deadline_ns).
 */
struct reader;

enum reader_home { READER_GRPC, READER_LOOP };

struct reader_job {
	STAILQ_ENTRY(reader_job) link;
	enum reader_home home;
	int error; /* what `run` returned; -ECANCELED: the reader stopped before */
	int (*run)(struct reader_job *job, struct store *store);
	void (*done)(struct reader_job *job); /* owns the job */
};

struct reader_options {
	const struct store_ops *ops;
	struct store_options store;
	struct rpc *rpc;
	struct mailbox *mailbox;
	struct metrics *metrics;
	size_t max_jobs;
};

#define READER_QUERY_NS UINT64_C(2000000000) /* a page is cut after this */

/* The store must exist: after writer_start. */
int reader_start(const struct reader_options *options, struct reader **ret_reader,
		 struct errmsg *err);
/* [any thread] false: too many wait; `done` is not called. */
bool reader_put(struct reader *reader, struct reader_job *job);
/* Ends the thread; what waited is done with -ECANCELED. Returns NULL. */
struct reader *reader_stop(struct reader *reader);
