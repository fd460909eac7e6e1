/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ns per event of each step from a ring page to publish, and of the replay collector, on one CPU.
 * The pages are made here from the record of a real kernel, so that it runs anywhere.
 */
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collectors/block/decode.h"
#include "collectors/guard.h"
#include "collectors/replay/recording.h"
#include "collectors/replay/replay.h"
#include "collectors/topology/topology.h"
#include "collectors/tracefs/page.h"
#include "core/clock.h"
#include "proto/codec.h"

#define ROUNDS	   20000
#define PER_PAGE   72 /* records of 56 bytes in 4080 */
#define RECORD_LEN 52

static const char format_text[] =
	"name: block_rq_error\nID: 1172\nformat:\n"
	"\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n"
	"\tfield:dev_t dev;\toffset:8;\tsize:4;\tsigned:0;\n"
	"\tfield:sector_t sector;\toffset:16;\tsize:8;\tsigned:0;\n"
	"\tfield:unsigned int nr_sector;\toffset:24;\tsize:4;\tsigned:0;\n"
	"\tfield:int error;\toffset:28;\tsize:4;\tsigned:1;\n"
	"\tfield:unsigned short ioprio;\toffset:32;\tsize:2;\tsigned:0;\n"
	"\tfield:char rwbs[8];\toffset:34;\tsize:8;\tsigned:0;\n";

static const struct page_layout layout = { .commit_offset = 8,
					   .commit_size = 8,
					   .data_offset = 16,
					   .size = 4096,
					   .type_padding = 29,
					   .type_extend = 30,
					   .type_absolute = 31,
					   .type_max = 28 };

static uint8_t page[4096];
static volatile uint64_t sink;

static void make_page(uint32_t dev)
{
	uint64_t commit = (uint64_t)PER_PAGE * (RECORD_LEN + 4);
	uint8_t record[RECORD_LEN] = { 0x94, 0x04 };
	uint32_t head = RECORD_LEN / 4, n_sectors = 8;
	int32_t error = -61;

	memcpy(record + 8, &dev, 4);
	memcpy(record + 24, &n_sectors, 4);
	memcpy(record + 28, &error, 4);
	memcpy(record + 34, "RS", sizeof("RS"));
	memcpy(page + 8, &commit, 8);
	for (size_t i = 0; i < PER_PAGE; i++) {
		memcpy(page + 16 + i * (RECORD_LEN + 4), &head, 4);
		memcpy(page + 20 + i * (RECORD_LEN + 4), record, RECORD_LEN);
	}
}

/* CPU time: what else runs on the machine does not count. */
static uint64_t now_cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * CLOCK_NS_PER_S + (uint64_t)now.tv_nsec;
}

static void report(const char *what, uint64_t start_ns, uint64_t n)
{
	printf("%-44s %7.1f ns\n", what, (double)(now_cpu_ns() - start_ns) / (double)n);
}

static void bench_page(void)
{
	uint64_t start_ns = now_cpu_ns();

	for (int round = 0; round < ROUNDS; round++) {
		struct page_reader reader;
		struct page_record record;

		page_open(&reader, &layout, page, sizeof(page));
		while (page_next(&reader, &record) == 0)
			sink += record.size;
	}
	report("page_next", start_ns, (uint64_t)ROUNDS * PER_PAGE);
}

