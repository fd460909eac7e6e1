/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looks at a spool as it lies there, alive or broken. The segments are listed with their epochs and
 * first records and read in that order, the lanes merged by seq, so that records come out as a
 * forwarder would get them. A live writer may append meanwhile: the end of an open segment is then
 * simply where this look came too early.
 */
#include "agent/spool/inspect.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/spool/disk.h"
#include "agent/spool/layout.h"
#include "agent/spool/slot.h"
#include "core/fd.h"

#define INSPECT_MAX_FILES 65536
#define INSPECT_WINDOW	  ((size_t)512 * 1024)

struct inspect_file {
	char name[LAYOUT_NAME_SIZE];
	uint64_t number, size;
	unsigned lane;
	size_t epoch; /* index in inspect.epochs */
	uint64_t first_seq;
};

/* One lane of one epoch, being read file after file. */
struct inspect_lane {
	size_t file; /* index of the next file */
	int fd;
	const struct inspect_file *current;
	uint8_t *buffer;
	uint64_t offset, bad_from;
	size_t pos, fill;
	bool in_bad, have, seal_seen;
	struct layout_record record;
	uint64_t record_offset, last_seq;
};

struct inspect {
	int dirfd;
	const struct inspect_callbacks *callbacks;
	struct inspect_report report;
	struct inspect_file *files;
	size_t n_files, capacity;
	uint8_t (*epochs)[16];
	size_t n_epochs;
	struct slot *slot;
	bool have_slot, stopped;
};

__attribute__((format(printf, 2, 3))) static void inspect_finding(struct inspect *inspect,
								  const char *format, ...)
{
	char text[384];
	va_list args;

	if (inspect->callbacks->finding == NULL)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	inspect->callbacks->finding(inspect->callbacks->data, text);
}

static int inspect_open(struct inspect *inspect, const char *name, uint64_t *ret_size)
{
	int fd = openat(inspect->dirfd, name,
			O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	if (fd < 0) {
		inspect_finding(inspect, "%s: %s", name,
				errno == ELOOP ? "a symbolic link, not followed" : strerror(errno));
		return -errno;
	}
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		inspect_finding(inspect, "%s: not a regular file", name);
		fd_close(fd);
		return -EINVAL;
	}
	*ret_size = (uint64_t)st.st_size;
	return fd;
}

static int inspect_epoch(struct inspect *inspect, const uint8_t id[16], size_t *ret_index)
{
	uint8_t(*epochs)[16];

	for (size_t i = 0; i < inspect->n_epochs; i++) {
		if (memcmp(inspect->epochs[i], id, 16) == 0) {
			*ret_index = i;
			return 0;
		}
	}
	epochs = realloc(inspect->epochs, (inspect->n_epochs + 1) * sizeof(*epochs));
	if (epochs == NULL)
		return -ENOMEM;
	inspect->epochs = epochs;
	memcpy(epochs[inspect->n_epochs], id, 16);
	*ret_index = inspect->n_epochs++;
	return 0;
}

/* A header that is damaged leaves the epoch open; the records of a known one will tell. */
static bool inspect_guess(struct inspect *inspect, int fd, struct inspect_file *file)
{
	uint8_t *bytes = malloc(LAYOUT_RECORD_TOTAL + 8);
	struct layout_record record;
	ssize_t n = bytes == NULL ? -1
				  : disk_read_all(&disk_real, fd, bytes, LAYOUT_RECORD_TOTAL + 8,
						  LAYOUT_HEADER_SIZE);
	bool found = false;

	for (size_t i = 0; n > 0 && !found && i < inspect->n_epochs; i++) {
		if (layout_get_record(bytes, (size_t)n, layout_seed(inspect->epochs[i]), &record) ==
		    LAYOUT_OK) {
			file->epoch = i;
			file->first_seq = record.seq;
			found = true;
		}
	}
	free(bytes);
	return found;
}

