/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/registry.h"

#include <string.h>

#include "collectors/block/block.h"
#include "collectors/cxl/capi.h"
#include "collectors/cxl/cxl.h"
#include "collectors/multipath/multipath.h"
#include "collectors/nvme/nvme.h"
#include "collectors/nvme_monitor/nvme_monitor.h"
#include "collectors/replay/replay.h"
#include "collectors/scsi/scsi.h"
#include "collectors/watch_queue/watch_queue.h"

const struct collector_ops *const registry[] = {
	/* The order is kept on disk (registry.h): new ones at the end. */
	&block_collector,     &replay_collector, &watch_queue_collector,
	&multipath_collector, &cxl_collector,	 &capi_collector,
	&nvme_collector,      &scsi_collector,	 &nvme_monitor_collector,
};
const size_t registry_n = sizeof(registry) / sizeof(registry[0]);

_Static_assert(sizeof(registry) / sizeof(registry[0]) <= REGISTRY_MAX, "registry");

int registry_find(const char *name)
{
	for (size_t i = 0; i < registry_n; i++)
		if (registry[i] && strcmp(registry[i]->name, name) == 0)
			return (int)i;
	return -1;
}
