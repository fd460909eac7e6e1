/* SPDX-License-Identifier: Apache-2.0 */
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
#include "agent/spool/recover.h"
#include "agent/spool/recover_scan.h"
#include "core/clock.h"
#include "core/fd.h"
#include "core/log.h"

#define RECOVER_MAX_FINDINGS 32
#define RECOVER_SANE_NS	     (UINT64_C(1577836800) * CLOCK_NS_PER_S) /* 2020 */

void recover_finding(struct recover *recover, const char *format, ...)
{
	char text[384];
	va_list args;

	if (recover->n_findings++ >= RECOVER_MAX_FINDINGS)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	log_warning("spool-recovery finding=\"%s\"", text);
}

int recover_open_file(const struct recover *recover, unsigned dir, uint64_t number, unsigned lane,
		      int flags)
{
	char name[LAYOUT_NAME_SIZE];
	struct stat st;
	int fd;

	layout_name(name, number, lane);
	fd = openat(recover->spool->dirfds[dir], name,
		    flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		fd_close(fd);
		return -EINVAL;
	}
	return fd;
}

static const char *recover_dir_name(const struct recover *recover, unsigned dir)
{
	return dir == SPOOL_DIR_MAIN ? recover->spool->options.dir
				     : recover->spool->options.fallback_dir;
}

static int recover_add_file(struct recover *recover, unsigned dir, uint64_t number, unsigned lane)
{
	uint8_t bytes[LAYOUT_HEADER_SIZE];
	struct recover_file *file;
	struct stat st;
	int fd = recover_open_file(recover, dir, number, lane, O_RDONLY);

	if (fd < 0 || fstat(fd, &st) < 0) {
		recover_finding(recover, "%s: segment %016llx is no readable regular file, ignored",
				recover_dir_name(recover, dir), (unsigned long long)number);
		fd_close(fd);
		return 0;
	}
	if (recover->n_files == recover->capacity) {
		size_t capacity = recover->capacity ? recover->capacity * 2 : 64;
		struct recover_file *files = realloc(recover->files, capacity * sizeof(*files));

		if (files == NULL) {
			fd_close(fd);
			return -ENOMEM;
		}
		recover->files = files;
		recover->capacity = capacity;
	}
	file = &recover->files[recover->n_files++];
	memset(file, 0, sizeof(*file));
	file->number = number;
	file->lane = lane;
	file->dir = dir;
	file->size = (uint64_t)st.st_size;
	file->header_ok = disk_read_all(&disk_real, fd, bytes, sizeof(bytes), 0) == sizeof(bytes) &&
			  layout_get_header(bytes, &file->header) &&
			  file->header.number == number && file->header.lane == lane;
	fd_close(fd);
	return 0;
}

static bool recover_is_own(const char *name)
{
	size_t len = strlen(name);

	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, "lock") == 0 ||
	       strcmp(name, SLOT_FILE) == 0 || strcmp(name, "live") == 0 ||
	       (len > 4 && strcmp(name + len - 4, ".bad") == 0);
}