/* All that block_read does for one event, and the encoding that the pipeline adds. */
static void bench_block(struct topology *topology, const struct topology_disk *disk, bool encode)
{
	static struct format format;
	struct block_decoder decoder;
	uint64_t start_ns, n = 0;
	static uint8_t out[4096];

	format_parse(format_text, strlen(format_text), &format, NULL);
	block_decoder_init(&decoder, &format, NULL);
	start_ns = now_cpu_ns();
	for (int round = 0; round < ROUNDS; round++) {
		struct page_reader reader;
		struct page_record raw;

		page_open(&reader, &layout, page, sizeof(page));
		while (page_next(&reader, &raw) == 0) {
			Pathbell__V1__Event event = PATHBELL__V1__EVENT__INIT;
			Pathbell__V1__Subject subject;
			Pathbell__V1__BlockError error;
			struct block_record record;

			block_decode(&decoder, raw.data, raw.size, &record);
			block_describe(&record, &error);
			topology_fill_subject(topology, disk->major, disk->minor, &subject);
			event.kind = PATHBELL__V1__EVENT_KIND__EVENT_KIND_STORAGE_BLOCK_ERROR;
			event.subject = &subject;
			event.payload_case = PATHBELL__V1__EVENT__PAYLOAD_BLOCK_ERROR;
			event.block_error = &error;
			sink += encode ? pathbell__v1__event__pack(&event, out) : error.sector;
			n++;
		}
	}
	report(encode ? "page -> event -> protobuf-c encoded" : "page -> event ready to publish",
	       start_ns, n);
}

static uint64_t count_only(void *data, const struct collector_ops *ops, Pathbell__V1__Event *event,
			   uint64_t cursor, bool *ret_full)
{
	return ++*(uint64_t *)data;
}

/* What replay does inside: checksum, pre-scan and unpacking. */
static void bench_unpack(const char *file)
{
	struct recording *recording;
	struct arena *arena;
	uint64_t n = 0, start_ns;
	const uint8_t *data;
	size_t size;

	if (recording_open(&recording, file) < 0 || arena_new(&arena, 1 << 20) < 0)
		return;
	start_ns = now_cpu_ns();
	for (; recording_next(recording, &data, &size) == 0; n++)
		sink += size;
	report("recording_next", start_ns, n);
	recording_rewind(recording);
	start_ns = now_cpu_ns();
	for (n = 0; recording_next(recording, &data, &size) == 0; n++)
		sink += (uint64_t)scan_check(&pathbell__v1__event__descriptor, &scan_limits_event,
					     data, size, NULL);
	report("recording_next + scan_check", start_ns, n);
	recording_rewind(recording);
	start_ns = now_cpu_ns();
	for (n = 0; recording_next(recording, &data, &size) == 0; n++) {
		arena_reset(arena);
		sink += codec_unpack(&pathbell__v1__event__descriptor, &scan_limits_event, arena,
				     data, size, NULL) != NULL;
	}
	report("recording_next + codec_unpack", start_ns, n);
	recording_close(recording);
	arena_free(arena);
}

static void bench_replay(struct topology *topology, char *file)
{
	struct replay_config config = { .file = file, .repeat = 50, .restamp = true };
	uint64_t n = 0, start_ns = now_cpu_ns();
	struct guard_options options = { .ops = &replay_collector,
					 .config = &config,
					 .loop = ev_default_loop(0),
					 .topology = topology,
					 .sink = { .data = &n, .publish = count_only } };
	struct guard_status status = { 0 };
	struct guard *guard;

	if (guard_new(&guard, &options) < 0)
		return;
	guard_start(guard);
	while (status.state != GUARD_ENDED && status.state != GUARD_PARKED &&
	       status.state != GUARD_FAILED) {
		ev_run(options.loop, EVRUN_NOWAIT);
		guard_status(guard, &status);
	}
	report("replay: file -> event published by the guard", start_ns, n > 0 ? n : 1);
	guard_free(guard);
}

int main(int argc, char **argv)
{
	struct topology *topology;
	struct topology_disk *disks = NULL, none = { 8, 0 };
	size_t n_disks = 0;

	if (topology_new(&topology, NULL) < 0)
		return 1;
	(void)topology_list_disks(topology, &disks, &n_disks);
	make_page(n_disks > 0 ? disks[0].major << 20 | disks[0].minor : 8 << 20);
	bench_page();
	bench_block(topology, n_disks > 0 ? &disks[0] : &none, false);
	bench_block(topology, n_disks > 0 ? &disks[0] : &none, true);
	if (argc > 1) {
		bench_unpack(argv[1]);
		bench_replay(topology, argv[1]);
	}
	free(disks);
	topology_free(topology);
	return 0;
}
