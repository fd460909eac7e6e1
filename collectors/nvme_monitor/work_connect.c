/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collectors/nvme_monitor/work_part.h"
#include "core/fd.h"
#include "fabrics/conf.h"
#include "fabrics/connect.h"
#include "fabrics/exclusions.h"
#include "fabrics/owner.h"
#include "fabrics/probe.h"

/* Finding, making and deleting controllers. */
#define WORK_SEQNUM "/kernel/uevent_seqnum"

_Static_assert(OWNER_NAME <= CONNECTION_NAME && LOOK_NAME <= CONNECTION_NAME, "copied below");

static bool work_is_wanted(struct work *work, const char *name, bool discovery)
{
	struct tid tid;

	if (look_read(work->job->sysfs, name, &work->look) != 0 ||
	    strcmp(work->look.transport, "pcie") == 0 ||
	    strncmp(work->look.state, "deleting", 8) == 0 || strcmp(work->look.state, "dead") == 0)
		return false;
	look_tid(work->job->sysfs, &work->look, &tid);
	return tid.discovery == discovery && tid_matches(&work->job->tid, &tid);
}

int work_find(struct work *work, bool discovery)
{
	const struct work_target *known = &work->job->known;
	size_t n = 0, n_unseen;
	char(*names)[LOOK_NAME];
	int r = WORK_E_NONE;

	if (known->controller[0] != '\0' &&
	    look_is_same(work->job->sysfs, known->controller, known->inode) &&
	    work_is_wanted(work, known->controller, discovery))
		return 0;
	names = calloc(WORK_ITEMS_MAX, sizeof(names[0]));
	if (names == NULL || look_list(work->job->sysfs, WORK_ITEMS_MAX, names, &n, &n_unseen) != 0)
		n = 0;
	for (size_t i = 0; r != 0 && i < n; i++)
		if (work_is_wanted(work, names[i], discovery))
			r = 0;
	free(names);
	return r;
}

bool work_is_ours(const struct nvme_monitor_config *config, const char *controller)
{
	char owner[OWNER_NAME], maker[OWNER_NAME];

	/* What a command has made is the agent's as well, but not the monitor's to delete. */
	return owner_read(config->registry, controller, owner) == 0 &&
	       owner_read_maker(config->registry, controller, maker) == 0 &&
	       strcmp(owner, OWNER_SELF) == 0 && strcmp(maker, OWNER_MAKER_MONITOR) == 0;
}

void work_tell_controller(struct work *work)
{
	struct work_answer *answer = &work->answer;
	const struct look *look = &work->look;
	char owner[OWNER_NAME] = "";

	(void)owner_read(work->job->config->registry, look->name, owner);
	snprintf(answer->controller, sizeof(answer->controller), "%s", look->name);
	snprintf(answer->owner, sizeof(answer->owner), "%s", owner);
	answer->inode = look->inode;
	answer->ours = work_is_ours(work->job->config, look->name);
	answer->persistent = look->kato > 0;
}

/* True: excluded, and the answer says by which line. */
static bool work_is_excluded(struct work *work)
{
	struct exclusions exclusions = { 0 };
	const struct exclusion *by;

	if (exclusions_read(&exclusions, work->job->config->exclusions, NULL, NULL) != 0)
		return false; /* it fails open, as for every program that reads it */
	by = exclusions_find(&exclusions, &work->job->tid);
	if (by != NULL) {
		work->answer.outcome = WORK_SKIPPED;
		snprintf(work->answer.reason, sizeof(work->answer.reason),
			 "excluded by %.120s, line %u", by->file, by->line);
	}
	exclusions_deinit(&exclusions);
	return by != NULL;
}

/* The options of the file that lists it, if one does: they may hold secrets, and are as new as the
 * file. */
static void work_options(const struct work_job *job, struct tid *tid,
			 struct connect_options *options)
{
	const struct nvme_monitor_config *config = job->config;
	const struct conf_entry *entry = NULL;
	struct conf conf = { 0 };