static int recover_list_dir(struct recover *recover, unsigned dir)
{
	int fd = openat(recover->spool->dirfds[dir], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
	    r = 0;
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (stream == NULL) {
		r = -errno;
		fd_close(fd);
		return r;
	}
	while (r == 0 && (entry = readdir(stream)) != NULL) {
		uint64_t number;
		unsigned lane;

		if (layout_parse_name(entry->d_name, &number, &lane)) {
			if (recover->n_files >= RECOVER_MAX_FILES || number >= UINT64_MAX / 2)
				recover_finding(recover, "%s/%s: too many or too far, ignored",
						recover_dir_name(recover, dir), entry->d_name);
			else
				r = recover_add_file(recover, dir, number, lane);
		} else if (!recover_is_own(entry->d_name)) {
			recover_finding(recover, "%s/%s: not a file of the spool, ignored",
					recover_dir_name(recover, dir), entry->d_name);
		}
	}
	closedir(stream);
	return r;
}

static int recover_compare(const void *a, const void *b)
{
	const struct recover_file *x = a, *y = b;

	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	return (int)x->dir - (int)y->dir;
}

int recover_list(struct recover *recover)
{
	int r = 0;

	recover->n_files = 0;
	for (unsigned dir = 0; r == 0 && dir < WRITER_N_DIRS; dir++)
		if (recover->spool->dirfds[dir] >= 0)
			r = recover_list_dir(recover, dir);
	if (r == 0 && recover->n_files > 1)
		qsort(recover->files, recover->n_files, sizeof(recover->files[0]), recover_compare);
	return r;
}

int recover_extend(struct epoch *epoch, uint64_t seq)
{
	uint64_t end = epoch->map.base + epoch->map.n_pages * 4096;
	int r = seqmap_extend(&epoch->map, seq);

	if (epoch->map.n_pages == 0 || r < 0)
		return r;
	if (end < epoch->map.base || end == 0)
		end = epoch->map.base;
	return seqmap_set(&epoch->map, SEQMAP_GONE, end > epoch->map.base ? end : epoch->map.base,
			  UINT64_MAX, true);
}

/* first..last were found in @segment. A seq that two files hold is taken once. */
static int recover_found(struct segment *segment, uint64_t first, uint64_t last)
{
	struct epoch *epoch = segment->epoch;
	int r = recover_extend(epoch, last);

	if (r == 0)
		r = seqmap_set(&epoch->map, SEQMAP_GONE, first, last, false);
	if (r == 0)
		r = seqmap_set(&epoch->map, SEQMAP_LANE, first, last, segment->lane != 0);
	if (last > epoch->tail)
		epoch->tail = last;
	return r;
}

struct recover_scan {
	struct recover *recover;
	struct segment *segment;
	uint64_t cut_seq, cut_offset; /* when cutting */
	int error;
};

static bool recover_on_record(void *data, const struct layout_record *record, uint64_t offset)
{
	struct recover_scan *scan = data;
	struct segment *segment = scan->segment;
	struct epoch *epoch = segment->epoch;

	if (record->type != LAYOUT_TYPE_RECORD || record->lane != segment->lane ||
	    record->seq <= segment->last_seq)
		return true;
	scan->error = record->seq < epoch->map.base
			      ? 0
			      : recover_found(segment, record->seq, record->seq);
	if (scan->error == -ERANGE) {
		scan->error = 0;
		return true;
	}
	segment->size = offset;
	if (scan->error == 0)
		scan->error = segment_add(segment, record, record->total);
	return scan->error == 0;
}

static int recover_take_seal(struct segment *segment, struct layout_seal *seal)
{
	uint64_t seq = seal->first_seq, run, gap;
	int r = 0;

	segment->first_seq = seal->first_seq;
	segment->last_seq = seal->last_seq;
	segment->size = seal->end;
	segment->n_records = seal->n_records;
	segment->oldest_ns = seal->oldest_ns;
	segment->newest_ns = seal->newest_ns;
	segment->max_durable = seal->durable;
	memcpy(segment->cursors, seal->cursors, sizeof(segment->cursors));
	while (r == 0 && layout_next_run(seal, &run, &gap)) {
		r = recover_found(segment, seq, seq + run - 1);
		seq += run + gap;
	}
	return r;
}

/* The age it had when this start found it; a stamp from before any clock was right, or of the
 * future, counts as new. */
static void recover_age(struct segment *segment)
{
	uint64_t now = clock_realtime_ns();

	segment->known_boot_ns = clock_boottime_ns();
	if (segment->newest_ns > RECOVER_SANE_NS && segment->newest_ns < now)
		segment->known_age_ns = now - segment->newest_ns;
}

static void recover_quarantine(struct recover *recover, const struct recover_file *file, bool empty)
{
	char name[LAYOUT_NAME_SIZE], bad[LAYOUT_NAME_SIZE + 4];
	int dirfd = recover->spool->dirfds[file->dir];

	layout_name(name, file->number, file->lane);
	snprintf(bad, sizeof(bad), "%s.bad", name);
	recover_finding(recover, "%s/%s: no record in it, %s", recover_dir_name(recover, file->dir),
			name, empty ? "removed" : "set aside as .bad");
	if (empty)
		(void)unlinkat(dirfd, name, 0);
	else
		(void)renameat(dirfd, name, dirfd, bad);
}

/* Of the epochs that are known, the one whose seed the records of a file without a header pass. */
static struct epoch *recover_guess_epoch(struct recover *recover, int fd,
					 const struct recover_file *file)
{
	struct spool *spool = recover->spool;

	for (size_t i = spool->n_epochs; i-- > 0;) {
		struct epoch *epoch = spool->epochs[i], probe = { .seed = epoch->seed };
		struct segment segment = { .epoch = &probe, .lane = (uint8_t)file->lane };
		struct recover_scan scan = { .recover = recover, .segment = &segment };
		struct scan_callbacks callbacks = { .data = &scan, .record = recover_on_record };
		struct scan_result result = { 0 };

		probe.map.base = UINT64_MAX;
		(void)scan_file(fd, LAYOUT_HEADER_SIZE, file->size, epoch->seed, &callbacks,
				&result);
		free(segment.marks);
		buf_deinit(&segment.runs);
		if (segment.last_seq != 0)
			return epoch;
	}
	return NULL;
}

static struct epoch *recover_file_epoch(struct recover *recover, int fd,
					const struct recover_file *file)
{
	struct spool *spool = recover->spool;

	if (!file->header_ok) {
		recover_finding(recover, "%s: segment %016llx has a damaged header",
				recover_dir_name(recover, file->dir),
				(unsigned long long)file->number);
		return recover_guess_epoch(recover, fd, file);
	}
	for (size_t i = 0; i < spool->n_epochs; i++)
		if (memcmp(spool->epochs[i]->id, file->header.epoch, 16) == 0)
			return spool->epochs[i];
	return NULL;
}

/*
 * A seal above what is known to be durable may have reached the disk before the records in front of
 * it: then they are looked at.
 */
static bool recover_believes(struct epoch *epoch, const struct layout_seal *seal)
{
	if (seal->durable > epoch->durable && seal->durable < seal->last_seq)
		epoch->durable = seal->durable;
	return seal->last_seq <= epoch->durable && seal->first_seq >= epoch->map.base &&
	       seal->last_seq - seal->first_seq < UINT32_MAX / 2;
}

static int recover_load_records(struct recover *recover, struct segment *segment, int fd,
				const struct recover_file *file)
{
	struct recover_scan scan = { .recover = recover, .segment = segment };
	struct scan_callbacks callbacks = { .data = &scan, .record = recover_on_record };
	struct scan_result result = { 0 };
	struct layout_seal seal;
	uint8_t *buffer = NULL;
	int r;

	r = scan_seal(fd, file->size, segment->epoch->seed, &seal, &buffer);
	if (r == 0 && recover_believes(segment->epoch, &seal)) {
		r = recover_take_seal(segment, &seal);
		free(buffer);
		return r == -ERANGE ? 0 : r;
	}
	free(buffer);
	r = scan_file(fd, LAYOUT_HEADER_SIZE, file->size, segment->epoch->seed, &callbacks,
		      &result);
	if (r < 0 && r != -ENOMEM) {
		recover_finding(recover, "%s: segment %016llx cannot be read to its end: %s",
				recover_dir_name(recover, file->dir),
				(unsigned long long)file->number, log_errno(r));
		r = 0;
	}
	/* What is behind the last good record was never durable, or is lost; gone for good either
	 * way. */
	if (r == 0 && segment->last_seq != 0 && segment->size < file->size)
		(void)!ftruncate(fd, (off_t)segment->size);
	return r < 0 ? r : scan.error;
}

int recover_load(struct recover *recover, const struct recover_file *file)
{
	struct spool *spool = recover->spool;
	struct segment *segment;
	struct epoch *epoch;
	int fd = recover_open_file(recover, file->dir, file->number, file->lane, O_RDWR), r;

	if (fd < 0)
		fd = recover_open_file(recover, file->dir, file->number, file->lane, O_RDONLY);
	if (fd < 0)
		return 0;
	epoch = recover_file_epoch(recover, fd, file);
	segment = epoch == NULL ? NULL : segment_new(epoch, file->number, file->lane, file->dir);
	if (segment == NULL) {
		fd_close(fd);
		if (epoch == NULL)
			recover_quarantine(recover, file, file->size <= LAYOUT_HEADER_SIZE);
		return epoch == NULL ? 0 : -ENOMEM;
	}
	r = recover_load_records(recover, segment, fd, file);
	fd_close(fd);
	if (r < 0 || segment->last_seq == 0) {
		segment_free(segment);
		if (r == 0)
			recover_quarantine(recover, file, file->header_ok);
		return r;
	}
	segment->state = SEGMENT_CLOSED;
	segment->durable_last = segment->last_seq;
	segment->durable_size = segment->size;
	segment->file_size = segment->size;
	recover_age(segment);
	segment_insert(segment);
	spool->bytes_used += segment->file_size;
	spool->n_segments++;
	if (segment->max_durable > epoch->durable)
		epoch->durable = segment->max_durable;
	for (unsigned i = 0; i <= SPOOL_MAX_SOURCES; i++)
		if (segment->cursors[i] > spool->durable_cursors[i])
			spool->durable_cursors[i] = segment->cursors[i];
	return 0;
}

static bool recover_on_cut(void *data, const struct layout_record *record, uint64_t offset)
{
	struct recover_scan *scan = data;

	if (record->type == LAYOUT_TYPE_RECORD && record->seq < scan->cut_seq)
		return true;
	scan->cut_offset = offset;
	return false;
}

int recover_cut(struct recover *recover, struct segment *segment, uint64_t seq)
{
	struct recover_scan scan = { .recover = recover, .segment = segment, .cut_seq = seq };
	struct scan_callbacks callbacks = { .data = &scan, .record = recover_on_cut };
	struct scan_result result = { 0 };
	struct stat st;
	int fd = recover_open_file(recover, segment->dir, segment->number, segment->lane, O_RDWR),
	    r;

	if (fd < 0)
		return fd;
	r = fstat(fd, &st) < 0 ? -errno
			       : scan_file(fd, LAYOUT_HEADER_SIZE, (uint64_t)st.st_size,
					   segment->epoch->seed, &callbacks, &result);
	if (r == 0 && result.stopped &&
	    (ftruncate(fd, (off_t)scan.cut_offset) < 0 || fdatasync(fd) < 0))
		r = -errno;
	fd_close(fd);
	return r;
}
