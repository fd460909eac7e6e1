/* SPDX-License-Identifier: Apache-2.0 */
/* bench_store [ROWS [DIR [path]]]: rows/s and CPU of store_write at several group sizes, on the
 * disk of DIR; of block errors, or of path failures, which also change what is known of the host's
 * maps.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "aggregator/store/store.h"
#include "core/buf.h"
#include "core/clock.h"
#include "proto/codec.h"

#define BATCH 250 /* rows of one batch: some 64 KiB */

static unsigned long bench_paths; /* 0: block errors */

static void bench_event(struct buf *out, uint64_t seq)
{
	Pathbell__V1__Event event = PATHBELL__V1__EVENT__INIT;
	Pathbell__V1__Subject subject = PATHBELL__V1__SUBJECT__INIT;
	Pathbell__V1__Source source = PATHBELL__V1__SOURCE__INIT;
	Pathbell__V1__BlockError error = PATHBELL__V1__BLOCK_ERROR__INIT;
	Pathbell__V1__MultipathEvent map = PATHBELL__V1__MULTIPATH_EVENT__INIT;
	char uuid[64];
	uint8_t bytes[1024], head[16], boot[16] = "boot";
	size_t size;

	event.kind = 100;
	event.severity = 17;
	event.time_unix_ns = clock_realtime_ns();
	event.observed_unix_ns = event.time_unix_ns;
	event.boottime_ns = seq;
	event.boot_id.data = boot;
	event.boot_id.len = 16;
	source.collector = (char *)"block";
	source.interface = (char *)"tracefs:block_rq_error";
	source.seq = seq;
	event.source = &source;
	subject.id = (char *)"wwid:naa.600508b1001c5e3a0000000000000001";
	subject.name = (char *)"sda";
	subject.wwid = (char *)"naa.600508b1001c5e3a0000000000000001";
	subject.model = (char *)"LOGICAL VOLUME";
	event.subject = &subject;
	error.sector = seq;
	event.payload_case = PATHBELL__V1__EVENT__PAYLOAD_BLOCK_ERROR;
	event.block_error = &error;
	if (bench_paths) {
		snprintf(uuid, sizeof(uuid), "mpath-3600508b1001c5e3a%016llx",
			 (unsigned long long)(bench_paths++ % 16));
		map.map_uuid = uuid;
		map.map_name = (char *)"mpatha";
		map.valid_paths = 3;
		map.total_paths = 4;
		event.kind = 200;
		event.payload_case = PATHBELL__V1__EVENT__PAYLOAD_MULTIPATH;
		event.multipath = &map;
	}
	size = pathbell__v1__event__pack(&event, bytes);
	buf_append(out, head, (size_t)(codec_put_frame(head, size) - head));
	buf_append(out, bytes, size);
}

static uint64_t bench_cpu_ns(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return ((uint64_t)usage.ru_utime.tv_sec + (uint64_t)usage.ru_stime.tv_sec) *
		       CLOCK_NS_PER_S +
	       ((uint64_t)usage.ru_utime.tv_usec + (uint64_t)usage.ru_stime.tv_usec) * 1000;
}

static int bench_group(struct store *store, uint64_t *seq, uint32_t rows, const struct buf *events)
{
	struct store_write writes[80];
	struct store_write *pointers[80];
	size_t n = 0;

	while (rows > 0) {
		uint32_t count = rows < BATCH ? rows : BATCH;
		struct store_batch *batch = &writes[n].batch;

		memset(&writes[n], 0, sizeof(writes[n]));
		writes[n].type = STORE_BATCH;
		writes[n].host_id = "bench";
		writes[n].now_unix_ns = clock_realtime_ns();
		batch->first_seq = *seq;
		batch->count = count;
		batch->events = events->data;
		batch->events_size = events->size / BATCH * count;
		*seq += count;
		rows -= count;
		pointers[n] = &writes[n];
		n++;
	}
	return store_write(store, pointers, n);
}

static int bench_size(struct store *store, uint64_t *seq, uint32_t group, uint64_t total)
{
	struct buf events = { 0 };
	uint64_t begin, cpu, worst = 0, ns;
	int r = 0;

	for (uint64_t i = 0; i < BATCH; i++)
		bench_event(&events, 1000000);
	begin = clock_monotonic_ns();
	cpu = bench_cpu_ns();
	for (uint64_t done = 0; r == 0 && done < total; done += group) {
		uint64_t at = clock_monotonic_ns();

		r = bench_group(store, seq, group, &events);
		ns = clock_monotonic_ns() - at;
		worst = ns > worst ? ns : worst;
	}
	ns = clock_monotonic_ns() - begin;
	printf("rows/commit %6u  bytes/row %4zu  %8.0f rows/s  %5.2f us CPU/row  worst commit %.1f "
	       "ms\n",
	       group, events.size / BATCH, (double)total * 1e9 / (double)ns,
	       (double)(bench_cpu_ns() - cpu) / 1e3 / (double)total, (double)worst / 1e6);
	buf_deinit(&events);
	return r;
}

static int bench_run(const char *path, uint64_t rows)
{
	static const uint32_t groups[] = { 1, 10, 250, 2000, 8000, 16000 };
	const struct store_options options = { .path = path,
					       .cache_bytes = 64u << 20,
					       .busy_ms = 1000 };
	struct errmsg err = { 0 };
	struct store *store;
	uint64_t seq = 1;
	int r = store_open(&store_sqlite, &options, STORE_WRITE, &store, &err);

	if (r < 0) {
		fprintf(stderr, "bench_store: %s\n", err.text);
		return 1;
	}
	for (size_t i = 0; r == 0 && i < sizeof(groups) / sizeof(groups[0]); i++) {
		uint64_t total = groups[i] < 250 ? rows / 100 * groups[i] : rows;

		r = bench_size(store, &seq, groups[i], total - total % groups[i]);
	}
	store_close(store);
	return r < 0;
}

int main(int argc, char **argv)
{
	static const char *const suffixes[] = { "", "-wal", "-shm", ".lock" };
	char dir[256], path[300], file[320];
	int status;

	bench_paths = argc > 3 && strcmp(argv[3], "path") == 0;
	snprintf(dir, sizeof(dir), "%s/pathbell-bench.XXXXXX", argc > 2 ? argv[2] : "/tmp");
	if (!mkdtemp(dir)) {
		perror(dir);
		return 1;
	}
	snprintf(path, sizeof(path), "%s/store.db", dir);
	status = bench_run(path, argc > 1 ? strtoull(argv[1], NULL, 10) : 200000);
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		snprintf(file, sizeof(file), "%s%s", path, suffixes[i]);
		unlink(file);
	}
	rmdir(dir);
	return status;
}
