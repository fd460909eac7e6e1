/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "actions/nvme_target.h"
#include "core/errmsg.h"
#include "fabrics/connect.h"

/*
 * Making a controller: what the files of /etc/nvme say about that address (secrets too), then what
 * the command says, written to /dev/nvme-fabrics. For children only.
 */
struct nvme_make {
	struct tid tid; /* with the host's NQN, where one is known */
	struct connect_options options;
};

/* Options and the host's identity for @tid. @args may be NULL. 0, -errno with @err. */
int nvme_make_prepare(const struct action_host *host, const struct tid *tid,
		      const Pathbell__V1__NvmeConnectArgs *args, struct nvme_make *ret_make,
		      struct errmsg *err);
/* Could the kernel take it? 0, -EOPNOTSUPP, -EINVAL, -ENOENT (no nvme_fabrics), with @err. */
int nvme_make_check(const struct action_host *host, const struct nvme_make *make,
		    struct errmsg *err);
/*
 * (sleeps) Makes it and writes us down as its owner; a TCP target is first asked by ourselves, see
 * probe.h. 0 with *ret_target; NVME_MAKE_E_EXISTS: the
 * kernel has that connection; -errno with @err.
 */
#define NVME_MAKE_E_EXISTS 1
int nvme_make_controller(const struct action *action, const struct nvme_make *make,
			 struct nvme_target *ret_target, struct errmsg *err);
/* (sleeps) Deletes a controller that is still the same one, and its entry of the registry. 0 (also:
 * it was gone), -errno. */
int nvme_make_undo(const struct action_host *host, const struct nvme_target *target);
/* Forgets the secrets. */
void nvme_make_wipe(struct nvme_make *make);
