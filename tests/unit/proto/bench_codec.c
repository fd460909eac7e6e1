/* SPDX-License-Identifier: Apache-2.0 */
/* CPU time of each step over one event of about 200 bytes; not a test. Usage: bench_codec [ROUNDS]
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "proto/codec.h"
#include "proto/wire.h"

#define EVENT &pathbell__v1__event__descriptor

struct bench {
	Pathbell__V1__Event *event;
	struct arena *arena;
	uint8_t packed[512];
	size_t size;
	uint64_t sum; /* keeps the optimiser from leaving work out */
};

static void bench_pack(struct bench *bench)
{
	uint8_t out[512];
	size_t size;

	if (codec_pack(&bench->event->base, out, sizeof(out), &size) == 0)
		bench->sum += size + out[size - 1];
}

static void bench_head(struct bench *bench)
{
	struct codec_event_head head;

	if (codec_event_head(bench->packed, bench->size, &head) == 0)
		bench->sum += head.kind;
}

static void bench_scan(struct bench *bench)
{
	bench->sum +=
		(uint64_t)scan_check(EVENT, &scan_limits_event, bench->packed, bench->size, NULL);
}

static void bench_unpack_arena(struct bench *bench)
{
	arena_reset(bench->arena);
	bench->sum += (uintptr_t)protobuf_c_message_unpack(EVENT, arena_allocator(bench->arena),
							   bench->size, bench->packed);
}

static void bench_unpack_malloc(struct bench *bench)
{
	ProtobufCMessage *message =
		protobuf_c_message_unpack(EVENT, NULL, bench->size, bench->packed);

	bench->sum += (uintptr_t)message;
	protobuf_c_message_free_unpacked(message, NULL);
}

static void bench_codec_unpack(struct bench *bench)
{
	arena_reset(bench->arena);
	bench->sum += (uintptr_t)codec_unpack(EVENT, &scan_limits_event, bench->arena,
					      bench->packed, bench->size, NULL);
}

static double bench_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void bench_run(struct bench *bench, const char *name, void (*step)(struct bench *),
		      long rounds)
{
	double best = 1e18;

	for (int pass = 0; pass < 5; pass++) {
		double start = bench_now(), used;

		for (long n = 0; n < rounds; n++)
			step(bench);
		used = (bench_now() - start) / (double)rounds;
		best = used < best ? used : best;
	}
	printf("%-40s %7.1f ns\n", name, best);
}

static void bench_fill(struct bench *bench, Pathbell__V1__Event *event)
{
	static uint8_t boot_id[16];
	static Pathbell__V1__Source source = PATHBELL__V1__SOURCE__INIT;
	static Pathbell__V1__Subject subject = PATHBELL__V1__SUBJECT__INIT;
	static Pathbell__V1__BlockError error = PATHBELL__V1__BLOCK_ERROR__INIT;

	event->kind = PATHBELL__V1__EVENT_KIND__EVENT_KIND_STORAGE_BLOCK_ERROR;
	event->severity = PATHBELL__V1__SEVERITY__SEVERITY_ERROR;
	event->time_unix_ns = event->observed_unix_ns = 1763688600123456789;
	event->boottime_ns = event->source_clock_ns = 123456789012;
	event->boot_id.data = boot_id;
	event->boot_id.len = sizeof(boot_id);
	event->source = &source;
	source.collector = (char *)"block";
	source.interface = (char *)"tracefs:block_rq_error";
	source.cpu = 2;
	event->subject = &subject;
	subject.type = PATHBELL__V1__SUBJECT_TYPE__SUBJECT_TYPE_DISK;
	subject.id = (char *)"wwid:naa.5000c500a1b2c3d4";
	subject.name = (char *)"sda";
	subject.major = 8;
	subject.wwid = (char *)"naa.5000c500a1b2c3d4";
	subject.model = (char *)"ST4000NM0035";
	event->payload_case = PATHBELL__V1__EVENT__PAYLOAD_BLOCK_ERROR;
	event->block_error = &error;
	error.error_class = PATHBELL__V1__BLOCK_ERROR_CLASS__BLOCK_ERROR_CLASS_CRITICAL_MEDIUM;
	error.error_number = -61;
	error.error_type = (char *)"ENODATA";
	error.sector = 123456789;
	error.sector_count = 8;
	error.operation = PATHBELL__V1__BLOCK_OPERATION__BLOCK_OPERATION_READ;
	error.rwbs = (char *)"R";
	bench->event = event;
	if (codec_pack(&event->base, bench->packed, sizeof(bench->packed), &bench->size) < 0)
		abort();
}

int main(int argc, char **argv)
{
	Pathbell__V1__Event event = PATHBELL__V1__EVENT__INIT;
	long rounds = argc > 1 ? strtol(argv[1], NULL, 10) : 1000000;
	struct bench bench = { 0 };

	bench_fill(&bench, &event);
	if (arena_new(&bench.arena, 65536) < 0)
		return 1;
	printf("event of %zu bytes, %ld rounds, best of 5\n", bench.size, rounds);
	bench_run(&bench, "codec_pack", bench_pack, rounds);
	bench_run(&bench, "codec_event_head", bench_head, rounds);
	bench_run(&bench, "scan_check", bench_scan, rounds);
	bench_run(&bench, "protobuf-c unpack, arena", bench_unpack_arena, rounds);
	bench_run(&bench, "protobuf-c unpack + free, malloc", bench_unpack_malloc, rounds);
	bench_run(&bench, "codec_unpack (scan + arena)", bench_codec_unpack, rounds);
	arena_free(bench.arena);
	return bench.sum == 0;
}
