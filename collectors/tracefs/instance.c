/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/tracefs/instance.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "collectors/tracefs/page.h"
#include "core/clock.h"
#include "core/fd.h"
#include "core/file.h"

/*
 * Happy path
 *   1. mkdir instances/pathbell-COLLECTOR-PID-N: the kernel makes a set of ring buffers and
 * switches.
 *   2. Small buffers before anything is enabled (else the default of 1.4 MB for each CPU is
 * allocated), clock `boot`, buffer_percent 0, no recording of task names (it hooks every context
 * switch).
 *   3. Open trace_pipe of all CPUs: the doorbell. It is polled and never read. Its poll wakes for a
 * single record on every kernel from 5.10 on, while the files of one CPU wait for half a buffer
 * (6.1+).
 *   4. Open per_cpu/cpuN/trace_pipe_raw of every possible CPU, non-blocking.
 *   5. The caller enables events. On a ring it calls instance_next until INSTANCE_E_EMPTY: pages
 * are read CPU by CPU, each until EAGAIN. A page that was read is gone from the kernel: it stays
 * here, with the position in it, until all its records are handed out.
 *   6. Close: events off, all files closed (rmdir gives EBUSY before), rmdir.
 *
 * Failure modes
 *   - Ring overrun: the next page of that CPU says "missed", with a count where it had room for
 * one. The exact total is in per_cpu/cpuN/stats, so each such mark makes us read it and report what
 * is new since the last report: exact, never twice, also when the mark carries no count or the ring
 * runs over again meanwhile.
 *   - A page that cannot be decoded is reported as a loss of unknown size; the next page is tried.
 *   - Left-over folders of an agent that was killed are removed at open. rmdir refuses the folder
 * of a living one, because its doorbell is open; the window between its mkdir and its open is
 * covered by looking whether its process lives.
 *   - tracefs not mounted, locked down, or not permitted: INSTANCE_E_ABSENT and a sentence for the
 * person.
 */
#define INSTANCE_PREFIX	       "pathbell-"
#define INSTANCE_MAX_CPUS      8192 /* CONFIG_NR_CPUS limit of x86, arch/x86/Kconfig 6.12 */
#define INSTANCE_MAX_TEXT      65536
#define INSTANCE_MIN_BUFFER_KB 8

struct instance_cpu {
	int number;
	int raw_fd;
	uint64_t lost; /* reported so far */
};

struct instance {
	int dir_fd;	  /* of the instance's folder */
	int instances_fd; /* of the folder above, for rmdir */
	char name[128];	  /* empty: no folder was made */
	int doorbell_fd;
	struct page_layout layout;
	struct instance_cpu *cpus;
	size_t n_cpus;
	size_t current; /* CPU that is being drained */
	struct page_reader page;
	bool page_open;	 /* records of `page` are left */
	uint8_t *buffer; /* layout.size bytes: the page */
	clockid_t clock;
	bool clock_known;
	int64_t clock_offset_ns; /* CLOCK_REALTIME - clock, of the moment the page was read */
	char events[INSTANCE_MAX_EVENTS][160]; /* paths of their enable files */
	size_t n_events;
};

static int instance_write(const struct instance *instance, const char *path, const char *text)
{
	_cleanup_fd_ int fd = openat(instance->dir_fd, path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return fd_write_all(fd, text, strlen(text));
}

/* The whole file of an instance or of tracefs, on the heap. */
static int instance_read_file(int dir_fd, const char *path, char **ret_text, size_t *ret_len)
{
	_cleanup_fd_ int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);
	_cleanup_free_ char *text = NULL;
	ssize_t n;

	if (fd < 0)
		return -errno;
	text = malloc(INSTANCE_MAX_TEXT + 1);
	if (text == NULL)
		return -ENOMEM;
	n = fd_read_all(fd, text, INSTANCE_MAX_TEXT);
	if (n < 0)
		return (int)n;
	text[n] = '\0';
	*ret_text = text;
	*ret_len = (size_t)n;
	text = NULL;
	return 0;
}

