/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "core/errmsg.h"

/*
 * watch_devices(fd, watch id, flags): never merged, so no number belongs to it, and the ones that
 * its series proposed are other calls today (436 is close_range since 5.9, which would close our
 * descriptors). A number is therefore only ever used when the configuration names it and mainline
 * has no call there on the kernel that runs.
 */

/* Pure. @release: as uname says. 0, or -EINVAL with @err. */
int devices_check(unsigned number, const char *release, struct errmsg *err);
/* Checks against the running kernel, then calls. @watch_id -1 ends the watch. 0, DEVICES_E_ABSENT
 * (no such call here), -errno; both with @err. */
#define DEVICES_E_ABSENT 1
int devices_watch(unsigned number, int queue_fd, int watch_id, struct errmsg *err);