static int inspect_add(struct inspect *inspect, const char *name, bool guess)
{
	struct inspect_file file = { 0 };
	uint8_t bytes[LAYOUT_HEADER_SIZE];
	struct layout_header header;
	int fd, r = 0;

	layout_parse_name(name, &file.number, &file.lane);
	snprintf(file.name, sizeof(file.name), "%s", name);
	fd = inspect_open(inspect, name, &file.size);
	if (fd < 0) {
		inspect->report.bad_segments++;
		return 0;
	}
	if (disk_read_all(&disk_real, fd, bytes, sizeof(bytes), 0) == sizeof(bytes) &&
	    layout_get_header(bytes, &header)) {
		file.first_seq = header.first_seq;
		r = inspect_epoch(inspect, header.epoch, &file.epoch);
	} else if (!guess) {
		fd_close(fd);
		return 1;
	} else {
		inspect->report.bad_segments++;
		inspect_finding(inspect, "%s: offset 0: the header is damaged", name);
		if (!inspect_guess(inspect, fd, &file))
			r = 1;
	}
	fd_close(fd);
	if (r != 0)
		return r < 0 ? r : 0;
	if (inspect->n_files == inspect->capacity) {
		size_t capacity = inspect->capacity ? inspect->capacity * 2 : 64;
		struct inspect_file *files = realloc(inspect->files, capacity * sizeof(*files));

		if (files == NULL)
			return -ENOMEM;
		inspect->files = files;
		inspect->capacity = capacity;
	}
	inspect->files[inspect->n_files++] = file;
	inspect->report.segments++;
	inspect->report.bytes += file.size;
	return 0;
}

static int inspect_compare(const void *a, const void *b)
{
	const struct inspect_file *x = a, *y = b;

	if (x->epoch != y->epoch)
		return x->epoch < y->epoch ? -1 : 1;
	if (x->first_seq != y->first_seq)
		return x->first_seq < y->first_seq ? -1 : 1;
	return x->number < y->number ? -1 : x->number > y->number;
}

static int inspect_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool inspect_is_own(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, "lock") == 0 ||
	       strcmp(name, "live") == 0 || strcmp(name, SLOT_FILE) == 0;
}

