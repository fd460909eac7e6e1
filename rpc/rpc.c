/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gRPC thread. It alone waits in grpc_completion_queue_next and owns all calls, so that nothing
 * here needs a lock but the list of posted functions.
 *
 * Happy path: 1. rpc_start prepares the process once (environment, TLS, log), makes the queue and
 * the thread. 2. The loop waits until the earliest timer, gives each finished operation to the
 * `done` of its tag and runs timers that are due. 3. rpc_post appends under a mutex and, only if no
 * wake-up is on its way, starts an empty batch on a call that is never sent (on a lame channel, so
 * that it works with no connection): the cheapest thread-safe way into the queue (facts: grpc-core
 * 0.3). 4. rpc_stop posts the end: servers are shut down, calls cancelled, and the thread goes on
 * until every tag came back, because starting a batch on a queue that was shut down aborts the
 * process (pitfall 2).
 *
 * Failure modes: memory. gRPC aborts when it has none (pitfall 9), and rpc_post cannot fail, so
 * allocation here goes through gpr_malloc, which does the same. Misuse of the C core is an
 * assertion in it: the programs that link this are crash-only. The deadlock detection that the
 * Debian build leaves on in abseil costs 7-10 % CPU (grpc-core 0.1); the only switch is a mangled
 * C++ symbol and stays alone.
 */
#include "rpc/rpc.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <grpc/support/alloc.h>
#include <grpc/support/time.h>

#include "core/clock.h"
#include "rpc/internal.h"

#if defined(__SANITIZE_THREAD__)
#define RPC_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RPC_TSAN 1
#endif
#endif
#ifdef RPC_TSAN
#include <sanitizer/tsan_interface.h>
#else
#define __tsan_acquire(p) ((void)(p))
#define __tsan_release(p) ((void)(p))
#endif

struct rpc_posted {
	struct rpc_posted *next;
	void (*fn)(void *data);
	void *data;
};

struct rpc_timer {
	struct rpc *rpc;
	uint64_t due_ns;
	uint64_t serial; /* timers that are due at the same time run in the order of their start */
	size_t index;	 /* in the heap */
	void (*fn)(void *data);
	void *data;
};

extern char **environ;

/* ---- process-wide preparation ---- */

/* Environment is configuration for gRPC and OpenSSL (pitfalls 25 and 29): a daemon starts from a
 * clean one. */
static bool rpc_env_is_dangerous(const char *name)
{
	static const char *const prefixes[] = { "GRPC_", "OPENSSL_", "SSL_CERT_",
						"SSLKEYLOGFILE=" };
	static const char *const names[] = { "http_proxy=", "https_proxy=", "all_proxy=",
					     "no_proxy=",   "grpc_proxy=",  "no_grpc_proxy=" };

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strncasecmp(name, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

static void rpc_env_clean(void)
{
	char **entry = environ;

	while (entry && *entry) {
		char *equals = strchr(*entry, '=');
		char name[128];

		if (!equals || !rpc_env_is_dangerous(*entry) ||
		    (size_t)(equals - *entry) >= sizeof(name)) {
			entry++;
			continue;
		}
		memcpy(name, *entry, (size_t)(equals - *entry));
		name[equals - *entry] = '\0';
		unsetenv(name); /* moves the rest down: the same slot again */
	}
	/* Debian's build has the experiment on: a second epoll set and a thread (grpc-core 0.1). */
	setenv("GRPC_EXPERIMENTS", "-posix_event_engine_enable_polling", 1);
	setenv("GRPC_CLIENT_CHANNEL_BACKUP_POLL_INTERVAL_MS", "0", 1);
	setenv("GRPC_VERBOSITY", "ERROR", 1);
}

static pthread_once_t rpc_once = PTHREAD_ONCE_INIT;
static struct errmsg rpc_once_err;
static int rpc_once_result;

static void rpc_prepare(void)
{
	rpc_env_clean();
	rpc_once_result = rpc_tls_configure(&rpc_once_err);
	rpc_log_install();
}

/* gRPC's threads inherit the mask of whoever starts them (pitfall 26). */
void rpc_block_signals(sigset_t *ret_old)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, ret_old);
}

/* ---- tags ---- */

void rpc_tag_start(struct rpc *rpc, struct rpc_tag *tag)
{
	rpc->n_tags++;
	__tsan_release(tag);
}

void rpc_tag_cancel(struct rpc *rpc)
{
	rpc->n_tags--;
}

/* ---- posting ---- */

void rpc_post(struct rpc *rpc, void (*fn)(void *data), void *data)
{
	struct rpc_posted *posted = gpr_malloc(sizeof(*posted));

	*posted = (struct rpc_posted){ .fn = fn, .data = data };
	pthread_mutex_lock(&rpc->post_lock);
	if (rpc->closed) {
		pthread_mutex_unlock(&rpc->post_lock);
		gpr_free(posted);
		return;
	}
	*rpc->post_tail = posted;
	rpc->post_tail = &posted->next;
	if (!rpc->waking) {
		rpc->waking = true;
		__tsan_release(&rpc->wake_tag);
		if (grpc_call_start_batch(rpc->wake_call, NULL, 0, &rpc->wake_tag, NULL) !=
		    GRPC_CALL_OK)
			abort(); /* no such outcome for an empty batch */
	}
	pthread_mutex_unlock(&rpc->post_lock);
}

