/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_spool DIR [RECORDS [SIZE]]: what the spool does on DIR's disk. Prints; asserts nothing but
 * success. append    ns per spool_append while the ring has room, the writer asleep stream
 * records/s appended and durable, as fast as they are taken deliver   the same with a forwarder
 * that reads and acks alongside drain     records/s read back from disk after a restart single time
 * from append to durable of one record on an idle spool
 */
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "agent/spool/spool.h"
#include "core/clock.h"

struct bench {
	struct ev_loop *loop;
	struct spool *spool;
	struct spool_cursor *cursor;
	struct spool_options options;
	uint8_t *data;
	size_t size;
	bool done;
};

static void bench_fail(const char *what)
{
	fprintf(stderr, "bench_spool: %s\n", what);
	exit(1); /* NOLINT(concurrency-mt-unsafe) */
}

static void bench_open(struct bench *bench)
{
	struct errmsg err = { 0 };

	if (spool_open(&bench->spool, bench->loop, &bench->options, NULL, &err) < 0)
		bench_fail(err.text);
	if (spool_cursor_open(bench->spool, "bench", &bench->cursor) < 0)
		bench_fail("no cursor");
}

static void bench_close(struct bench *bench)
{
	bench->spool = spool_close(bench->spool, clock_monotonic_ns() + 60 * CLOCK_NS_PER_S);
}

static void bench_on_done(void *data)
{
	((struct bench *)data)->done = true;
}

static void bench_sync(struct bench *bench)
{
	bench->done = false;
	spool_sync(bench->spool, bench_on_done, bench);
	while (!bench->done)
		ev_run(bench->loop, EVRUN_ONCE);
}

static int bench_append(struct bench *bench, uint64_t n)
{
	struct spool_append append = { bench->data, bench->size, SPOOL_LANE_BULK, 1, n, n };
	uint64_t seq;

	return spool_append(bench->spool, &append, &seq);
}

static double bench_cpu(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void bench_receive(struct bench *bench, uint64_t *received)
{
	struct spool_chunk chunk;

	while (spool_cursor_next(bench->cursor, 65536, 0, &chunk) == 0) {
		*received += chunk.count;
		if (spool_cursor_ack(bench->cursor, chunk.epoch, chunk.last_seq) != 0)
			bench_fail("ack");
	}
}

static void bench_stream(struct bench *bench, uint64_t n, bool deliver, const char *name)
{
	uint64_t begin = clock_monotonic_ns(), i = 0, received = 0;
	double cpu = bench_cpu(), seconds;

	while (i < n || (deliver && received < n)) {
		bool full = i == n;

		for (unsigned k = 0; k < 256 && i < n && !full; k++) {
			full = bench_append(bench, i) != 0;
			i += !full;
		}
		if (deliver)
			bench_receive(bench, &received);
		if (i == n && (!deliver || received == n))
			break;
		ev_run(bench->loop, full ? EVRUN_ONCE : EVRUN_NOWAIT);
	}
	bench_sync(bench);
	seconds = (double)(clock_monotonic_ns() - begin) / 1e9;
	printf("%-8s %10.0f records/s  %6.1f MB/s  %6.0f ns CPU per record (all threads)\n", name,
	       (double)n / seconds, (double)n * (double)bench->size / seconds / 1e6,
	       (bench_cpu() - cpu) * 1e9 / (double)n);
}

static void bench_appends(struct bench *bench)
{
	uint64_t best = UINT64_MAX;

	for (unsigned round = 0; round < 100; round++) {
		uint64_t begin = clock_monotonic_ns(), taken;

		for (unsigned i = 0; i < 500; i++)
			if (bench_append(bench, i) != 0)
				bench_fail("append");
		taken = (clock_monotonic_ns() - begin) / 500;
		best = taken < best ? taken : best;
		bench_sync(bench);
	}
	printf("append   %10llu ns per record of %zu bytes\n", (unsigned long long)best,
	       bench->size);
}

static int bench_compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void bench_single(struct bench *bench)
{
	uint64_t times[500];

	for (unsigned i = 0; i < 500; i++) {
		times[i] = clock_monotonic_ns();
		bench_append(bench, i);
		bench_sync(bench);
		times[i] = clock_monotonic_ns() - times[i];
	}
	qsort(times, 500, sizeof(times[0]), bench_compare);
	printf("single   %10.1f us p50, %.1f us p99 from append to durable\n",
	       (double)times[250] / 1e3, (double)times[495] / 1e3);
}

static void bench_drain(struct bench *bench, uint64_t n)
{
	uint64_t begin, received = 0;
	struct spool_stats stats;
	double seconds;

	bench_close(bench);
	begin = clock_monotonic_ns();
	bench_open(bench);
	printf("open     %10.1f ms with a backlog\n", (double)(clock_monotonic_ns() - begin) / 1e6);
	spool_stats(bench->spool, &stats);
	begin = clock_monotonic_ns();
	while (received < stats.unacked) {
		bench_receive(bench, &received);
		if (received < stats.unacked)
			ev_run(bench->loop, EVRUN_ONCE);
	}
	seconds = (double)(clock_monotonic_ns() - begin) / 1e9;
	printf("drain    %10.0f records/s of %llu\n", (double)received / seconds,
	       (unsigned long long)received);
}

int main(int argc, char **argv)
{
	struct bench bench = { .size = argc > 3 ? (size_t)strtoull(argv[3], NULL, 10) : 300 };
	uint64_t n = argc > 2 ? strtoull(argv[2], NULL, 10) : 2000000;

	if (argc < 2)
		bench_fail("usage: bench_spool DIR [RECORDS [SIZE]]");
	bench.options = (struct spool_options){ .dir = argv[1],
						.max_bytes = UINT64_C(16) << 30,
						.segment_bytes = 16 << 20,
						.memory_bytes = 8 << 20 };
	bench.loop = ev_default_loop(EVFLAG_AUTO);
	bench.data = malloc(bench.size);
	if (bench.data == NULL)
		bench_fail("out of memory");
	memset(bench.data, 'x', bench.size);
	bench_open(&bench);
	bench_appends(&bench);
	bench_single(&bench);
	bench_stream(&bench, n, true, "deliver");
	bench_stream(&bench, n, false, "stream");
	bench_drain(&bench, n);
	bench_close(&bench);
	free(bench.data);
	return 0;
}
