/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/spool/recover_scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/spool/disk.h"

#define SCAN_BUFFER ((size_t)1024 * 1024)

struct scan {
	int fd;
	uint32_t seed;
	uint64_t offset, size; /* of the file: buffer[0], end */
	uint8_t *buffer;
	size_t pos, fill;
	uint64_t bad_from;
	bool in_bad;
	const struct scan_callbacks *callbacks;
	struct scan_result result;
};

/* Moves what is left to the front and reads on. *ret_end: nothing more to read. */
static int scan_fill(struct scan *scan, bool *ret_end)
{
	uint64_t from = scan->offset + scan->fill;
	uint64_t want = scan->size > from ? scan->size - from : 0;
	ssize_t n;

	memmove(scan->buffer, scan->buffer + scan->pos, scan->fill - scan->pos);
	scan->fill -= scan->pos;
	scan->offset += scan->pos;
	scan->pos = 0;
	if (want > SCAN_BUFFER - scan->fill)
		want = SCAN_BUFFER - scan->fill;
	*ret_end = want == 0;
	if (want == 0)
		return 0;
	n = disk_read_all(&disk_real, scan->fd, scan->buffer + scan->fill, (size_t)want,
			  (off_t)from);
	if (n < 0)
		return (int)n;
	scan->fill += (size_t)n;
	*ret_end = n == 0;
	return 0;
}

static void scan_skip(struct scan *scan)
{
	size_t pos = scan->pos;
	uint64_t word;

	if (!scan->in_bad) {
		scan->in_bad = true;
		scan->bad_from = scan->offset + pos;
	}
	/* Space that was reserved and never written is zero: quickly over it. */
	for (; pos + 8 <= scan->fill; pos += 8) {
		memcpy(&word, scan->buffer + pos, 8);
		if (word != 0)
			break;
	}
	if (pos + 8 <= scan->fill) {
		scan->result.torn = scan->offset + pos + 8;
		if (pos == scan->pos)
			pos += 8;
	} else if (pos == scan->pos) {
		pos = scan->fill;
	}
	scan->pos = pos;
}

static void scan_take(struct scan *scan, const struct layout_record *record)
{
	uint64_t at = scan->offset + scan->pos;

	if (scan->in_bad) {
		scan->in_bad = false;
		scan->result.n_bad++;
		if (scan->callbacks->bad != NULL)
			scan->callbacks->bad(scan->callbacks->data, scan->bad_from,
					     at - scan->bad_from);
	}
	if (!scan->callbacks->record(scan->callbacks->data, record, at)) {
		scan->result.stopped = true;
		return;
	}
	scan->pos += record->total;
	scan->result.end = at + record->total;
}

static int scan_run(struct scan *scan)
{
	bool end = false;
	int r = scan_fill(scan, &end);

	while (r == 0 && !scan->result.stopped) {
		struct layout_record record;
		enum layout_check check = layout_get_record(
			scan->buffer + scan->pos, scan->fill - scan->pos, scan->seed, &record);

		if (check == LAYOUT_OK) {
			scan_take(scan, &record);
		} else if (check == LAYOUT_SHORT && !end && scan->fill - scan->pos < SCAN_BUFFER) {
			r = scan_fill(scan, &end);
		} else if (scan->pos < scan->fill) {
			scan_skip(scan);
		} else {
			break;
		}
	}
	return r;
}

int scan_file(int fd, uint64_t offset, uint64_t size, uint32_t seed,
	      const struct scan_callbacks *callbacks, struct scan_result *ret_result)
{
	struct scan scan = {
		.fd = fd, .seed = seed, .offset = offset, .size = size, .callbacks = callbacks
	};
	int r;

	scan.result.end = offset;
	scan.buffer = malloc(SCAN_BUFFER);
	if (scan.buffer == NULL)
		return -ENOMEM;
	r = scan_run(&scan);
	free(scan.buffer);
	scan.result.torn =
		scan.result.torn > scan.result.end ? scan.result.torn - scan.result.end : 0;
	if (r == 0)
		*ret_result = scan.result;
	return r;
}

bool scan_seal_is_sane(const struct layout_seal *seal)
{
	struct layout_seal walk = *seal;
	uint64_t seq = seal->first_seq, n = 0, run, gap;

	while (layout_next_run(&walk, &run, &gap)) {
		if (run > seal->last_seq - seq + 1)
			return false;
		n += run;
		seq += run;
		if (seq == seal->last_seq + 1)
			return gap == 0 && walk.runs_size == 0 && n == seal->n_records;
		if (gap == 0 || gap > seal->last_seq - seq)
			return false;
		seq += gap;
	}
	return false;
}

int scan_seal(int fd, uint64_t size, uint32_t seed, struct layout_seal *ret_seal,
	      uint8_t **ret_buffer)
{
	uint8_t trailer[LAYOUT_TRAILER_SIZE], *buffer;
	struct layout_record record;
	uint64_t offset;
	ssize_t n;

	if (size < LAYOUT_HEADER_SIZE + LAYOUT_RECORD_HEADER + LAYOUT_TRAILER_SIZE)
		return SCAN_E_NO_SEAL;
	n = disk_read_all(&disk_real, fd, trailer, sizeof(trailer),
			  (off_t)(size - sizeof(trailer)));
	if (n != sizeof(trailer) || !layout_get_trailer(trailer, &offset))
		return n < 0 ? (int)n : SCAN_E_NO_SEAL;
	if (offset < LAYOUT_HEADER_SIZE || offset >= size ||
	    size - offset > LAYOUT_RECORD_HEADER + LAYOUT_SEAL_MAX + 64)
		return SCAN_E_NO_SEAL;
	buffer = malloc((size_t)(size - offset));
	if (buffer == NULL)
		return -ENOMEM;
	n = disk_read_all(&disk_real, fd, buffer, (size_t)(size - offset), (off_t)offset);
	if (n > 0 && layout_get_record(buffer, (size_t)n, seed, &record) == LAYOUT_OK &&
	    layout_get_seal(&record, ret_seal) && ret_seal->end == offset &&
	    scan_seal_is_sane(ret_seal)) {
		*ret_buffer = buffer;
		return 0;
	}
	free(buffer);
	return n < 0 ? (int)n : SCAN_E_NO_SEAL;
}
