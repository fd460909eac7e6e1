/* SPDX-License-Identifier: Apache-2.0 */
#include "actions/nvme_make.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "fabrics/conf.h"
#include "fabrics/probe.h"

#define NVME_MAKE_NAMES	   2048
#define NVME_MAKE_PROBE_MS 10000

/* The first entry of the files that is this connection. */
static void nvme_make_take_files(const struct conf *conf, struct nvme_make *make)
{
	const struct conf_entry *entry = NULL;
	struct tid *tid = &make->tid;

	for (size_t i = 0; !entry && i < conf->n; i++)
		if (tid_matches(&conf->items[i].tid, tid))
			entry = &conf->items[i];
	if (entry) {
		make->options = entry->options;
		memcpy(tid->host_nqn, entry->tid.host_nqn, sizeof(tid->host_nqn));
	}
	if (!tid->host_nqn[0])
		memcpy(tid->host_nqn, conf->host_nqn, sizeof(tid->host_nqn));
	if (!make->options.host_id[0])
		memcpy(make->options.host_id, conf->host_id, sizeof(make->options.host_id));
}

/* Through connect_options_set, which knows the ranges. 0 = not given. */
static int nvme_make_set(struct nvme_make *make, const char *key, long value, struct errmsg *err)
{
	char text[24];

	if (value == 0)
		return 0;
	snprintf(text, sizeof(text), "%ld", value);
	if (connect_options_set(&make->options, key, text) == 0)
		return 0;
	errmsg_set(err, "%s can't be %ld", key, value);
	return -EINVAL;
}

static int nvme_make_take_args(struct nvme_make *make, const Pathbell__V1__NvmeConnectArgs *args,
			       struct errmsg *err)
{
	if (*args->host_nqn && tid_set(&make->tid, "hostnqn", args->host_nqn) != 0) {
		errmsg_set(err, "host_nqn is not an NQN");
		return -EINVAL;
	}
	if (*args->host_id && connect_options_set(&make->options, "hostid", args->host_id) != 0) {
		errmsg_set(err, "host_id is not a UUID");
		return -EINVAL;
	}
	if (nvme_make_set(make, "ctrl_loss_tmo", args->ctrl_loss_tmo_seconds, err) ||
	    nvme_make_set(make, "reconnect_delay", args->reconnect_delay_seconds, err) ||
	    nvme_make_set(make, "keep_alive_tmo", args->keep_alive_tmo_seconds, err) ||
	    nvme_make_set(make, "nr_io_queues", args->nr_io_queues, err) ||
	    nvme_make_set(make, "queue_size", args->queue_size, err))
		return -EINVAL;
	return 0;
}

int nvme_make_prepare(const struct action_host *host, const struct tid *tid,
		      const Pathbell__V1__NvmeConnectArgs *args, struct nvme_make *ret_make,
		      struct errmsg *err)
{
	struct conf conf = { 0 };

	*ret_make = (struct nvme_make){ .tid = *tid };
	connect_options_init(&ret_make->options);
	/* What is wrong in the files is left out, as it is for every program that reads them. */
	if (conf_read(&conf, host->nvme_conf) == 0)
		nvme_make_take_files(&conf, ret_make);
	conf_deinit(&conf);
	return args ? nvme_make_take_args(ret_make, args, err) : 0;
}

static int nvme_make_line(const struct action_host *host, const struct nvme_make *make,
			  char *ret_device, size_t device_size, char ret_line[CONNECT_LINE],
			  struct errmsg *err)
{
	char supported[NVME_MAKE_NAMES];
	int r;

	snprintf(ret_device, device_size, "%s/nvme-fabrics", host->dev);
	r = connect_supported(ret_device, supported, sizeof(supported));
	if (r < 0) {
		errmsg_set(err, "%s: %s%s", ret_device, log_errno(r),
			   r == -ENOENT ? " (is the module nvme_fabrics loaded?)" : "");
		return r;
	}
	return connect_line(&make->tid, &make->options, supported, ret_line, CONNECT_LINE, err);
}

int nvme_make_check(const struct action_host *host, const struct nvme_make *make,
		    struct errmsg *err)
{
	char device[512], line[CONNECT_LINE];
	int r = nvme_make_line(host, make, device, sizeof(device), line, err);

	explicit_bzero(line, sizeof(line));
	return r;
}

/* A controller without its mark works all the same; nobody's is what it is then. */
static void nvme_make_own(const struct action_host *host, const char *name,
			  struct nvme_target *target)
{
	char seqnum[512];

	snprintf(seqnum, sizeof(seqnum), "%s/kernel/uevent_seqnum", host->sysfs);
	if (owner_write(host->nvme_registry, seqnum, name, OWNER_SELF) == 0)
		snprintf(target->owner, sizeof(target->owner), "%s", OWNER_SELF);
}

/* A target that is mute would stop every connect of this host, inside the kernel. With TLS the
 * first word is another one. */
static int nvme_make_probe(const struct action *action, const struct nvme_make *make,
			   struct errmsg *err)
{
	uint64_t now_ns = clock_monotonic_ns(), ms = NVME_MAKE_PROBE_MS;
	int r;

	if (make->options.tls)
		return 0;
	if (action->deadline_ns > now_ns &&
	    (action->deadline_ns - now_ns) / CLOCK_NS_PER_MS / 2 < ms)
		ms = (action->deadline_ns - now_ns) / CLOCK_NS_PER_MS / 2 + 1;
	r = probe_tcp(&make->tid, ms);
	if (r < 0)
		errmsg_set(err, "the target does not answer: %s", log_errno(r));
	return r;
}

int nvme_make_controller(const struct action *action, const struct nvme_make *make,
			 struct nvme_target *ret_target, struct errmsg *err)
{
	const struct action_host *host = action->host;
	char device[512], line[CONNECT_LINE], name[LOOK_NAME];
	uint32_t instance = 0, cntlid;
	int r = nvme_make_line(host, make, device, sizeof(device), line, err);

	if (r == 0)
		r = nvme_make_probe(action, make, err);
	if (r < 0)
		return r;
	r = connect_write(device, line, &instance, &cntlid);
	explicit_bzero(line, sizeof(line));
	if (r == -EALREADY)
		return NVME_MAKE_E_EXISTS;
	if (r < 0) {
		errmsg_set(err, "the kernel could not connect: %s", log_errno(r));
		return r;
	}
	memset(ret_target, 0, sizeof(*ret_target));
	snprintf(name, sizeof(name), "nvme%u", instance);
	nvme_make_own(host, name, ret_target);
	if (look_read(host->sysfs, name, &ret_target->look) != 0) {
		errmsg_set(err, "nvme%u went as soon as it was made", instance);
		return -ENODEV;
	}
	look_tid(host->sysfs, &ret_target->look, &ret_target->tid);
	return 0;
}

int nvme_make_undo(const struct action_host *host, const struct nvme_target *target)
{
	int r;

	if (!look_is_same(host->sysfs, target->look.name, target->look.inode))
		return 0;
	r = connect_delete(host->sysfs, target->look.name);
	if (r < 0 && look_is_same(host->sysfs, target->look.name, target->look.inode))
		return r;
	(void)owner_remove(host->nvme_registry, target->look.name, UINT64_MAX);
	return 0;
}

void nvme_make_wipe(struct nvme_make *make)
{
	explicit_bzero(make, sizeof(*make));
}