static void rpc_run_posted(struct rpc *rpc)
{
	struct rpc_posted *posted, *next;

	pthread_mutex_lock(&rpc->post_lock);
	posted = rpc->post_head;
	rpc->post_head = NULL;
	rpc->post_tail = &rpc->post_head;
	pthread_mutex_unlock(&rpc->post_lock);
	for (; posted; posted = next) {
		next = posted->next;
		posted->fn(posted->data);
		gpr_free(posted);
	}
}

static void rpc_woken(struct rpc_tag *tag, bool ok)
{
	struct rpc *rpc = (struct rpc *)((char *)tag - offsetof(struct rpc, wake_tag));

	(void)ok;
	pthread_mutex_lock(&rpc->post_lock);
	rpc->waking = false; /* before taking the list: a later post wakes again */
	pthread_mutex_unlock(&rpc->post_lock);
	rpc_run_posted(rpc);
}

/* ---- timers ---- */

static bool rpc_timer_is_before(const struct rpc_timer *a, const struct rpc_timer *b)
{
	return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->serial < b->serial;
}

static void rpc_timer_place(struct rpc *rpc, struct rpc_timer *timer, size_t index)
{
	rpc->timers[index] = timer;
	timer->index = index;
}

static void rpc_timer_sift(struct rpc *rpc, size_t index)
{
	struct rpc_timer *timer = rpc->timers[index];
	size_t child;

	while (index > 0 && rpc_timer_is_before(timer, rpc->timers[(index - 1) / 2])) {
		rpc_timer_place(rpc, rpc->timers[(index - 1) / 2], index);
		index = (index - 1) / 2;
	}
	while ((child = 2 * index + 1) < rpc->n_timers) {
		if (child + 1 < rpc->n_timers &&
		    rpc_timer_is_before(rpc->timers[child + 1], rpc->timers[child]))
			child++;
		if (!rpc_timer_is_before(rpc->timers[child], timer))
			break;
		rpc_timer_place(rpc, rpc->timers[child], index);
		index = child;
	}
	rpc_timer_place(rpc, timer, index);
}

struct rpc_timer *rpc_timer_start(struct rpc *rpc, uint32_t delay_ms, void (*fn)(void *data),
				  void *data)
{
	struct rpc_timer *timer = gpr_malloc(sizeof(*timer));

	*timer = (struct rpc_timer){
		.rpc = rpc, .fn = fn, .data = data, .serial = rpc->timer_serial++
	};
	timer->due_ns = clock_monotonic_ns() + delay_ms * CLOCK_NS_PER_MS;
	if (rpc->n_timers == rpc->timers_capacity) {
		rpc->timers_capacity = rpc->timers_capacity ? rpc->timers_capacity * 2 : 16;
		rpc->timers =
			gpr_realloc(rpc->timers, rpc->timers_capacity * sizeof(struct rpc_timer *));
	}
	rpc_timer_place(rpc, timer, rpc->n_timers++);
	rpc_timer_sift(rpc, timer->index);
	return timer;
}

static void rpc_timer_remove(struct rpc_timer *timer)
{
	struct rpc *rpc = timer->rpc;
	size_t index = timer->index;

	rpc->n_timers--;
	if (index < rpc->n_timers) {
		rpc_timer_place(rpc, rpc->timers[rpc->n_timers], index);
		rpc_timer_sift(rpc, index);
	}
}

void rpc_timer_cancel(struct rpc_timer *timer)
{
	if (!timer)
		return;
	rpc_timer_remove(timer);
	gpr_free(timer);
}

static void rpc_run_timers(struct rpc *rpc)
{
	uint64_t now_ns;

	if (rpc->n_timers == 0)
		return;
	now_ns = clock_monotonic_ns();
	while (rpc->n_timers > 0 && rpc->timers[0]->due_ns <= now_ns) {
		struct rpc_timer timer = *rpc->timers[0];

		rpc_timer_cancel(rpc->timers[0]);
		timer.fn(timer.data);
	}
}

static gpr_timespec rpc_deadline(const struct rpc *rpc)
{
	uint64_t due_ns;

	if (rpc->n_timers == 0)
		return gpr_inf_future(GPR_CLOCK_MONOTONIC);
	/* gRPC counts in milliseconds: up, or the loop would spin for the last one. */
	due_ns = rpc->timers[0]->due_ns + CLOCK_NS_PER_MS - 1;
	return (gpr_timespec){ .tv_sec = (int64_t)(due_ns / CLOCK_NS_PER_S),
			       .tv_nsec = (int32_t)(due_ns % CLOCK_NS_PER_S),
			       .clock_type = GPR_CLOCK_MONOTONIC };
}

/* ---- the thread ---- */

