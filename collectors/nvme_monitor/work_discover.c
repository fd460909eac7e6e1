/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collectors/nvme_monitor/work_part.h"
#include "core/clock.h"
#include "core/fd.h"
#include "fabrics/connect.h"
#include "fabrics/read_log.h"

/*
 * One discovery: the controller that is there, whoever made it, else a new one; its log page; and
 * unless it is to stay, its end. There is at most one child for an address, so that nobody makes a
 * second controller in between.
 */

/* What this host's side is, is the same for what the log page names. */
static bool work_take_entry(struct work *work, const struct log_page_entry *entry)
{
	const struct tid *own = &work->job->tid;
	struct work_item item = { .tid = entry->tid,
				  .is_referral = entry->subtype == LOG_PAGE_REFERRAL };

	memcpy(item.tid.host_traddr, own->host_traddr, sizeof(item.tid.host_traddr));
	memcpy(item.tid.host_iface, own->host_iface, sizeof(item.tid.host_iface));
	memcpy(item.tid.host_nqn, own->host_nqn, sizeof(item.tid.host_nqn));
	item.tid.discovery = item.is_referral;
	item.is_discovery = item.is_referral;
	tid_normalise(&item.tid);
	return work_add(work, &item);
}

static int work_take_log(struct work *work, const struct buf *log,
			 const struct read_log_result *result)
{
	for (uint32_t i = 0; i < result->n_entries; i++) {
		struct log_page_entry entry;
		int r = log_page_entry(log->data + (size_t)i * LOG_PAGE_UNIT, LOG_PAGE_UNIT,
				       &entry);

		if (r != 0 || entry.subtype == LOG_PAGE_CURRENT)
			work->answer.n_ignored++;
		else if (!work_take_entry(work, &entry))
			return work_fail(&work->answer, -ENOMEM, "reading its log page");
	}
	work->answer.n_ignored += result->n_left_out;
	work->answer.genctr = result->header.genctr;
	work->answer.outcome = WORK_DONE;
	return 0;
}

static int work_read(struct work *work)
{
	struct buf log = { .max = (LOG_PAGE_MAX + 1) * (size_t)LOG_PAGE_UNIT };
	struct read_log_result result = { 0 };
	uint16_t status = 0;
	char path[512];
	_cleanup_fd_ int fd = -1;
	int r;

	snprintf(path, sizeof(path), "%s/%s", work->job->dev, work->look.name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return work_fail(&work->answer, -errno, path);
	r = read_log(fd, &log, &result, &status);
	/* Busy: its last reading is as good as any, and AENs are armed. */
	if (r == 0 || r == READ_LOG_E_BUSY)
		r = work_take_log(work, &log, &result);
	else if (r == READ_LOG_E_STATUS) {
		r = work_fail(&work->answer, -EIO, "reading its log page");
		snprintf(work->answer.reason, sizeof(work->answer.reason),
			 "reading its log page: NVMe status 0x%x", status);
	} else {
		r = work_fail(&work->answer, r, "reading its log page");
	}
	buf_deinit(&log);
	return r;
}

static uint32_t work_keep_alive(const struct work_job *job)
{
	return job->persistent ? (uint32_t)(job->config->keep_alive / CLOCK_NS_PER_S) : 0;
}

/* 0, or the answer says why not. */
static int work_get_controller(struct work *work, bool *ret_made)
{
	int r = work_find(work, true);

	*ret_made = r == WORK_E_NONE;
	if (r == WORK_E_NONE) {
		r = work_make(work, work_keep_alive(work->job));
		/* Not for discovery controllers: the kernel lets those be twice. */
		return r == WORK_E_EXISTS ? work_fail(&work->answer, -EALREADY, "connect") : r;
	}
	/* A second one beside it would only wait as well. */
	if (strcmp(work->look.state, "live") != 0)
		return work_fail(&work->answer, -EAGAIN, "its controller is being reconnected");
	return 0;
}

void work_discover(struct work *work)
{
	bool made, ours, stays;

	if (work_get_controller(work, &made) != 0)
		return;
	work_tell_controller(work);
	/* One that is ours and has no keep-alive was left by a child that was killed. */
	ours = made || (work->answer.ours && !work->answer.persistent);
	stays = !ours || (made && work->job->persistent);
	(void)work_read(work);
	if (stays)
		return;
	(void)work_delete(work->job, work->answer.controller, work->answer.inode);
	work->answer.controller[0] = work->answer.owner[0] = '\0';
	work->answer.ours = work->answer.persistent = 0;
}
