/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collectors/replay/recording.h"
#include "core/clock.h"
#include "core/log.h"
#include "proto/codec.h"
#include "proto/kind.h"
#include "recording_make.h"

#define USAGE                                                             \
	"usage: pathbell-recording generate [--count N] [--seed S] OUT\n" \
	"       pathbell-recording show FILE\n"                           \
	"Recordings are what the replay collector plays (docs/formats/recording.md).\n"

static int usage_error(void)
{
	fputs(USAGE, stderr);
	return 2;
}

static bool parse_number(const char *text, uint64_t *ret_value)
{
	char *end;

	errno = 0;
	*ret_value = strtoull(text, &end, 10);
	return errno == 0 && end != text && *end == '\0' && text[0] != '-';
}

static int generate(uint64_t count, uint64_t seed, const char *path)
{
	uint8_t event[RECORDING_MAKE_MAX];
	FILE *file = fopen(path, "wbe");
	int r;

	if (file == NULL) {
		fprintf(stderr, "pathbell-recording: %s: %s\n", path, log_errno(errno));
		return 1;
	}
	r = recording_write_head(file);
	for (uint64_t i = 1; i <= count && r == 0; i++)
		r = recording_write(file, event, recording_make(seed, i, event));
	if (fclose(file) != 0 || r < 0) {
		fprintf(stderr, "pathbell-recording: writing %s failed\n", path);
		return 1;
	}
	return 0;
}

static void show_event(uint64_t position, const uint8_t *data, size_t size)
{
	struct codec_event_head head;
	char time[CLOCK_TEXT_SIZE];

	if (codec_event_head(data, size, &head) < 0) {
		printf("%" PRIu64 " not an event, %zu bytes\n", position, size);
		return;
	}
	clock_format(head.time_unix_ns, time);
	printf("%" PRIu64 " %s %s %s %.*s %zu bytes\n", position, time, kind_name(head.kind),
	       severity_name(head.severity), (int)head.subject_id_len,
	       head.subject_id != NULL ? head.subject_id : "", size);
}

static int show(const char *path)
{
	struct recording *recording;
	const uint8_t *data;
	uint64_t position = 0;
	size_t size;
	int r = recording_open(&recording, path);

	if (r < 0) {
		fprintf(stderr, "pathbell-recording: %s: %s\n", path,
			r == -EBADMSG ? "not a recording" : log_errno(r));
		return 1;
	}
	while ((r = recording_next(recording, &data, &size)) == 0 || r == RECORDING_E_BAD) {
		position++;
		if (r == 0)
			show_event(position, data, size);
		else
			printf("%" PRIu64 " bad checksum\n", position);
	}
	recording_close(recording);
	if (r == RECORDING_E_END)
		return 0;
	fprintf(stderr, "pathbell-recording: %s: record %" PRIu64 ": %s\n", path, position + 1,
		r == -EBADMSG ? "broken frame, or cut" : log_errno(r));
	return 1;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "count", required_argument, NULL, 'c' },
						 { "seed", required_argument, NULL, 's' },
						 { "help", no_argument, NULL, 'h' },
						 { NULL, 0, NULL, 0 } };
	uint64_t count = 1000, seed = 1;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'h') {
			fputs(USAGE, stdout);
			return 0;
		}
		if ((option != 'c' || !parse_number(optarg, &count)) &&
		    (option != 's' || !parse_number(optarg, &seed)))
			return usage_error();
	}
	if (argc - optind != 2)
		return usage_error();
	if (strcmp(argv[optind], "generate") == 0)
		return generate(count, seed, argv[optind + 1]);
	if (strcmp(argv[optind], "show") == 0)
		return show(argv[optind + 1]);
	return usage_error();
}
