/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/audit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"

#define AUDIT_BURST	 50
#define AUDIT_PER_SECOND 2

struct audit_limit {
	uint64_t at_ns;
	double tokens;
	uint64_t suppressed;
};

struct audit_job {
	struct writer_job job; /* first */
	struct aggregator *aggregator;
	struct caller caller;
	struct store_actor actor;
	struct store_audit audit;
	char detail[700];
};

struct audit_limit *audit_limit_new(void)
{
	struct audit_limit *limit = calloc(1, sizeof(*limit));

	if (limit)
		limit->tokens = AUDIT_BURST;
	return limit;
}

struct audit_limit *audit_limit_free(struct audit_limit *limit)
{
	free(limit);
	return NULL;
}

bool audit_is_worth(int status)
{
	switch (status) {
	case RPC_INVALID_ARGUMENT:
	case RPC_NOT_FOUND:
	case RPC_ALREADY_EXISTS:
	case RPC_PERMISSION_DENIED:
	case RPC_FAILED_PRECONDITION:
	case RPC_UNAUTHENTICATED:
		return true;
	default:
		return false;
	}
}

static bool audit_take(struct audit_limit *limit)
{
	uint64_t now = clock_monotonic_ns();

	if (limit->at_ns != 0)
		limit->tokens += (double)(now - limit->at_ns) / CLOCK_NS_PER_S * AUDIT_PER_SECOND;
	if (limit->tokens > AUDIT_BURST)
		limit->tokens = AUDIT_BURST;
	limit->at_ns = now;
	if (limit->tokens < 1) {
		limit->suppressed++;
		return false;
	}
	limit->tokens--;
	return true;
}

static void audit_done(struct writer_job *job)
{
	struct audit_job *audit = (struct audit_job *)job;

	if (job->error == 0)
		counter_add(&audit->aggregator->metrics.audit_refused, 1);
	free(audit);
}

static void audit_detail(struct audit_job *job, struct audit_limit *limit, const char *method,
			 int status, const char *details)
{
	const char *name = strrchr(method, '/');
	int n = snprintf(job->detail, sizeof(job->detail), "method=%s status=%s %.400s",
			 name ? name + 1 : method, rpc_status_name(status), details);

	if (limit->suppressed > 0 && n > 0 && (size_t)n < sizeof(job->detail))
		snprintf(job->detail + n, sizeof(job->detail) - (size_t)n,
			 " (%llu more before this one were not recorded)",
			 (unsigned long long)limit->suppressed);
	limit->suppressed = 0;
}

void audit_refused(struct aggregator *aggregator, const struct caller *caller, const char *method,
		   int status, const char *details)
{
	struct audit_limit *limit = aggregator->audit_limit;
	struct audit_job *job;

	if (!audit_take(limit)) {
		counter_add(&aggregator->metrics.audit_suppressed, 1);
		return;
	}
	job = calloc(1, sizeof(*job));
	if (!job) {
		limit->suppressed++;
		return;
	}
	job->aggregator = aggregator;
	job->caller = *caller;
	job->actor = audit_actor(&job->caller);
	audit_detail(job, limit, method, status, details);
	job->audit.action = "refused";
	job->audit.detail = job->detail;
	job->job.write.type = STORE_AUDIT;
	job->job.write.now_unix_ns = clock_realtime_ns();
	job->job.write.actor = &job->actor;
	job->job.write.audit = &job->audit;
	job->job.bytes = sizeof(*job);
	job->job.done = audit_done;
	writer_put(aggregator->writer, &job->job);
}
