/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/multipath/survey.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "collectors/multipath/report.h"
#include "core/fd.h"
#include "mapper/dm.h"

/*
 * Between fork and _exit only calls that are safe in a child of a program with threads: no malloc,
 * no stdio, no log. The agent's libev reaps the child; elsewhere survey_stop does.
 */
struct survey_child {
	int control, out;
	const struct survey_known *known;
	size_t n_known;
	bool all;
	struct dm_buffer list, table, info;
	void *record; /* REPORT_RECORD_MAX */
};

static void survey_close_others(int a, int b)
{
	unsigned low = (unsigned)(a < b ? a : b), high = (unsigned)(a < b ? b : a);

	if (low > 3)
		(void)syscall(SYS_close_range, 3, low - 1, 0);
	if (high > low + 1)
		(void)syscall(SYS_close_range, low + 1, high - 1, 0);
	(void)syscall(SYS_close_range, high + 1, ~0U, 0);
}

static int survey_write(struct survey_child *child, const struct report_record *record)
{
	size_t size = report_encode(record, child->record, REPORT_RECORD_MAX);

	return size == 0 ? -E2BIG : fd_write_all(child->out, child->record, size);
}

static bool survey_is_same(const struct survey_child *child, const struct dm_entry *entry)
{
	if (child->all)
		return false;
	for (size_t i = 0; i < child->n_known; i++)
		if (child->known[i].major == entry->major && child->known[i].minor == entry->minor)
			return child->known[i].event_nr == entry->event_nr;
	return false;
}

/* A map that went away since the list was made is no error: it is not in the report. */
static int survey_map(struct survey_child *child, const struct dm_entry *entry)
{
	struct report_record record = { .kind = REPORT_SAME,
					.major = entry->major,
					.minor = entry->minor,
					.event_nr = entry->event_nr };
	struct dm_status table, info;
	int r;

	if (survey_is_same(child, entry))
		return survey_write(child, &record);
	r = dm_table_status(child->control, &child->table, entry->major, entry->minor, true,
			    &table);
	if (r == -ENXIO || (r == 0 && strcmp(table.target, "multipath") != 0))
		return 0;
	if (r == 0)
		r = dm_table_status(child->control, &child->info, entry->major, entry->minor, false,
				    &info);
	if (r == -ENXIO)
		return 0;
	record.kind = REPORT_MAP;
	record.error = r;
	record.name = entry->name;
	if (r == 0) {
		record.uuid = info.uuid;
		record.suspended = info.suspended;
		record.table = table.text;
		record.info = info.text;
	}
	return survey_write(child, &record);
}

static int survey_all(struct survey_child *child)
{
	struct dm_entry entry;
	size_t offset = 0;
	int r = dm_list(child->control, &child->list);

	while (r == 0 && dm_list_next(&child->list, &offset, &entry))
		r = survey_map(child, &entry);
	return r;
}

static void __attribute__((noreturn)) survey_run(struct survey_child *child)
{
	struct report_record end = { .kind = REPORT_END };
	sigset_t none;

	sigemptyset(&none);
	signal(SIGTERM, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "pathbelld-dm");
	survey_close_others(child->control, child->out);
	child->record = mmap(NULL, REPORT_RECORD_MAX, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (child->record == MAP_FAILED)
		_exit(1);
	end.error = survey_all(child);
	_exit(survey_write(child, &end) == 0 ? 0 : 1);
}

void survey_init(struct survey *survey)
{
	*survey = (struct survey){ .fd = -1, .pidfd = -1, .report.max = SURVEY_REPORT_MAX };
}

bool survey_is_running(const struct survey *survey)
{
	return survey->fd >= 0;
}

int survey_start(struct survey *survey, int control, const struct survey_known *known,
		 size_t n_known)
{
	struct survey_child child = {
		.control = control, .known = known, .n_known = n_known, .all = known == NULL
	};
	int ends[2];

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
		return -errno;
	child.out = ends[1];
	survey->pid = fork();
	if (survey->pid == 0) {
		/* The child may wait for its reader. */
		(void)fcntl(child.out, F_SETFL, 0);
		survey_run(&child);
	}
	close(ends[1]);
	if (survey->pid < 0) {
		int error = errno;

		close(ends[0]);
		return -error;
	}
	buf_reset(&survey->report);
	survey->fd = ends[0];
	/* So that a later kill can't hit another process with a recycled number. */
	survey->pidfd = (int)syscall(SYS_pidfd_open, survey->pid, 0);
	return 0;
}

static void survey_forget(struct survey *survey)
{
	survey->fd = fd_close(survey->fd);
	survey->pidfd = fd_close(survey->pidfd);
	/* In the agent the loop reaps it, now or when the kernel lets it go. Elsewhere it may have
	 * ended by now. */
	(void)waitpid(survey->pid, NULL, WNOHANG);
}

int survey_read(struct survey *survey, bool *ret_progress)
{
	*ret_progress = false;
	for (;;) {
		ssize_t size;
		int r = buf_reserve(&survey->report, 65536);

		if (r < 0)
			return r;
		size = read(survey->fd, survey->report.data + survey->report.size, 65536);
		if (size < 0 && errno == EINTR)
			continue;
		if (size < 0)
			return errno == EAGAIN ? 0 : -errno;
		*ret_progress = true;
		if (size == 0)
			break;
		survey->report.size += (size_t)size;
	}
	survey_forget(survey);
	return SURVEY_E_DONE;
}

void survey_stop(struct survey *survey)
{
	if (survey_is_running(survey)) {
		if (survey->pidfd >= 0)
			(void)syscall(SYS_pidfd_send_signal, survey->pidfd, SIGKILL, NULL, 0);
		survey_forget(survey);
	}
	buf_reset(&survey->report);
}