	connect_options_init(options);
	(void)conf_read(&conf, config->conf_dir);
	for (size_t i = 0; entry == NULL && i < conf.n; i++)
		if (tid_matches(&conf.items[i].tid, tid))
			entry = &conf.items[i];
	if (entry != NULL) {
		*options = entry->options;
		memcpy(tid->host_nqn, entry->tid.host_nqn, sizeof(tid->host_nqn));
	}
	if (tid->host_nqn[0] == '\0')
		snprintf(tid->host_nqn, sizeof(tid->host_nqn), "%s",
			 config->host_nqn != NULL ? config->host_nqn : conf.host_nqn);
	if (options->host_id[0] == '\0')
		snprintf(options->host_id, sizeof(options->host_id), "%s",
			 config->host_id != NULL ? config->host_id : conf.host_id);
	conf_deinit(&conf);
}

/* A controller without its mark would not be known as ours after a restart; it works all the same.
 */
static void work_own(struct work *work, const char *name)
{
	char seqnum[512];

	snprintf(seqnum, sizeof(seqnum), "%s" WORK_SEQNUM, work->job->sysfs);
	(void)owner_write(work->job->config->registry, seqnum, name, OWNER_SELF);
	(void)owner_write_maker(work->job->config->registry, name, OWNER_MAKER_MONITOR);
}

static int work_write(struct work *work, const struct tid *tid,
		      const struct connect_options *options)
{
	char supported[1024], device[512], line[CONNECT_LINE], name[LOOK_NAME];
	uint32_t instance = 0, cntlid;
	struct errmsg err = { 0 };
	int r;

	snprintf(device, sizeof(device), "%s/nvme-fabrics", work->job->dev);
	r = connect_supported(device, supported, sizeof(supported));
	if (r < 0)
		return work_fail(&work->answer, r, "the kernel's nvme_fabrics is not there");
	r = connect_line(tid, options, supported, line, sizeof(line), &err);
	if (r < 0)
		return work_fail(&work->answer, r, err.text);
	r = connect_write(device, line, &instance, &cntlid);
	if (r == -EALREADY)
		return WORK_E_EXISTS;
	if (r < 0)
		return work_fail(&work->answer, r, "connect");
	snprintf(name, sizeof(name), "nvme%u", instance);
	work_own(work, name);
	r = look_read(work->job->sysfs, name, &work->look);
	if (r != 0)
		return work_fail(&work->answer, -ENODEV, "the new controller went at once");
	return 0;
}

int work_make(struct work *work, uint32_t keep_alive_s)
{
	struct connect_options *options;
	struct tid tid = work->job->tid;
	int r;

	if (work_is_excluded(work))
		return WORK_E_EXCLUDED;
	options = malloc(sizeof(*options));
	if (options == NULL)
		return work_fail(&work->answer, -ENOMEM, "connect");
	work_options(work->job, &tid, options);
	/* With TLS the first word is another one. */
	r = work->job->probe && !options->tls ? probe_tcp(&tid, 0) : 0;
	if (r < 0) {
		free(options);
		return work_fail(&work->answer, r, "the target does not answer");
	}
	if (keep_alive_s > 0)
		options->keep_alive_tmo = (int32_t)keep_alive_s;
	r = work_write(work, &tid, options);
	explicit_bzero(options, sizeof(*options));
	free(options);
	return r;
}

void work_connect(struct work *work)
{
	int r = work_make(work, 0);

	if (r == WORK_E_EXISTS) {
		r = work_find(work, false);
		if (r == WORK_E_NONE)
			(void)work_fail(&work->answer, -EALREADY,
					"the kernel has this connection, but none that matches "
					"is found");
		else
			work->answer.outcome = WORK_EXISTED;
	} else if (r == 0) {
		work->answer.outcome = WORK_DONE;
	}
	if (r == 0)
		work_tell_controller(work);
}

int work_delete(const struct work_job *job, const char *name, uint64_t inode)
{
	int r;

	if (!look_is_same(job->sysfs, name, inode))
		return -ENODEV;
	r = connect_delete(job->sysfs, name);
	if (r == 0)
		(void)owner_remove(job->config->registry, name, UINT64_MAX);
	return r;
}