static int inspect_list(struct inspect *inspect, char ***ret_names, size_t *ret_n)
{
	int fd = openat(inspect->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	uint64_t number;
	unsigned lane;

	if (stream == NULL) {
		r = -errno;
		fd_close(fd);
		return r;
	}
	while (r == 0 && (entry = readdir(stream)) != NULL) {
		char **names;

		if (!layout_parse_name(entry->d_name, &number, &lane)) {
			if (!inspect_is_own(entry->d_name))
				inspect_finding(inspect, "%s: not a file of the spool",
						entry->d_name);
			continue;
		}
		if (*ret_n >= INSPECT_MAX_FILES) {
			r = -EFBIG;
			break;
		}
		names = realloc(*ret_names, (*ret_n + 1) * sizeof(*names));
		if (names != NULL) {
			*ret_names = names;
			names[*ret_n] = strdup(entry->d_name);
		}
		if (names == NULL || names[*ret_n] == NULL)
			r = -ENOMEM;
		else
			++*ret_n;
	}
	closedir(stream);
	if (*ret_n > 1)
		qsort(*ret_names, *ret_n, sizeof(**ret_names), inspect_names);
	return r;
}

/* Twice: files without a header need the epochs of the others. */
static int inspect_collect(struct inspect *inspect)
{
	char **names = NULL;
	size_t n = 0;
	int r = inspect_list(inspect, &names, &n);

	for (size_t i = 0; r == 0 && i < n; i++) {
		r = inspect_add(inspect, names[i], false);
		if (r != 1) {
			free(names[i]);
			names[i] = NULL;
		}
		r = r < 0 ? r : 0;
	}
	for (size_t i = 0; i < n; i++) {
		if (r == 0 && names[i] != NULL)
			r = inspect_add(inspect, names[i], true);
		free(names[i]);
	}
	free(names);
	if (inspect->n_files > 1)
		qsort(inspect->files, inspect->n_files, sizeof(inspect->files[0]), inspect_compare);
	return r < 0 ? r : 0;
}

static int inspect_state(struct inspect *inspect)
{
	uint8_t *bytes = calloc(2, SLOT_SIZE);
	uint64_t size = 0;
	int fd, r = 0;

	inspect->slot = calloc(1, sizeof(*inspect->slot));
	if (bytes == NULL || inspect->slot == NULL) {
		free(bytes);
		return -ENOMEM;
	}
	fd = inspect_open(inspect, SLOT_FILE, &size);
	if (fd >= 0) {
		ssize_t n = disk_read_all(&disk_real, fd, bytes, (size_t)2 * SLOT_SIZE, 0);

		inspect->have_slot =
			n > 0 && slot_choose(bytes, (size_t)2 * SLOT_SIZE, inspect->slot);
		if (!inspect->have_slot)
			inspect_finding(inspect, "%s: no slot is whole", SLOT_FILE);
		for (uint32_t i = 0; r == 0 && inspect->have_slot && i < inspect->slot->n_epochs;
		     i++) {
			size_t index;

			r = inspect_epoch(inspect, inspect->slot->epochs[i].id, &index);
		}
		fd_close(fd);
	}
	free(bytes);
	return r;
}

static int inspect_fill(struct inspect_lane *lane)
{
	ssize_t n;

	memmove(lane->buffer, lane->buffer + lane->pos, lane->fill - lane->pos);
	lane->fill -= lane->pos;
	lane->offset += lane->pos;
	lane->pos = 0;
	n = disk_read_all(&disk_real, lane->fd, lane->buffer + lane->fill,
			  INSPECT_WINDOW - lane->fill, (off_t)(lane->offset + lane->fill));
	if (n > 0)
		lane->fill += (size_t)n;
	return n > 0;
}

static void inspect_end_bad(struct inspect *inspect, struct inspect_lane *lane, uint64_t end,
			    bool torn)
{
	uint64_t size = end - lane->bad_from;

	lane->in_bad = false;
	if (torn) {
		inspect->report.torn_bytes += size;
		inspect_finding(inspect, "%s: offset %llu: %llu bytes behind the last whole record",
				lane->current->name, (unsigned long long)lane->bad_from,
				(unsigned long long)size);
	} else {
		inspect->report.corrupt_records++;
		inspect_finding(inspect, "%s: offset %llu: %llu bytes are damaged",
				lane->current->name, (unsigned long long)lane->bad_from,
				(unsigned long long)size);
	}
}

/* Zeros behind the last record are reserved space, no finding. */
static void inspect_bad_word(struct inspect_lane *lane)
{
	static const uint8_t zero[8];
	size_t n = lane->fill - lane->pos < 8 ? lane->fill - lane->pos : 8;

	if (!lane->in_bad && memcmp(lane->buffer + lane->pos, zero, n) != 0) {
		lane->in_bad = true;
		lane->bad_from = lane->offset + lane->pos;
	}
	lane->pos += n;
}

static bool inspect_accept(struct inspect *inspect, struct inspect_lane *lane,
			   const struct layout_record *record)
{
	uint64_t at = lane->offset + lane->pos;

	if (lane->in_bad)
		inspect_end_bad(inspect, lane, at, false);
	lane->pos += record->total;
	if (record->type == LAYOUT_TYPE_SEAL) {
		lane->seal_seen = true;
		return false;
	}
	/* Written twice after a failed disk: once is enough. */
	if (record->seq <= lane->last_seq)
		return false;
	lane->last_seq = record->seq;
	lane->record = *record;
	lane->record_offset = at;
	return true;
}

/* The next record of the file that is open; false at its end. */
static bool inspect_next_in_file(struct inspect *inspect, struct inspect_lane *lane)
{
	uint32_t seed = layout_seed(inspect->epochs[lane->current->epoch]);

	for (;;) {
		struct layout_record record;
		enum layout_check check = layout_get_record(lane->buffer + lane->pos,
							    lane->fill - lane->pos, seed, &record);

		if (lane->seal_seen)
			break;
		if (check == LAYOUT_OK) {
			if (inspect_accept(inspect, lane, &record))
				return true;
		} else if (check == LAYOUT_SHORT && lane->fill - lane->pos < INSPECT_WINDOW &&
			   inspect_fill(lane)) {
			continue;
		} else if (lane->pos < lane->fill) {
			inspect_bad_word(lane);
		} else {
			break;
		}
	}
	if (lane->in_bad)
		inspect_end_bad(inspect, lane, lane->offset + lane->fill, true);
	return false;
}

static void inspect_next(struct inspect *inspect, struct inspect_lane *lane, unsigned number,
			 size_t epoch)
{
	uint64_t size;

	lane->have = false;
	for (;;) {
		if (lane->fd >= 0 && inspect_next_in_file(inspect, lane)) {
			lane->have = true;
			return;
		}
		lane->fd = fd_close(lane->fd);
		while (lane->file < inspect->n_files &&
		       (inspect->files[lane->file].lane != number ||
			inspect->files[lane->file].epoch != epoch))
			lane->file++;
		if (lane->file == inspect->n_files)
			return;
		lane->current = &inspect->files[lane->file++];
		lane->fd = inspect_open(inspect, lane->current->name, &size);
		lane->offset = LAYOUT_HEADER_SIZE;
		lane->pos = lane->fill = 0;
		lane->seal_seen = lane->in_bad = false;
	}
}

static bool inspect_is_explained(const struct inspect *inspect, size_t epoch, uint64_t first,
				 uint64_t last)
{
	if (!inspect->have_slot || epoch >= inspect->slot->n_epochs)
		return false;
	if (first <= inspect->slot->epochs[epoch].settled)
		first = inspect->slot->epochs[epoch].settled + 1;
	for (uint32_t i = 0; i < inspect->slot->n_covers && first <= last; i++) {
		const struct slot_cover *cover = &inspect->slot->covers[i];

		if (cover->epoch == epoch && cover->first <= first && cover->last >= first)
			first = cover->last + 1;
	}
	return first > last;
}

static void inspect_gap(struct inspect *inspect, size_t epoch, uint64_t first, uint64_t last)
{
	if (first > last || inspect_is_explained(inspect, epoch, first, last))
		return;
	inspect->report.gaps++;
	inspect_finding(inspect, "seq %llu to %llu are missing without a tombstone",
			(unsigned long long)first, (unsigned long long)last);
}

static void inspect_emit(struct inspect *inspect, const struct inspect_lane *lane, size_t epoch)
{
	struct inspect_record record = { .seq = lane->record.seq,
					 .lane = lane->record.lane,
					 .data = lane->record.payload,
					 .size = lane->record.size,
					 .segment = lane->current->name,
					 .offset = lane->record_offset };

	inspect->report.records++;
	memcpy(record.epoch, inspect->epochs[epoch], 16);
	if (inspect->callbacks->record != NULL &&
	    !inspect->callbacks->record(inspect->callbacks->data, &record))
		inspect->stopped = true;
}

static int inspect_read_epoch(struct inspect *inspect, size_t epoch)
{
	struct inspect_lane lanes[SPOOL_N_LANES] = { { .fd = -1 }, { .fd = -1 } };
	uint64_t expected = 1;
	int r = 0;

	if (inspect->have_slot && epoch < inspect->slot->n_epochs)
		expected = inspect->slot->epochs[epoch].settled + 1;
	for (unsigned i = 0; i < SPOOL_N_LANES; i++) {
		lanes[i].buffer = malloc(INSPECT_WINDOW);
		if (lanes[i].buffer == NULL)
			r = -ENOMEM;
		else
			inspect_next(inspect, &lanes[i], i, epoch);
	}
	while (r == 0 && !inspect->stopped && (lanes[0].have || lanes[1].have)) {
		unsigned i = !lanes[0].have ||
			     (lanes[1].have && lanes[1].record.seq < lanes[0].record.seq);

		if (lanes[i].record.seq > expected)
			inspect_gap(inspect, epoch, expected, lanes[i].record.seq - 1);
		if (lanes[i].record.seq >= expected)
			expected = lanes[i].record.seq + 1;
		inspect_emit(inspect, &lanes[i], epoch);
		inspect_next(inspect, &lanes[i], i, epoch);
	}
	if (r == 0 && !inspect->stopped && inspect->have_slot && epoch < inspect->slot->n_epochs)
		inspect_gap(inspect, epoch, expected, inspect->slot->epochs[epoch].tail);
	for (unsigned i = 0; i < SPOOL_N_LANES; i++) {
		fd_close(lanes[i].fd);
		free(lanes[i].buffer);
	}
	return r;
}

int inspect_run(const char *dir, const struct inspect_callbacks *callbacks,
		struct inspect_report *ret_report, struct errmsg *err)
{
	struct inspect inspect = { .callbacks = callbacks };
	int r;

	inspect.dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (inspect.dirfd < 0) {
		r = -errno;
		errmsg_set(err, "%s: %s", dir, strerror(-r));
		return r;
	}
	r = inspect_state(&inspect);
	if (r == 0)
		r = inspect_collect(&inspect);
	for (size_t i = 0; r == 0 && !inspect.stopped && i < inspect.n_epochs; i++)
		r = inspect_read_epoch(&inspect, i);
	if (r < 0)
		errmsg_set(err, "%s: %s", dir, strerror(-r));
	else
		*ret_report = inspect.report;
	fd_close(inspect.dirfd);
	free(inspect.files);
	free(inspect.epochs);
	free(inspect.slot);
	return r;
}