static int instance_refused(struct errmsg *err, int error, const char *what)
{
	if (error == -EPERM || error == -EACCES) {
		errmsg_set(
			err,
			"%s is not permitted: needs read and write access to tracefs, and kernel "
			"lockdown below confidentiality",
			what);
		return INSTANCE_E_ABSENT;
	}
	errmsg_set(err, "%s failed: %s", what, strerrordesc_np(-error));
	return error;
}

static int instance_find_tracefs(const char *path, struct errmsg *err)
{
	struct statfs fs;

	if (statfs(path, &fs) < 0) {
		if (errno != ENOENT && errno != ENOTDIR)
			return instance_refused(err, -errno, "looking at tracefs");
		errmsg_set(err, "%s does not exist: this kernel has no tracefs (CONFIG_TRACING)",
			   path);
		return INSTANCE_E_ABSENT;
	}
	if ((unsigned long)fs.f_type != TRACEFS_MAGIC) {
		errmsg_set(err, "tracefs is not mounted: mount -t tracefs tracefs %s", path);
		return INSTANCE_E_ABSENT;
	}
	return 0;
}

/* A living process of the same program may be between mkdir and open. */
static bool instance_is_alive(long pid)
{
	char path[64], theirs[32] = "", ours[32] = "";

	if (pid == getpid() || (kill((pid_t)pid, 0) < 0 && errno == ESRCH))
		return false;
	snprintf(path, sizeof(path), "/proc/%ld/comm", pid);
	if (file_read_line(AT_FDCWD, path, theirs, sizeof(theirs)) < 0 ||
	    file_read_line(AT_FDCWD, "/proc/self/comm", ours, sizeof(ours)) < 0)
		return true;
	return strcmp(theirs, ours) == 0;
}