static bool rpc_turn(struct rpc *rpc)
{
	grpc_event event = grpc_completion_queue_next(rpc->cq, rpc_deadline(rpc), NULL);
	struct rpc_tag *tag;

	if (event.type == GRPC_QUEUE_SHUTDOWN)
		return false;
	if (event.type == GRPC_OP_COMPLETE) {
		tag = event.tag;
		__tsan_acquire(tag);
		if (tag != &rpc->wake_tag)
			rpc->n_tags--;
		tag->done(tag, event.success != 0);
	}
	rpc_run_timers(rpc);
	return true;
}

/* Takes no more functions, and waits for the wake-up that may be on its way. */
static void rpc_close_posts(struct rpc *rpc)
{
	bool waking = false;

	while (!rpc->closed || waking) {
		rpc_run_posted(rpc);
		pthread_mutex_lock(&rpc->post_lock);
		waking = rpc->waking;
		rpc->closed = !rpc->post_head;
		pthread_mutex_unlock(&rpc->post_lock);
		if (waking)
			rpc_turn(rpc);
	}
}

static void *rpc_main(void *data)
{
	struct rpc *rpc = data;

	pthread_setname_np(pthread_self(), "rpc");
	while (!rpc->stopping || rpc->n_tags > 0)
		rpc_turn(rpc);
	rpc_close_posts(rpc);
	while (rpc->n_tags > 0) /* what the last posted functions started */
		rpc_turn(rpc);
	while (rpc->n_timers > 0)
		rpc_timer_cancel(rpc->timers[0]);
	while (!LIST_EMPTY(&rpc->channels))
		rpc_channel_free(LIST_FIRST(&rpc->channels));
	grpc_call_unref(rpc->wake_call);
	grpc_channel_destroy(rpc->lame);
	grpc_completion_queue_shutdown(rpc->cq);
	while (rpc_turn(rpc))
		;
	grpc_completion_queue_destroy(rpc->cq);
	return NULL;
}

static void rpc_stop_now(void *data)
{
	struct rpc *rpc = data;
	struct rpc_channel *channel;
	struct rpc_call *call;

	rpc->stopping = true;
	rpc_server_stop_all(rpc);
	LIST_FOREACH (call, &rpc->calls, link)
		rpc_call_cancel(call);
	LIST_FOREACH (channel, &rpc->channels, link)
		rpc_channel_shut(channel); /* the memory stays: on_closed may want to free it */
}

static void rpc_make_wake_call(struct rpc *rpc)
{
	rpc->wake_tag.done = rpc_woken;
	rpc->lame = grpc_lame_client_channel_create(NULL, GRPC_STATUS_UNAVAILABLE, "never sent");
	rpc->wake_call = grpc_channel_create_call(rpc->lame, NULL, 0, rpc->cq,
						  grpc_slice_from_static_string("/wake"), NULL,
						  gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
}

int rpc_start(struct rpc **ret_rpc, struct errmsg *err)
{
	struct rpc *rpc;
	sigset_t old;
	int r;

	pthread_once(&rpc_once, rpc_prepare);
	if (rpc_once_result < 0) {
		errmsg_set(err, "%s", rpc_once_err.text);
		return rpc_once_result;
	}
	rpc = gpr_zalloc(sizeof(*rpc));
	pthread_mutex_init(&rpc->post_lock, NULL);
	rpc->post_tail = &rpc->post_head;
	rpc_block_signals(&old);
	grpc_init();
	rpc->cq = grpc_completion_queue_create_for_next(NULL);
	rpc_make_wake_call(rpc);
	r = pthread_create(&rpc->thread, NULL, rpc_main, rpc);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r != 0) {
		errmsg_set(err, "cannot start the gRPC thread: %s", log_errno(r));
		grpc_call_unref(rpc->wake_call);
		grpc_channel_destroy(rpc->lame);
		grpc_completion_queue_shutdown(rpc->cq);
		grpc_completion_queue_destroy(rpc->cq);
		grpc_shutdown();
		gpr_free(rpc);
		return -r;
	}
	*ret_rpc = rpc;
	return 0;
}

struct rpc *rpc_stop(struct rpc *rpc)
{
	sigset_t old;

	if (!rpc)
		return NULL;
	rpc_post(rpc, rpc_stop_now, rpc);
	pthread_join(rpc->thread, NULL);
	rpc_block_signals(&old);
	grpc_shutdown();
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	rpc_files_free_all(rpc->files);
	pthread_mutex_destroy(&rpc->post_lock);
	gpr_free(rpc->timers);
	gpr_free(rpc);
	return NULL;
}

const char *rpc_status_name(int status)
{
	static const char *const names[] = {
		"OK",
		"CANCELLED",
		"UNKNOWN",
		"INVALID_ARGUMENT",
		"DEADLINE_EXCEEDED",
		"NOT_FOUND",
		"ALREADY_EXISTS",
		"PERMISSION_DENIED",
		"RESOURCE_EXHAUSTED",
		"FAILED_PRECONDITION",
		"ABORTED",
		"OUT_OF_RANGE",
		"UNIMPLEMENTED",
		"INTERNAL",
		"UNAVAILABLE",
		"DATA_LOSS",
		"UNAUTHENTICATED",
	};

	return status >= 0 && (size_t)status < sizeof(names) / sizeof(names[0]) ? names[status]
										: "UNKNOWN";
}
