/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "collectors/nvme_monitor/work_part.h"
#include "core/fd.h"
#include "fabrics/conf.h"

/* What the files of /etc/nvme want; the rules of udev; the Fibre Channel transport. */

static void work_on_error(void *data, const struct errmsg *err)
{
	struct work_answer *answer = data;

	/* The first one is told; the rest is counted. */
	answer->error = -EINVAL;
	if (answer->reason[0] == '\0')
		errmsg_format(err, answer->reason, sizeof(answer->reason));
}

static uint8_t work_source(enum conf_source source)
{
	switch (source) {
	case CONF_DISCOVERY_CONF:
		return CONNECTION_DISCOVERY_CONF;
	case CONF_CONFIG_JSON:
		return CONNECTION_CONFIG_JSON;
	default:
		return CONNECTION_FABRICS_CONF;
	}
}

/* Asks the FC transport to tell its remote ports again (nvme_fc_nvme_discovery_store,
 * drivers/nvme/host/fc.c, Linux 5.10 to 6.12); without FC there is no such file. */
static void work_kick(const struct work_job *job)
{
	char path[512];
	_cleanup_fd_ int fd = -1;

	snprintf(path, sizeof(path), "%s/class/fc/fc_udev_device/nvme_discovery", job->sysfs);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0)
		(void)fd_write_all(fd, "add", 3);
}

void work_files(struct work *work)
{
	const struct nvme_monitor_config *config = work->job->config;
	const struct mask_options options = { .dir = config->rules_dir,
					      .from = &config->rules_from,
					      .rules = &config->rules };
	struct conf conf = { .tell = work_on_error, .data = &work->answer };
	struct mask_outcome outcome = { 0 };
	int r = 0;

	/* First, so that the answers to what the kick brings are ours alone. */
	if (work->job->mask)
		r = mask_set(&options, &outcome);
	work->answer.masked = outcome.masked;
	work->answer.foreign = outcome.foreign;
	work->answer.n_changed = outcome.changed;
	if (r < 0) {
		(void)work_fail(&work->answer, r, "masking the autoconnect rules");
		return;
	}
	r = conf_read(&conf, config->conf_dir);
	for (size_t i = 0; r == 0 && i < conf.n; i++) {
		struct work_item item = { .tid = conf.items[i].tid,
					  .is_discovery = conf.items[i].is_discovery,
					  .source = work_source(conf.items[i].source) };

		r = work_add(work, &item) ? 0 : -ENOMEM;
	}
	conf_deinit(&conf);
	if (work->job->kick)
		work_kick(work->job);
	if (r < 0)
		(void)work_fail(&work->answer, r, "reading the NVMe files");
	else
		work->answer.outcome = WORK_DONE;
}