static void instance_remove_leftovers(int instances_fd, const char *collector)
{
	char prefix[96];
	int fd = openat(instances_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	size_t len;

	if (dir == NULL) {
		fd_close(fd);
		return;
	}
	len = (size_t)snprintf(prefix, sizeof(prefix), INSTANCE_PREFIX "%s-", collector);
	while ((entry = readdir(dir)) != NULL) {
		char *end;
		long pid;

		if (strncmp(entry->d_name, prefix, len) != 0)
			continue;
		pid = strtol(entry->d_name + len, &end, 10);
		if (end == entry->d_name + len || pid <= 0 || (*end != '-' && *end != '\0'))
			continue;
		/* EBUSY: somebody reads it, so it is alive (perhaps in another PID namespace). */
		if (!instance_is_alive(pid))
			unlinkat(instances_fd, entry->d_name, AT_REMOVEDIR);
	}
	closedir(dir);
}

static int instance_make_folder(struct instance *instance, const struct instance_options *options,
				struct errmsg *err)
{
	static atomic_uint count;
	_cleanup_fd_ int root = open(options->tracefs_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (root < 0)
		return instance_refused(err, -errno, "opening tracefs");
	instance->instances_fd = openat(root, "instances", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (instance->instances_fd < 0)
		return instance_refused(err, -errno, "opening tracefs instances");
	instance_remove_leftovers(instance->instances_fd, options->collector);
	snprintf(instance->name, sizeof(instance->name), INSTANCE_PREFIX "%s-%ld-%u",
		 options->collector, (long)getpid(), atomic_fetch_add(&count, 1) + 1);
	if (mkdirat(instance->instances_fd, instance->name, 0700) < 0) {
		int error = -errno;

		instance->name[0] = '\0';
		return instance_refused(err, error, "making a tracefs instance");
	}
	instance->dir_fd =
		openat(instance->instances_fd, instance->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (instance->dir_fd < 0)
		return instance_refused(err, -errno, "opening the tracefs instance");
	return 0;
}

/* The trace clock decides whether a record's time can be told in CLOCK_REALTIME. */
static void instance_set_clock(struct instance *instance)
{
	instance->clock_known = true;
	instance->clock = CLOCK_BOOTTIME;
	if (instance_write(instance, "trace_clock", "boot") == 0)
		return;
	instance->clock = CLOCK_MONOTONIC;
	if (instance_write(instance, "trace_clock", "mono") == 0)
		return;
	instance->clock_known = false;
}

static int instance_set_up(struct instance *instance, uint64_t buffer_size, struct errmsg *err)
{
	uint64_t kb = buffer_size / 1024;
	char text[32];
	int r;

	snprintf(text, sizeof(text), "%llu",
		 (unsigned long long)(kb < INSTANCE_MIN_BUFFER_KB ? INSTANCE_MIN_BUFFER_KB : kb));
	r = instance_write(instance, "buffer_size_kb", text);
	if (r < 0)
		return instance_refused(err, r, "sizing the trace buffer");
	instance_set_clock(instance);
	/* Both are absent or refused on some kernels, and we do not depend on them. */
	(void)instance_write(instance, "buffer_percent", "0");
	(void)instance_write(instance, "trace_options", "norecord-cmd");
	instance->doorbell_fd =
		openat(instance->dir_fd, "trace_pipe", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (instance->doorbell_fd < 0)
		return instance_refused(err, -errno, "opening trace_pipe");
	return 0;
}

/* From the instance where it has its own (6.8+: the size of a sub-buffer is the instance's). */
static int instance_read_layout(struct instance *instance, struct errmsg *err)
{
	_cleanup_free_ char *page = NULL, *entry = NULL;
	size_t page_len = 0, entry_len = 0;
	int r = instance_read_file(instance->dir_fd, "events/header_page", &page, &page_len);

	if (r < 0)
		r = instance_read_file(instance->instances_fd, "../events/header_page", &page,
				       &page_len);
	if (r == 0)
		r = instance_read_file(instance->instances_fd, "../events/header_event", &entry,
				       &entry_len);
	if (r < 0)
		return instance_refused(err, r, "reading events/header_page");
	r = page_layout_parse(page, page_len, entry, entry_len, &instance->layout, err);
	if (r < 0)
		return r;
	instance->buffer = malloc(instance->layout.size);
	return instance->buffer == NULL ? -ENOMEM : 0;
}

static int instance_add_cpu(struct instance *instance, int number)
{
	struct instance_cpu *cpus =
		reallocarray(instance->cpus, instance->n_cpus + 1, sizeof(*cpus));
	char path[64];
	int fd;

	if (cpus == NULL)
		return -ENOMEM;
	instance->cpus = cpus;
	snprintf(path, sizeof(path), "per_cpu/cpu%d/trace_pipe_raw", number);
	fd = openat(instance->dir_fd, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	cpus[instance->n_cpus++] = (struct instance_cpu){ .number = number, .raw_fd = fd };
	return 0;
}

static int instance_open_cpus(struct instance *instance, struct errmsg *err)
{
	int fd = openat(instance->dir_fd, "per_cpu", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	if (dir == NULL) {
		r = -errno;
		fd_close(fd);
		return instance_refused(err, r, "listing the CPUs of the trace instance");
	}
	while (r == 0 && (entry = readdir(dir)) != NULL) {
		int number = 0, end = 0;

		if (sscanf(entry->d_name, "cpu%d%n", &number, &end) != 1 ||
		    entry->d_name[end] != '\0' || instance->n_cpus == INSTANCE_MAX_CPUS)
			continue;
		r = instance_add_cpu(instance, number);
	}
	closedir(dir);
	if (r < 0)
		return instance_refused(err, r, "opening trace_pipe_raw");
	if (instance->n_cpus == 0) {
		errmsg_set(err, "the trace instance has no CPU");
		return -ENODEV;
	}
	return 0;
}

int instance_open(struct instance **ret_instance, const struct instance_options *options,
		  struct errmsg *err)
{
	struct instance *instance;
	int r = instance_find_tracefs(options->tracefs_path, err);

	if (r != 0)
		return r;
	instance = calloc(1, sizeof(*instance));
	if (instance == NULL)
		return -ENOMEM;
	instance->dir_fd = instance->instances_fd = instance->doorbell_fd = -1;
	r = instance_make_folder(instance, options, err);
	if (r == 0)
		r = instance_set_up(instance, options->buffer_size, err);
	if (r == 0)
		r = instance_read_layout(instance, err);
	if (r == 0)
		r = instance_open_cpus(instance, err);
	if (r != 0) {
		instance_close(instance);
		return r;
	}
	*ret_instance = instance;
	return 0;
}

struct instance *instance_close(struct instance *instance)
{
	if (instance == NULL)
		return NULL;
	for (size_t i = 0; i < instance->n_events; i++)
		(void)instance_write(instance, instance->events[i], "0");
	for (size_t i = 0; i < instance->n_cpus; i++)
		fd_close(instance->cpus[i].raw_fd);
	fd_close(instance->doorbell_fd);
	fd_close(instance->dir_fd);
	if (instance->name[0] != '\0')
		unlinkat(instance->instances_fd, instance->name, AT_REMOVEDIR);
	fd_close(instance->instances_fd);
	free(instance->cpus);
	free(instance->buffer);
	free(instance);
	return NULL;
}

static int instance_read_format(const struct instance *instance, const char *system,
				const char *event, struct format *ret_format, struct errmsg *err)
{
	_cleanup_free_ char *text = NULL;
	char path[160];
	size_t len = 0;
	int r;

	snprintf(path, sizeof(path), "events/%s/%s/format", system, event);
	r = instance_read_file(instance->dir_fd, path, &text, &len);
	if (r == -ENOENT) {
		errmsg_set(err, "this kernel has no trace event %s:%s", system, event);
		return INSTANCE_E_ABSENT;
	}
	if (r < 0)
		return instance_refused(err, r, "reading the format of the trace event");
	return format_parse(text, len, ret_format, err);
}

int instance_enable(struct instance *instance, const char *system, const char *event,
		    const char *filter, struct format *ret_format, struct errmsg *err)
{
	char *enable = instance->events[instance->n_events];
	char path[160];
	int r;

	if (instance->n_events == INSTANCE_MAX_EVENTS)
		return -ENOSPC;
	r = instance_read_format(instance, system, event, ret_format, err);
	if (r != 0)
		return r;
	snprintf(path, sizeof(path), "events/%s/%s/filter", system, event);
	if (filter != NULL) {
		r = instance_write(instance, path, filter);
		if (r < 0)
			return instance_refused(err, r, "setting the filter of the trace event");
	}
	snprintf(enable, sizeof(instance->events[0]), "events/%s/%s/enable", system, event);
	r = instance_write(instance, enable, "1");
	if (r < 0)
		return instance_refused(err, r, "enabling the trace event");
	instance->n_events++;
	return 0;
}

int instance_doorbell(const struct instance *instance)
{
	return instance->doorbell_fd;
}

/* Sum of the counters of records that the ring dropped since the instance was made. */
static bool instance_read_lost(const struct instance *instance, int cpu, uint64_t *ret_lost)
{
	static const char *const keys[] = { "\noverrun: ", "\ncommit overrun: ",
					    "\ndropped events: " };
	_cleanup_free_ char *text = NULL;
	char path[64];
	size_t len;
	uint64_t lost = 0;

	snprintf(path, sizeof(path), "per_cpu/cpu%d/stats", cpu);
	if (instance_read_file(instance->dir_fd, path, &text, &len) < 0 || text == NULL)
		return false;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const char *found = strstr(text, keys[i]);

		if (found != NULL)
			lost += strtoull(found + strlen(keys[i]), NULL, 10);
	}
	*ret_lost = lost;
	return true;
}

static int instance_report_missed(struct instance *instance, struct instance_record *ret_record)
{
	struct instance_cpu *cpu = &instance->cpus[instance->current];
	const struct page_reader *page = &instance->page;
	uint64_t total;

	ret_record->loss_cause = "ring_overrun";
	ret_record->cpu = cpu->number;
	ret_record->loss_is_minimum = false;
	if (instance_read_lost(instance, cpu->number, &total)) {
		if (total <= cpu->lost)
			return 0;
		ret_record->loss_count = total - cpu->lost;
		cpu->lost = total;
		return INSTANCE_E_LOSS;
	}
	ret_record->loss_count = page->missed_counted ? page->missed_count : 1;
	ret_record->loss_is_minimum = !page->missed_counted;
	cpu->lost += ret_record->loss_count;
	return INSTANCE_E_LOSS;
}

static int instance_report_undecodable(struct instance *instance,
				       struct instance_record *ret_record)
{
	instance->page_open = false;
	ret_record->loss_cause = "decode";
	ret_record->cpu = instance->cpus[instance->current].number;
	ret_record->loss_count = 1;
	ret_record->loss_is_minimum = true;
	return INSTANCE_E_LOSS;
}

/* 0 = `page` holds a new page; INSTANCE_E_EMPTY = this CPU is drained. */
static int instance_read_page(struct instance *instance)
{
	const struct instance_cpu *cpu = &instance->cpus[instance->current];
	ssize_t n;

	do {
		n = read(cpu->raw_fd, instance->buffer, instance->layout.size);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? INSTANCE_E_EMPTY : -errno;
	if (n == 0)
		return INSTANCE_E_EMPTY;
	if (instance->clock_known)
		instance->clock_offset_ns =
			(int64_t)(clock_realtime_ns() - (instance->clock == CLOCK_BOOTTIME
								 ? clock_boottime_ns()
								 : clock_monotonic_ns()));
	instance->page_open = true;
	return page_open(&instance->page, &instance->layout, instance->buffer, (size_t)n);
}

/* The next page of any CPU. 0, INSTANCE_E_EMPTY, INSTANCE_E_LOSS, -errno. */
static int instance_next_page(struct instance *instance, struct instance_record *ret_record)
{
	int r = instance_read_page(instance);

	while (r == INSTANCE_E_EMPTY) {
		if (++instance->current == instance->n_cpus) {
			instance->current = 0;
			return INSTANCE_E_EMPTY;
		}
		r = instance_read_page(instance);
	}
	if (r == -EBADMSG)
		return instance_report_undecodable(instance, ret_record);
	if (r == 0 && instance->page.missed)
		return instance_report_missed(instance, ret_record);
	return r;
}

int instance_next(struct instance *instance, struct instance_record *ret_record)
{
	for (;;) {
		struct page_record record;
		int r;

		if (!instance->page_open) {
			r = instance_next_page(instance, ret_record);
			if (r != 0)
				return r;
		}
		r = page_next(&instance->page, &record);
		if (r == -EBADMSG)
			return instance_report_undecodable(instance, ret_record);
		if (r == 0) {
			ret_record->data = record.data;
			ret_record->size = record.size;
			ret_record->source_clock_ns = record.timestamp;
			ret_record->time_unix_ns =
				instance->clock_known
					? record.timestamp + (uint64_t)instance->clock_offset_ns
					: 0;
			ret_record->cpu = instance->cpus[instance->current].number;
			return 0;
		}
		instance->page_open = false;
	}
}

int instance_check(const struct instance *instance, struct errmsg *err)
{
	char line[16];

	if (file_read_line(instance->dir_fd, "tracing_on", line, sizeof(line)) < 0 ||
	    strcmp(line, "1") != 0) {
		errmsg_set(err, "the trace instance does not record: tracing_on is not 1");
		return INSTANCE_E_ABSENT;
	}
	for (size_t i = 0; i < instance->n_events; i++) {
		/* "1*" is how the kernel marks an event that also has a trigger. */
		if (file_read_line(instance->dir_fd, instance->events[i], line, sizeof(line)) < 0 ||
		    line[0] != '1') {
			errmsg_set(err, "the trace event was switched off: %s is not 1",
				   instance->events[i]);
			return INSTANCE_E_ABSENT;
		}
	}
	return 0;
}
